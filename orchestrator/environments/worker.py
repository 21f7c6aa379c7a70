"""The worker: a Python REPL behind one duplex byte stream. Standard library only, one file, CPython 3.9 or newer.

Who uses this file. An environment starts it by path with streams attached (`python -I worker.py`, or the same
through a container or ssh); the zygote loads it and forks; and the parent side imports its frame codec, so that
there is one codec and no second opinion about it.

Frames. A frame is UTF-8 JSON, an object with a `kind`, in one piece or several: each is 4 bytes of big-endian length,
at most 64 MiB, and that many bytes. The highest bit of the length says that another piece follows. Version 2:

    worker to parent
      fault {reason}                         it can't start (confinement failed); it ends after this
      hello {v, python, pid}                 it is confined and ready
      call {id, fn, arguments, line, clock}  wants a `reply` with the same id; many may be open at once
      note {fn, arguments}                   wants none
      done {id, clock, ...}                  ends a request
    parent to worker
      start {scratch, cwd, env, limits, grants, blobs}         first, once
      init {id, variables, skills, seed}                       done {failure}
      cell {id, number, source, timeout_s, variables, repeat}  done {output, failure, answered, answer, partial}
      function {id, file, folder, name, arguments, timeout_s, repeat}  done {output, failure, value, loaded}
      script {id, argv, stdin, cwd, env, timeout_s}            done {returncode, stdout, stderr, truncated, late}
      expression {id, source, names, timeout_s}                done {failure, value, shown, truth}
      reply {id, value} or {id, error}
      clock {runs}      whether the time of the running request counts; it does not while a person is asked
    either way
      waiting {id}      whether all threads only wait; comes back with `is`, and late where nobody reads

`line` of a call is where the running cell was when it made it, 0 where a thread has no code of it on its stack.
`repeat: {seed, clock}` makes a request come out the same when it is made again: see `Repeats`. `clock` of a call or
`done` holds the readings that were new since the last, in ns since the epoch; it is left out where there are none.

One request at a time; calls are made while one runs, from any thread. What a function or program sets around it
(see `Surroundings`) is put back before the next one; cells are one REPL, which keeps what they set.

Values that are not plain JSON stand as an object with one key. `{"$text": {path, n_bytes, sha256, offset}}` is a
text in a file: it arrives as `str` up to 64 MiB and as `Context` above, and goes back without its path.
`{"$error": {type, message, kind, retryable, hint, partial}}` is a failed part of a batch. Data of users that looks like
one of these gets one more `$` in front on the way out and loses it on the way in.

Why it is built like this
- Whatever a cell does, it must not forge or tear a frame by accident. The real stream is moved to high
  descriptors; 0 is /dev/null; 1 and 2 are a file whose new bytes are shown after what was printed. The stream is
  touched only in sections that the deadline's signal does not interrupt. On purpose it can forge frames: the
  parent trusts none.
- There is no reader thread: a thread would outlive deadlines, and an idle worker would have two. Instead a thread
  that waits reads for everybody (leader), and the others wait for it (followers).
- A deadline raises `CellTimeout` in the main thread; code that swallows it is killed by the parent 2 s later.
"""

from __future__ import annotations

import ast
import builtins
import codecs
import contextlib
import errno
import io
import json
import linecache
import locale
import math
import mmap
import os
import random
import re
import resource
import signal
import struct
import sys
import threading
import time
import traceback
import types
from collections import deque
from functools import partial
from importlib import machinery
from importlib import util as importlib_util
from itertools import count
from time import asctime as _asctime
from time import ctime as _ctime
from time import gmtime as _gmtime
from time import localtime as _localtime
from time import strftime as _strftime
from time import time as _time
from time import time_ns as _time_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from time import struct_time
    from typing import IO, Any, TypeVar

    T = TypeVar("T")
    Frame = dict[str, Any]
    Call = Callable[[str, Frame], Any]
    Special = Callable[[str, Any], Any]

VERSION = 2
PIECE_BYTES = 64 << 20  # of one piece of a frame
FRAME_BYTES = 1 << 30  # of all of a frame
TEXT_BYTES = 64 << 20  # a text above this is a Context
HALF_CHARS = 10_000  # of an observation's head, and of its tail
SPILL_BYTES = 64 << 20  # of a cell's whole output, in its file
STDOUT_BYTES = 16 << 20  # of a script's output
STDERR_CHARS = 4_000  # the end of a script's standard error
SHOWN_CHARS = 2_000  # of an expression's value, and of an error's message
PRETTY_CHARS = 50_000  # a longer value is shown on one line: laying it out takes longer than it is worth
TRACEBACK_CHARS = 8_000
LINE_WIDTH = 100
BLOCK_BYTES = 1 << 20  # of a large text that is looked through
MAX_DEPTH = 200  # of a JSON value
MAX_INT_BITS = 14_000  # json refuses integers of more than 4,300 digits
BALLAST_BYTES = 8 << 20
BALLAST_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # which the limit counts
HIGH_FD = 200

OUTPUT_FILE = ".output"
CELLS = "<cell "  # how the file names of cells begin
READINGS = 10_000  # of the clock that are recorded for a request
LOOK_S = 0.01  # between two looks at what threads do
_HEADER = struct.Struct(">I")
_MORE = 1 << 31
_urandom = os.urandom  # the real one, also while a request is to repeat
_MARKER = re.compile(r"\$+(?:text|error)")


# ---------------------------------------------------------------------------------------------- frames


class BadFrame(ValueError):
    """Bytes that are no frame of this protocol."""


def pack(frame: Frame) -> bytes:
    """Bytes of a frame, headers included."""
    return framed(encoded(frame))


def encoded(frame: Frame) -> bytes:
    """Body of a frame. Raises TypeError for what is no JSON."""
    try:
        return json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can carry
        return json.dumps(frame, separators=(",", ":")).encode()


def framed(body: bytes) -> bytes:
    """A body with its header, or in pieces with theirs. Raises ValueError for one that is too large."""
    if len(body) <= PIECE_BYTES:
        return _HEADER.pack(len(body)) + body
    if len(body) > FRAME_BYTES:
        raise ValueError(
            f"a value of {len(body):,} bytes is too large to pass on; {FRAME_BYTES:,} are allowed"
        )
    pieces: list[bytes | memoryview] = []
    view = memoryview(body)
    for start in range(0, len(body), PIECE_BYTES):
        piece = view[start : start + PIECE_BYTES]
        more = _MORE if start + PIECE_BYTES < len(body) else 0
        pieces += [_HEADER.pack(len(piece) | more), piece]
    return b"".join(pieces)


def piece_of(header: bytes, n_before: int = 0) -> tuple[int, bool]:
    """Length of the piece that follows these 4 bytes, and whether another comes after it. Raises BadFrame.

    `n_before` is the length of the pieces that came before it.
    """
    length = _HEADER.unpack(header)[0] & ~_MORE
    if length > PIECE_BYTES:
        raise BadFrame(f"a piece of a frame of {length:,} bytes; {PIECE_BYTES:,} are allowed")
    if n_before + length > FRAME_BYTES:
        raise BadFrame(f"a frame of more than {FRAME_BYTES:,} bytes, which are allowed")
    return length, bool(header[0] & 0x80)


def unpack(body: bytes, special: Special) -> Frame:
    """The frame of a body. `special(key, value)` makes what a `$text` or `$error` stands for. Raises BadFrame."""

    def hook(part: Frame) -> Any:
        if len(part) == 1:
            (key,) = part
            if key in ("$text", "$error"):
                return special(key, part[key])
            if escaped(key):
                return {key[1:]: part[key]}
        return part

    try:
        # The hook costs a Python call for each object; most frames hold no `$`.
        frame = json.loads(body, object_hook=hook if b'"$' in body else None)
    except BadFrame:  # what `special` has to say
        raise
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"a frame that is no JSON: {error}") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("kind"), str):
        raise BadFrame("a frame that is no object with a `kind`")
    return frame


def escaped(key: str) -> bool:
    """Whether the only key of a user's dict looks like a marker, so that it has to get one more `$`."""
    return key[:1] == "$" and _MARKER.fullmatch(key) is not None


# ---------------------------------------------------------------------------------------------- JSON values


class _NotJson(Exception):
    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        self.parts: list[str] = []


def json_value(value: Any, texts: bool = False) -> Any:
    """A copy of the value as plain JSON, ready for a frame; tuples become arrays.

    Raises TypeError naming the part that is none, as `$.items[3]: set is no JSON value`. `texts`: a Context may
    stand in it, and goes as a reference.
    """
    try:
        return _plain(value, texts, 0)
    except _NotJson as error:
        raise TypeError(f"${''.join(reversed(error.parts))}: {error.why}") from None


def _plain(value: Any, texts: bool, depth: int) -> Any:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if isinstance(value, (int, float)):
        return _plain_number(value)
    if isinstance(value, str):
        return str.__str__(value)
    if depth > MAX_DEPTH:
        raise _NotJson(f"nested more than {MAX_DEPTH} levels deep, or contains itself")
    if isinstance(value, (list, tuple)):
        return _plain_list(value, texts, depth)
    if isinstance(value, dict):
        return _plain_dict(value, texts, depth)
    if texts and isinstance(value, Context):
        return value.reference()
    raise _NotJson(f"{kind.__name__} is no JSON value")


def _plain_number(value: Any) -> float:
    if isinstance(value, int):
        if value.bit_length() > MAX_INT_BITS:
            raise _NotJson(f"an integer of {value.bit_length():,} bits is too long; write it as text")
        return value if isinstance(value, bool) else int(value)
    if not math.isfinite(value):
        raise _NotJson(f"{float(value)} is no JSON value")
    return float(value)


