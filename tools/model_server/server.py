"""The server: HTTP/1.1 on loopback, written for speed, with faults that are put in on purpose.

It runs in a thread of a test (`with ModelServer(...) as server`) or as a process of its own. Every request whose head and
body arrived counts once, whatever became of it; tokens count when the reply that reports them is sent whole. A connection
is answered one request after the other, as HTTP/1.1 has it; different connections do not wait for each other.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

from model_server.answers import Sent, failed, instead, reply_to
from model_server.faults import Faults, chosen
from model_server.http11 import BadRequest, Reader, Request, response
from model_server.policies import Policy, Seen, echo
from model_server.shapes import KEY, Asked, Failure, Wire
from model_server.wires import wire_of

MAX_SEEN = 20_000
MAX_KEPT_BYTES = 256 << 20
"""So many requests are kept, and so many bytes of their bodies; what comes later is counted all the same."""

START_S = 10.0


@dataclass(slots=True)
class Counts:
    """What the server saw and said."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    max_in_flight: int = 0
    by_path: dict[str, int] = field(default_factory=dict)
    arrivals: list[float] = field(default_factory=list)  # on the machine's monotonic clock

    def as_json(self) -> dict[str, Any]:
        """The counts as plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


class ModelServer:
    """A server in a thread. Who makes it leaves its `with`, and it is gone, with its thread and every connection.

    `faults` meet the first requests in order (None = none), or are a function of the request's number; with
    `faults_every` = n only every nth request meets one, and a list goes round. `check_keys=False` lets every key pass.
    A policy runs in the server's thread; one that raises is answered with 500, and leaving the `with` raises what it
    raised. `counts` and `requests` are written by that thread alone: read them when nothing is under way.
    """

    def __init__(
        self,
        policy: Policy = echo,
        *,
        latency_s: float = 0.0,
        faults: Faults = (),
        faults_every: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        check_keys: bool = True,
    ) -> None:
        self.policy = policy
        self.latency_s = latency_s
        self.faults = faults
        self.faults_every = faults_every
        self.check_keys = check_keys
        self.counts = Counts()
        self.requests: list[Seen] = []
        self.url = ""
        self._host, self._port = host, port
        self._connections: set[_Connection] = set()
        self._n_in_flight = 0
        self._n_kept_bytes = 0
        self._error: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="model-server", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S):
            raise RuntimeError("the model server did not start")
        if not self.url:
            self._thread.join()
            raise self._error or RuntimeError("the model server did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._thread is not None
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self.serve())
        except OSError as error:  # the port is taken
            self._error = error
        finally:
            self._ready.set()

    async def serve(self) -> None:
        """Serve until it is told to stop. Raises OSError when the port is taken."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        listening = await self._loop.create_server(
            lambda: _Connection(self), self._host, self._port, backlog=2048
        )
        self.url = f"http://{self._host}:{listening.sockets[0].getsockname()[1]}"
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            listening.close()
            for connection in list(self._connections):
                connection.abort()

    def joined(self, connection: _Connection) -> None:
        """A connection was made."""
        self._connections.add(connection)

    def left(self, connection: _Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)

    def reset(self) -> None:
        """Count from the beginning."""
        self.counts = Counts()
        self.requests = []
        self._n_kept_bytes = 0

    def answer(self, connection: _Connection, request: Request) -> None:
        """Answer a request, now or later."""
        if request.path == "/stats" and request.method == "GET":
            connection.send(
                response(200, json.dumps(self.counts.as_json()).encode()), keeps_open=request.keeps_open
            )
        elif request.path == "/reset" and request.method == "POST":
            self.reset()
            connection.send(response(200, b"{}"), keeps_open=request.keeps_open)
        else:
            self._count(request)
            sent = self._answered(request)
            _Pending(self, connection, sent, self.counts, request.keeps_open)

    def begun(self, counts: Counts) -> None:
        """A request is under way."""
        self._n_in_flight += 1
        counts.max_in_flight = max(counts.max_in_flight, self._n_in_flight)

    def ended(self) -> None:
        """A request is answered, or its client is gone."""
        self._n_in_flight -= 1

    def _count(self, request: Request) -> None:
        counts = self.counts
        counts.requests += 1
        counts.by_path[request.path] = counts.by_path.get(request.path, 0) + 1
        if len(counts.arrivals) < MAX_SEEN:
            counts.arrivals.append(time.monotonic())

    def _answered(self, request: Request) -> Sent:
        """What a request gets, and when. Errors that are the client's come at once."""
        found = wire_of(request.path, request.headers)
        if found is None:
            return Sent(response(404, b'{"error": {"message": "no such path"}}'))
        wire, match = found
        if request.method != "POST":
            return failed(wire, Failure(405, f"Not allowed to {request.method} this path."))
        if (
            wire.needs_key
            and self.check_keys
            and not wire.key_of(request.headers, request.target).startswith(KEY)
        ):
            return failed(wire, Failure(401, "", "key"))
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError) as error:
            return failed(wire, Failure(400, f"The body is no JSON: {error}"))
        if not isinstance(body, dict):
            return failed(wire, Failure(400, "The body is no JSON object."))
        if problem := wire.problem(request.headers, request.target, body):
            return failed(wire, Failure(400, problem))
        asked = wire.read(body, match, request.target)
        return self._spoilt(wire, asked, self._seen(wire, asked, request))

    def _spoilt(self, wire: Wire, asked: Asked, seen: Seen) -> Sent:
        fault = chosen(self.faults, self.faults_every, seen.number)
        sent = None if fault is None else instead(fault, wire, asked)
        if sent is not None:
            return sent.after(self.latency_s)
        try:
            answer = self.policy(seen)
        except Exception as error:  # noqa: BLE001  (a test's own: it is raised again where the test sees it)
            self._error = self._error or error
            return failed(wire, Failure(500, f"the policy failed: {type(error).__name__}: {error}"))
        slow_s = fault.value if fault is not None and fault.kind == "slow" else 0.0
        return reply_to(wire, asked, seen, answer, fault).after(self.latency_s + answer.delay_s + slow_s)

    def _seen(self, wire: Wire, asked: Asked, request: Request) -> Seen:
        is_kept = self._n_kept_bytes + len(request.body) <= MAX_KEPT_BYTES
        seen = Seen(
            wire.name,
            asked.model,
            asked.messages,
            asked.max_tokens,
            asked.schema,
            self.counts.requests,
            request.headers,
            sum(_n_bytes(text) for _, text in asked.messages),
            request.body if is_kept else b"",
        )
        if len(self.requests) < MAX_SEEN and is_kept:
            self._n_kept_bytes += len(request.body)
            self.requests.append(seen)
        return seen


