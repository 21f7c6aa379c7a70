"""The `confined` environment: workers that the kernel keeps to what they were granted. Linux only; the default there.

One zygote serves this whole process, over all runs, event loops and threads; workers are forked from it. What the
confinement covers, and what not, stands in `confine.py`.
"""

from __future__ import annotations

import array
import asyncio
import atexit
import contextlib
import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.environments.command import ISOLATED, hide_memory, readable
from orchestrator.environments.granted import make_missing_files, remove_untouched
from orchestrator.environments.session import Session, clean_environment, open_session
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from orchestrator.values import WorkerSpec

HERE = Path(__file__).parent
HINT = "`--environment process` runs without confinement; `orchestrate doctor` says what is missing"


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether confinement works on this machine, tried and not guessed."""

    works: bool
    reason: str  # why not; empty when it does
    abi: int  # version of the kernel's Landlock interface; 0 = none
    covers: tuple[str, ...]
    misses: tuple[str, ...]


class Confined:
    """Workers under Landlock and seccomp, forked from the zygote of this process."""

    name = "confined"
    covers = "workers reach only granted files, the network and programs only where granted"

    @staticmethod
    def warm() -> None:
        """Begin to start the zygote, without waiting for it: what happens meanwhile is time won."""
        if sys.platform == "linux":
            _ZYGOTE.ensure()

    async def start(self, spec: WorkerSpec) -> Session:
        """A new worker. Raises EnvironmentUnavailable where the kernel can't confine it."""
        if sys.platform != "linux":
            raise EnvironmentUnavailable("`confined` needs Linux (Landlock and seccomp)", hint=HINT)
        for is_second in (False, True):
            ours, leash = await forked(spec)
            try:
                return await open_session(ours, leash, spec)
            except EnvironmentUnavailable as error:
                # A zygote that died with our request in its hands is made again; another cause would come again.
                if is_second or not leash.was_orphaned:
                    raise EnvironmentUnavailable(str(error), hint=HINT) from error
        raise AssertionError("the second round returns or raises")

    async def close(self) -> None:
        """The zygote stays: the next run of this process is glad of it. It ends with this process."""


def probe() -> Probe:
    """Confine a process for a try; takes as long as starting Python."""
    if sys.platform != "linux":
        return Probe(False, "this is not Linux", 0, (), ())
    import tempfile  # here: only `doctor` and a refusal ask

    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, *ISOLATED, str(HERE / "confine.py")]
        done = subprocess.run(
            argv, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
        )
    if done.returncode:
        return Probe(
            False, f"the trial ended with code {done.returncode}: {done.stderr.strip()[-300:]}", 0, (), ()
        )
    found = json.loads(done.stdout)
    return Probe(
        found["works"], found["reason"], found["abi"], *_coverage(found["abi"] if found["works"] else 0)
    )


def _coverage(abi: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not abi:
        return (), ()
    covers = [
        "files that were not granted",
        "network",
        "other processes and their memory",
        "processes left behind",
    ]
    misses = ["names, sizes and times of files", "which host, once a network is granted"]
    if abi < 6:
        misses.append("signals between a worker's own programs are refused (kernel older than 6.12)")
    if os.geteuid() == 0:
        misses.append("as root, the number of processes of a worker that may have any, for about a second")
    return tuple(covers), tuple(misses)


async def forked(spec: WorkerSpec) -> tuple[socket.socket, Forked]:
    """A worker that waits for its first frame: our end of its stream, and its leash."""
    made = make_missing_files(spec)
    ours, one = await _ZYGOTE.fork()
    return ours, Forked(one, made)


class _Zygote:
    """Starts the zygote and speaks to it. One for each process; its methods may be called from any thread.

    True between calls: `_control` is connected to a zygote that this very process started, or is None.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._started: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._numbers = itertools.count(1)

    def ensure(self) -> None:
        """Start it unless it runs."""
        with self._lock:
            self._ensure()

    async def fork(self) -> tuple[socket.socket, _Worker]:
        """Ask for a worker: our end of its stream, and a way to kill it and to hear of its end."""
        ours, theirs = socket.socketpair()
        report, status = os.pipe()
        number = next(self._numbers)
        try:
            await self._send(b"F", number, [theirs.fileno(), status])
        except BaseException:
            ours.close()
            os.close(report)
            raise
        finally:
            theirs.close()
            os.close(status)
        return ours, _Worker(number, report)

    def kill(self, number: int) -> None:
        """Kill a worker. One that the zygote no longer knows is dead."""
        with self._lock, contextlib.suppress(OSError):
            if self._control is not None:
                self._control.send(_message(b"K", number))

    def stop(self) -> None:
        """End it and all workers; at the end of this process."""
        with self._lock:
            if self._owner == os.getpid():
                self._drop()

    async def _send(self, command: bytes, number: int, descriptors: list[int]) -> None:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        while True:
            with self._lock:
                control = self._ensure()
                try:
                    control.sendmsg([_message(command, number)], ancillary, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    pass  # hundreds are on their way
                except OSError:
                    self._drop()  # it died: the next round starts another
                else:
                    return
            await asyncio.sleep(0.001)

    def _ensure(self) -> socket.socket:
        if self._control is not None and self._owner == os.getpid():
            return self._control
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._started = subprocess.Popen(
                    [sys.executable, *ISOLATED, str(HERE / "zygote.py")],
                    stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    cwd="/", env=clean_environment(), start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            self._drop()
            raise EnvironmentUnavailable(f"the zygote could not be started: {error}", hint=HINT) from error
        self._owner = os.getpid()
        hide_memory()
        return self._control

    def _drop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._started is not None:
            self._started.wait()  # it ends at once when its control socket does
            self._started = None


def _message(command: bytes, number: int) -> bytes:
    return struct.pack("=cQ", command, number)


@dataclass(frozen=True, slots=True)
class _Worker:
    number: int  # by which the zygote knows it
    report: int  # descriptor that its wait status comes from


class Forked:
    """The leash of a worker that the zygote forked."""

    patience_s = 0.5
    why = ""

    def __init__(self, worker: _Worker, made: list[Path]) -> None:
        self.pid = 0  # known once it says hello
        self._worker = worker
        self._made = made
        self._ended: asyncio.Task[int] | None = None
        self.was_orphaned = False  # whether the zygote died before it could say how the worker ended

    def kill(self) -> None:
        """Kill it and its group."""
        _ZYGOTE.kill(self._worker.number)

    async def wait(self) -> int:
        """Its exit code, once nothing of it is left."""
        if self._ended is None:
            self._ended = asyncio.create_task(self._reported())
        return await asyncio.shield(self._ended)

    async def _reported(self) -> int:
        try:
            await readable(self._worker.report)
            data = os.read(self._worker.report, 100)
        finally:
            os.close(self._worker.report)
            remove_untouched(self._made)
        self.was_orphaned = not data
        # Without the zygote's report it died, and with it the worker.
        return os.waitstatus_to_exitcode(int(data)) if data else -signal.SIGKILL


_ZYGOTE = _Zygote()
atexit.register(_ZYGOTE.stop)
