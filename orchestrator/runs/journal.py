"""The append-only event log of a run: one JSON object a line, in `memory/runs/<run>/journal.jsonl`.

An event is handed to the system before what follows from it happens, so that it outlives the process; `sync`
puts it on the disk, which the run does at the end of each cell and before every `write` effect.
A value whose JSON is longer than 16 KiB goes to a file in `blobs/` named by its sha256, and the event holds
`{"$blob": sha256, "n_bytes": n}` in its place. A reader skips a last line that a killed writer left torn.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from orchestrator.errors import UsageError
from orchestrator.memory.files import workspace_error
from orchestrator.runs import shapes
from orchestrator.runs.hiding import Hiding
from orchestrator.runs.past import Past

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION = 1
INLINE_BYTES = 16 * 1024

LOOK_S = 0.2
"""How long a writer waits for those who look whether it is there."""

FILE_NAME = "journal.jsonl"

EventName = Literal[
    "run_started",
    "call_started",
    "call_finished",
    "chosen",
    "iteration",
    "reply",
    "cell_started",
    "cell_finished",
    "check",
    "request",
    "noted",
    "diverged",
    "learned",
    "suspended",
    "resumed",
    "run_finished",
    "log",  # told to listeners only, never written
    "spent",  # the same
]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a run, at one of its calls."""

    seq: int
    at: str
    run: str
    call: str
    event: EventName
    fields: dict[str, Any] = field(default_factory=dict)


