"""The parent's side of one worker: requests out, calls in, deadlines, and its end.

Deadlines. The worker's own timer stops a request after `timeout_s` and leaves its variables. Calls that are open
then get a timeout error a moment later, so that code waiting for one wakes up. What still runs 2 s after its
deadline is killed, with its whole process group. While a person is asked (`uncounted`) all of this stands still, for
the worker's own timer too.

Bounds. While a request runs, the worker is looked at twice a second (`bounds`): one that holds more than it may, in files,
processes or memory of all of them, is killed.

Calls of a request are served side by side, each in a task of its own; the request returns when the worker is done
and the last of them has been answered, so that no effect of a cell happens after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from orchestrator.environments import bounds, frames, worker
from orchestrator.environments.frames import (
    CellDone,
    ExpressionDone,
    Failure,
    FunctionCall,
    FunctionDone,
    Output,
    Repeat,
    ScriptCall,
    ScriptDone,
    TextFile,
)
from orchestrator.environments.worker import BadFrame
from orchestrator.errors import CallError, EnvironmentUnavailable, WorkerLost

if TYPE_CHECKING:
    import socket

    from orchestrator.environments.places import Places
    from orchestrator.values import Cell, WorkerSpec

__all__ = [
    "CellDone",
    "ExpressionDone",
    "Failure",
    "FunctionCall",
    "FunctionDone",
    "Output",
    "Repeat",
    "ScriptCall",
    "ScriptDone",
    "Serve",
    "Session",
    "TextFile",
    "asked_line",
    "uncounted",
]

GRACE_S = 2.0
"""How long a request may go on after its deadline before its worker is killed."""

WAKE_S = 0.1
"""How long after a deadline open calls are answered: later than the worker's own timer, whose error says more."""

START_S = 30.0
"""How long a worker may take to say hello; seconds only on a machine in trouble."""

INIT_S = 120.0

LOOK_S = 0.5
"""How long a worker may take to say whether it only waits; one that computes may not get to it."""

MAX_OPEN_CALLS = 10_000

MARK = "ORCHESTRATE_RUN"
"""A variable that every worker has: what it starts knows that it is within a run."""

T = TypeVar("T")

Serve = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Answers one call of a worker: `(fn, arguments)` to a JSON value, in which TextFile and CallError may stand.

