"""The `process` environment: each worker is a child process, started by a command line.

Covered: a crash, an endless loop or a flood of output costs the worker only; resource limits; no variables of ours
(so no keys); it is killed with its process group, and by the kernel when we die (Linux).
Not covered: it may read and write every file that the user may, use the network, start processes that leave its
group, and signal others. As root, it may read this process's memory and environment. Ask for `confined` instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.environments import worker
from orchestrator.environments.session import Session, clean_environment, open_session
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.values import WorkerSpec

ISOLATED = ("-P", "-s") if sys.version_info >= (3, 11) else ("-I",)
"""With a clean environment this is `-I`, except that PYTHONHASHSEED is heeded."""


N_LOOKS = 20

STARTER = """
import sys
from importlib import util
spec = util.spec_from_file_location("orchestrate_worker", sys.argv[1])
sys.modules[spec.name] = module = util.module_from_spec(spec)
spec.loader.exec_module(module)
module.main()
"""
"""Does what naming the file does, except that its compiled form is kept: compiling it takes longer than all the rest."""


class Process:
    """Workers as plain child processes, weaker than `confined`; see this module's text for what is not covered.

    `python` is the interpreter to start, with its options; another one has to be CPython 3.9 or newer.
    """

    name = "process"
    covers = "limits memory and time, passes on no keys; keeps workers from no file and no network"

    def __init__(self, python: Sequence[str] = (sys.executable, *ISOLATED)) -> None:
        self._argv = (*python, "-c", STARTER, str(Path(worker.__file__)))

    async def start(self, spec: WorkerSpec) -> Session:
        """A new worker."""
        hide_memory()
        ours, theirs = socket.socketpair()
        try:
            with theirs, open(spec.scratch / worker.OUTPUT_FILE, "ab") as stderr:  # noqa: ASYNC230  (a small local file)
                started = subprocess.Popen(  # noqa: ASYNC220  (a vfork of a millisecond; waiting for it is asynchronous)
                    self._argv, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=stderr,
                    cwd=spec.cwd, env=clean_environment(), start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            ours.close()
            raise EnvironmentUnavailable(f"a worker could not be started: {error}") from error
        return await open_session(ours, _Child(started), spec)

    async def close(self) -> None:
        """Nothing is held."""


@functools.cache
def hide_memory() -> None:
    """Close our environment and memory, with the keys in them, to other processes of the same user. Linux only.

    Holds for the rest of this process. The price: no core dumps, and a debugger has to be root.
    """
    if sys.platform == "linux":
        from orchestrator.environments import confine  # here: it loads ctypes, which only Linux needs

        confine.hide_memory()


class _Child:
    """A child process that leads its own process group."""

    def __init__(self, started: subprocess.Popen[bytes]) -> None:
        self._started = started
        self.pid = started.pid

    def kill(self) -> None:
        if self._started.returncode is None:  # not reaped, so the number is still its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        # Looked at again and again: this is only asked about a child that was killed or closed its stream, so it
        # takes a moment, and a watcher (a thread, or a signal handler in the main thread) would cost more.
        pause_s = 0.001
        while (code := self._started.poll()) is None:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.05)
        # What it started goes too. While there is any, the kernel gives the group's number to nobody else.
        for _ in range(N_LOOKS):
            if not self._kill_members():
                break
            await asyncio.sleep(pause_s)
        return code

    def _kill_members(self) -> bool:
        """Whether there were any. Killed ones are for others to reap; in a container without an init they stay."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return False
        return True
