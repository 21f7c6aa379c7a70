"""What runs on a node of a cluster: the host of one run's workers there. One for each node, made by the run's owner.

It forks confined workers from a zygote of its own, and carries their bytes. It understands nothing of what they say: calls
go to the owner, which keeps the journal and the budget. For the owner it asks models, through a service that it is given
(`models/on_nodes.py`). The secrets it holds are the keys of these and, in passing, the variables that a worker was granted.

Files lie in `~/.cache/orchestrate/nodes/NAME`: what was granted by the hash of its content, each worker's own folder, and
long texts by their hash. The folder goes with the host; one whose host was killed is removed by the next host there.

It ends when the owner lets go of it, ends or is lost: the cluster then kills its process, with that the zygote sees its
control socket end, and kills all workers. Behind a cable that was cut the cluster can't: there it ends itself once the owner
has been silent for `ALONE_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import os
import platform
import shutil
import socket
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator import __version__
from orchestrator.environments import bounds, confine, far, worker
from orchestrator.environments.confined import Confined, Forked, forked
from orchestrator.values import Grants, WorkerLimits, WorkerSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Word = tuple[str, int, Any]

ALONE_S = 30.0
"""How long the owner may be silent, which asks for a beat every few seconds; then it is taken for gone, and all here ends."""

CLOSE_S = 5.0
POLL_S = 20.0
"""How long `hear` waits for something to say; the owner asks again at once."""

PART_BYTES = 256 << 10
MOST_UNHEARD_BYTES = 64 << 20
"""How much of what workers said may wait for the owner before they have to."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker on a node needs: its folder, what of the kept files it gets under which path, what bounds it."""

    files: tuple[tuple[str, str], ...]  # a path of the owner's, and the hash of what is there
    cwd: str
    limits: WorkerLimits
    shared: WorkerSpec | None = (
        None  # where the owner's files are this node's too: as it is, with no folder made
    )


