"""The zygote: a clean process that forks confined workers in milliseconds.

It starts with nothing worth stealing (clean variables, no descriptors but its control socket) and does few things:
fork a worker, reap what ended, kill on request, import the common standard library once, and end when its parent
does. It has one thread, holds no data of any run, and is never asked to parse anything from one:
what a worker is to be allowed comes over the worker's own stream and is read after the fork.

Control socket (descriptor 0, sequenced packets). `F` + 8 bytes of id, with two descriptors: fork a worker that
serves the first; its wait status is written to the second, as a decimal number, once it and everything it started
are dead. `K` + id: kill that worker. End of file: the parent is gone, so everything is killed.

Killing. A worker leads its process group and nothing it starts can leave that, so one signal to the group kills all
of it, and a fork bomb too: the kernel lets no fork finish while such a signal is on its way. It is sent while the
worker is not reaped, so its number can't have become somebody else's.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import select
import signal
import socket
import struct
import sys
from importlib import util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

PRELOADED = (
    "inspect", "tempfile", "subprocess", "random", "shutil", "pathlib", "datetime", "collections", "itertools", "functools",
    "dataclasses", "typing", "textwrap", "string", "glob", "fnmatch", "hashlib", "csv", "difflib", "statistics", "copy",
    "concurrent.futures.thread", "shlex", "html", "urllib.parse", "heapq", "bisect", "base64", "decimal", "pprint",
    "unicodedata", "asyncio", "uuid", "zoneinfo",
)  # fmt: skip
"""What cells often import, the likeliest first. Workers get it for nothing; the zygote loads it while it has nothing
else to do, so that the first worker does not wait for it."""

_ID = struct.Struct("=cQ")


def main() -> None:
    """Serve the control socket until its end."""
    control = socket.socket(fileno=0)
    zygote = Zygote(control, _loaded("confine"), _loaded("worker"))
    zygote.serve()


def _loaded(name: str) -> types.ModuleType:
    """A module that lies beside this file."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = util.spec_from_file_location(f"orchestrate_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Zygote:
    """Parent of all workers. True between events: `_live` has each worker that is not reaped, by id and by pid."""

    def __init__(self, control: socket.socket, confine: types.ModuleType, worker: types.ModuleType) -> None:
        self._control = control
        self._confine, self._worker = confine, worker
        self._parent = os.getppid()
        self._pids: dict[int, int] = {}  # by id
        self._live: dict[int, tuple[int, int]] = {}  # by pid: its id, and where its status goes
        self._dying: dict[
            int, tuple[int, int]
        ] = {}  # by process group: the status of its reaped worker, and where it goes
        self._woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)
        self._wake = wake
        confine.adopt_orphans()

    def serve(self) -> None:
        """Answer until the control socket ends."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        preloaded = iter(PRELOADED)
        pause_ms = 0
        while True:
            ready = dict(poll.poll(pause_ms))
            if not ready and not pause_ms:
                pause_ms = 0 if _preload(preloaded) else 1000
            if self._woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._reap()
            # A copy of the parent's end may live on in one of its children, so its end is not proof enough.
            if os.getppid() != self._parent or (self._control.fileno() in ready and not self._obey()):
                self._end()

    def _obey(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, _ID.size, 2)
        if not message:
            return False
        command, number = _ID.unpack(message)
        if command == b"F":
            self._fork(number, *descriptors)
        elif number in self._pids:
            self._kill(self._pids[number])
        return True

    def _fork(self, number: int, stream: int, status: int) -> None:
        me = os.getpid()
        try:
            pid = os.fork()
        except OSError:  # too many processes: the parent sees the ends of both descriptors
            os.close(stream)
            os.close(status)
            return
        if pid == 0:
            self._become_worker(stream, me)
        self._pids[number] = pid
        self._live[pid] = (number, status)
        os.close(stream)

    def _become_worker(self, stream: int, parent: int) -> None:
        try:
            self._confine.die_with(parent)
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.detach()
            os.closerange(0, stream)
            os.closerange(stream + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
            _hold_low_descriptors()
            self._worker.serve(stream, os.dup(stream), self._confine.apply)
        finally:
            os._exit(70)  # whatever happened, a worker is never a second zygote

    def _reap(self) -> None:
        while self._live or self._dying:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if ended is None:
                break
            if ended.si_pid in self._live:
                self._kill(ended.si_pid)
            _, status = os.waitpid(ended.si_pid, 0)
            if ended.si_pid in self._live:
                number, report = self._live.pop(ended.si_pid)
                self._pids.pop(number, None)
                self._dying[ended.si_pid] = (status, report)
        self._report()

    def _report(self) -> None:
        """Tell of the workers of which nothing is left. What they started becomes ours to reap, and wakes us as it ends."""
        for pid, (status, report) in list(self._dying.items()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, 0)
                continue
            del self._dying[pid]
            with contextlib.suppress(OSError):  # the parent may no longer want to know
                os.write(report, str(status).encode())
            os.close(report)

    def _kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # it may not lead its group yet
            os.killpg(pid, signal.SIGKILL)

    def _end(self) -> None:
        for pid in self._live:
            self._kill(pid)
        os._exit(0)


def _preload(names: Iterator[str]) -> bool:
    """Import the next module, if there is one."""
    for name in names:
        importlib.import_module(name)
        return True
    gc.collect()
    gc.freeze()  # what is here now is shared with all workers: their collectors leave these pages alone
    return False


def _hold_low_descriptors() -> None:
    """Have 0, 1 and 2 taken, so that nothing the worker opens lands there."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        if fd != null:
            os.dup2(null, fd)


if __name__ == "__main__":
    main()