CallError is raised again in the worker. Anything else that it raises ends the worker and the request.
"""


Carry = Callable[[TextFile], Awaitable[None]]


class Leash(Protocol):
    """How a launcher holds the process that it started."""

    pid: int  # by which this machine knows it; 0 where only the worker can tell, -1 where another machine keeps it in bounds
    patience_s: float  # how long after the end of its stream it may take to end
    why: str  # what it was killed for over there, as `the worker ...`; empty where its exit code says it all

    def kill(self) -> None:
        """Kill it and its process group at once. Safe to call when it has ended."""
        ...

    async def wait(self) -> int:
        """Its exit code, negative for a signal, once it is reaped."""
        ...


class Session:
    """One worker. An environment's `start` makes it; whoever called that closes it.

    Belongs to one event loop; one request at a time. True between requests: the worker is idle and no call is
    open, or the session is closed and each request raises WorkerLost with the reason of its end.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        leash: Leash,
        streams: tuple[_Reader, asyncio.StreamWriter],
        places: Places | None = None,
        carry: Carry | None = None,
    ) -> None:
        self.pid = leash.pid
        self.node = ""  # of a cluster, where it is on one
        self._spec = spec
        self._leash = leash
        self._reader, self._writer = streams
        self._places = places
        self._carry = carry
        self._new: list[TextFile] = []  # of these, those that are to be carried
        self._texts: dict[str, list[TextFile]] = {}  # all that the worker was given, by sha256
        self._n_requests = 0
        self._watch: bounds.Watch | None = None  # made by the first request that takes long
        self.looks = itertools.count(1)
        self._current: _Request | None = None  # while one runs
        self._lost = ""  # why it can't be asked any more
        self._was_killed = False
        self._ending: asyncio.Task[int] | None = None

    @property
    def alive(self) -> bool:
        """Whether it can be asked; False as soon as its stream has ended. The caller still closes a dead one."""
        return not self._lost and not self._reader.has_ended

    @property
    def in_request(self) -> bool:
        """Whether a request is under way."""
        return self._current is not None

    @property
    def n_open(self) -> int:
        """How many calls of the request under way are not answered yet."""
        return 0 if self._current is None else self._current.n_open

    @property
    def is_ending(self) -> bool:
        """Whether its end has begun and is not through."""
        return self._ending is not None and not self._ending.done()

    async def is_waiting(self) -> bool:
        """Whether a cell or function runs of which every thread only waits: for an answer of ours, or for another.

        One that computes, sleeps, reads, or waits for a program does not; nor does a worker that is lost, or that does
        not say so within `LOOK_S`.
        """
        request = self._current
        return request is not None and self.alive and await request.is_waiting()

    async def init(self, **fields: Any) -> None:
        """Give it `variables`, the table of `skills`, and a `seed`; others are ignored."""
        known: dict[str, Any] = {
            name: fields[name] for name in ("variables", "skills", "seed") if name in fields
        }
        done = await self._request({**known, "kind": "init"}, _refuse, INIT_S)
        problem = self._read(frames.failure, done)
        if problem is not None:
            await self._end(f"the worker could not take its variables: {problem.type}: {problem.message}")
            raise WorkerLost(self._lost)

    async def cell(
        self,
        cell: Cell,
        serve: Serve,
        timeout_s: float,
        variables: Mapping[str, Any] | None = None,
        *,
        repeat: Repeat | None = None,
    ) -> CellDone:
        """Run a cell in its REPL; `variables` replace some of those that it was given at its start."""
        frame = {"kind": "cell", "number": cell.number, "source": cell.source, "variables": variables}
        return self._read(frames.cell_done, await self._request(frame, serve, timeout_s, repeat))

    async def function(
        self, call: FunctionCall, serve: Serve, timeout_s: float, *, repeat: Repeat | None = None
    ) -> FunctionDone:
        """Call a function of a file, which stays loaded."""
        frame = {
            "kind": "function",
            "file": str(call.file),
            "folder": str(call.folder),
            "name": call.name,
            "arguments": dict(call.arguments),
        }
        return self._read(frames.function_done, await self._request(frame, serve, timeout_s, repeat))

    async def script(self, call: ScriptCall, timeout_s: float) -> ScriptDone:
        """Run a program. One that is late is killed with all it started, and its worker too: WorkerLost."""
        frame = {
            "kind": "script",
            "argv": list(call.argv),
            "stdin": call.stdin,
            "cwd": str(call.cwd),
            "env": dict(call.env),
        }
        done = await self._request(frame, _refuse, timeout_s)
        if self._read(lambda frame: frames.part(frame, "late", bool), done):
            await self._end(f"the program did not end within {timeout_s:g} s, its deadline, and was killed")
            raise WorkerLost(self._lost, late=True)
        return self._read(frames.script_done, done)

    async def expression(self, source: str, names: Mapping[str, Any], timeout_s: float) -> ExpressionDone:
        """Evaluate one expression, with these names and nothing of the REPL's."""
        frame = {"kind": "expression", "source": source, "names": dict(names)}
        return self._read(frames.expression_done, await self._request(frame, _refuse, timeout_s))

    async def close(self) -> None:
        """Kill the worker with its process group and wait until it is gone. Safe to call twice, or cancelled."""
        await self._end("the worker was closed")

    async def _request(
        self, frame: dict[str, Any], serve: Serve, timeout_s: float, repeat: Repeat | None = None
    ) -> dict[str, Any]:
        """The `done` frame that answers a request. The worker is lost with everything that is raised from here."""
        if not self.alive:
            await self._end(self._lost or None)
            raise WorkerLost(self._lost, killed=self._was_killed)
        self._n_requests += 1
        clock = _Clock(self, timeout_s)
        self._current = request = _Request(self, self._n_requests, serve, clock, repeat)
        if repeat is not None:
            frame["repeat"] = {"seed": repeat.seed, "clock": list(repeat.clock)}
        try:
            async with clock.limit(GRACE_S):
                return await request.run({**frame, "id": self._n_requests, "timeout_s": timeout_s})
        except _ServeRaised as raised:
            await self._end("the worker was ended because a call of it ended the run")
            raise raised.error from raised.error.__cause__
        except TimeoutError:
            await self._end(
                f"the worker did not stop within {GRACE_S:g} s of its deadline ({timeout_s:g} s) and was killed"
            )
            raise WorkerLost(self._lost, late=True) from None
        except BadFrame as error:
            await self._end(f"the worker sent {error}, and was killed")
        except _Beyond as beyond:
            await self._end(f"the worker {beyond}, and was killed")
        except (EOFError, ConnectionError):
            await self._end(None)
        except BaseException:
            await self._end("the worker was ended in the middle of a request")
            raise
        finally:
            self._current = None
        raise WorkerLost(self._lost, killed=self._was_killed)

    def _read(self, reader: Callable[[dict[str, Any]], T], frame: dict[str, Any]) -> T:
        try:
            return reader(frame)
        except BadFrame as error:
            self._lost = f"the worker sent {error}, and was killed"
            self._leash.kill()
            raise WorkerLost(self._lost) from None

    async def keep_within_bounds(self) -> None:
        """Look at the worker until it holds too much, which is raised. Whose bounds are kept elsewhere is let be."""
        if self.pid < 0:
            return
        self._watch = self._watch or bounds.Watch(self.pid, self._spec)
        while True:
            began = time.monotonic()
            if beyond := await asyncio.to_thread(self._watch.beyond):
                raise _Beyond(beyond)
            await asyncio.sleep(max(bounds.LOOK_S, 20 * (time.monotonic() - began)))

    async def send(self, frame: dict[str, Any]) -> None:
        """Write a frame, and wait while the worker is behind with reading."""
        packed = self._packed(frame)
        if self._carry is not None:
            for text in self._new:
                await self._carry(text)
            self._new.clear()
        self._writer.write(packed)
        await self._writer.drain()

    def post(self, frame: dict[str, Any]) -> None:
        """Write a frame, without a wait that could be cancelled or fail."""
        self._writer.write(self._packed(frame))

    async def receive(self) -> dict[str, Any]:
        """The next frame. Raises EOFError, ConnectionError, BadFrame."""
        length, has_more = worker.piece_of(await self._reader.readexactly(4))
        body = await self._reader.readexactly(length)
        while has_more:
            length, has_more = worker.piece_of(await self._reader.readexactly(4), len(body))
            body += await self._reader.readexactly(length)
        frame = worker.unpack(body, self._special)
        return frame if self._places is None else self._places.received(frame)

    def _packed(self, frame: dict[str, Any]) -> bytes:
        if self._places is not None:
            self._remember(frame)
            return worker.framed(worker.encoded(self._places.sent(frames.wire(frame))))
        # The common frame holds nothing special, and copying it to find that out would cost more than encoding it.
        try:
            body = worker.encoded(frame)
        except TypeError:
            body = b'"$'
        if b'"$' in body:
            self._remember(frame)
            body = worker.encoded(frames.wire(frame))
        return worker.framed(body)

    def _remember(self, value: Any) -> None:
        if isinstance(value, TextFile):
            self._texts.setdefault(value.sha256, []).append(value)
            if self._carry is not None:
                self._new.append(value)
        elif isinstance(value, list | tuple):
            for item in value:
                self._remember(item)
        elif isinstance(value, dict):
            for item in value.values():
                self._remember(item)

    def _special(self, key: str, fields: Any) -> TextFile:
        """What a marker in a worker's frame stands for: only a text that this worker was given."""
        if key != "$text" or not isinstance(fields, dict):
            raise BadFrame(f"a `{key}` that is none")
        offset, n_bytes = frames.part(fields, "offset", int), frames.part(fields, "n_bytes", int)
        for given in self._texts.get(frames.part(fields, "sha256", str), ()):
            if given.offset <= offset <= offset + n_bytes <= given.offset + given.n_bytes:
                return TextFile(given.path, n_bytes, given.sha256, offset)
        raise BadFrame("a reference to a text that it was not given")

    async def _end(self, reason: str | None) -> None:
        """Kill the worker and wait for it. Without a reason it ended by itself, and its exit code tells why."""
        if self._ending is None:
            self._lost = self._lost or reason or ""
            self._ending = asyncio.create_task(self._ended(reason))
        # Shielded: who is cancelled while closing leaves no worker behind, and no zombie.
        await asyncio.shield(self._ending)

    async def _ended(self, reason: str | None) -> int:
        if reason is None:
            # It closed its stream, so it is about to end; its own exit code says more than our signal would.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._leash.patience_s):
                    code = await self._leash.wait()
                    why = self._leash.why
                    self._lost = why or _described_end(code)
                    self._was_killed = code == -signal.SIGKILL and not why
            self._lost = self._lost or "the worker closed its stream, and was killed"
        self._leash.kill()
        self._writer.transport.abort()
        return await self._leash.wait()