def _plain_list(value: Any, texts: bool, depth: int) -> list[Any]:
    copy = []
    try:
        for item in value:
            copy.append(_plain(item, texts, depth + 1))  # noqa: PERF401  (its length names the failing item)
    except _NotJson as error:
        error.parts.append(f"[{len(copy)}]")
        raise
    return copy


def _plain_dict(value: Any, texts: bool, depth: int) -> Frame:
    copy = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise _NotJson(f"the key {key!r:.80} is {type(key).__name__}, and keys have to be str")
        try:
            copy[str.__str__(key)] = _plain(item, texts, depth + 1)
        except _NotJson as error:
            error.parts.append(f".{key}" if key.isidentifier() else f"[{key!r:.80}]")
            raise
    if len(copy) == 1:
        (key,) = copy
        if escaped(key):
            return {f"${key}": copy[key]}
    return copy


# ---------------------------------------------------------------------------------------------- deadline


class CellTimeout(BaseException):
    """The deadline of what runs has passed. No `Exception`, so that `except Exception` does not swallow it."""


class Deadline:
    """Raises CellTimeout in the main thread when time is up, but never inside a `with held:` section of it.

    The worker makes one. The signal's handler runs in the main thread only, so other threads are never held.
    """

    def __init__(self) -> None:
        self._main = threading.main_thread().ident
        self._seconds = 0.0
        self._ends_at = 0.0
        self._left_s: float | None = None  # how much time is left, while it stands still
        self._armed = False
        self._due = False
        self._n_held = 0

    def __enter__(self) -> None:
        if threading.get_ident() == self._main:
            self._n_held += 1

    def __exit__(self, *_: object) -> None:
        if threading.get_ident() != self._main:
            return
        self._n_held -= 1
        if self._due and not self._n_held and self._armed:
            self._due = False
            raise self._error()

    def arm(self, seconds: float) -> None:
        """Begin to count."""
        self._seconds, self._ends_at, self._left_s = seconds, time.monotonic() + seconds, None
        self._armed, self._due = True, False
        signal.signal(signal.SIGALRM, self._fire)  # again each time: a cell may have set its own
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))

    def clock(self, runs: bool) -> None:
        """Stand still, or go on with the time that was left. Any thread may say so."""
        if not self._armed:
            return
        if not runs and self._left_s is None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._left_s = self._ends_at - time.monotonic()
        elif runs and self._left_s is not None:
            self._ends_at, left_s, self._left_s = time.monotonic() + self._left_s, self._left_s, None
            signal.setitimer(signal.ITIMER_REAL, max(left_s, 0.001))

    def disarm(self) -> None:
        """Stop counting. A signal that is on its way is ignored from here on."""
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _fire(self, _signal: int, _frame: Any) -> None:
        if not self._armed or self._left_s is not None:
            return
        if self._n_held:
            self._due = True
        else:
            raise self._error()

    def _error(self) -> CellTimeout:
        return CellTimeout(f"it ran longer than its {self._seconds:g} s")


# ---------------------------------------------------------------------------------------------- stream


class Channel:
    """The worker's end of the stream. Any thread may call; the main thread takes the requests.

    True between calls: `_reading` is set exactly while one thread reads, without holding `_state`; whoever waits
    and finds nobody reading becomes the reader.
    """

    def __init__(self, read_fd: int, write_fd: int, deadline: Deadline) -> None:
        self.scratch = ""  # known once `start` came
        self.place = ""  # the file name of the cell that runs, while one does
        self.readings: list[int] = []  # of the clock, which the parent was not told yet
        self._read_fd, self._write_fd = read_fd, write_fd
        self._held = deadline
        self._state = threading.Condition(threading.Lock())
        self._writing = threading.Lock()
        self._reading = False
        self._requests: deque[Frame] = deque()
        self._replies: dict[int, Frame] = {}
        self._numbers = count(1)
        self._is_copy = False  # whether this is a process that a cell forked: the stream is not its to use
        os.register_at_fork(after_in_child=self._become_copy)

    def request(self) -> Frame:
        """The next frame that is no reply."""
        return self._wait(lambda: self._requests.popleft() if self._requests else None)

    def call(self, fn: str, arguments: Frame) -> Any:
        """The value that the parent answers. Raises SubCallError or SkillError."""
        arguments = json_value(arguments, texts=True)
        number = next(self._numbers)
        if self._is_copy:
            raise RuntimeError(f"`{fn}` can't be called in a forked process; use threads, or map()")
        with self._held:
            line = _line_in(self.place)
            self.send({"kind": "call", "id": number, "fn": fn, "arguments": arguments, "line": line})
            reply = self._wait(lambda: self._replies.pop(number, None))
        if "error" in reply:
            raise _error_of(reply["error"])
        return reply.get("value")

    def note(self, fn: str, arguments: Frame) -> None:
        """Tell the parent something."""
        self.send({"kind": "note", "fn": fn, "arguments": json_value(arguments)})

    def send(self, frame: Frame) -> None:
        """Write one frame whole. In a process that a cell forked, this is the end: one of them is the worker."""
        if self._is_copy:
            os._exit(0)
        with self._held, self._writing:
            n_told = len(self.readings) if frame["kind"] in ("call", "done") else 0
            if n_told:
                frame = {**frame, "clock": self.readings[:n_told]}
            data = memoryview(pack(frame))
            while data:
                data = data[os.write(self._write_fd, data) :]
            del self.readings[:n_told]

    def _become_copy(self) -> None:
        self._is_copy = True

    def _wait(self, take: Callable[[], T | None]) -> T:
        with self._held, self._state:
            while True:
                found = take()
                if found is not None:
                    return found
                if self._reading:
                    self._state.wait()
                else:
                    self._read_for_all()

    def _read_for_all(self) -> None:
        self._reading = True
        self._state.release()
        try:
            frame = unpack(self._read_body(), _special)
            if frame["kind"] == "waiting":
                # A reply that is here and not taken yet has a thread that is about to go on.
                self.send({**frame, "is": _all_wait() and not self._replies})
        finally:
            self._state.acquire()
            self._reading = False
            self._state.notify_all()
        if frame["kind"] == "reply":
            self._replies[frame["id"]] = frame
        elif frame["kind"] == "clock":
            self._held.clock(frame["runs"])
        elif frame["kind"] != "waiting":
            self._requests.append(frame)

    def _read_body(self) -> bytes:
        length, has_more = piece_of(self._read(_HEADER.size))
        body = self._read(length)
        while has_more:
            length, has_more = piece_of(self._read(_HEADER.size), len(body))
            body += self._read(length)
        return body

    def _read(self, n_bytes: int) -> bytes:
        parts = []
        while n_bytes:
            part = os.read(self._read_fd, min(n_bytes, 1 << 20))
            if not part:
                os._exit(0)  # the parent has gone: nobody is left to work for
            parts.append(part)
            n_bytes -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _line_in(place: str) -> int:
    """The line of this file that the calling thread is in, innermost; 0 where it is in none, or `place` is empty."""
    # Without a place there is nothing to look for, and compiled code may have an empty file name.
    frame: types.FrameType | None = sys._getframe(1) if place else None
    while frame is not None:
        if frame.f_code.co_filename == place:
            return frame.f_lineno or 0
        frame = frame.f_back
    return 0


_WAITS = {
    ("threading", "wait"),
    ("threading", "join"),
    ("threading", "_wait_for_tstate_lock"),
    ("threading", "__enter__"),
    ("concurrent.futures.thread", "_worker"),
}
"""Functions in which a thread waits for another, by module and name; our own callers wait in the first of them.

Not whole modules: `Thread.run` is on top too when what it runs is C code that computes or sleeps."""


def _all_wait() -> bool:
    """Whether every thread but the calling one waits for an answer or another thread; the caller reads for them all.

    Each is looked at twice, and has to be where it was: one that was woken and did not run yet seems to wait.
    """
    before = _waiting_threads()
    if before is None:
        return False
    time.sleep(LOOK_S)
    return before == _waiting_threads()


def _waiting_threads() -> dict[int, tuple[types.FrameType, int]] | None:
    """Where each other thread waits, or None when one of them does something."""
    frames = sys._current_frames()
    del frames[threading.get_ident()]
    if not all(map(_waits, frames.values())):
        return None
    return {thread: (frame, frame.f_lasti) for thread, frame in frames.items()}


def _waits(frame: types.FrameType) -> bool:
    place = (frame.f_globals.get("__name__"), frame.f_code.co_name)
    return place in _WAITS or (place == ("selectors", "select") and _is_idle_loop(frame.f_back))


def _is_idle_loop(frame: types.FrameType | None) -> bool:
    """Whether this is an asyncio loop that nothing can wake but another thread: no timer, and no file but its own."""
    if frame is None or frame.f_globals.get("__name__") != "asyncio.base_events":
        return False
    names = frame.f_locals
    return names.get("timeout", 0) is None and len(names["self"]._selector.get_map()) == 1


def _special(key: str, value: Any) -> Any:
    return _error_of(value) if key == "$error" else _text_of(value)


def _text_of(reference: Frame) -> str | Context:
    path, n_bytes, offset = reference["path"], reference["n_bytes"], reference.get("offset", 0)
    if n_bytes > TEXT_BYTES:
        _allow_mapping(offset + n_bytes)
        return Context(path, reference["sha256"], offset, n_bytes)
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(n_bytes).decode("utf-8", "replace")


