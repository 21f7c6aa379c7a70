"""What the environments have in common whose workers run in cloud sandboxes: `modal`, `e2b`, `daytona`, `prime`.

Each worker has a sandbox of its own. It is sent there as to another machine (`parcel.py`), and on the way bytes are
lines of text (`relay.py`), since that is what the streams of all of them can carry. What one provider does otherwise
than the others is three methods (`Provider`).

Covered: files, network and processes of this machine, which a worker there can't reach; no keys and variables of ours
go there; no network there unless granted; where the kernel there has Landlock, the worker is confined as well.
Not covered: what the provider sees, which is all that was granted; what else is in its image; memory beyond what the
provider gives; a sandbox whose end we could not ask for, until its own time is over.
Not possible: to write. Nothing is brought back but answers, so a grant to write is refused, and there is no `out/`.

Three things end a sandbox: the session, by asking for it; `relay.py`, which ends the worker when we fall silent; and
the provider, when the time that was asked for is over.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from orchestrator.environments.command import unwrapped
from orchestrator.environments.parcel import (
    Carrier,
    command,
    packed,
    places_there,
    receiving,
    refuse_writes,
    sent,
)
from orchestrator.environments.relay import LINE_BYTES
from orchestrator.environments.session import Session, open_session
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence

    from orchestrator.environments.places import Places
    from orchestrator.values import WorkerSpec

LIFETIME_S = 3600
"""How long a sandbox may live: what every provider grants to everybody, and the most that a forgotten one costs."""

START_S = 300.0
SEND_S = 60.0
END_S = 30.0
BEAT_S = 15.0
SILENCE_S = 90
"""How long we may be silent before a worker is ended there; every `BEAT_S` a line says that we are there."""

MAX_LINE_BYTES = 2 * LINE_BYTES
SAID_BYTES = 2000
LOST_CODE = 255
"""The code of a worker that did not say how it ended."""

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sandbox has to be like. It gets no variables and no secrets."""

    network: bool
    lifetime_s: int  # after which the provider ends it, whatever became of us


@dataclass(frozen=True, slots=True)
class Stream:
    """The two ends of a program in a sandbox."""

    send: Callable[[str], Awaitable[None]]  # whole lines, to its standard input
    heard: AsyncIterator[bytes]  # its standard output, in parts of any size; ends with it


class Provider(Protocol[S]):
    """Who runs sandboxes. What a client of theirs raises is told as it is; each is made in the loop that uses it."""

    async def start(self, wanted: Wanted) -> S:
        """A sandbox that runs. Raises ImportError without its client, EnvironmentUnavailable without a key."""
        ...

    async def open(self, sandbox: S, argv: Sequence[str]) -> Stream:
        """Start a program in it."""
        ...

    async def end(self, sandbox: S) -> None:
        """End it with all that runs there."""
        ...


class Cloud(Generic[S]):
    """Workers in sandboxes of one provider. `python` is what CPython 3.9 or newer is called there."""

    covers = "workers reach nothing of this machine; in the sandbox of a provider, no network unless granted"

    def __init__(self, name: str, provider: Provider[S], python: str, lifetime_s: int) -> None:
        self.name = name
        self._provider = provider
        self._python = python
        self._lifetime_s = lifetime_s

    async def start(self, spec: WorkerSpec) -> Session:
        """A new worker in a new sandbox. Raises EnvironmentUnavailable without the client, a key, or a sandbox."""
        refuse_writes(self.name, spec)
        with packed(spec) as archive:
            sandbox = await self._started(Wanted(spec.grants.network, self._lifetime_s))
            box = _Box(self._provider, sandbox, self._python)
            try:
                return await self._worker(box, spec, archive)
            except BaseException as error:
                await box.end()
                if isinstance(error, Exception) and not isinstance(error, EnvironmentUnavailable):
                    raise self._unavailable("no worker could be started", error, box.said) from error
                raise

    async def close(self) -> None:
        """Nothing is held."""

    async def _started(self, wanted: Wanted) -> S:
        try:
            async with asyncio.timeout(START_S):
                return await self._provider.start(wanted)
        except EnvironmentUnavailable:
            raise
        except ImportError as error:
            raise EnvironmentUnavailable(
                f"`{self.name}` needs a package that is not installed: {error}",
                hint=f"install it with: python -m pip install 'skill-orchestrator[{self.name}]'   (from a clone: '.[{self.name}]')",
            ) from error
        except Exception as error:  # whatever a client of theirs raises
            raise self._unavailable("no sandbox could be started", error) from error

    async def _worker(self, box: _Box[S], spec: WorkerSpec, archive: IO[bytes]) -> Session:
        async with asyncio.timeout(SEND_S):
            ours, ended = await box.run(command(self._python))
            try:
                root = await sent(ours, spec, archive)
            except BaseException:
                ours.close()
                raise
        far = replace(spec, grants=replace(spec.grants, write=()))
        places = places_there(spec, root, self._python)
        return await open_session(ours, _Leash(box, ended), far, places, Carrier(_copying(box, places)).carry)

    def _unavailable(self, what: str, error: Exception, said: str = "") -> EnvironmentUnavailable:
        why = "it took too long" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
        return EnvironmentUnavailable(
            f"{what} by `{self.name}`: {why[:SAID_BYTES]}" + (f"\n{said}" if said else ""),
            hint=f"see that your account there is in order; name what it starts under [environments.{self.name}]",
        )


def no_key(name: str, variables: str, hint: str) -> EnvironmentUnavailable:
    """What a provider raises where its client would find no key."""
    return EnvironmentUnavailable(f"`{name}` needs a key: {variables} is not set", hint=hint)