@contextlib.asynccontextmanager
async def uncounted() -> AsyncIterator[None]:
    """A section whose time counts for no deadline; `serve` opens one while it asks a person.

    It stops the clock of the request that is served, and of those that wait for it in turn: a cell whose skill asks
    waits too. Sections may overlap; the clock goes on when the last is left. Elsewhere it does nothing.
    """
    with contextlib.ExitStack() as stopped:
        for clock in _CLOCKS.get():
            stopped.enter_context(clock.stopped())
        yield


class _Clock:
    """The time of one request. True between events: it stands still exactly while `_n_stops` sections are open."""

    def __init__(self, session: Session, timeout_s: float) -> None:
        self._session = session
        self._now = asyncio.get_running_loop().time
        self._ends_at = self._now() + timeout_s
        self._stopped_at = 0.0
        self._n_stops = 0
        self._limits: dict[asyncio.Timeout, float] = {}

    @contextlib.asynccontextmanager
    async def limit(self, after_s: float) -> AsyncIterator[None]:
        """A section that is ended with TimeoutError so long after the deadline."""
        if self._has_passed(after_s):
            raise TimeoutError
        async with asyncio.timeout_at(self._when(after_s)) as limit:
            self._limits[limit] = after_s
            try:
                yield
            finally:
                del self._limits[limit]

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """A section that does not count."""
        self._n_stops += 1
        if self._n_stops == 1:
            self._stopped_at = self._now()
            self._moved()
        try:
            yield
        finally:
            self._n_stops -= 1
            if not self._n_stops:
                self._ends_at += self._now() - self._stopped_at
                self._moved()

    def _moved(self) -> None:
        for limit, after_s in self._limits.items():
            if not limit.expired():
                limit.reschedule(self._when(after_s))
        self._session.post({"kind": "clock", "runs": not self._n_stops})

    def _has_passed(self, after_s: float) -> bool:
        return not self._n_stops and self._now() >= self._ends_at + after_s

    def _when(self, after_s: float) -> float | None:
        return None if self._n_stops else self._ends_at + after_s


