"""The server: HTTP/1.1 on loopback, written for speed, with faults that are put in on purpose.

It runs in a thread of a test (`with ModelServer(...) as server`) or as a process of its own (`python -m model_server`).
Every request whose head and body arrived counts once, whatever became of it.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal, Self

from model_server.policies import Answer, Policy, Seen, echo
from model_server.wires import KEY, Said, Wire, seen_of, wire_of

MAX_BODY_BYTES = 256 << 20
MAX_SEEN = 20_000
BIG_BYTES = 10 << 20

FaultKind = Literal[
    "status",
    "quota",
    "hang",
    "cut",
    "close",
    "junk",
    "html",
    "empty",
    "invalid_utf8",
    "big",
    "slow",
    "inside",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request. `value` is the status, or the seconds of `slow`."""

    kind: FaultKind
    value: float = 500
    retry_after: str | None = None  # seconds, or `date:SECONDS`


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
    """A server in a thread. Who makes it leaves its `with`, and it is gone.

    `faults` meet the first requests in order (None = none), or are a function of the request's number.
    """

    def __init__(
        self,
        policy: Policy = echo,
        *,
        latency_s: float = 0.0,
        faults: Sequence[Fault | None] | Callable[[int], Fault | None] = (),
        port: int = 0,
        check_keys: bool = True,
    ) -> None:
        self.policy = policy
        self.latency_s = latency_s
        self.faults = faults
        self.check_keys = check_keys
        self.counts = Counts()
        self.requests: list[Seen] = []
        self.url = ""
        self._port = port
        self._connections: set[_Connection] = set()
        self._n_in_flight = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the model server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(10)

    async def serve(self) -> None:
        """Serve until it is told to stop."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        listening = await self._loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self._port, backlog=2048
        )
        self.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
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

    def stats(self) -> bytes:
        """The counts as JSON."""
        return json.dumps(self.counts.as_json()).encode()

    def reset(self) -> None:
        """Count from the beginning."""
        self.counts = Counts()
        self.requests = []

    def respond(self, connection: _Connection, path: str, headers: dict[str, str], body: bytes) -> None:
        """Answer a request, now or later."""
        counts = self.counts
        counts.requests += 1
        counts.by_path[path.partition("?")[0]] = counts.by_path.get(path.partition("?")[0], 0) + 1
        if len(counts.arrivals) < MAX_SEEN:
            counts.arrivals.append(time.monotonic())
        self._n_in_flight += 1
        counts.max_in_flight = max(counts.max_in_flight, self._n_in_flight)
        found = wire_of(path, headers)
        if found is None:
            self._later(connection, 0.0, _http(404, b'{"error": {"message": "no such path"}}'))
            return
        wire, match = found
        if wire.needs_key and self.check_keys and not wire.key_of(headers, path).startswith(KEY):
            self._later(connection, 0.0, _error(wire, 401, "invalid_api_key", "Incorrect API key provided."))
            return
        fields = json.loads(body)
        seen = seen_of(wire, match, fields, counts.requests, headers, _n_prompt_bytes(fields))
        if len(self.requests) < MAX_SEEN:
            self.requests.append(seen)
        fault = self._fault(seen.number)
        if fault is not None and self._spoil(connection, wire, fault):
            return
        answer = self.policy(seen)
        streams = bool(fields.get("stream")) or "stream" in (match.groupdict().get("verb") or "")
        delay_s = self.latency_s + answer.delay_s + (fault.value if fault and fault.kind == "slow" else 0.0)
        big = fault is not None and fault.kind == "big"
        self._later(connection, delay_s, self._answered(wire, seen, answer, streams=streams, big=big))

    def _fault(self, number: int) -> Fault | None:
        if callable(self.faults):
            return self.faults(number)
        return self.faults[number - 1] if number <= len(self.faults) else None

    def _spoil(self, connection: _Connection, wire: Wire, fault: Fault) -> bool:
        """Whether the fault takes the place of an answer."""
        match fault.kind:
            case "status":
                status = int(fault.value)
                data = _error(
                    wire, status, _CODES.get(status, "error"), f"injected {status}", _retry(fault.retry_after)
                )
            case "quota":
                data = _error(wire, 429, "insufficient_quota", "You exceeded your current quota.")
            case "inside":
                data = _http(200, json.dumps(wire.error(502, "server_error", "injected inside")).encode())
            case "junk":
                data = _http(200, b"this is no JSON {")
            case "html":
                data = _http(200, b"<html><body><h1>It works!</h1></body></html>", "text/html")
            case "empty":
                data = _http(200, b"{}")
            case "invalid_utf8":
                data = _http(
                    200, b'{"choices": [{"message": {"content": "\xff\xfe ok"}, "finish_reason": "stop"}]}'
                )
            case "cut":
                data = _http(200, b'{"choices": [{"message": {"content": "half', n_bytes=500)
            case "hang":
                return True
            case "close":
                connection.abort()
                return True
            case _:
                return False
        self._later(connection, self.latency_s, data, then_abort=fault.kind == "cut")
        return True

    def _answered(self, wire: Wire, seen: Seen, answer: Answer, *, streams: bool, big: bool) -> bytes:
        text, cut = answer.text, False
        if big:
            text = "x" * BIG_BYTES
        elif (
            seen.max_tokens is not None
            and answer.tokens_out is None
            and len(text.encode("utf-8", "surrogatepass")) > 4 * seen.max_tokens
        ):
            text, cut = text[: 4 * seen.max_tokens], True
        tokens_in = seen.n_prompt_bytes // 4 if answer.tokens_in is None else answer.tokens_in
        tokens_out = (
            -(-len(text.encode("utf-8", "replace")) // 4) if answer.tokens_out is None else answer.tokens_out
        )
        self.counts.tokens_in += tokens_in
        self.counts.tokens_out += tokens_out
        said = Said(text, tokens_in, tokens_out, cut)
        if streams:
            return _http(200, "".join(wire.events(seen.model, said)).encode(), "text/event-stream")
        return _http(200, json.dumps(wire.reply(seen.model, said)).encode())

    def _later(
        self, connection: _Connection, delay_s: float, data: bytes, *, then_abort: bool = False
    ) -> None:
        assert self._loop is not None
        if delay_s:
            self._loop.call_later(delay_s, self._send, connection, data, then_abort)
        else:
            self._send(connection, data, then_abort)

    def _send(self, connection: _Connection, data: bytes, then_abort: bool) -> None:
        self._n_in_flight -= 1
        connection.send(data)
        if then_abort:
            connection.close()


class _Connection(asyncio.Protocol):
    """One connection: requests in, one after the other, as HTTP/1.1 with a content length has them."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            method, path, headers = _head(bytes(self._data[:end]))
            n_bytes = int(headers.get("content-length", "0"))
            if n_bytes > MAX_BODY_BYTES:
                self.abort()
                return
            if len(self._data) < end + 4 + n_bytes:
                return
            body = bytes(self._data[end + 4 : end + 4 + n_bytes])
            del self._data[: end + 4 + n_bytes]
            self._serve(method, path, headers, body)

    def _serve(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        if method == "GET" and path == "/stats":
            self.send(_http(200, self._server.stats()))
        elif method == "POST" and path == "/reset":
            self._server.reset()
            self.send(_http(200, b"{}"))
        else:
            self._server.respond(self, path, headers, body)

    def send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


_CODES = {
    401: "invalid_api_key",
    402: "insufficient_credits",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    500: "server_error",
}


def _head(data: bytes) -> tuple[str, str, dict[str, str]]:
    lines = data.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return method, path, headers


def _http(
    status: int,
    body: bytes,
    content_type: str = "application/json",
    extra: str = "",
    n_bytes: int | None = None,
) -> bytes:
    length = len(body) if n_bytes is None else n_bytes
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{extra}\r\n"
    return head.encode() + body


def _error(wire: Wire, status: int, code: str, message: str, extra: str = "") -> bytes:
    return _http(status, json.dumps(wire.error(status, code, message)).encode(), extra=extra)


def _retry(after: str | None) -> str:
    if after is None:
        return ""
    if after.startswith("date:"):
        after = format_datetime(datetime.now(UTC) + timedelta(seconds=float(after[5:])), usegmt=True)
    return f"Retry-After: {after}\r\n"


def _n_prompt_bytes(fields: dict[str, Any]) -> int:
    """Bytes of all texts of a request."""
    parts = (fields.get(name) for name in ("messages", "system", "contents", "system_instruction"))
    return sum(map(_n_text_bytes, parts))


def _n_text_bytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, list):
        return sum(map(_n_text_bytes, value))
    if isinstance(value, dict):
        return sum(_n_text_bytes(part) for key, part in value.items() if key in ("content", "text", "parts"))
    return 0
