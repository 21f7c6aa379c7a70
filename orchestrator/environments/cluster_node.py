"""One node of a cluster, as the run's owner sees it: its host, its workers, and what it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.environments.cluster_host import Start
from orchestrator.environments.parcel import Carrier, places_there
from orchestrator.environments.places import Places
from orchestrator.environments.session import Session, open_session
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.environments.cluster_files import Archive
    from orchestrator.values import WorkerSpec

BEAT_S = 3.0
"""How often a host is asked whether it is there, and with that told that the owner is."""

QUIET_S = 15.0
"""How long it may take to say so; then its node is lost. Ray takes a minute and more to notice a cable that was cut."""

KILL_S = 10.0
"""How long a node may take to say that a worker is gone; one that does not is lost, and its host killed by the cluster."""

LATE_S, DOUBT_S = 3.0, 0.2
"""A node that is so late with a beat gets no more than that instead: who ends a run does not wait for a cut cable."""

UNFIT_S = 30.0
"""How long a node that could not start a worker gets none while others can: its disk may be full."""

PIECE_BYTES = 8 << 20
MOST_UNREAD_BYTES = 128 << 20


class HostThere(Protocol):
    """The host on a node, over the cluster."""

    async def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """What the method of `Host` returns. Raises ConnectionError when the node or its host is lost."""
        ...

    async def kill(self) -> None:
        """End its process."""
        ...


class Node:
    """One node with its host, as the owner sees it.

    True between events: `_workers` has each worker whose end was not told, `_asked` each question that waits. What is to
    be told goes in order, one message under way at a time, with all that came up meanwhile.
    """

    def __init__(self, name: str, host: HostThere, hello: dict[str, Any], n_processors: float) -> None:
        self.name = name
        self.is_lost = False
        self._unfit_until = float("-inf")
        self._host, self._hello = host, hello
        self._n_processors = max(n_processors, 0.1)
        self._workers: dict[int, _Far] = {}
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._n_starting = 0
        self._words: list[tuple[str, int, Any]] = []
        self._has_words = asyncio.Event()
        self._texts = Carrier(self._carry)
        self._sent: dict[str, asyncio.Task[None]] = {}
        self._beat_at: float | None = None  # when it was asked for the beat that it has not answered
        self._tasks = [
            asyncio.create_task(one) for one in (self._telling(), self._hearing(), self._beating())
        ]

    @property
    def is_unfit(self) -> bool:
        """Whether it could not start a worker lately."""
        return asyncio.get_running_loop().time() < self._unfit_until

    @property
    def load(self) -> float:
        """Workers for each processor."""
        return (len(self._workers) + self._n_starting) / self._n_processors

    @property
    def n_asked_share(self) -> float:
        """Open questions for each processor."""
        return len(self._asked) / self._n_processors

    async def ask(self, what: Any) -> Any:
        """What the host's service answers. Raises ConnectionError when the node is lost."""
        if self.is_lost:
            raise ConnectionError("the node was lost")
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self.tell("ask", number, what)
        try:
            return await answer
        except asyncio.CancelledError:
            self.tell("drop", number)
            raise
        finally:
            del self._asked[number]

    @property
    def patience_s(self) -> float:
        """How long it may take to do as it is told."""
        now = asyncio.get_running_loop().time()
        return DOUBT_S if self._beat_at is not None and now - self._beat_at > LATE_S else KILL_S

    async def start(self, spec: WorkerSpec, archives: Mapping[Path, Archive], *, shared: bool) -> Session:
        """A new worker that may read these. Raises EnvironmentUnavailable."""
        try:
            return await self._started(spec, archives, shared=shared)
        except EnvironmentUnavailable:
            self._unfit_until = asyncio.get_running_loop().time() + UNFIT_S
            raise

    async def _started(self, spec: WorkerSpec, archives: Mapping[Path, Archive], *, shared: bool) -> Session:
        self._n_starting += 1
        try:
            files = await self._shipped(archives)
        except ConnectionError as error:
            self.lose()
            raise EnvironmentUnavailable(f"a node was lost: {error}") from error
        finally:
            self._n_starting -= 1
        if self.is_lost:
            raise EnvironmentUnavailable("a node was lost")
        number = next(self._numbers)
        ours, theirs = socket.socketpair()
        far = self._workers[number] = _Far(self, number)
        try:
            await far.open(theirs)
        except BaseException:
            far.heard("end", -9)
            ours.close()
            raise
        if self.is_lost:  # meanwhile: its end was heard with that
            ours.close()
            raise EnvironmentUnavailable("a node was lost")
        # Only the worker's stream carries what it was granted: variables, and so secrets, are in its first frame.
        bare = replace(spec, grants=replace(spec.grants, env={})) if shared else None
        self.tell("start", number, Start(files, str(spec.cwd), spec.limits, bare))
        if shared:
            return await open_session(ours, far, spec, Places(self._hello["python"], self._path()))
        away = replace(spec, grants=replace(spec.grants, write=()))
        return await open_session(ours, far, away, self._places(spec, number), self._texts.carry)

    def tell(self, kind: str, number: int, what: Any = None) -> None:
        """Have it told to the host."""
        if self.is_lost:
            return
        self._words.append((kind, number, what))
        self._has_words.set()

    async def close(self) -> None:
        """End the host with all its workers."""
        if not self.is_lost:
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(self.patience_s):
                    await self._host.call("close")
        self.lose()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    def gone(self, number: int) -> None:
        """Forget a worker."""
        self._workers.pop(number, None)

    def _path(self) -> str:
        return str(self._hello["path"])

    def _places(self, spec: WorkerSpec, number: int) -> Places:
        root = self._hello["root"]
        places = places_there(spec, f"{root}/workers/{number}", self._hello["python"])
        mine = f"{root}/workers/{number}/texts"
        out = tuple((ours, f"{root}/texts" if theirs == mine else theirs) for ours, theirs in places.out)
        return replace(places, path=self._path(), out=out)

    async def _shipped(self, archives: Mapping[Path, Archive]) -> tuple[tuple[str, str], ...]:
        """Paths with the hash of what is there; that is on the node then. Raises ConnectionError, EnvironmentUnavailable."""
        for archive in archives.values():
            if archive.sha256 not in self._sent:
                self._sent[archive.sha256] = asyncio.create_task(self._send(archive))
            await asyncio.shield(self._sent[archive.sha256])
        return tuple((str(path), archive.sha256) for path, archive in archives.items())

    async def _send(self, archive: Archive) -> None:
        if not await self._host.call("missing", [archive.sha256]):
            return
        if why := await self._host.call("keep", archive.sha256, archive.data):
            del self._sent[archive.sha256]
            raise EnvironmentUnavailable(f"`{self._hello['host']}` can't keep what a worker may read: {why}")

    async def _carry(self, path: Path) -> None:
        """Have a long text there. Raises ConnectionError."""
        n_bytes = path.stat().st_size
        with path.open("rb") as file:
            for offset in range(0, max(n_bytes, 1), PIECE_BYTES):
                piece = await asyncio.to_thread(file.read, PIECE_BYTES)
                is_last = offset + PIECE_BYTES >= n_bytes
                await self._host.call("keep_text", path.name, offset, piece, is_last=is_last)

    async def _telling(self) -> None:
        try:
            while True:
                await self._has_words.wait()
                self._has_words.clear()
                words, self._words = self._words, []
                if words:
                    await self._host.call("tell", words)
        except ConnectionError:
            self.lose()

    async def _hearing(self) -> None:
        try:
            while True:
                for kind, number, what in await self._host.call("hear"):
                    if number in self._workers:
                        self._workers[number].heard(kind, what)
                    elif number in self._asked and not self._asked[number].done():
                        self._answered(self._asked[number], kind, what)
        except ConnectionError:
            self.lose()

    def _answered(self, answer: asyncio.Future[Any], kind: str, what: Any) -> None:
        if kind == "answer":
            answer.set_result(what)
        else:
            answer.set_exception(ConnectionError(what))

    async def _beating(self) -> None:
        try:
            while True:
                self._beat_at = asyncio.get_running_loop().time()
                async with asyncio.timeout(QUIET_S):
                    await self._host.call("beat")
                self._beat_at = None
                await asyncio.sleep(BEAT_S)
        except (ConnectionError, TimeoutError):
            self.lose()

    def lose(self) -> None:
        """Give it up with all that was there, and have its host killed. Safe to do again."""
        if self.is_lost:
            return
        self.is_lost = True
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the node was lost"))
        for far in list(self._workers.values()):
            far.heard("end", -9)
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._killing = asyncio.create_task(self._host.kill())