_CLOCKS: ContextVar[tuple[_Clock, ...]] = ContextVar("_CLOCKS", default=())
"""Clocks of the requests that the running task serves: its own, and those that wait for it."""


_LINE: ContextVar[int] = ContextVar("_LINE", default=0)


def asked_line() -> int:
    """The line of its cell that made the call which the running task serves; 0 where no line of the cell did."""
    return _LINE.get()


class _Request:
    """One request while it runs: reads frames, serves calls."""

    def __init__(
        self, session: Session, number: int, serve: Serve, clock: _Clock, repeat: Repeat | None
    ) -> None:
        self._session = session
        self._number = number
        self._serve = serve
        self._clock = clock
        self._repeat = repeat
        self._room = 0 if repeat is None else max(0, worker.READINGS - len(repeat.clock))
        self.n_open = 0  # calls that are not answered yet
        self._n_answered = 0
        self._looks: dict[int, asyncio.Future[bool]] = {}

    async def is_waiting(self) -> bool:
        """Whether each thread only waited, and nothing was answered since."""
        if not self.n_open:  # so too of a program or an expression: they make none
            return False
        n_answered, number = self._n_answered, next(self._session.looks)
        self._looks[number] = asyncio.get_running_loop().create_future()
        self._session.post({"kind": "waiting", "id": number})
        try:
            async with asyncio.timeout(LOOK_S):
                return await self._looks[number] and n_answered == self._n_answered
        except TimeoutError:
            return False
        finally:
            del self._looks[number]

    async def run(self, frame: dict[str, Any]) -> dict[str, Any]:
        try:
            async with asyncio.TaskGroup() as group:
                await self._session.send(frame)
                watches: list[asyncio.Task[None]] = []
                # A timer and not a task, which a short request would pay a third of its time for.
                look = asyncio.get_running_loop().call_later(
                    bounds.LOOK_S,
                    lambda: watches.append(group.create_task(self._session.keep_within_bounds())),
                )
                try:
                    return await self._until_done(group)
                finally:
                    look.cancel()
                    for watch in watches:
                        watch.cancel()
        except BaseExceptionGroup as failed:
            # One of several that ended the request together; the others are its consequences.
            raise failed.exceptions[0] from None
        finally:
            for number in self._looks:
                self._looked(number, False)

    async def _until_done(self, group: asyncio.TaskGroup) -> dict[str, Any]:
        while True:
            frame = await self._session.receive()
            match frame["kind"]:
                case "call":
                    self._take_readings(frame)
                    self.n_open += 1
                    if self.n_open > MAX_OPEN_CALLS:
                        raise BadFrame(f"more than {MAX_OPEN_CALLS:,} calls at once")
                    number, line = frames.part(frame, "id", int), frames.part(frame, "line", int)
                    group.create_task(self._answer(number, line, *_asked(frame)))
                case "note":
                    await self._noted(*_asked(frame))
                case "waiting":
                    self._looked(frames.part(frame, "id", int), frames.part(frame, "is", bool))
                case "done" if frame.get("id") == self._number:
                    self._take_readings(frame)
                    return frame
                case kind:
                    raise BadFrame(f"a frame `{kind:.40}` that was not expected")

    def _take_readings(self, frame: dict[str, Any]) -> None:
        # There may be more: of a thread that an earlier request left, or forged.
        readings = frames.readings(frame)[: self._room]
        self._room -= len(readings)
        if not readings or self._repeat is None or self._repeat.took is None:
            return
        try:
            self._repeat.took(readings)
        except Exception as error:  # noqa: BLE001  (as in `_shielded`)
            raise _ServeRaised(error) from None

    def _looked(self, number: int, is_waiting: bool) -> None:
        look = self._looks.get(number)  # none when it came too late, perhaps for an earlier request
        if look is not None and not look.done():
            look.set_result(is_waiting)

    async def _answer(self, number: int, line: int, fn: str, arguments: dict[str, Any]) -> None:
        # In this task and those that it makes.
        _CLOCKS.set((*_CLOCKS.get(), self._clock))
        _LINE.set(line)
        try:
            frame = {"kind": "reply", "id": number, "value": await self._served(fn, arguments)}
        except CallError as error:
            frame = {"kind": "reply", "id": number, "error": frames.error_fields(error)}
        self._n_answered += 1
        await self._session.send(frame)
        self.n_open -= 1

    async def _served(self, fn: str, arguments: dict[str, Any]) -> Any:
        try:
            async with self._clock.limit(WAKE_S):
                return await self._shielded(fn, arguments)
        except TimeoutError:
            raise CallError(
                f"the deadline passed before `{fn}` was answered", kind="timeout", retryable=True
            ) from None

    async def _noted(self, fn: str, arguments: dict[str, Any]) -> None:
        with contextlib.suppress(CallError):  # nobody waits for an answer
            await self._shielded(fn, arguments)

    async def _shielded(self, fn: str, arguments: dict[str, Any]) -> Any:
        try:
            return await self._serve(fn, arguments)
        except CallError:
            raise
        except Exception as error:  # noqa: BLE001  (any of them, so that a ConnectionError of theirs is none of our stream)
            raise _ServeRaised(error) from None


