"""Starts a worker inside of what another program made: a sandbox, a container, a session on another machine.

Standard library only, CPython 3.9 or newer; it lies beside `worker.py` and `confine.py` there. Where the kernel can,
the worker is confined in there too: one layer has holes that the other closes.

With the word `bare` it leaves that out; with `try` it only tries whether what surrounds it holds. With the word `keep` it stays as the worker's parent. Where our signals do not reach, it is the leash: when standard
input has no other end any more it kills the worker and all that it started, however busy that is. It reads nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import sys
from importlib import util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import types
    from collections.abc import Callable
    from typing import Any, NoReturn


def main() -> None:
    """Serve standard input and output."""
    sys.path[:] = [path for path in sys.path if path]  # the working directory holds nothing of ours
    confine = None if "bare" in sys.argv[2:] else confinement()
    if "keep" in sys.argv[2:]:
        keep(confine)
    if "try" in sys.argv[2:]:
        loaded("worker").serve(os.dup(0), os.dup(1), try_what_must_fail)
    serve(confine)


def serve(confine: types.ModuleType | None) -> None:
    """Become a worker. Never returns."""
    loaded("worker").serve(os.dup(0), os.dup(1), None if confine is None else confine.apply)


def try_what_must_fail(start: dict[str, Any]) -> None:
    """Fail closed: raise OSError when something can be done that was not granted."""
    import pwd
    import socket

    grants = start["grants"]
    for path in ("/", pwd.getpwuid(os.getuid()).pw_dir):
        if path not in (*grants["read"], *grants["write"]):
            with contextlib.suppress(PermissionError):
                os.listdir(path)
                raise OSError(f"the sandbox was put on but `{path}` can still be listed")
    if not grants["network"]:
        with contextlib.suppress(PermissionError), socket.socket() as one:
            if one.connect_ex(("127.0.0.1", 9)) not in (errno.EPERM, errno.EACCES):
                raise OSError("the sandbox was put on but the network can still be reached")
    if not grants["processes"]:
        with contextlib.suppress(PermissionError):
            if os.fork() == 0:
                os._exit(0)
            raise OSError("the sandbox was put on but processes can still be started")


def keep(confine: types.ModuleType | None, at_end: Callable[[], None] = lambda: None) -> NoReturn:
    """Start a worker, and end with it as it ended; or end it when the stream ends. `at_end` is called in the end."""
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    me = os.getpid()
    if confine is not None:
        confine.hide_memory()
        confine.adopt_orphans()
    worker = os.fork()
    if worker == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(ended)
        os.close(wake)
        os.setsid()
        if confine is not None:
            confine.die_with(me)
        try:
            serve(confine)
        finally:
            os._exit(70)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(0, getattr(select, "POLLRDHUP", 0))
    status = None
    while status is None:
        if any(descriptor == 0 for descriptor, _ in poll.poll()):
            _end_all(me, worker)
            at_end()
            os._exit(0)
        os.read(ended, 100)
        status = _reaped(worker)
    _end_all(me, worker)
    at_end()
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def _reaped(worker: int) -> int | None:
    """The worker's wait status, if it is among those that have ended; all of these are reaped."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            if pid == worker:
                found = status
    return found


def _end_all(me: int, worker: int) -> None:
    """Kill what is left. As the first process of a container there is nothing to do: it takes all others with it."""
    if me == 1:
        return
    while True:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker, signal.SIGKILL)
        for pid in _children(
            me
        ):  # those that left the group: orphans are ours, where the system lets us adopt them
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children(me: int) -> list[int]:
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        try:
            with open(f"/proc/{int(name)}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except (ValueError, OSError):
            continue
        if parent == me:
            found.append(int(name))
    return found


def confinement() -> types.ModuleType | None:
    """What can confine this process; None where this system has no means."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        confine = loaded("confine")
    except (ImportError, OSError):  # a Python without ctypes
        return None
    return None if confine.obstacle() else confine


def loaded(name: str) -> types.ModuleType:
    """A module that lies beside this file."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = util.spec_from_file_location(f"orchestrate_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
