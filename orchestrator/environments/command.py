"""What environments have in common that start a worker by a command line: a child process with streams attached.

The command has one end of a socket as its standard input and output. What it says on standard error goes to the
worker's output file, from which a refusal quotes it. The socket is the leash too: whatever stands between us and
the worker closes its standard input when we end, however we end.
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
from typing import TYPE_CHECKING

from orchestrator.environments import worker
from orchestrator.environments.granted import remove_untouched
from orchestrator.environments.session import clean_environment
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orchestrator.values import WorkerSpec

ISOLATED = ("-P", "-s") if sys.version_info >= (3, 11) else ("-I",)
"""With a clean environment this is `-I`, except that PYTHONHASHSEED is heeded."""

REFUSE_OLD = 'sys.version_info<(3,9) and sys.exit("CPython 3.9 or newer is needed, and this is "+sys.version.split()[0])'
"""A line that each Python can read."""

STARTER = f"""
import sys
{REFUSE_OLD}
from importlib import util
spec = util.spec_from_file_location("orchestrate_worker", sys.argv[1])
sys.modules[spec.name] = module = util.module_from_spec(spec)
spec.loader.exec_module(module)
module.main()
"""
"""Does what naming the file does, except that its compiled form is kept: compiling it takes longer than all the rest."""

N_LOOKS = 20


def spawn(
    argv: Sequence[str],
    spec: WorkerSpec,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    descriptors: Sequence[int] = (),
) -> tuple[socket.socket, Child]:
    """Start a command for a worker: our end of its streams, and its leash. Raises EnvironmentUnavailable.

    Without `env` it gets the variables of a process that is to know no secret.
    """
    hide_memory()
    ours, theirs = socket.socketpair()
    try:
        with theirs, open(spec.scratch / worker.OUTPUT_FILE, "ab") as stderr:
            started = subprocess.Popen(  # a vfork of a millisecond; waiting for it is asynchronous
                argv, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=stderr, pass_fds=descriptors,
                cwd=cwd, env=clean_environment() if env is None else env, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        ours.close()
        raise EnvironmentUnavailable(f"a worker could not be started: {error}") from error
    return ours, Child(started)


@functools.cache
def hide_memory() -> None:
    """Close our environment and memory, with the keys in them, to other processes of the same user. Linux only.

    Holds for the rest of this process. The price: no core dumps, and a debugger has to be root.
    """
    if sys.platform == "linux":
        from orchestrator.environments import confine  # here: it loads ctypes, which only Linux needs

        confine.hide_memory()


def unwrapped(code: int) -> int:
    """The exit code of a worker from that of the program around it, which says 128 + n of signal n, as shells do."""
    return 128 - code if 128 < code < 128 + signal.NSIG else code


class Child:
    """A child process that leads its own process group."""

    patience_s = 0.5
    why = ""

    def __init__(self, started: subprocess.Popen[bytes]) -> None:
        self._started = started
        self.pid = started.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has."""
        return self._started.poll() is not None

    def kill(self) -> None:
        """Kill its whole group."""
        if self._started.returncode is None:  # not reaped, so the number is still its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        """Its exit code, once nothing of its group is left."""
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


class Wrapped:
    """The leash of a worker inside of what a command made; `pid` is the command's.

    `made` are files that were made for this worker, and go with it when nobody wrote to them.
    """

    patience_s = 5.0
    why = ""

    def __init__(self, child: Child, made: Sequence[Path] = ()) -> None:
        self.pid = child.pid
        self._child = child
        self._made = made
        self._ended: asyncio.Task[int] | None = None

    def kill(self) -> None:
        """Kill the command."""
        self._child.kill()

    async def wait(self) -> int:
        """The worker's exit code, negative for a signal, once all of it is gone."""
        if self._ended is None:
            self._ended = asyncio.create_task(self._gone())
        return await asyncio.shield(self._ended)

    async def _gone(self) -> int:
        code = await self._left()
        remove_untouched(self._made)
        return unwrapped(code)

    async def _left(self) -> int:
        """The command's exit code, once nothing of what it made is left."""
        return await self._child.wait()


async def readable(descriptor: int) -> None:
    """Wait until there is something to read, or the end."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    loop.add_reader(descriptor, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(descriptor)