def _allow_mapping(n_bytes: int) -> None:
    """Memory is counted beyond contexts: one that comes late raises the limit by its size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        soft += n_bytes
        resource.setrlimit(
            resource.RLIMIT_AS, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
        )


# ---------------------------------------------------------------------------------------------- errors of calls


class SubCallError(Exception):
    """A call that failed. Falsy, so that in the list of a batch it is not taken for a result.

    `kind`: how it ended (error, invalid, timeout, denied, budget; not_run: it was never made). `retryable`: the same
    call may work later. `partial`: what a recursive call had so far, None where it had nothing.
    """

    def __init__(
        self,
        message: str = "",
        kind: str = "error",
        retryable: bool = False,
        hint: str = "",
        partial: Any = None,
    ) -> None:
        super().__init__(message)
        self.kind, self.retryable, self.hint, self.partial = kind, retryable, hint, partial

    def __bool__(self) -> bool:
        return False


class SkillError(SubCallError):
    """A call of a skill that failed."""


def _error_of(fields: Frame) -> SubCallError:
    kind = SkillError if fields.get("type") == "SkillError" else SubCallError
    return kind(fields.pop("message"), **{key: value for key, value in fields.items() if key != "type"})


# ---------------------------------------------------------------------------------------------- large texts


class Context:
    """A large text in a file, mapped into memory and never copied whole. Much like a `str`, but counted in bytes.

    `len`, indices, `find` and `chunks` count UTF-8 bytes; a cut inside a character moves to the character's start,
    so that pieces put together again are the text. `text[a:b]`, `lines()`, `chunks(n)` and `grep(...)` give `str`;
    `slice(a, b)` gives a smaller Context of the same file, which can be passed to calls without copying.
    """

    def __init__(self, path: str, sha256: str = "", offset: int = 0, n_bytes: int | None = None) -> None:
        self._path, self._sha256 = path, sha256
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        self._start = min(offset, size)
        self._stop = size if n_bytes is None else min(offset + n_bytes, size)

    def slice(self, start: int = 0, stop: int | None = None) -> Context:
        """A part of it, as a Context; nothing is copied."""
        part = Context.__new__(Context)
        part._path, part._sha256, part._map = self._path, self._sha256, self._map
        part._start, part._stop = self._range(start, stop)
        return part

    def reference(self) -> Frame:
        """What stands for it in a frame."""
        return {"$text": {"sha256": self._sha256, "offset": self._start, "n_bytes": len(self)}}

    def find(self, sub: str, start: int = 0, stop: int | None = None) -> int:
        """Offset of the first `sub` in bytes, or -1."""
        start, stop = self._range(start, stop)
        return max(-1, self._map.find(_utf8(sub), start, stop) - self._start)

    def rfind(self, sub: str, start: int = 0, stop: int | None = None) -> int:
        """Offset of the last `sub` in bytes, or -1."""
        start, stop = self._range(start, stop)
        return max(-1, self._map.rfind(_utf8(sub), start, stop) - self._start)

    def count(self, sub: str) -> int:
        """How often `sub` stands in it, without overlaps."""
        if not sub:
            raise ValueError("count needs something to look for")
        data, n_found, at = _utf8(sub), 0, self._start
        if any(data.startswith(data[cut:]) for cut in range(1, len(data))):
            # It can overlap itself, so where a block ends decides what is counted: one by one.
            while (at := self._map.find(data, at, self._stop)) >= 0:
                n_found, at = n_found + 1, at + len(data)
            return n_found
        while at < self._stop:
            # Blocks share what may hold the beginning of one that ends in the next.
            end = min(at + BLOCK_BYTES, self._stop)
            n_found += self._map[at : min(end + len(data) - 1, self._stop)].count(data)
            at = end
        return n_found

    def startswith(self, prefix: str) -> bool:
        """Whether it begins so."""
        data = _utf8(prefix)
        return len(data) <= len(self) and self._map[self._start : self._start + len(data)] == data

    def endswith(self, suffix: str) -> bool:
        """Whether it ends so."""
        data = _utf8(suffix)
        return len(data) <= len(self) and self._map[self._stop - len(data) : self._stop] == data

    def lines(self) -> Iterator[str]:
        r"""Each line without its `\n`, one after the other."""
        at = self._start
        while at < self._stop:
            end = self._map.find(b"\n", at, self._stop)
            end = self._stop if end < 0 else end
            yield self._text(at, end)
            at = end + 1

    def chunks(self, n_bytes: int) -> Iterator[str]:
        """Pieces of at most so many bytes (at least one character); together they are the text."""
        if n_bytes < 1:
            raise ValueError(f"chunks need a size of 1 or more, not {n_bytes}")
        at = self._start
        while at < self._stop:
            end = self._boundary(min(at + n_bytes, self._stop))
            end = end if end > at else self._after(at)
            yield self._text(at, end)
            at = end

    def grep(self, pattern: str | re.Pattern[str], limit: int = 100, flags: int = 0) -> list[tuple[int, str]]:
        """`(line number, line)` of the first lines in which the regular expression is found, `limit` at most.

        A match over several lines counts for its first line.
        """
        search = re.compile(pattern, flags | re.MULTILINE) if isinstance(pattern, str) else pattern
        found: list[tuple[int, str]] = []
        number, at = 1, self._start
        while at < self._stop and len(found) < limit:
            end = self._line_end(min(at + BLOCK_BYTES, self._stop))
            block = self._text(at, end)
            found += _matching_lines(search, block, number, limit - len(found))
            number, at = number + block.count("\n"), end
        return found

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice):
            at = index if index >= 0 else len(self) + index
            if not 0 <= at < len(self):
                raise IndexError(f"index {index} is outside a Context of {len(self):,} bytes")
            at = self._boundary(self._start + at)
            return self._text(at, self._after(at))
        if index.step not in (None, 1):
            raise ValueError("a Context has no steps; take a part, as context[a:b][::2]")
        return self._text(*self._range(index.start, index.stop))

    def __contains__(self, sub: str) -> bool:
        return self._map.find(_utf8(sub), self._start, self._stop) >= 0

    def __iter__(self) -> Iterator[str]:
        return self.lines()

    def __str__(self) -> str:
        return self._text(self._start, self._stop)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            data = _utf8(other)
            return len(data) == len(self) and self._map[self._start : self._stop] == data
        if isinstance(other, Context):
            return (self._path, self._start, self._stop) == (other._path, other._start, other._stop)
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self._path, self._start, self._stop))

    def __repr__(self) -> str:
        begin = self._text(self._start, self._boundary(min(self._start + 60, self._stop)))
        return f"<Context of {len(self):,} bytes: {begin!r}...>"

    def __getattr__(self, name: str) -> Any:
        advice = f": take a part of it as str, as context[a:b].{name}(...)" if hasattr(str, name) else ""
        raise AttributeError(f"a Context has no `{name}`{advice}")

    def _text(self, start: int, stop: int) -> str:
        if stop - start > TEXT_BYTES:
            raise ValueError(
                f"{stop - start:,} bytes are too many for one str; use lines(), chunks(n), grep(...), context[a:b], "
                "or slice(a, b) to pass a part on"
            )
        return self._map[start:stop].decode("utf-8", "replace")

    def _range(self, start: int, stop: int | None) -> tuple[int, int]:
        start, stop, _ = slice(start, stop).indices(len(self))
        start = self._boundary(self._start + start)
        return start, max(start, self._boundary(self._start + stop))

    def _boundary(self, at: int) -> int:
        """The start of the character that the byte belongs to."""
        lowest = max(self._start, at - 3)
        while lowest < at < self._stop and 0x80 <= self._map[at] < 0xC0:
            at -= 1
        return at

    def _after(self, at: int) -> int:
        """The start of the next character."""
        at, furthest = at + 1, min(at + 4, self._stop)
        while at < furthest and 0x80 <= self._map[at] < 0xC0:
            at += 1
        return at

    def _line_end(self, at: int) -> int:
        found = self._map.find(b"\n", at, self._stop)
        return self._stop if found < 0 else found + 1


def _utf8(text: str) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"a Context is searched for str, not {type(text).__name__}")
    return text.encode("utf-8", "surrogatepass")


def _matching_lines(search: re.Pattern[str], block: str, number: int, limit: int) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    at = 0
    while len(found) < limit:
        match = search.search(block, at)
        if match is None or (match.start() == len(block) and block.endswith("\n")):
            break
        begin = block.rfind("\n", 0, match.start()) + 1
        end = block.find("\n", match.start())
        end = len(block) if end < 0 else end
        number += block.count("\n", at, begin)
        found.append((number, block[begin:end]))
        number, at = number + 1, end + 1
        if at >= len(block):
            break
    return found


# ---------------------------------------------------------------------------------------------- output


class Capture:
    """What a request prints: head and tail in memory, all of it in a file when it is long. Threads may write.

    A flood costs no more than `SPILL_BYTES` of disk and two halves of memory.
    """

    def __init__(self, scratch: str, deadline: Deadline) -> None:
        self._scratch = scratch
        self._held = deadline
        self._lock = threading.RLock()
        self._raw = os.open(
            os.path.join(scratch, OUTPUT_FILE),
            os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW,
            0o600,
        )
        self._raw = _moved_high(self._raw)
        self._null = _moved_high(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        self.begin("output")

    def begin(self, name: str) -> None:
        """Forget what was printed so far, and take descriptors 0, 1 and 2 and Python's streams again."""
        with self._lock:
            self._name = f"{name}.txt"
            self._head, self._tail = "", ""
            self._n_chars = 0
            self._file: IO[str] | None = None
            self._path: str | None = None
            self._room = SPILL_BYTES
        for fd, file in enumerate((self._null, self._raw, self._raw)):
            os.dup2(file, fd)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  (open as long as the process)
        sys.stdout, sys.stderr = _printed(self, 1), _printed(self, 2)

    def write(self, text: str) -> None:
        """Take some text."""
        with self._held, self._lock:
            before = self._head + self._tail if self._n_chars <= 2 * HALF_CHARS else ""
            self._n_chars += len(text)
            if self._n_chars > 2 * HALF_CHARS:
                self._spill(before + text if self._path is None else text)
            room = HALF_CHARS - len(self._head)
            if room > 0:
                self._head, text = self._head + text[:room], text[room:]
            if text:
                self._tail = (
                    (self._tail + text)[-HALF_CHARS:] if len(text) < HALF_CHARS else text[-HALF_CHARS:]
                )

    def end(self) -> Frame:
        """The `output` of a done frame: what was printed since `begin`."""
        self._take_raw()
        with self._held, self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
            if self._path is not None and self._room < 0:
                note = f"\n[the file holds the first {SPILL_BYTES >> 20} MiB only]\n"
                self._tail, self._n_chars = self._tail + note, self._n_chars + len(note)
            return {"head": self._head, "tail": self._tail, "n_chars": self._n_chars, "path": self._path}

    def _spill(self, text: str) -> None:
        if self._room < 0:
            return
        try:
            if self._path is None:
                self._path = os.path.join(self._scratch, self._name)
                self._file = open(self._path, "w", encoding="utf-8", errors="backslashreplace", newline="")  # noqa: SIM115
            if self._file is not None:
                self._file.write(text[: self._room])
            self._room -= len(text)
        except OSError:  # no room on the disk, or a limit: head and tail are still there
            self._room = -1

    def _take_raw(self) -> None:
        """Take what went to descriptors 1 and 2 without Python: written by programs and C code."""
        size = os.fstat(self._raw).st_size
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for at in range(0, min(size, SPILL_BYTES), 1 << 20):
            self.write(decoder.decode(os.pread(self._raw, 1 << 20, at)))
        if size > SPILL_BYTES:
            end = os.pread(self._raw, HALF_CHARS, size - HALF_CHARS).decode("utf-8", "replace")
            self.write(f"\n[... {size - SPILL_BYTES - HALF_CHARS:,} bytes left out ...]\n{end}")
        os.ftruncate(self._raw, 0)