class _Beyond(Exception):
    """The worker holds more than it may."""


class _ServeRaised(Exception):
    """Carries what `serve` raised past our own handling of timeouts and lost streams."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


async def open_session(
    sock: socket.socket,
    leash: Leash,
    spec: WorkerSpec,
    places: Places | None = None,
    carry: Carry | None = None,
) -> Session:
    """The session of a worker that was just started at the other end of the socket. Raises EnvironmentUnavailable.

    `places`: what the worker has under other names. `carry` has a text where the worker can open it.
    """
    session = Session(spec, leash, await _streams(sock), places, carry)
    try:
        async with asyncio.timeout(START_S):
            await session.send(_start_frame(spec))
            hello = await session.receive()
    except BaseException as error:
        await session.close()
        if isinstance(error, EOFError | ConnectionError | BadFrame | TimeoutError):
            why = (
                "it took too long"
                if isinstance(error, TimeoutError)
                else leash.why or _described_end(await leash.wait())
            )
            raise EnvironmentUnavailable(
                f"a worker could not be started: {why}{said_at_start(spec)}"
            ) from error
        raise
    if hello["kind"] != "hello" or hello.get("v") != worker.VERSION:
        await session.close()
        reason = (
            hello.get("reason") if hello["kind"] == "fault" else "it speaks another version of the protocol"
        )
        raise EnvironmentUnavailable(f"a worker could not be started: {reason}")
    session.pid = leash.pid or frames.part(hello, "pid", int)
    return session


class _Reader(asyncio.StreamReader):
    """Knows that its stream has ended also while what came before that is unread."""

    has_ended = False

    def feed_eof(self) -> None:
        self.has_ended = True
        super().feed_eof()

    def set_exception(self, exc: Exception) -> None:
        self.has_ended = True
        super().set_exception(exc)


async def _streams(sock: socket.socket) -> tuple[_Reader, asyncio.StreamWriter]:
    """What `asyncio.open_unix_connection` makes, with our reader."""
    loop = asyncio.get_running_loop()
    reader = _Reader(limit=1 << 20, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_unix_connection(lambda: protocol, sock=sock)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _start_frame(spec: WorkerSpec) -> dict[str, Any]:
    grants, limits = spec.grants, spec.limits
    return {
        "kind": "start",
        "scratch": str(spec.scratch),
        "cwd": str(spec.cwd),
        "env": _environment(spec),
        "limits": {
            "memory_bytes": limits.memory_bytes,
            "written_bytes": limits.written_bytes,
            "n_processes": limits.n_processes,
        },
        "grants": {
            "read": [str(path) for path in grants.read],
            "write": [str(path) for path in grants.write],
            "network": grants.network,
            "processes": grants.processes,
        },
        "blobs": None if spec.blobs is None else str(spec.blobs),
    }


def _environment(spec: WorkerSpec) -> dict[str, str]:
    """Variables of a worker: nothing of ours but where programs are, and what was granted."""
    return {
        **clean_environment(),
        "HOME": str(spec.scratch),
        "TMPDIR": str(spec.scratch),
        "PYTHONDONTWRITEBYTECODE": "1",
        MARK: "1",
        **spec.grants.env,
    }


def clean_environment() -> dict[str, str]:
    """Variables to start a process with that is to know no secret."""
    # Hashes are fixed so that a set of strings has the same order each time: a run that is repeated from its
    # journal has to make the same calls.
    return {
        "PATH": os.pathsep.join([f"{sys.prefix}/bin", os.environ.get("PATH", os.defpath)]),
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
    }


def _asked(frame: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return frames.part(frame, "fn", str), frames.part(frame, "arguments", dict)


async def _refuse(fn: str, _: dict[str, Any]) -> Any:
    raise CallError(f"`{fn}` can't be called from here", kind="denied")


def _described_end(code: int) -> str:
    if code >= 0:
        return f"the worker exited with code {code}"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-code).name
        note = (
            "; it may have killed itself, or the machine ran out of memory" if -code == signal.SIGKILL else ""
        )
        return f"the worker was killed by signal {-code} ({name}){note}"
    return f"the worker was killed by signal {-code}"


def said_at_start(spec: WorkerSpec) -> str:
    """The end of what a worker wrote to standard error before it was a worker."""
    try:
        text = (spec.scratch / worker.OUTPUT_FILE).read_text("utf-8", "replace").strip()
    except OSError:
        return ""
    return f"\n{text[-2000:]}" if text else ""