class Service(Protocol):
    """What a host does for the owner beside its workers."""

    async def answer(self, what: Any) -> Any:
        """The answer to one question; cancelled when nobody waits for it any more."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class Host:
    """Workers of one run on one node. Its methods are called over the cluster, in one event loop.

    True between events: `_workers` has each worker that is not known to have ended. What workers said, and how they
    ended, waits in `_unheard` in order.
    """

    def __init__(
        self,
        name: str,
        service: Callable[[], Service],
        alone_s: float = ALONE_S,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._name = name
        self._service = service()
        self._answering: dict[int, asyncio.Task[None]] = {}
        self._alone_s, self._end = alone_s, end
        self._alarm: asyncio.TimerHandle | None = None
        self._abandoning: asyncio.Task[None] | None = None
        self._root = Path.home() / ".cache" / "orchestrate" / "nodes" / name
        self._lock = -1
        self._workers: dict[int, _Worker] = {}
        self._starting: dict[int, _Starting] = {}
        self._unheard: list[Word] = []
        self._n_unheard_bytes = 0
        self._said = asyncio.Event()
        self._heard = asyncio.Event()

    async def hello(self) -> dict[str, Any]:
        """Who this is; its folder is made."""
        os.umask(0o077)
        folder = self._root.parent
        folder.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(far.sweep, str(folder), self._name)
        self._lock = far.locked(f"{self._root}.lock", fcntl.LOCK_EX)
        os.set_inheritable(self._lock, False)
        for name in ("files", "texts", "workers"):
            (self._root / name).mkdir(parents=True, exist_ok=True)
        Confined.warm()
        confine.hide_memory()  # keys of models may come to be in it
        await self.beat()
        return {
            "version": __version__,
            "root": str(self._root.resolve()),
            "python": sys.executable,
            "path": os.environ.get("PATH", os.defpath),
            "host": platform.node(),
            "pid": os.getpid(),
            "obstacle": confine.obstacle() or "",
        }

    async def tell(self, words: Iterable[Word]) -> None:
        """Take what the owner says: `start`, `data`, `kill` with a worker's number; `ask`, `drop` with a question's."""
        for kind, number, what in words:
            if kind == "start":
                self._starting[number] = starting = _Starting()
                starting.task = asyncio.create_task(self._start(number, what, starting))
            elif kind == "data" and number in self._workers:
                self._workers[number].give(what)
            elif kind == "data" and number in self._starting:
                self._starting[number].data += what
            elif kind == "kill":
                self._kill(number)
            elif kind == "ask":
                self._take(number, what)
            elif kind == "drop" and number in self._answering:
                self._answering[number].cancel()

    async def hear(self) -> list[Word]:
        """What workers said since, and how they ended; waits a while for something."""
        if not self._unheard:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._said.wait()
        words, self._unheard = self._unheard, []
        self._n_unheard_bytes = 0
        self._said.clear()
        self._heard.set()
        return words

    async def missing(self, hashes: list[str]) -> list[str]:
        """Those of these contents that are not here yet."""
        return [one for one in hashes if not (self._root / "files" / one).exists()]

    async def keep(self, sha256: str, archive: bytes) -> str:
        """Keep a content; why it can't be kept, else nothing. Two that bring the same at once do no harm."""
        target = self._root / "files" / sha256
        part = target.with_name(f"{sha256}.{os.urandom(4).hex()}")

        def unpack() -> None:
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                tar.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)  # it is our own
                tar.extractall(part)  # noqa: S202
            try:
                part.rename(target)
            except OSError:
                shutil.rmtree(part, ignore_errors=True)

        try:
            await asyncio.to_thread(unpack)
        except OSError as error:
            await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
            return str(error)
        return ""

    async def keep_text(self, name: str, offset: int, part: bytes, *, is_last: bool) -> None:
        """Keep a piece of a long text; it can be opened once the last has come."""
        path = self._root / "texts" / name

        def write() -> None:
            with open(path.with_suffix(".part"), "r+b" if offset else "wb") as file:
                file.seek(offset)
                file.write(part)

        await asyncio.to_thread(write)
        if is_last:
            path.with_suffix(".part").rename(path)

    async def beat(self) -> None:
        """The owner is there, and hears that this host is."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(self._alone_s, self._abandon)

    async def close(self) -> None:
        """Kill all workers, and remove the folder. The process ends as the cluster, or the owner's silence, has it end."""
        for number in (*self._workers, *self._starting):
            self._kill(number)
        for answering in self._answering.values():
            answering.cancel()
        await self._service.close()
        await asyncio.gather(*(one.task for one in self._starting.values() if one.task))
        await asyncio.gather(*(one.ended.wait() for one in list(self._workers.values())))
        await asyncio.to_thread(far.remove, str(self._root))

    def _take(self, number: int, what: Any) -> None:
        answering = self._answering[number] = asyncio.create_task(self._answer(number, what))
        answering.add_done_callback(
            lambda _: self._answering.pop(number, None)
        )  # also of one that never began

    async def _answer(self, number: int, what: Any) -> None:
        try:
            self._say("answer", number, await self._service.answer(what))
        except Exception as error:  # noqa: BLE001  (whatever it was: somebody waits for an answer)
            self._say("fault", number, f"{type(error).__name__}: {error}")

    def _abandon(self) -> None:
        self._abandoning = asyncio.create_task(self._abandoned())

    async def _abandoned(self) -> None:
        try:
            await asyncio.wait_for(self.close(), CLOSE_S)
        finally:
            self._end(0)

    def _kill(self, number: int) -> None:
        if number in self._workers:
            self._workers[number].leash.kill()
        elif number in self._starting:
            self._starting[number].is_killed = True

    async def _start(self, number: int, start: Start, starting: _Starting) -> None:
        try:
            spec = start.shared
            if spec is None:
                spec = await asyncio.to_thread(self._folder, number, start)
            one = self._workers[number] = _Worker(*await forked(spec), spec)
        except Exception as error:  # noqa: BLE001  (whatever it was: the owner hears of it as of a worker's end)
            self._say("fault", number, f"{type(error).__name__}: {error}")
        else:
            one.task = asyncio.create_task(self._serve(number, one))
            one.give(bytes(starting.data))
            if starting.is_killed:
                one.leash.kill()
        finally:
            del self._starting[number]

    def _folder(self, number: int, start: Start) -> WorkerSpec:
        """Make a worker's folder. Files are linked and not copied: they may be read only."""
        root = self._root.resolve() / "workers" / str(number)
        scratch = root / "scratch"
        scratch.mkdir(parents=True)
        Path(f"{root}/files{start.cwd}").mkdir(parents=True, exist_ok=True)
        for path, sha256 in start.files:
            kept, target = self._root / "files" / sha256 / "it", Path(f"{root}/files{path}")
            target.parent.mkdir(parents=True, exist_ok=True)
            if kept.is_dir():
                shutil.copytree(kept, target, copy_function=os.link, symlinks=True, dirs_exist_ok=True)
            else:
                os.link(kept, target)
        return WorkerSpec(scratch, Path(f"{root}/files{start.cwd}"), Grants(), start.limits)

    async def _serve(self, number: int, one: _Worker) -> None:
        loop = asyncio.get_running_loop()
        watch: asyncio.Task[None] | None = None
        first = b""
        try:
            while data := await loop.sock_recv(one.sock, PART_BYTES):
                if watch is None:
                    first += data
                    if (pid := _pid_in(first)) is not None:
                        watch = asyncio.create_task(self._watch(number, one, pid))
                self._say("data", number, data)
                self._n_unheard_bytes += len(data)
                while self._n_unheard_bytes > MOST_UNHEARD_BYTES:
                    self._heard.clear()
                    await self._heard.wait()
        except OSError:
            pass  # its end, which the leash tells of
        finally:
            if watch is not None:
                watch.cancel()
        self._say("eof", number, None)
        code = await one.leash.wait()
        one.sock.close()
        del self._workers[number]
        one.ended.set()
        if one.spec.scratch.is_relative_to(self._root.resolve()):
            await asyncio.to_thread(shutil.rmtree, one.spec.scratch.parent, ignore_errors=True)
        self._say("end", number, code)

    async def _watch(self, number: int, one: _Worker, pid: int) -> None:
        """Keep a worker within its bounds, as its session does where it lives beside that."""
        watch = bounds.Watch(pid, one.spec)
        while True:
            await asyncio.sleep(bounds.LOOK_S * 2)
            if beyond := await asyncio.to_thread(watch.beyond):
                self._say("beyond", number, f"the worker {beyond}, and was killed")
                one.leash.kill()
                return

    def _say(self, kind: str, number: int, what: Any) -> None:
        self._unheard.append((kind, number, what))
        self._said.set()