class Journal:
    """The one writer of a run's log. The run makes it and closes it.

    Between calls: every event that `append` returned is with the operating system; an exclusive lock on the
    file tells other processes that the run is alive, and goes with the process however it ends.
    """

    def __init__(
        self,
        folder: Path,
        run: str,
        listen: Callable[[Event], None] | None = None,
        hiding: Hiding | None = None,
    ) -> None:
        self.folder = folder
        self.run = run
        self.hiding = hiding or Hiding()
        self._blobs = folder / "blobs"
        self._listen = listen
        self._seq = 0
        self._unsynced = False
        self._unsynced_blobs: set[Path] = set()
        self.past = Past()
        try:
            self._fd = os.open(
                folder / FILE_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise workspace_error(folder / FILE_NAME, error) from error
        self._n_bytes = os.fstat(self._fd).st_size  # nobody else writes: see the lock
        if not _locked(self._fd):
            os.close(self._fd)
            raise UsageError(
                f"run `{run}` is going on in another process",
                hint=f"`orchestrate status {run}` shows it, `orchestrate stop {run}` ends it",
            )
        try:
            self._load()
        except BaseException:
            os.close(self._fd)
            raise
        self.past.go_on()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def append(self, event: EventName, call: str, **fields: Any) -> Event:
        """Write one event. Raises WorkspaceError when the disk takes no more; what was written stays whole."""
        happened = Event(self._seq, _now(), self.run, call, event, fields)
        told = self.hiding.fields(fields)
        head = {
            "v": VERSION,
            "seq": happened.seq,
            "at": happened.at,
            "run": self.run,
            "call": call,
            "event": event,
        }
        stored = {name: self._stored(value) for name, value in told.items()}
        self._write(json.dumps(head | stored, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
        self._seq += 1
        self.past.add(happened)
        if self._listen is not None:
            self._listen(happened if told is fields else replace(happened, fields=told))
        return happened

    def _load(self) -> None:
        """Take in what the journal holds, and cut off an event that a killed writer left torn."""
        if not self._n_bytes:
            return
        path = self.folder / FILE_NAME
        for event in read_journal(path, strict=True):
            self.past.add(replace(event, fields=self.hiding.restored(event.fields)))
            self._seq = event.seq + 1
        self.past.close_count()
        data = path.read_bytes()
        begin = data.rfind(b"\n") + 1
        if begin == len(data):
            return
        if _read(data[begin:], path, 0, torn=True) is None:
            os.ftruncate(self._fd, begin)
            self._n_bytes = begin
        else:  # only its line break is missing
            self._write(b"\n")

    def tell(self, event: EventName, call: str, **fields: Any) -> None:
        """Hand an event to the listener without writing it."""
        if self._listen is not None:
            self._listen(Event(-1, _now(), self.run, call, event, self.hiding.fields(fields)))

    def blob(self, data: bytes) -> Path:
        """Keep bytes under their sha256; the same bytes are kept once."""
        path = keep_blob(self._blobs, data)
        self._unsynced_blobs.add(path)
        return path

    def sync(self) -> None:
        """Put what was appended on the disk."""
        if self._unsynced_blobs:  # first, so that no event on disk names one that is not
            for path in (*self._unsynced_blobs, self._blobs):
                _sync_file(path)
            self._unsynced_blobs.clear()
        if self._unsynced:
            os.fdatasync(self._fd) if hasattr(os, "fdatasync") else os.fsync(self._fd)
            self._unsynced = False

    def close(self) -> None:
        """Sync and let the lock go. Safe to call twice."""
        if self._fd >= 0:
            self.sync()
            os.close(self._fd)
            self._fd = -1

    def _stored(self, value: Any) -> Any:
        if isinstance(value, (bool, int, float, type(None))) or (
            isinstance(value, str) and len(value) < 4096
        ):
            return value
        text = json.dumps(value, ensure_ascii=False)
        if len(text) * 4 <= INLINE_BYTES and not _is_reference(value):
            return value
        data = text.encode("utf-8", "backslashreplace")
        if len(data) <= INLINE_BYTES and not _is_reference(value):
            return value
        return {"$blob": self.blob(data).name, "n_bytes": len(data)}

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._fd, line)
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except OSError as error:
            os.ftruncate(
                self._fd, self._n_bytes
            )  # a torn line would hide the events that a resumed run appends
            raise workspace_error(self.folder / FILE_NAME, error) from error
        self._n_bytes += len(line)
        self._unsynced = True


def _locked(fd: int) -> bool:
    """Whether the lock could be taken. Who only looks holds it for a moment: that is waited for."""
    until = time.monotonic() + LOOK_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        else:
            return True


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def keep_blob(folder: Path, data: bytes) -> Path:
    """Path of a file in `folder` that holds `data`, named by its sha256 and written if it was not there."""
    path = folder / hashlib.sha256(data).hexdigest()
    if path.exists():
        return path
    part = folder / f".{path.name}.{os.getpid()}.part"
    try:
        folder.mkdir(exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise workspace_error(path, error) from error
    return path


def read_journal(path: Path, *, strict: bool = False, only: frozenset[str] | None = None) -> Iterator[Event]:
    """Events of a journal in order, blobs filled in; `only` those of these names. A torn last line is skipped.

    Raises UsageError for a journal of a newer version or a line in the middle that is no event; `strict`, also for a
    blob that is not there.
    """
    lines = path.read_bytes().split(b"\n")
    marks = None if only is None else [f'"event": "{name}"'.encode() for name in only]
    for number, line in enumerate(lines, 1):
        if marks is not None and number > 1 and not any(mark in line[:400] for mark in marks):
            continue
        if line and (event := _read(line, path, number, torn=number == len(lines), strict=strict)):
            yield event


def event_of(line: bytes, path: Path, number: int) -> Event | None:
    """The event of one whole line of a journal, for who reads it as it grows. Raises as `read_journal` does."""
    return _read(line, path, number, torn=False)


def read_ends(path: Path) -> tuple[Event | None, Event | None]:
    """The first and the last event of a journal, None where there is none. Raises as `read_journal` does."""
    with path.open("rb") as file:
        first = file.readline()
        size = file.seek(0, os.SEEK_END)
        span = 4096
        while True:
            file.seek(max(0, size - span))
            end = file.read(span).rpartition(b"\n")[0]  # what follows the last line break is torn or nothing
            if b"\n" in end or span >= size:
                break
            span *= 4
    last = end.rpartition(b"\n")[2]
    return (
        _read(first, path, 1, torn=not first.endswith(b"\n")),
        _read(last, path, 0, torn=True) if last else None,
    )


def place_of(cell: int, line: int) -> str:
    """Where something in a run differs, to stand before it; nothing where it is in no cell (0)."""
    return (f"cell {cell}, line {line}: " if line else f"cell {cell}: ") if cell else ""


def is_alive(folder: Path) -> bool:
    """Whether a process holds the journal of this run folder open for writing."""
    try:
        fd = os.open(folder / FILE_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _read(line: bytes, path: Path, number: int, *, torn: bool, strict: bool = False) -> Event | None:
    """The event of one line; None where a line that may be torn is none."""
    try:
        record = json.loads(line)
        known = record.pop("v")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        if torn:
            return None
        raise UsageError(
            f"{path}:{number}: this line is no event", hint="the file was changed or damaged"
        ) from None
    if known != VERSION:
        raise UsageError(
            f"{path}:{number}: journal version {known}, this program reads version {VERSION}",
            hint="use a newer orchestrate",
        )
    try:
        head = {name: record.pop(name) for name in ("seq", "at", "run", "call", "event")}
    except KeyError as error:
        raise UsageError(
            f"{path}:{number}: this event has no {error}", hint="the file was changed or damaged"
        ) from None
    blobs = path.parent / "blobs"
    fields = {name: _filled(name, value, blobs, strict=strict) for name, value in record.items()}
    if flaw := shapes.flaw(head, fields):
        raise UsageError(f"{path}:{number}: this is no event: {flaw}", hint="the file was changed or damaged")
    return Event(**head, fields=fields)


def _filled(name: str, value: Any, blobs: Path, *, strict: bool) -> Any:
    if not _is_reference(value):
        return value
    path = blobs / Path(value["$blob"]).name
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        if strict:
            raise UsageError(
                f"can't read `{path}`, a value of the run: {error}",
                hint="the run's folder was changed or damaged",
            ) from None
        return shapes.stand_in(name, value)  # the rest of the event is still worth reading


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, dict) and value.keys() == {"$blob", "n_bytes"} and isinstance(value["$blob"], str)
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