class _PrintedBytes(io.RawIOBase):
    def __init__(self, capture: Capture, fd: int) -> None:
        super().__init__()
        self._capture, self._fd = capture, fd

    def write(self, data: Any) -> int:
        self._capture.write(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:  # a program that gets it prints into the same file, and is shown after the rest
        return self._fd


def _printed(capture: Capture, fd: int) -> io.TextIOWrapper:
    """`sys.stdout` or `sys.stderr` of a request."""
    raw: Any = _PrintedBytes(capture, fd)  # any object with a buffer's methods will do
    return io.TextIOWrapper(raw, "utf-8", "backslashreplace", newline="", write_through=True)


def show(value: Any, capture: Capture) -> None:
    """Print a cell's last value as an interpreter would, long containers over several lines."""
    text = repr(value)
    if LINE_WIDTH < len(text) <= PRETTY_CHARS and isinstance(value, (list, tuple, dict, set, frozenset)):
        import pprint  # here: where no zygote has it loaded it costs milliseconds

        if not pprint.isrecursive(value):
            text = pprint.pformat(value, width=LINE_WIDTH, compact=True, sort_dicts=False)
    for at in range(0, len(text), 1 << 20):  # in pieces: each is copied several times
        capture.write(text[at : at + (1 << 20)])
    capture.write("\n")


# ---------------------------------------------------------------------------------------------- failures


def failure_of(error: BaseException, grants: Grants, own: str = CELLS, place: str = "") -> Frame:
    """The `failure` of a done frame, with the frames of the author's own code only.

    `own`: how the file names of that code begin. `place`: the file that `line` is of; else the innermost of its own.
    Never raises, whatever the exception's `__str__` does.
    """
    told = traceback.TracebackException(type(error), error, error.__traceback__)
    line = _only_own(told, own, place or own)
    is_syntax = isinstance(error, SyntaxError) and line is None
    text = "".join(told.format_exception_only() if is_syntax else told.format())
    if len(text) > TRACEBACK_CHARS:
        text = f"{text[: TRACEBACK_CHARS // 2]}\n[...]\n{text[-TRACEBACK_CHARS // 2 :]}"
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001  (the author's __str__ may raise anything)
        message = "<its message can't be shown: str() of it raised>"
    return {
        "type": type(error).__name__,
        "message": message[:SHOWN_CHARS],
        "traceback": text,
        "line": getattr(error, "lineno", None) if is_syntax else line,
        "hint": _hint(error, grants),
    }


def _only_own(told: traceback.TracebackException, own: str, place: str) -> int | None:
    """Leave only the author's frames in a traceback and what it was caused by; the line where `place` raised it."""
    line, seen = None, set()
    todo: list[traceback.TracebackException | None] = [told]
    while todo:
        part = todo.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        mine = [frame for frame in part.stack if frame.filename.startswith(own)]
        part.stack[:] = mine or [frame for frame in part.stack if frame.filename != __file__]
        if part is told:
            line = next((frame.lineno for frame in reversed(mine) if frame.filename.startswith(place)), None)
        todo += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]
    return line


def _hint(error: BaseException | None, grants: Grants) -> str:
    if isinstance(error, SubCallError):
        return str(error.hint or "")
    if isinstance(error, SystemExit):
        return "exit() ends the cell, not the REPL; give the answer with FINAL(value)"
    if isinstance(error, MemoryError):
        return f"a worker may use {grants.memory_bytes / (1 << 30):.1f} GiB beyond its context: work in smaller parts"
    if isinstance(error, CellTimeout):
        return "what was bound before it stays; do less at once, or allow more time (`cell_timeout_s`, `timeout_s`)"
    seen = 0
    while error is not None and seen < 10:
        wrapped = getattr(error, "reason", None)
        refused = wrapped if isinstance(wrapped, OSError) else error
        if isinstance(refused, PermissionError):
            return grants.hint(refused)
        error, seen = error.__cause__ or error.__context__, seen + 1
    return ""


class Grants:
    """What this worker may touch, for hints only: it is the kernel that says no."""

    def __init__(self, start: Frame) -> None:
        self._granted = start["grants"]
        self.memory_bytes = start["limits"]["memory_bytes"]
        self.confined = False

    def hint(self, error: OSError) -> str:
        """What to write into a workflow or manifest so that it is allowed next time."""
        if not self.confined:
            return ""
        if error.errno == errno.EACCES and isinstance(error.filename, (str, bytes)):
            return self._path_hint(os.path.abspath(os.fsdecode(error.filename)))
        where = _innermost_module(error)
        if where in ("subprocess", "os", "multiprocessing", "pty") and not self._granted["processes"]:
            return "no programs may be started here; a skill's scripts may: name the program in `requires: {bins: [...]}`"
        if where in ("socket", "ssl", "asyncio", "http", "urllib") and not self._granted["network"]:
            return 'no network here; grant it with `permissions: {network: ["<host>"]}`'
        return "a confined worker can't start programs, open sockets, signal others, or change rights and times of files"

    def _path_hint(self, path: str) -> str:
        if path.startswith(("/proc/", "/sys/", "/dev/")):
            return "a confined worker sees nothing of the machine and its other processes"
        inside_read = any(_inside(path, folder) for key in ("read", "write") for folder in self._granted[key])
        key = "write" if inside_read or _readable(path) or not os.path.lexists(path) else "read"
        return f"`{path}` is not granted; grant it with `permissions: {{{key}: [{json.dumps(path)}]}}`"


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _readable(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _innermost_module(error: BaseException) -> str:
    """Name of the top-level module whose Python code asked for what was refused."""
    name, place = "", error.__traceback__
    while place is not None:
        name = place.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        place = place.tb_next
    return name


# ---------------------------------------------------------------------------------------------- what code may call


class Calls:
    """The calls that cells and skills' functions make, as the functions and objects that they see."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.call = channel.call
        self.memory = Memory(channel.call)
        self.budget = Budget(channel.call)

    def llm_query(self, prompt: Any, model: str | None = None, schema: Any = None) -> Any:
        """The reply of a plain model to a prompt; with a JSON Schema, the JSON value that it answers."""
        return self.call("llm_query", {"prompt": prompt, "model": model, "schema": schema})

    def llm_query_batched(self, prompts: Iterable[Any], model: str | None = None, schema: Any = None) -> Any:
        """Replies to all prompts, in order, asked side by side; a failed one is an error object, which is falsy."""
        return self.call("llm_query_batched", {"prompts": list(prompts), "model": model, "schema": schema})

    def rlm_query(
        self, prompt: Any, context: Any = None, model: str | None = None, schema: Any = None
    ) -> Any:
        """The answer of a recursive call, which has a REPL of its own with `context` in it."""
        return self.call(
            "rlm_query", {"prompt": prompt, "context": context, "model": model, "schema": schema}
        )

    def rlm_query_batched(
        self,
        prompts: Iterable[Any],
        contexts: Iterable[Any] | None = None,
        model: str | None = None,
        schema: Any = None,
    ) -> Any:
        """Answers of recursive calls, in order, made side by side; a failed one is an error object, which is falsy."""
        contexts = None if contexts is None else list(contexts)
        arguments = {"prompts": list(prompts), "contexts": contexts, "model": model, "schema": schema}
        return self.call("rlm_query_batched", arguments)

    def approve(self, prompt: Any, items: Any = None) -> Any:
        """Ask a person; True when they agree."""
        return self.call("approve", {"prompt": prompt, "items": items})

    def log(self, text: object) -> None:
        """Write a line into the run's journal."""
        self._channel.note("log", {"text": str(text)})


class Memory:
    """The workspace's notes."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def search(self, query: str, limit: int = 10) -> Any:
        """Notes that fit the words."""
        return self._call("memory_search", {"query": query, "limit": limit})

    def read(self, path: str) -> Any:
        """Text of a note."""
        return self._call("memory_read", {"path": path})

    def write(self, path: str, text: str, append: bool = False) -> Any:
        """Write a note, or add to it; the workflow's `remember` says which notes may be written."""
        return self._call("memory_write", {"path": path, "text": text, "append": append})

    def __repr__(self) -> str:
        return "<memory: search(query, limit=10), read(path), write(path, text, append=False)>"


class Budget:
    """What is left of the run's budget, asked anew at each look: `budget.tokens`, `budget["usd"]`, `dict(budget)`."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def keys(self) -> Iterable[str]:
        """Names of the limits."""
        return self._left().keys()

    def __getitem__(self, name: str) -> Any:
        return self._left()[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        left = self._left()
        if name not in left:
            raise AttributeError(f"the budget has no `{name}`{_closest(name, left)}")
        return left[name]

    def __repr__(self) -> str:
        return f"<budget left: {self._left()}>"

    def _left(self) -> Frame:
        left: Frame = self._call("budget", {})
        return left


class Skills:
    """The skills that may be called: `skills.word_count(...)`, `skills["word-count"]`, `list(skills)`."""

    def __init__(self, table: list[Frame], call: Call) -> None:
        self._skills = {entry["name"]: Skill(entry, call) for entry in table}
        self._attributes = {entry["attribute"]: self._skills[entry["name"]] for entry in table}

    def __getattr__(self, name: str) -> Any:
        found = None if name.startswith("__") else self._attributes.get(name)
        if found is None:
            raise AttributeError(f"there is no skill `{name}`{_closest(name, self._attributes)}")
        return found

    def __getitem__(self, name: str) -> Any:
        found = self._skills.get(name) or self._attributes.get(name)
        if found is None:
            raise KeyError(f"there is no skill `{name}`{_closest(name, self._skills)}")
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._skills or name in self._attributes

    def __iter__(self) -> Iterator[str]:
        return iter(self._skills)

    def __len__(self) -> int:
        return len(self._skills)

    def __dir__(self) -> list[str]:
        return sorted(name for name in self._attributes if name.isidentifier())

    def __repr__(self) -> str:
        lines = [f"  {skill.name}: {_first_line(skill.description)}" for skill in self._skills.values()]
        return "\n".join([f"<{len(lines)} skills>", *lines])


class SkillFunction:
    """One function of a skill, or the skill itself as a function where the name is None."""

    def __init__(self, skill: str, name: str | None, entry: Frame, call: Call) -> None:
        self._asked = {"skill": skill, "function": name}
        self._call = call
        self._shown = entry.get("signature", name)
        self._description = entry.get("description", "")
        if name is not None:
            self.__name__, self.__doc__ = name, f"{self._shown}\n\n{self._description}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it. A skill without code is run by a model, with a task as text."""
        return self._call("skill", {**self._asked, "args": list(args), "kwargs": kwargs})

    def map(self, items: Any) -> Any:
        """Results for each dict of arguments, in order, made side by side; a failed one is an error object."""
        return self._call("skill_map", {**self._asked, "items": _items(items)})

    def __repr__(self) -> str:
        return f"<{self._asked['skill']}.{self._shown}: {_first_line(self._description)}>"


class Skill(SkillFunction):
    """One skill: call it or one of its functions, read its files, run its scripts."""

    def __init__(self, entry: Frame, call: Call) -> None:
        super().__init__(entry["name"], None, entry, call)
        self.name, self.description = entry["name"], entry.get("description", "")
        self._functions, self._default = entry.get("functions") or {}, entry.get("default")
        self._scripts = entry.get("scripts") or {}
        self.scripts = sorted(self._scripts)

    def doc(self) -> Any:
        """Its instructions: the body of SKILL.md."""
        return self._call("skill_doc", {"skill": self.name})

    def files(self) -> Any:
        """Paths of its files."""
        return self._call("skill_files", {"skill": self.name})

    def read(self, path: str) -> Any:
        """Text of one of its files."""
        return self._call("skill_read", {"skill": self.name, "path": str(path)})

    def run(self, script: str, *argv: Any, **options: Any) -> Any:
        """Run one of its scripts: the JSON value that it prints, else its text. Keywords become options."""
        words = [str(word) for word in argv]
        asked = {"skill": self.name, "script": str(script), "argv": words, "options": options}
        return self._call("skill_run", asked)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self._functions:
            close = _closest(name, self._functions)
            raise AttributeError(f"skill `{self.name}` has no function `{name}`{close}")
        return SkillFunction(self.name, name, self._functions[name], self._call)

    def __dir__(self) -> list[str]:
        return sorted([*self._functions, "doc", "files", "map", "name", "read", "run", "scripts"])

    def __repr__(self) -> str:
        lines = [f"<skill {self.name}: {_first_line(self.description)}>"]
        for name, function in self._functions.items():
            mark = " (default)" if name == self._default else ""
            about = _first_line(function.get("description"))
            lines.append(f"  .{function.get('signature', name)}{mark}: {about}")
        for path, script in self._scripts.items():
            about = _first_line(script.get("signature") or script.get("description"))
            lines.append(f"  .run({path!r}, ...): {about}")
        return "\n".join(lines)


def _items(items: Iterable[Any]) -> list[Frame]:
    listed = list(items)
    for number, item in enumerate(listed):
        if not isinstance(item, dict):
            raise TypeError(f"map takes a list of dicts of arguments; [{number}] is {type(item).__name__}")
    return listed


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _closest(name: str, known: Iterable[str]) -> str:
    import difflib  # here: only a mistake needs it, and where no zygote has it loaded it costs milliseconds

    close = difflib.get_close_matches(str(name), list(known), n=1)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known: {', '.join(sorted(known)[:20])}" if known else "; there are none"


# ---------------------------------------------------------------------------------------------- material in pieces


def pieces(value: Any, n_bytes: int) -> list[str]:
    """The texts in a value, packed into pieces of about so many bytes of UTF-8, for prompts.

    A dict's texts are labelled with their keys, a list's with their places; small ones share a piece, long ones are
    cut, at the end of a line where one is near. Nothing is left out.
    """
    if n_bytes < 1:
        raise ValueError(f"pieces need a size of 1 or more, not {n_bytes}")
    packed: list[list[str]] = []
    room = 0
    for text in _labelled(value, n_bytes):
        size = _size(text) + 2
        if size > room or not packed:
            packed.append([])
            room = n_bytes + 2
        packed[-1].append(text)
        room -= size
    return ["\n\n".join(texts) for texts in packed] or [""]


def _labelled(value: Any, n_bytes: int) -> Iterator[str]:
    if isinstance(value, (str, Context)):
        yield from _cuts(value, n_bytes)
        return
    if isinstance(value, dict):
        named: Iterable[tuple[str, Any]] = ((str(key), part) for key, part in value.items())
    elif isinstance(value, (list, tuple)):
        named = ((f"[{number}]", part) for number, part in enumerate(value))
    else:
        named = [("value", value)]
    for name, part in named:
        is_text = isinstance(part, (str, Context))
        text = part if is_text else json.dumps(part, ensure_ascii=False, default=str)
        room = max(n_bytes - _size(name) - 30, n_bytes // 2, 1)
        for number, cut in enumerate(_cuts(text, room), 1):
            more = f" (part {number})" if _size(text) > room else ""
            yield f"=== {name}{more} ===\n{cut}"


def _cuts(text: Any, size: int) -> Iterator[str]:
    """Parts of at most so many bytes (or one character) that together are the text."""
    data: Any = text if isinstance(text, Context) else _utf8(text)
    at, end = 0, len(data)
    while at < end:
        cut = data[at : at + size] if isinstance(data, Context) else _decoded(data, at, at + size)
        if not cut:  # a character is longer than the size
            cut = data[at : at + 4][:1] if isinstance(data, Context) else _decoded(data, at, at + 4)[:1]
        if at + size < end:
            line_end = cut.rfind("\n") + 1
            cut = cut[:line_end] if line_end > len(cut) // 2 else cut
        yield cut
        at += _size(cut)


def _decoded(data: bytes, start: int, stop: int) -> str:
    """The whole characters that begin at `start` and end before `stop`."""
    while start < stop < len(data) and 0x80 <= data[stop] < 0xC0:
        stop -= 1
    return data[start:stop].decode("utf-8", "surrogatepass")


def _size(text: Any) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if isinstance(text, Context) or text.isascii() else len(_utf8(text))


# ---------------------------------------------------------------------------------------------- the REPL


class _Text(str):
    """A text that is shown as itself when it is a cell's last value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str.__str__(self)


class Repl:
    """The namespace that cells run in: a real module named `__main__`.

    Before each cell the names of the protocol and the given variables are bound again to what they were, so that
    `context = ...` or `llm_query = 3` in a cell costs that cell only. Everything else stays as cells left it.
    """

    def __init__(self, calls: Calls, skills: Skills, variables: Frame) -> None:
        self.module = types.ModuleType("__main__")
        self.names = self.module.__dict__
        self.names["__builtins__"] = builtins
        self._variables = {"context": None, "inputs": {}, "history": [], **variables}
        self._answer = {"content": "", "ready": False}
        self.final: list[Any] = []  # the last value given to FINAL by the running cell, or nothing
        self._protocol = {
            "skills": skills,
            "memory": calls.memory,
            "budget": calls.budget,
            "SkillError": SkillError,
            "SubCallError": SubCallError,
            "FINAL": self._take_final,
            "FINAL_VAR": self._take_final_variable,
            "SHOW_VARS": self._show_variables,
            "pieces": pieces,
        }
        for name in ("llm_query", "llm_query_batched", "rlm_query", "rlm_query_batched", "approve", "log"):
            self._protocol[name] = getattr(calls, name)
        sys.modules["__main__"] = self.module

    def restore(self, variables: Frame | None = None) -> None:
        """Bind the names of the protocol and the given variables again; `variables` replace some of them for good."""
        self.final = []
        self._variables.update(variables or {})
        if type(self.names.get("answer")) is dict:
            self._answer = self.names["answer"]
        self.names.update(self._variables)
        self.names.update(self._protocol)
        self.names["answer"] = self._answer

    def run(self, name: str, source: str, capture: Capture) -> None:
        """Run a cell statement by statement; the value of a last expression is printed."""
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        for code, is_shown in _statements(name, source):
            value = eval(code, self.names)  # noqa: S307  (running a cell is what a worker is for)
            if is_shown and value is not None:
                show(value, capture)

    def answer(self, failed: bool) -> Frame:
        """`answered`, `answer` and `partial` of the cell that ran. Raises TypeError for what is no JSON value."""
        state = self.names.get("answer")
        state = state if isinstance(state, dict) else self._answer
        if failed:
            state["ready"] = False  # a cell that raised gives no answer, now or later
        elif self.final:
            return {"answered": True, "answer": self.final[0], "partial": None}
        elif state.get("ready"):
            try:
                return {"answered": True, "answer": json_value(state.get("content")), "partial": None}
            except TypeError as error:
                state["ready"] = False
                raise TypeError(f'answer["content"] is no JSON value: {error}') from None
        return {"answered": False, "answer": None, "partial": _partial(state.get("content"))}

    def _take_final(self, value: Any) -> None:
        """Give the answer. It counts when the cell ends without an error."""
        try:
            self.final = [json_value(value)]
        except TypeError as error:
            raise TypeError(f"FINAL takes a JSON value: {error}") from None

    def _take_final_variable(self, name: Any) -> None:
        """Give the value of the variable with this name as the answer."""
        if not isinstance(name, str):
            raise TypeError(
                'FINAL_VAR takes the name of a variable, as FINAL_VAR("x"); FINAL(value) takes a value'
            )
        name = name.strip()
        if name not in self.names:
            raise NameError(f"FINAL_VAR: there is no variable `{name}`{_closest(name, self._own())}")
        self._take_final(self.names[name])

    def _show_variables(self) -> str:
        """The variables there are, with type and size: never their content."""
        lines = [
            f"{name}: {_described(self.names[name])}" for name in (*self._variables, "answer", *self._own())
        ]
        return _Text("\n".join(lines))

    def _own(self) -> list[str]:
        given = {*self._protocol, *self._variables, "answer"}
        return [name for name in self.names if name not in given and not name.startswith("_")]


def _statements(name: str, source: str) -> list[tuple[types.CodeType, bool]]:
    """Code of each statement of a cell, and whether its value is shown. All are compiled before the first is run."""
    tree = ast.parse(source, name)
    flags = 0
    compiled = []
    for number, statement in enumerate(tree.body):
        is_last = number == len(tree.body) - 1
        is_shown = False
        part: ast.Expression | ast.Module = ast.Module([statement], [])
        if is_last and isinstance(statement, ast.Expr):
            part, is_shown = ast.Expression(statement.value), True
        code = compile(part, name, "eval" if is_shown else "exec", flags=flags, dont_inherit=True)
        flags |= code.co_flags & _FUTURE_FLAGS
        compiled.append((code, is_shown))
    return compiled


_FUTURE_FLAGS = (
    0x1FE0000  # CO_FUTURE_* of CPython 3.9 to 3.13: `from __future__` holds for the rest of its cell
)


def _partial(content: Any) -> Any:
    if content is None or (isinstance(content, str) and not content):
        return None
    try:
        return json_value(content)
    except TypeError:
        return None


def _described(value: Any) -> str:
    kind = type(value).__name__
    if not isinstance(value, (str, bytes, list, tuple, dict, set, frozenset, Context)):
        return kind
    unit = {"str": "characters", "bytes": "bytes", "Context": "bytes"}.get(kind, "items")
    return f"{kind} of {len(value):,} {unit}"


# ---------------------------------------------------------------------------------------------- surroundings


_HANDLED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGPIPE,
    signal.SIGCHLD,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


class Surroundings:
    """What code finds around it, as it was when this was made: each call of a warm worker finds what the first found.

    Folder, variables, arguments, import path, umask, signals, locale, depth of recursion; the streams are Capture's.
    Not what modules hold in themselves, and not what threads do that go on.
    """

    def __init__(self) -> None:
        self._cwd = os.getcwd()
        self._environ, self._variables = os.environ, dict(os.environ)
        self._argv, self._path = list(sys.argv), list(sys.path)
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._handlers = [(number, signal.getsignal(number)) for number in _HANDLED]
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._locale = locale.setlocale(locale.LC_ALL)
        self._depth = sys.getrecursionlimit()

    def restore(self) -> None:
        """Put it back. What is dear to set is compared first: this takes microseconds."""
        os.umask(self._umask)
        with contextlib.suppress(OSError):  # somebody may have removed it
            os.chdir(self._cwd)
        if os.environ is not self._environ or dict(os.environ) != self._variables:
            os.environ = self._environ  # noqa: B003  (the object itself, which `os.getenv` and others hold)
            os.environ.clear()
            os.environ.update(self._variables)
            time.tzset()
        sys.argv, sys.path = list(self._argv), list(self._path)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        for number, handler in self._handlers:
            if signal.getsignal(number) != handler:
                signal.signal(number, handler)
        if locale.setlocale(locale.LC_ALL) != self._locale:
            locale.setlocale(locale.LC_ALL, self._locale)
        if sys.getrecursionlimit() != self._depth:
            sys.setrecursionlimit(self._depth)


# ---------------------------------------------------------------------------------------------- skills' functions


_OF_CONTEXT = ("memory", "log", "llm_query", "llm_query_batched", "rlm_query", "rlm_query_batched")


def _context(calls: Calls, skills: Skills) -> types.SimpleNamespace:
    """What a function whose first parameter is named `ctx` gets."""
    return types.SimpleNamespace(skills=skills, **{name: getattr(calls, name) for name in _OF_CONTEXT})


class Functions:
    """Functions of files, loaded once and kept."""

    def __init__(self, found: Surroundings) -> None:
        self._found = found
        # With what a file's import set: its author counts on that in each call, and the next file does not.
        self._loaded: dict[str, tuple[types.ModuleType, Surroundings]] = {}

    def get(self, file: str, folder: str, name: str) -> Callable[..., Any]:
        """The function, and its surroundings put back.

        Raises AttributeError when the file has none, and whatever importing the file raises.
        """
        if file in self._loaded:
            self._loaded[file][1].restore()
        else:
            self._found.restore()
            self._loaded[file] = (_load(file, folder), Surroundings())
        names = vars(self._loaded[file][0])
        if name not in names:
            known = [key for key, value in names.items() if callable(value) and key[:1] != "_"]
            place = os.path.basename(file)
            raise AttributeError(f"`{place}` has no function `{name}`{_closest(name, known)}")
        function: Callable[..., Any] = names[name]
        return function


class _FromSource(machinery.SourceFileLoader):
    """Compiles what can be read.

    A `.pyc` in `__pycache__` is no part of a skill's version, nobody reads it, and it may say to be loaded whatever
    the source says (PEP 552, "unchecked").
    """

    def path_stats(self, path: Any) -> Any:
        """Raises OSError: then the loader looks for no compiled form."""
        raise OSError(errno.ENOENT, "a skill's source is compiled", path)


def _in_folder(folder: str, path: str) -> machinery.FileFinder:
    """A finder of what lies in a skill's folder, for `sys.path_hooks`."""
    if not os.path.isdir(path) or (path != folder and not path.startswith(folder + os.sep)):
        raise ImportError(path)
    native = (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES)
    return machinery.FileFinder(path, native, (_FromSource, machinery.SOURCE_SUFFIXES))


def _load(file: str, folder: str) -> types.ModuleType:
    sys.path_hooks.insert(0, partial(_in_folder, folder))
    sys.path_importer_cache.pop(folder, None)
    sys.path.insert(0, folder)
    name = f"skill_{re.sub(r'[^0-9A-Za-z_]', '_', os.path.basename(file)[:-3])}"
    spec = importlib_util.spec_from_file_location(name, file, loader=_FromSource(name, file))
    if not file.endswith(".py") or spec is None or spec.loader is None:
        raise ImportError(f"`{file}` is no Python file")
    module = importlib_util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _applied(function: Callable[..., Any], context: Any, arguments: Frame) -> Any:
    """The function's result, awaited when it is a coroutine."""
    import inspect  # here: a worker of cells never needs it, and it costs milliseconds where no zygote has it loaded

    first = next(iter(inspect.signature(function).parameters), None)
    value = function(context, **arguments) if first == "ctx" else function(**arguments)
    if inspect.isawaitable(value):
        import asyncio

        async def awaited() -> Any:
            return await value

        value = asyncio.run(awaited())
    return value


# ---------------------------------------------------------------------------------------------- repeats


class Repeats:
    """What comes out the same when a request is made again: identifiers, from a seed, and readings of the clock.

    The worker makes one. The first request that is to repeat replaces functions of the standard library; they stay
    replaced, and do what the real ones do outside such requests, in processes that a cell forks, and past `READINGS`
    readings. Any thread may call them. Those that stand for C functions are bound methods: a Python function would
    bind to an instance of a class that holds it, as `logging.Formatter` holds `time.localtime`.

    Not covered: `random.Random()` and `random.seed()` without a seed, and with the first the names of `tempfile`;
    `os.getrandom`, `time.clock_gettime`, times of files; which of several threads gets which reading or identifier.
    """

    def __init__(self, readings: list[int]) -> None:
        self.reads = False  # whether readings of the clock are given again and recorded
        self._readings = readings
        self._given: deque[int] = deque()
        self._room = iter(range(0))  # for readings that are recorded
        self._is_installed = False
        self._key: bytes | None = None  # what identifiers are made from, while a request is to repeat
        self._blocks = count()

    def begin(self, repeat: Frame) -> None:
        """From here on a request runs that is to repeat."""
        import hashlib  # here: a worker whose requests need not repeat is spared it, and uuid

        if not self._is_installed:
            self._is_installed = True
            self._install()
        self._blocks = count()
        self._key = hashlib.sha256(repeat["seed"].encode("utf-8", "surrogatepass")).digest()
        self._readings.clear()
        self._given = deque(repeat["clock"])
        self._room = iter(range(READINGS - len(self._given)))
        self.reads = True

    def end(self) -> None:
        """The request is over; what was read and not told goes with its `done`."""
        self._key, self.reads = None, False

    def reading(self) -> int:
        """The time in ns, while `reads`: the next that is given, and then the real one. No lock: each step is atomic."""
        try:
            return self._given.popleft()
        except IndexError:
            now = _time_ns()
        if next(self._room, None) is None:
            self.reads = False
        else:
            self._readings.append(now)
        return now

    def time(self) -> float:
        """Stands for `time.time`."""
        return self.reading() / 1e9 if self.reads else _time()

    def time_ns(self) -> int:
        """Stands for `time.time_ns`."""
        return self.reading() if self.reads else _time_ns()

    def localtime(self, seconds: float | None = None) -> struct_time:
        """Stands for `time.localtime`."""
        return _localtime(self._moment(seconds))

    def gmtime(self, seconds: float | None = None) -> struct_time:
        """Stands for `time.gmtime`."""
        return _gmtime(self._moment(seconds))

    def ctime(self, seconds: float | None = None) -> str:
        """Stands for `time.ctime`."""
        return _ctime(self._moment(seconds))

    def asctime(self, *moment: Any) -> str:
        """Stands for `time.asctime`."""
        return _asctime(*(moment or (self.localtime(),)))

    def strftime(self, layout: str, *moment: Any) -> str:
        """Stands for `time.strftime`."""
        return _strftime(layout, *(moment or (self.localtime(),)))

    def _moment(self, seconds: float | None) -> float | None:
        return self.reading() // 10**9 if seconds is None and self.reads else seconds

    def urandom(self, size: int) -> bytes:
        """Stands for `os.urandom`: SHA-256 in counter mode. Each call begins a block, so that threads need no lock."""
        key = self._key
        if key is None or size < 0:
            return _urandom(size)
        import hashlib

        blocks = [
            hashlib.sha256(key + next(self._blocks).to_bytes(8, "big")).digest()
            for _ in range((size + 31) // 32)
        ]
        return b"".join(blocks)[:size]

    def uuid1(self, node: int | None = None, clock_seq: int | None = None) -> Any:
        """Stands for `uuid.uuid1`; its time is none."""
        import uuid

        if self._key is None:
            return self._real_uuid1(node, clock_seq)
        drawn = uuid.UUID(bytes=self.urandom(16))
        clock_seq = drawn.clock_seq if clock_seq is None else clock_seq
        if node is None:
            node = drawn.node | 1 << 40  # the bit says that it is no address: RFC 9562, section 6.10
        time_low, time_mid, time_high = drawn.fields[:3]
        fields = (time_low, time_mid, time_high, clock_seq >> 8 & 0x3F, clock_seq & 0xFF, node)
        return uuid.UUID(fields=fields, version=1)

    def _install(self) -> None:
        import logging  # noqa: F401  (it reads the clock when it is imported, and a zygote has it imported or not)
        import uuid

        os.register_at_fork(after_in_child=self.end)
        self._real_uuid1 = uuid.uuid1
        stand_ins: list[tuple[Any, str, Callable[..., Any]]] = [
            (os, "urandom", self.urandom),
            (random, "_urandom", self.urandom),  # of SystemRandom, and with it of `secrets`
            (uuid, "uuid1", self.uuid1),
        ]
        names = ("time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime")
        stand_ins += [(time, name, getattr(self, name)) for name in names]
        for module, name, stand_in in stand_ins:
            setattr(module, name, stand_in)
        _replace_dates(self)


class _StandIn(type):
    """Type of a class that stands for the one in its `_real`: what it makes, and what it takes for its own, is of that.

    So instances are real ones, wherever they come from, and nothing that is made of them differs. The two are equal,
    as keys of a table too, but not identical: `type(x) is datetime` does not hold. Classes that are derived from it are
    themselves.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return type.__call__(_meant(cls), *args, **kwargs)

    def __instancecheck__(cls, value: Any) -> bool:
        return type.__instancecheck__(_meant(cls), value)

    def __subclasscheck__(cls, other: type) -> bool:
        return type.__subclasscheck__(_meant(cls), other)

    def __eq__(cls, other: object) -> bool:
        return isinstance(other, type) and _meant(cls) is _meant(other)

    def __hash__(cls) -> int:
        return type.__hash__(_meant(cls))


def _meant(cls: type) -> type:
    real: type = vars(cls).get("_real", cls)
    return real


def _replace_dates(repeats: Repeats) -> None:
    """Put classes that read the clock of `repeats` in the place of `datetime.datetime` and `datetime.date`.

    They are of C, whose methods can't be replaced.
    """
    import copyreg
    import datetime

    real_now = datetime.datetime.now

    class Datetime(datetime.datetime, metaclass=_StandIn):
        __slots__ = ()

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            if not repeats.reads:
                return real_now(tz) if cls is Datetime else super().now(tz)
            seconds, ns = divmod(repeats.reading(), 10**9)
            return cls.fromtimestamp(seconds, tz).replace(microsecond=ns // 1000)

        @classmethod
        def today(cls) -> Any:
            return cls.now()

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now(datetime.timezone.utc).replace(tzinfo=None)  # noqa: UP017  (Python 3.9 has no `UTC`)

    class Date(datetime.date, metaclass=_StandIn):
        __slots__ = ()

        @classmethod
        def today(cls) -> Any:
            return cls.fromtimestamp(repeats.time_ns() // 10**9)

    real: Any
    stand_in: Any
    for real, stand_in in ((datetime.datetime, Datetime), (datetime.date, Date)):
        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(stand_in, name, getattr(real, name))
        stand_in._real = real
        # By default a pickle names the class of an instance, and fails where that name means another.
        copyreg.pickle(real, partial(_reduced, stand_in))
        setattr(datetime, real.__name__, stand_in)


def _reduced(stand_in: type, value: Any) -> tuple[Any, ...]:
    return (stand_in, *value.__reduce_ex__(4)[1:])


# ---------------------------------------------------------------------------------------------- the worker


class Worker:
    """Serves one stream until it ends."""

    def __init__(
        self,
        channel: Channel,
        deadline: Deadline,
        capture: Capture,
        grants: Grants,
        limit_memory: Callable[[], None],
    ) -> None:
        self._channel, self._deadline = channel, deadline
        self._capture, self._grants = capture, grants
        self._limit_memory: Callable[[], None] | None = limit_memory
        self._repeats = Repeats(channel.readings)
        self._calls = Calls(channel)
        self._found = Surroundings()
        self._functions = Functions(self._found)
        self._skills = Skills([], channel.call)
        self._repl = Repl(self._calls, self._skills, {})
        self._ballast: mmap.mmap | None = None  # memory to let go when there is none left

    def serve(self) -> None:
        """Answer requests for ever. The process ends when the stream does."""
        kinds = {
            "init": self._init,
            "cell": self._cell,
            "function": self._function,
            "script": self._script,
            "expression": self._expression,
        }
        while True:
            request = self._channel.request()
            if request["kind"] != "init" and self._limit_memory is not None:
                # After `init`, so that the context that came with it is beyond the limit, as promised.
                self._limit_memory()
                self._limit_memory = None
            with contextlib.suppress(OSError):  # untouched, so it costs address space only
                self._ballast = self._ballast or mmap.mmap(-1, BALLAST_BYTES, flags=BALLAST_FLAGS)
            if "repeat" in request:
                self._repeats.begin(request["repeat"])
            done = kinds[request["kind"]](request)
            self._repeats.end()
            self._send(request["id"], done)

    def _send(self, number: int, done: Frame) -> None:
        frame = {"kind": "done", "id": number, **done}
        try:
            self._channel.send(frame)
        except (MemoryError, OSError, ValueError) as error:  # too large for memory, disk, or a frame
            nothing = {"value": None, "answered": False, "answer": None, "partial": None}
            self._channel.send({**frame, **nothing, "failure": failure_of(error, self._grants)})

    def _init(self, request: Frame) -> Frame:
        try:
            if request.get("seed") is not None:
                random.seed(request["seed"])
            self._skills = Skills(request.get("skills") or [], self._channel.call)
            self._repl = Repl(self._calls, self._skills, request.get("variables") or {})
            failure = None
        except Exception as error:  # noqa: BLE001  (a table or variables of a wrong shape are the parent's to hear of)
            failure = failure_of(error, self._grants, __file__)
        return {"failure": failure}

    def _cell(self, request: Frame) -> Frame:
        name = f"<cell {request['number']}>"
        self._capture.begin(f"cell-{request['number']}")
        self._repl.restore(request.get("variables"))
        self._channel.place = name
        run = lambda: self._repl.run(name, request["source"], self._capture)  # noqa: E731
        failure = self._guarded(request, CELLS, run, place=name)
        self._channel.place = ""
        try:
            answer = self._repl.answer(failed=failure is not None)
        except TypeError as error:
            failure = failure_of(error, self._grants)
            failure["traceback"] = ""
            answer = {"answered": False, "answer": None, "partial": None}
        return {"output": self._capture.end(), "failure": failure, **answer}

    def _function(self, request: Frame) -> Frame:
        folder = request["folder"]
        self._capture.begin("output")
        result, loaded = [], []

        def work() -> None:
            function = self._functions.get(request["file"], folder, request["name"])
            loaded.append(function)
            value = _applied(function, _context(self._calls, self._skills), request["arguments"])
            try:
                result.append(json_value(value))
            except TypeError as error:
                raise TypeError(f"`{request['name']}` returned what is no JSON value: {error}") from None

        failure = self._guarded(request, folder, work)
        value = result[0] if result else None
        return {"output": self._capture.end(), "failure": failure, "value": value, "loaded": bool(loaded)}

    def _expression(self, request: Frame) -> Frame:
        self._capture.begin("output")
        done = {"value": None, "shown": "", "truth": False}

        def work() -> None:
            self._found.restore()
            names = {"__builtins__": builtins, "__name__": "__main__", **request["names"]}
            code = compile(request["source"].strip(), f"{CELLS}expression>", "eval", dont_inherit=True)
            value = eval(code, names)  # noqa: S307  (the author's, like a cell's)
            shown = repr(value)
            shown = shown if len(shown) <= SHOWN_CHARS else shown[: SHOWN_CHARS - 3] + "..."
            done.update(shown=shown, truth=bool(value))
            try:
                done["value"] = json_value(value)
            except TypeError:
                done["value"] = None

        return {"failure": self._guarded(request, CELLS, work), **done}

    def _script(self, request: Frame) -> Frame:
        done: Frame = {"returncode": 127, "stdout": "", "stderr": "", "truncated": False, "late": False}
        self._capture.begin("output")

        def work() -> None:
            self._found.restore()
            done.update(_program_ran(request, self._channel.scratch))

        failure = self._guarded(request, CELLS, work)
        if failure is not None:
            hint = f"\nhint: {failure['hint']}" if failure["hint"] else ""
            done["stderr"] = f"`{request['argv'][0]}` could not be started: {failure['message']}{hint}"
            done["late"] = failure["type"] == "CellTimeout"  # it was killed, and so is this worker now
        return done

    def _guarded(self, request: Frame, own: str, work: Callable[[], None], place: str = "") -> Frame | None:
        """Run somebody's code under its deadline: None, or the failure. Nothing that it raises gets past this."""
        try:
            try:
                self._deadline.arm(request["timeout_s"])
                work()
            finally:
                self._deadline.disarm()
        except MemoryError as error:
            if self._ballast is not None:
                self._ballast.close()  # room to tell of it
            self._ballast = None
            return failure_of(error, self._grants, own, place)
        except BaseException as error:  # noqa: BLE001  (SystemExit too: a cell may raise anything, and is told of it)
            return failure_of(error, self._grants, own, place)
        return None


def _program_ran(request: Frame, scratch: str) -> Frame:
    """Exit code and output of a program. Its output goes to files: nobody waits for what it left in the background.

    It stays in the worker's process group, which is what gets killed with all it started when it is late.
    """
    import subprocess  # here: they cost milliseconds where no zygote has them loaded
    import tempfile

    def file() -> IO[bytes]:
        return tempfile.TemporaryFile(dir=scratch)

    with file() as stdin, file() as stdout, file() as stderr:
        stdin.write((request["stdin"] or "").encode("utf-8", "surrogatepass"))
        stdin.seek(0)
        environ = {**os.environ, **request["env"]}
        ran = subprocess.run(
            request["argv"], stdin=stdin, stdout=stdout, stderr=stderr, cwd=request["cwd"], env=environ, check=False
        )  # fmt: skip
        size = stdout.seek(0, os.SEEK_END)
        stdout.seek(0)
        stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - 4 * STDERR_CHARS))
        return {
            "returncode": ran.returncode,
            "stdout": stdout.read(STDOUT_BYTES).decode("utf-8", "replace"),
            "stderr": stderr.read(4 * STDERR_CHARS).decode("utf-8", "replace")[-STDERR_CHARS:],
            "truncated": size > STDOUT_BYTES,
        }


# ---------------------------------------------------------------------------------------------- start


def serve(read_fd: int, write_fd: int, confine: Callable[[Frame], None] | None = None) -> None:
    """Serve a stream until it ends; never returns.

    `confine(start)` is called once everything is prepared and before anything of a user is seen. When it raises,
    the worker says so and ends.
    """
    read_fd, write_fd = _moved_high(read_fd), _moved_high(write_fd)
    deadline = Deadline()
    channel = Channel(read_fd, write_fd, deadline)
    start = channel.request()
    channel.scratch = start["scratch"]
    grants = Grants(start)
    try:
        capture = _prepare(start, deadline)
        limit_memory = _limits(start)
        if confine is None:
            _die_with_parent()
        else:
            confine(start)
            grants.confined = True
            _soften_copies()
    except (OSError, ValueError) as error:
        channel.send({"kind": "fault", "reason": str(error)})
        os._exit(1)
    python = ".".join(map(str, sys.version_info[:3]))
    channel.send({"kind": "hello", "v": VERSION, "python": python, "pid": os.getpid()})
    Worker(channel, deadline, capture, grants, limit_memory).serve()


def _prepare(start: Frame, deadline: Deadline) -> Capture:
    """Environment variables, working directory, streams: what a user's code finds."""
    os.environ.clear()
    os.environ.update(start["env"])
    time.tzset()
    os.umask(0o077)
    os.chdir(start["cwd"])
    capture = Capture(start["scratch"], deadline)
    sys.argv = [""]
    sys.dont_write_bytecode = True  # a skill's folder stays as its author made it
    # A program that kills its own process group, as `timeout` does, must not end the worker with it. A handler
    # and not SIG_IGN, because programs would inherit that.
    signal.signal(signal.SIGTERM, lambda *_: None)
    builtins.input = _no_input
    return capture


def _no_input(_: object = "") -> str:
    raise RuntimeError("input() has nobody to ask here; use approve(prompt), or an input of the workflow")


def _limits(start: Frame) -> Callable[[], None]:
    """Set the limits that hold from the start; what is returned sets the limit of memory."""
    limits, many = start["limits"], start["grants"]["processes"]
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, 4096)
    _lower(resource.RLIMIT_FSIZE, limits["written_bytes"])
    if not sys.platform.startswith("linux"):
        return lambda: _lower(resource.RLIMIT_DATA, limits["memory_bytes"])
    if many:
        _lower(resource.RLIMIT_NPROC, _n_tasks() + limits["n_processes"])
    # Opened now: a confined worker can't later.
    sizes = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    sizes = _moved_high(sizes)

    def limit_memory() -> None:
        pages = os.pread(sizes, 200, 0).split()
        os.close(sizes)
        page_bytes = resource.getpagesize()
        _lower(resource.RLIMIT_DATA, int(pages[5]) * page_bytes + limits["memory_bytes"])
        if not many:
            # Programs such as node reserve far more addresses than they use; they get the limit on data only.
            # The hard limit stays, so that a Context which comes with a later reply can be mapped.
            mapped = int(pages[0]) * page_bytes + limits["memory_bytes"]
            resource.setrlimit(resource.RLIMIT_AS, (mapped, resource.getrlimit(resource.RLIMIT_AS)[1]))

    return limit_memory


def _lower(which: int, limit: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(which, (limit, limit))


def _n_tasks() -> int:
    """Tasks of the whole machine: RLIMIT_NPROC counts those of the user, who has no more than these."""
    with open("/proc/loadavg") as file:
        return int(file.read().split()[3].partition("/")[2])


def _moved_high(fd: int) -> int:
    """The same file under a high number, not inherited by programs."""
    import fcntl

    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
    os.close(fd)
    return moved


def _die_with_parent() -> None:
    """Be killed when the thread that started this process ends. Linux only; elsewhere the stream's end has to do."""
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


def _soften_copies() -> None:
    """Let `shutil.copy` and its kin leave rights and times as they are, instead of failing after the copy is made."""
    import shutil

    def tolerant(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(PermissionError):
            function(*args, **kwargs)

    for name in ("copymode", "copystat"):
        setattr(shutil, name, partial(tolerant, getattr(shutil, name)))


def main() -> None:
    """Serve standard input and output."""
    sys.modules["orchestrate_worker"] = sys.modules[__name__]  # `__main__` is going to be the user's
    serve(os.dup(0), os.dup(1))


if __name__ == "__main__":
    main()