@dataclass(slots=True)
class _Starting:
    """A worker that is being started, and what it was told meanwhile."""

    data: bytearray = field(default_factory=bytearray)
    is_killed: bool = False
    task: asyncio.Task[None] | None = None


class _Worker:
    """One worker: its stream and its leash. What it was not yet able to read waits in order."""

    def __init__(self, sock: socket.socket, leash: Forked, spec: WorkerSpec) -> None:
        sock.setblocking(False)
        self.sock, self.leash, self.spec = sock, leash, spec
        self.ended = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._waiting = bytearray()

    def give(self, data: bytes) -> None:
        """Send it bytes, now or as soon as it reads."""
        self._waiting += data
        self._pour()

    def _pour(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            n_sent = self.sock.send(self._waiting)
        except BlockingIOError:
            n_sent = 0
        except OSError:
            self._waiting.clear()
            n_sent = 0
        del self._waiting[:n_sent]
        if self._waiting:
            loop.add_writer(self.sock, self._pour)
        elif self.sock.fileno() >= 0:
            loop.remove_writer(self.sock)


def _pid_in(data: bytes) -> int | None:
    """The worker's number in its first frame; 0 in one that tells none, None while it is not whole."""
    if len(data) < 4:
        return None
    length, _ = worker.piece_of(data[:4])
    if len(data) < 4 + length:
        return None
    pid = worker.unpack(data[4 : 4 + length], lambda *_: None).get("pid", 0)
    return pid if isinstance(pid, int) else 0