class _Pending:
    """A request that waits for its answer: counted as under way until it is sent, or the client is gone."""

    __slots__ = ("_connection", "_counts", "_keeps_open", "_sent", "_server", "_timer")

    def __init__(
        self, server: ModelServer, connection: _Connection, sent: Sent, counts: Counts, keeps_open: bool
    ) -> None:
        self._server, self._connection, self._sent, self._counts = server, connection, sent, counts
        self._keeps_open = keeps_open
        self._timer: asyncio.TimerHandle | None = None
        server.begun(counts)
        connection.waits_for(self)
        if sent.delay_s is None:
            return  # for ever
        if sent.delay_s > 0:
            self._timer = asyncio.get_running_loop().call_later(sent.delay_s, self._send)
        else:
            self._send()

    def cancel(self) -> None:
        """The client is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._server.ended()

    def _send(self) -> None:
        self._server.ended()
        self._counts.tokens_in += self._sent.tokens_in
        self._counts.tokens_out += self._sent.tokens_out
        self._connection.waits_for(None)
        self._connection.send(self._sent.data, keeps_open=self._keeps_open and not self._sent.closes)


class _Connection(asyncio.Protocol):
    """One connection. While a request waits for its answer, the next stays unread.

    The server makes it; it ends with its client, a request that can't be read, an answer that closes, or the server.
    """

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._reader = Reader()
        self._pending: _Pending | None = None
        self._transport: asyncio.Transport | None = None
        self._is_answering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self._go_on()

    def waits_for(self, pending: _Pending | None) -> None:
        """A request is under way, or no more."""
        self._pending = pending

    def send(self, data: bytes, *, keeps_open: bool) -> None:
        """Send an answer, and see to the next request."""
        if self._transport is None or self._transport.is_closing():
            return
        if data:
            self._transport.write(data)
        if not keeps_open:
            self._transport.close()
        elif not self._is_answering:
            self._go_on()

    def abort(self) -> None:
        """Close without sending what still waits."""
        if self._transport is not None:
            self._transport.abort()

    def _go_on(self) -> None:
        """Answer what has arrived, until a request has to wait. A loop, so that a thousand at once need no stack."""
        self._is_answering = True
        try:
            while self._transport is not None and not self._transport.is_closing() and self._pending is None:
                request = self._reader.next()
                if request is None:
                    self._invite()
                    break
                self._server.answer(self, request)
        except BadRequest as error:
            body = json.dumps({"error": {"message": str(error)}}).encode()
            self.send(response(error.status, body, keeps_open=False), keeps_open=False)
        finally:
            self._is_answering = False
        self._pace()

    def _invite(self) -> None:
        if self._reader.wants_continue and self._transport is not None:
            self._reader.wants_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _pace(self) -> None:
        """Read no further while an answer is awaited and the next request is here already."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._pending is not None and self._reader.n_waiting_bytes:
            self._transport.pause_reading()
        elif not self._transport.is_reading():
            self._transport.resume_reading()


def _n_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
