"""What a file of another tool says of skills: which shape it has, uses with their times, counts without, what was skipped.

A file is only read. It may be being written: a last line without its end is left for the next time. Nothing of it goes on
but names of skills, times, how a use ended, how long it took, and digests of ids.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError
from orchestrator.memory import foreign
from orchestrator.memory.importing import events, transcripts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.memory.tallies import Imported

SHAPES = {
    "transcript": "a transcript of Claude Code (`~/.claude/projects/**/*.jsonl`)",
    "top_skills": '{"top_skills": [{"name", "uses"}], "underutilized": [...]}',
    "skills": '{"skills": {name: {"times_used", "successes", "failures", "last_used"}}}',
    "events": '{"generatedAt", "events": [{"skill", "timestamp"}]}',
    "by name": '{name: {"used", "lastUsed", "outcomes"}}, or {name: [{"timestamp", "success"}]}',
    "lines": 'a line for each use: {"skill", "timestamp", "success"}',
}
"""The shapes that are known, by the name that a report gives them."""

MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
_N_FIRST = 20
"""Of so many first lines of a file one has to be of a shape that is told by lines."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """What of a file was not taken; `place` is a line's number, or where in a document, as `events[3]`."""

    place: str
    why: str


@dataclass(slots=True)
class Reading:
    """What one file said. `uses` are fields of usage records, each with `at`, `run` and `call`."""

    shape: str
    uses: list[dict[str, Any]] = field(default_factory=list)
    tallies: Mapping[str, Imported] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)


def read(path: Path) -> Reading:
    """What a file says of skills. Raises UsageError where it can't be read or has no shape that is known."""
    if path.exists() and not path.is_file():  # of a pipe nothing may ever come, and of a device no end
        raise UsageError(
            "is no file", hint="name files, not folders; what a program prints has to be put in one first"
        )
    try:
        with path.open("rb") as file:
            first = [line for _, line in zip(range(_N_FIRST), file, strict=False)]
            file.seek(0)
            if any(transcripts.is_line(_value(line)) for line in first):
                return _from_transcript(file)
            if any(events.is_use(_value(line)) for line in first):
                return _from_lines(file)
            value = _document(path, first)
            if value is not None:
                return _from_document(value)
    except OSError as error:
        raise UsageError(
            f"can't be read: {error.strerror or error}", hint="name files, not folders"
        ) from error
    raise UsageError(
        "has no shape that is known",
        hint="these are: " + "; ".join(SHAPES.values()),
    )


def _from_transcript(lines: Iterator[bytes]) -> Reading:
    found = Reading("transcript")
    reader = transcripts.Reader()
    for number, line in _whole(lines, found):
        if reader.concerns(line):
            value = _value(line)
            if value is None:
                found.skipped.append(Skipped(str(number), "it is no JSON object"))
            else:
                reader.take(number, value)
    found.uses = reader.uses
    found.skipped += [Skipped(str(number), why) for number, why in reader.left()]
    return found


def _from_lines(lines: Iterator[bytes]) -> Reading:
    found = Reading("lines")
    made = events.Maker()
    for number, line in _whole(lines, found):
        if not line.strip():
            continue
        value = _value(line)
        if value is None:
            found.skipped.append(Skipped(str(number), "it is no JSON object"))
        else:
            _make(made, found, str(number), foreign.name_of(value), value)
    return found


def _from_document(value: dict[str, Any]) -> Reading:
    found = Reading(foreign.shape(value) or "")
    made = events.Maker()
    for place, name, entry in foreign.happened(value):
        _make(made, found, place, name, entry)
    found.tallies = {}
    for name, tally in foreign.tallied(value).items():
        if events.is_name(name):
            found.tallies[name] = tally
        else:
            found.skipped.append(Skipped(found.shape, "a name that is none of a skill"))
    return found


def _make(made: events.Maker, found: Reading, place: str, name: str | None, entry: Any) -> None:
    use, why = made.use(name, entry)
    if use is None:
        found.skipped.append(Skipped(place, why))
    else:
        found.uses.append(use)


def _whole(lines: Iterator[bytes], found: Reading) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, 1):
        if line.endswith(b"\n") or _value(line) is not None:
            yield number, line
        elif line.strip():
            found.skipped.append(Skipped(str(number), "it is not whole; its writer may still be at it"))


def _document(path: Path, first: list[bytes]) -> dict[str, Any] | None:
    """The object that the whole file is, where it has the shape of a document."""
    one_line = [line for line in first if line.strip()]
    if len(one_line) > 1 and _value(one_line[0]) is not None:
        return None  # a line for each use
    if path.stat().st_size > MAX_DOCUMENT_BYTES:
        return None
    value = _value(path.read_bytes())
    return value if value is not None and foreign.shape(value) else None


def _value(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