class Heard:
    """Parts of what a program says, for clients that call back: `put` waits while nobody takes them."""

    def __init__(self) -> None:
        self._parts: asyncio.Queue[bytes] = asyncio.Queue(64)

    async def put(self, text: str) -> None:
        """Take a part."""
        if text:
            await self._parts.put(text.encode())

    async def until(self, ended: Awaitable[object]) -> AsyncIterator[bytes]:
        """The parts, until this is over and the last was taken."""
        waiting = asyncio.create_task(self._closing(ended))
        try:
            while part := await self._parts.get():
                yield part
        finally:
            waiting.cancel()
            await asyncio.wait([waiting])

    async def _closing(self, ended: Awaitable[object]) -> None:
        with contextlib.suppress(Exception):  # how a program ended is told by `relay.py`, not by the client
            await ended
        await self._parts.put(b"")


class _Box(Generic[S]):
    """One sandbox. Who made it ends it; that is asked for once."""

    def __init__(self, provider: Provider[S], sandbox: S, python: str) -> None:
        self._provider = provider
        self._sandbox = sandbox
        self._python = python
        self._pumps: set[asyncio.Task[int]] = set()
        self._ending: asyncio.Task[None] | None = None
        self.said = ""  # the last that a program said beside its lines

    async def run(self, argv: Sequence[str]) -> tuple[socket.socket, asyncio.Task[int]]:
        """Start a program: our end of its streams, and its exit code."""
        program = base64.b64encode(zlib.compress(RELAY.read_bytes())).decode()
        boot = f"import base64,zlib;exec(zlib.decompress(base64.b64decode('{program}')))"
        stream = await self._provider.open(
            self._sandbox,
            ["sh", "-c", 'exec "$@" 2>&1', "sh", self._python, "-s", "-c", boot, str(SILENCE_S), *argv],
        )
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        pump = asyncio.create_task(self._pumped(stream, theirs))
        self._pumps.add(pump)
        return ours, pump

    def end_soon(self) -> asyncio.Task[None]:
        """Have it end, and its programs with it."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._ended())
        return self._ending

    async def end(self) -> None:
        """The same, waited for."""
        await asyncio.shield(self.end_soon())

    async def _ended(self) -> None:
        with contextlib.suppress(
            Exception
        ):  # whatever a client raises: the provider ends the sandbox after its time
            async with asyncio.timeout(END_S):
                await self._provider.end(self._sandbox)
        for pump in self._pumps:
            pump.cancel()
        if self._pumps:
            await asyncio.wait(self._pumps)

    async def _pumped(self, stream: Stream, theirs: socket.socket) -> int:
        """Carry bytes both ways until the program has ended: its exit code."""
        one_at_a_time = asyncio.Lock()

        async def send(line: str) -> None:
            async with one_at_a_time:
                await stream.send(line)

        tasks = [asyncio.create_task(_poured(theirs, send)), asyncio.create_task(_beating(send))]
        try:
            async with contextlib.aclosing(self._lines(stream.heard)) as lines:
                async for line in lines:
                    if line.startswith(b"<"):
                        await asyncio.get_running_loop().sock_sendall(theirs, base64.b64decode(line[1:]))
                    elif line.startswith(b"="):
                        code, _, said = line[1:].partition(b" ")
                        self._hear(base64.b64decode(said))
                        return unwrapped(int(code))
                    elif not line.startswith(b">"):  # which is our own line, shown again
                        self._hear(line + b"\n")
        except (OSError, ValueError):
            pass  # nobody reads any more; or no line of ours, and nothing after it can be understood
        except Exception as error:  # noqa: BLE001  (whatever a client raises: the stream is lost)
            self._hear(f"{type(error).__name__}: {error}".encode())
        finally:
            theirs.close()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return LOST_CODE

    async def _lines(self, heard: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        rest = b""
        async for part in heard:
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                yield line
            if len(rest) > MAX_LINE_BYTES:
                raise ValueError("a line without an end")
        self._hear(rest)

    def _hear(self, said: bytes) -> None:
        self.said = (self.said + said.decode("utf-8", "replace"))[-SAID_BYTES:]


RELAY = Path(__file__).parent / "relay.py"


async def _poured(theirs: socket.socket, send: Callable[[str], Awaitable[None]]) -> None:
    """Send what comes, and at its end that."""
    while data := await asyncio.get_running_loop().sock_recv(theirs, LINE_BYTES):
        await send(f">{base64.b64encode(data).decode()}\n")
    await send(".\n")


async def _beating(send: Callable[[str], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        await send(">\n")


def _copying(box: _Box[S], places: Places) -> Callable[[Path], Coroutine[Any, Any, None]]:
    async def copy(path: Path) -> None:
        """Have a text there. Raises ConnectionError."""
        ours, ended = await box.run(["sh", "-c", receiving(places, path)])
        with ours, path.open("rb") as file:
            ours.setblocking(False)
            await asyncio.get_running_loop().sock_sendfile(ours, file)
            ours.shutdown(socket.SHUT_WR)
            code = await ended
        if code:
            raise ConnectionError(f"a text could not be copied: it ended with code {code}")

    return copy


class _Leash(Generic[S]):
    """How the worker of a sandbox is held: it ends with the sandbox."""

    pid = 0
    patience_s = 10.0
    why = ""

    def __init__(self, box: _Box[S], ended: asyncio.Task[int]) -> None:
        self._box = box
        self._worker = ended

    def kill(self) -> None:
        self._box.end_soon()

    async def wait(self) -> int:
        await asyncio.wait([self._worker])
        await self._box.end()
        return -9 if self._worker.cancelled() else self._worker.result()
