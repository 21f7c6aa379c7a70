"""Hints that a file has changed: the one module that imports watchdog, loaded only when something is watched.

A hint only says "look now". It may come late, twice, for nothing, or never: a burst overflows the kernel's queue, a
network file system tells nothing, a folder that was renamed is watched under its old name. So who waits also looks
without one, every `interval_s`, and what it finds on the disk decides.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import signal
import warnings
from typing import TYPE_CHECKING, Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from orchestrator.catalog.walk import NOT_SEARCHED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import FrameType

SLOW_S = 5.0
"""How often it is looked without a hint, where hints come."""

POLL_S = 1.0
"""The same where none come."""

_UNTOUCHED = frozenset({"opened", "closed_no_write"})
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_IS_FULL = {
    errno.ENOSPC: "this user's inotify watches are used up (`fs.inotify.max_user_watches`)",
    errno.EMFILE: "this user's inotify instances, or this process's open files, are used up (`fs.inotify.max_user_instances`)",
}


class Hints(FileSystemEventHandler):
    """What a watcher waits on: hints from the file system, and the signals that ask it to stop.

    True between calls: `_watched` has the folders that events come from, with what they were (device and inode) when
    that began. `trouble` is a sentence where there are no events, which are then not asked for again. A byte in the
    pipe is a hint or a signal; only `wait` takes it out. Made and closed by one command, in the main thread.
    """

    def __init__(self) -> None:
        self.stopped_by: int | None = None
        self.trouble = ""
        self._watched: dict[str, tuple[tuple[int, int], Any]] = {}
        self._out, self._in = os.pipe()
        for fd in (self._out, self._in):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._in, warn_on_full_buffer=False)
        for number in _STOPPING:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # `nohup` asks to go on
                signal.signal(number, self._stop)
        self._listen_to_warnings()
        self._observer: Any = None
        try:
            self._observer = Observer()
            self._observer.start()
        except OSError as error:
            self._give_up(error)

    def __enter__(self) -> Hints:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._observer is not None:
            self._observer.stop()  # its threads are daemons: nobody waits for them

    @property
    def interval_s(self) -> float:
        """How long to wait for a hint before looking without one."""
        return POLL_S if self.trouble else SLOW_S

    def watch(self, folders: Mapping[Path, bool]) -> None:
        """Take hints from these folders from now on, and no others; the value says whether from all below it too.

        Folders that are not there are left out: to be called again after each look.
        """
        if self._observer is None:
            return
        wanted = {os.fspath(path): below for path, below in folders.items()}
        for path in [
            path for path in self._watched if path not in wanted or _identity(path) != self._watched[path][0]
        ]:
            with contextlib.suppress(KeyError, OSError):
                self._observer.unschedule(self._watched.pop(path)[1])
        for path, below in wanted.items():
            identity = _identity(path)
            if identity is None or path in self._watched:
                continue
            try:
                self._watched[path] = identity, self._observer.schedule(self, path, recursive=below)
            except FileNotFoundError:
                continue  # it went away meanwhile
            except OSError as error:
                self._give_up(error)
                return

    def wait(self, timeout_s: float) -> bool:
        """Whether a hint or a signal came, waited for at most so long. All that came are taken as one."""
        came, _, _ = select.select([self._out], [], [], max(0.0, timeout_s))
        if came:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._out, 65_536):
                    pass
        return bool(came)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called in a thread of the observer: a hint, unless nothing was written or it is in a folder of a tool."""
        paths = (os.fsdecode(path) for path in (event.src_path, event.dest_path) if path)
        if event.event_type not in _UNTOUCHED and not all(_is_in_a_tools_folder(path) for path in paths):
            self.poke()

    def poke(self) -> None:
        """Make a hint."""
        with contextlib.suppress(BlockingIOError):  # as many are there already as fit
            os.write(self._in, b".")

    def _stop(self, signum: int, _frame: FrameType | None) -> None:
        self.stopped_by = signum  # the byte in the pipe comes from Python itself

    def _give_up(self, error: OSError) -> None:
        why = _IS_FULL.get(error.errno or 0, error.strerror or str(error))
        self.trouble = f"the system gives no events of files: {why}; it is looked every {POLL_S:g} s instead"
        observer, self._observer = self._observer, None
        if observer is not None and observer.is_alive():
            observer.stop()

    def _listen_to_warnings(self) -> None:
        """An overflow of the kernel's queue is told by watchdog as a warning of its logger: to us it is a hint."""
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
        log = logging.getLogger("watchdog")
        log.addHandler(_Poking(self))
        log.propagate = False


class _Poking(logging.Handler):
    """Makes a hint of whatever watchdog complains about."""

    def __init__(self, hints: Hints) -> None:
        super().__init__(logging.WARNING)
        self._hints = hints

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - what it says is no help to a person
        self._hints.poke()


def _identity(path: str) -> tuple[int, int] | None:
    """Which folder it is, whatever its name; None where there is none."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return (facts.st_dev, facts.st_ino) if os.path.isdir(path) else None


def _is_in_a_tools_folder(path: str) -> bool:
    return not NOT_SEARCHED.isdisjoint(path.split(os.sep))
