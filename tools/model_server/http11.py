"""HTTP/1.1 as the server needs it (RFC 9112): requests read from pieces of bytes, responses made into bytes.

Pure: no sockets. Request bodies come with a length or in chunks; a head has at most 64 KiB, a body 256 MiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

MAX_HEAD_BYTES = 64 << 10
MAX_BODY_BYTES = 256 << 20
_MAX_LINE_BYTES = 1 << 10  # of a chunk's size

_REASONS = {status.value: status.phrase for status in HTTPStatus}


class BadRequest(Exception):
    """Bytes that are no request, or too many. The connection can't go on."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request that has arrived whole. Names of headers are lower-case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    keeps_open: bool

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


class Reader:
    """Takes bytes as they come and gives requests, in order. A connection makes one for itself."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._head: tuple[str, str, str, dict[str, str]] | None = None
        self._n_body_bytes: int | None = 0  # None: in chunks
        self._chunks = bytearray()
        self._in_trailer = False
        self.wants_continue = False  # a client waits for `100 Continue` before it sends a body

    @property
    def n_waiting_bytes(self) -> int:
        """Bytes that are no part of a request yet."""
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        self._data += data

    def next(self) -> Request | None:
        """The next request, None as long as it is not here whole. Raises BadRequest."""
        if self._head is None and not self._take_head():
            return None
        assert self._head is not None
        body = self._chunked() if self._n_body_bytes is None else self._measured(self._n_body_bytes)
        if body is None:
            return None
        method, target, version, headers = self._head
        self._head = None
        self.wants_continue = False
        connection = headers.get("connection", "").lower()
        keeps_open = connection != "close" if version == "HTTP/1.1" else connection == "keep-alive"
        return Request(method, target, headers, body, keeps_open)

    def _take_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end < 0:
            if len(self._data) >= MAX_HEAD_BYTES:
                raise BadRequest(431, f"a head has at most {MAX_HEAD_BYTES} bytes")
            return False
        self._head = _head_of(bytes(self._data[:end]))
        del self._data[: end + 4]
        headers = self._head[3]
        self._n_body_bytes = _n_body_bytes(headers)
        self.wants_continue = headers.get("expect", "").lower() == "100-continue"
        self._chunks, self._in_trailer = bytearray(), False
        return True

    def _measured(self, n_bytes: int) -> bytes | None:
        if len(self._data) < n_bytes:
            return None
        body = bytes(self._data[:n_bytes])
        del self._data[:n_bytes]
        return body

    def _chunked(self) -> bytes | None:
        """The body when its last chunk and the trailer are here; whole chunks are taken as they come."""
        while not self._in_trailer:
            end = self._data.find(b"\r\n", 0, _MAX_LINE_BYTES)
            if end < 0:
                if len(self._data) >= _MAX_LINE_BYTES:
                    raise BadRequest(400, "a chunk without its size")
                return None
            n_bytes = _hex(bytes(self._data[:end]).partition(b";")[0].strip())
            if len(self._chunks) + n_bytes > MAX_BODY_BYTES:
                raise BadRequest(413, f"a body has at most {MAX_BODY_BYTES} bytes")
            if n_bytes == 0:
                del self._data[: end + 2]
                self._in_trailer = True
                break
            if len(self._data) < end + 2 + n_bytes + 2:
                return None
            self._chunks += self._data[end + 2 : end + 2 + n_bytes]
            if self._data[end + 2 + n_bytes : end + 4 + n_bytes] != b"\r\n":
                raise BadRequest(400, "a chunk is longer than it says")
            del self._data[: end + 4 + n_bytes]
        return self._after_trailer()

    def _after_trailer(self) -> bytes | None:
        while (end := self._data.find(b"\r\n", 0, MAX_HEAD_BYTES)) >= 0:
            del self._data[: end + 2]
            if end == 0:
                return bytes(self._chunks)
        if len(self._data) >= MAX_HEAD_BYTES:
            raise BadRequest(431, f"a trailer line has at most {MAX_HEAD_BYTES} bytes")
        return None


def response(
    status: int,
    body: bytes,
    content_type: str = "application/json",
    *,
    headers: tuple[tuple[str, str], ...] = (),
    keeps_open: bool = True,
    n_missing_bytes: int = 0,
) -> bytes:
    """A response. `n_missing_bytes`: it promises so many more than it has."""
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers)
    if not keeps_open:
        extra += "Connection: close\r\n"
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body) + n_missing_bytes}\r\n{extra}\r\n"
    )
    return head.encode("latin-1") + body


def event_stream(events: list[str], *, keeps_open: bool = True, is_cut: bool = False) -> bytes:
    """A response in chunks, one for each event. `is_cut`: its second half is missing."""
    chunks = [f"{len(data):x}\r\n".encode() + data + b"\r\n" for data in map(str.encode, events)]
    close = "" if keeps_open else "Connection: close\r\n"
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
        f"Transfer-Encoding: chunked\r\n{close}\r\n"
    )
    if is_cut:
        return head.encode() + b"".join(chunks[: max(1, len(chunks) // 2)])
    return head.encode() + b"".join(chunks) + b"0\r\n\r\n"


def _head_of(data: bytes) -> tuple[str, str, str, dict[str, str]]:
    lines = data.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(400, "no request line of HTTP/1.1")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400, "a line of the head is no header")
        headers[name.lower()] = value.strip()
    return parts[0], parts[1], parts[2], headers


def _n_body_bytes(headers: dict[str, str]) -> int | None:
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked":
            raise BadRequest(501, f"no such transfer coding: {coding}")
        return None
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or len(length) > 15:
        raise BadRequest(400, "the content length is no number")
    if int(length) > MAX_BODY_BYTES:
        raise BadRequest(413, f"a body has at most {MAX_BODY_BYTES} bytes")
    return int(length)


def _hex(data: bytes) -> int:
    if not data or len(data) > 12 or data.strip(b"0123456789abcdefABCDEF"):
        raise BadRequest(400, "a chunk's size is no number")
    return int(data, 16)