class _Far:
    """The leash of a worker on a node, and our end of its bytes. True after its end: `_code` is set."""

    pid = -1  # of no process here: the host keeps it within its bounds
    patience_s = 5.0

    def __init__(self, node: Node, number: int) -> None:
        self.why = ""
        self._node, self._number = node, number
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._pump: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self, theirs: socket.socket) -> None:
        """Begin to carry bytes."""
        reader, self._writer = await asyncio.open_unix_connection(sock=theirs, limit=PIECE_BYTES)
        self._pump = asyncio.create_task(self._pumped(reader))
        if self._code.done():
            self._writer.close()

    def heard(self, kind: str, what: Any) -> None:
        """Take what the host says of this worker; `end` also of one that is not open yet."""
        if kind in ("data", "eof"):
            self._bytes(what)
        elif not self._code.done():
            self.why = "" if kind == "end" else what
            self._code.set_result(what if kind == "end" else -9 if kind == "beyond" else 70)
            if self._writer is not None:
                self._writer.close()
            self._node.gone(self._number)

    def _bytes(self, data: bytes | None) -> None:
        """What the worker wrote; None at its end."""
        assert self._writer is not None
        if data is None:
            self._writer.close()
        elif not self._writer.is_closing():  # who read them may be gone already
            self._writer.write(data)
            if self._writer.transport.get_write_buffer_size() > MOST_UNREAD_BYTES:
                self.kill()

    def kill(self) -> None:
        """Have it killed, with all that it started."""
        if not self._code.done():
            self._node.tell("kill", self._number)

    async def wait(self) -> int:
        """Its exit code, once it is gone; -9 for one whose node was lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._node.patience_s):
                return await asyncio.shield(self._code)
        self._node.lose()
        return await self._code

    async def _pumped(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(PIECE_BYTES):
                self._node.tell("data", self._number, data)
        self.kill()
