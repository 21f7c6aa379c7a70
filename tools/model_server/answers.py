"""What is sent for a request: a reply, an error, or what a fault makes of them. Bytes and figures, no sockets."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from model_server.http11 import event_stream, response
from model_server.shapes import Failure, Said

if TYPE_CHECKING:
    from model_server.faults import Fault
    from model_server.policies import Answer, Seen
    from model_server.shapes import Asked, Wire

BIG_BYTES = 10 << 20
BYTES_PER_TOKEN = 4

_NO_UTF8 = b"\xff\xfe"
_MARK = "@@"  # as long as what takes its place: a length has been promised


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes to send after `delay_s` (None: never), and the tokens that they report."""

    data: bytes
    tokens_in: int = 0
    tokens_out: int = 0
    closes: bool = False
    delay_s: float | None = 0.0

    def after(self, delay_s: float) -> Self:
        """The same, later."""
        return self if self.delay_s is None else replace(self, delay_s=delay_s)


def failed(wire: Wire, failure: Failure) -> Sent:
    """An error in the provider's shape."""
    headers = (("Retry-After", failure.retry_after),) if failure.retry_after else ()
    return Sent(response(failure.status, json.dumps(wire.error(failure)).encode(), headers=headers))


def instead(fault: Fault, wire: Wire, asked: Asked) -> Sent | None:
    """What a fault puts in the place of a reply; None for one that only changes the reply."""
    match fault.kind:
        case "status":
            status = int(fault.value)
            return failed(wire, Failure(status, f"injected {status}", retry_after=fault.retry_header))
        case "quota":
            return failed(wire, Failure(429, "", "quota"))
        case "inside":
            failure = Failure(502, "injected inside")
            if asked.streams and not asked.as_list:
                return Sent(event_stream(wire.error_events(failure)))
            return Sent(response(200, json.dumps(wire.error(failure)).encode()))
        case "junk":
            return Sent(response(200, b"this is no JSON {"))
        case "html":
            return Sent(response(200, b"<html><body><h1>It works!</h1></body></html>", "text/html"))
        case "empty":
            return Sent(response(200, b"{}"))
        case "hang":
            return Sent(b"", delay_s=None)
        case "close":
            return Sent(b"", closes=True)
        case _:
            return None


def reply_to(wire: Wire, asked: Asked, seen: Seen, answer: Answer, fault: Fault | None) -> Sent:
    """A reply as the provider would send it, or what is left of it."""
    kind = "" if fault is None else fault.kind
    text, is_cut = _text(asked, answer, kind)
    tokens_in = seen.n_prompt_bytes // BYTES_PER_TOKEN if answer.tokens_in is None else answer.tokens_in
    tokens_out = _n_bytes(text) // BYTES_PER_TOKEN if answer.tokens_out is None else answer.tokens_out
    said = Said(text, tokens_in, tokens_out, is_cut)
    data = _whole(wire, asked, said) if kind != "cut" else _half(wire, asked, said)
    if kind == "invalid_utf8":
        data = data.replace(_MARK.encode(), _NO_UTF8)
    if kind == "cut" or (asked.streams and not asked.wants_usage):
        return Sent(data, closes=kind == "cut")
    return Sent(data, tokens_in, tokens_out)


def _text(asked: Asked, answer: Answer, kind: str) -> tuple[str, bool]:
    """The text of a reply, and whether it had to end at `max_tokens`."""
    if kind == "big":
        return "x" * BIG_BYTES, False
    if kind == "invalid_utf8":
        return f"{_MARK} ok", False
    if asked.max_tokens is None or _n_bytes(answer.text) <= asked.max_tokens * BYTES_PER_TOKEN:
        return answer.text, False
    data = answer.text.encode("utf-8", "surrogatepass")
    return data[: asked.max_tokens * BYTES_PER_TOKEN].decode("utf-8", "ignore"), True


def _whole(wire: Wire, asked: Asked, said: Said) -> bytes:
    if not asked.streams:
        return response(200, json.dumps(wire.reply(asked, said)).encode())
    if asked.as_list:
        return response(200, _as_list(wire.events(asked, said)))
    return event_stream(wire.events(asked, said))


def _half(wire: Wire, asked: Asked, said: Said) -> bytes:
    """The first half of a reply that promises the whole."""
    if asked.streams and not asked.as_list:
        return event_stream(wire.events(asked, said), is_cut=True)
    body = (
        _as_list(wire.events(asked, said)) if asked.streams else json.dumps(wire.reply(asked, said)).encode()
    )
    half = len(body) // 2
    return response(200, body[:half], n_missing_bytes=len(body) - half)


def _as_list(events: list[str]) -> bytes:
    parts = [event.removeprefix("data: ").strip() for event in events]
    return f"[{','.join(parts)}]".encode()


def _n_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
