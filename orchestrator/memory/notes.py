"""Notes: Markdown files under a workspace's `memory/` that cells search, read and, where granted, write.

Covered: a path can't leave `memory/` (no `..`, no absolute path, no symlink on the way), can't name a hidden file or
what is no note (runs, cache, learned strategies, reviews, anything but `.md`); a write needs a pattern of the
workflow's `remember`; a reader sees a whole note; of concurrent appends none is lost, and none to a concurrent write.
Not covered: a process that may write in `memory/` itself and exchanges a folder for a symlink at the very moment of a
write, and editors, which know nothing of the lock.
"""

from __future__ import annotations

import difflib
import glob
import json
import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import CallError
from orchestrator.memory import files
from orchestrator.memory.relevance import scores

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUFFIX = ".md"
NOT_NOTES = ("runs", "cache", "strategies", "reviews")
MAX_NOTE_BYTES = 1 << 20
MAX_NAME_BYTES = 200  # of one part of a path; leaves room for the name of its temporary file
MAX_HITS = 100
MAX_SHOWN_CHARS = 1_000
MAX_PASSAGE_LINES = 20
LOCK = "notes.lock"


class Notes:
    """The notes of one workspace, as one workflow may use them. Holds nothing open.

    `memory` need not exist. `writable` are globs relative to it: `*` stays within a folder, `**` does not.
    """

    def __init__(self, memory: Path, writable: Sequence[str] = ()) -> None:
        self.memory = memory
        self.writable = tuple(writable)

    def search(self, query: str, limit: int = 10) -> list[dict[str, Any]]:
        """Passages that share words with `query`, best first: `[{"path", "line", "text", "score"}]`.

        A passage is a run of lines without an empty one; the note's path and the passage's heading count as part of
        it. `line` is where it begins, `text` at most its first 1,000 characters, `score` as in `relevance`.
        """
        if not isinstance(query, str):
            raise _invalid(f"`query` is a text, not of type `{type(query).__name__}`")
        if type(limit) is not int or limit < 1:
            raise _invalid(f"`limit` is a whole number from 1, not `{limit!r}`")
        passages = [one for path in self._paths() for one in _passages(path, self._text(path) or "")]
        found = zip(scores(query, [passage.searched for passage in passages]), passages, strict=True)
        hits = sorted(
            (hit for hit in found if hit[0] > 0), key=lambda hit: (-hit[0], hit[1].path, hit[1].line)
        )
        return [
            {"path": one.path, "line": one.line, "text": one.text[:MAX_SHOWN_CHARS], "score": round(score, 4)}
            for score, one in hits[: min(limit, MAX_HITS)]
        ]

    def read(self, path: str) -> str:
        """The text of a note. Raises CallError where there is none, or for a path that is no note."""
        place = self._place(path)
        if not os.path.isfile(place):
            known = list(self._paths())
            close = difflib.get_close_matches(path, known, n=1)
            hint = f"did you mean `{close[0]}`?" if close else "`memory.search(words)` finds notes"
            raise CallError(f"no note `{path}` ({len(known)} known)", error_kind="no_note", hint=hint)
        text = self._text(path)
        if text is None:
            raise CallError(
                f"the note `{path}` can't be read", error_kind="unreadable", hint="look at its permissions"
            )
        n_bytes = place.stat().st_size
        if n_bytes > MAX_NOTE_BYTES:
            raise _too_long(path, n_bytes)
        return text

    def write(self, path: str, text: str, append: bool = False) -> None:
        """Put `text` in the place of a note, or add it as lines of its own; the note is made when missing.

        Raises CallError for what `remember` does not grant and for a note above 1 MiB, WorkspaceError when the
        workspace is read-only or full. Then the note is as it was.
        """
        place = self._place(path)
        self._granted(path)
        if place.is_dir() or any(os.path.isfile(parent) for parent in place.parents):
            raise _invalid(f"`{path}` names a folder, or takes a note for one")
        if not isinstance(text, str):
            raise _invalid(f"`text` is a text, not of type `{type(text).__name__}`")
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise _invalid("`text` has a lone surrogate, which no file can hold") from None
        with files.locked(self.memory / LOCK):
            if append and os.path.isfile(place):
                before = place.read_bytes()
                data = before + (b"\n" if before and not before.endswith(b"\n") else b"") + data
            if len(data) > MAX_NOTE_BYTES:
                raise _too_long(path, len(data))
            files.replace(place, data)

    def _granted(self, path: str) -> None:
        if not any(_matches(path.split("/"), pattern.split("/")) for pattern in self.writable):
            line = json.dumps([*self.writable, glob.escape(path)], ensure_ascii=False)
            raise _denied(
                f"this workflow may not write the note `{path}`",
                f"its frontmatter would grant it: `remember: {line}`",
            )

    def _place(self, path: str) -> Path:
        """Where a note lies. Raises CallError for what is no path of a note."""
        if not isinstance(path, str):
            raise _invalid(f"`path` is a text, not of type `{type(path).__name__}`")
        reason = _no_note(path)
        if reason:
            raise _denied(
                f"`{path}` is no note: {reason}",
                "notes are `.md` files below `memory/`, named as `notes/topic.md`",
            )
        place = self.memory / path
        if any(os.path.islink(one) for one in (place, *place.parents[: path.count("/")])):
            raise _denied(f"`{path}` is no note: a symlink is on the way", "use the path of the file itself")
        return place

    def _paths(self) -> Iterator[str]:
        """Every note, in the order of their paths."""
        for folder, names, file_names in os.walk(self.memory):
            below = Path(folder).relative_to(self.memory)
            names[:] = sorted(name for name in names if not _is_kept_out(below / name))
            for name in sorted(file_names):
                place = Path(folder, name)
                path = (below / name).as_posix()
                if not _no_note(path) and os.path.isfile(place) and not place.is_symlink():
                    yield path

    def _text(self, path: str) -> str | None:
        """The beginning of a note; None where it can't be read."""
        try:
            with (self.memory / path).open("rb") as file:
                return file.read(MAX_NOTE_BYTES).decode("utf-8", "replace")
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class _Passage:
    path: str
    line: int
    text: str
    heading: str

    @property
    def searched(self) -> str:
        return f"{self.path}\n{self.heading}\n{self.text}"


def _passages(path: str, text: str) -> Iterator[_Passage]:
    heading, begin, lines = "", 0, list[str]()
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if lines and (not line.strip() or line.startswith("#") or len(lines) == MAX_PASSAGE_LINES):
            yield _Passage(path, begin, "\n".join(lines), heading)
            lines = []
        if line.startswith("#"):
            heading = line
        if line.strip():
            begin = begin if lines else number
            lines.append(line)


def _no_note(path: str) -> str:
    """Why a path can't be that of a note; empty when it can."""
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or "\0" in path:
        return "a path is relative to `memory/`, with `/` between its parts"
    if any(part in ("", ".", "..") for part in parts):
        return "a path has no empty parts, no `.` and no `..`"
    if not path.isprintable() or any(len(part.encode("utf-8", "replace")) > MAX_NAME_BYTES for part in parts):
        return f"a name has printable characters, at most {MAX_NAME_BYTES} bytes"
    if _is_kept_out(Path(path)):
        return f"hidden files and {', '.join(f'`{name}/`' for name in NOT_NOTES)} are not notes"
    return "" if path.endswith(SUFFIX) else f"its name does not end in `{SUFFIX}`"


def _is_kept_out(path: Path) -> bool:
    return path.parts[0].casefold() in NOT_NOTES or any(part.startswith(".") for part in path.parts)


def _matches(parts: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[n:], pattern[1:]) for n in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _denied(message: str, hint: str) -> CallError:
    return CallError(message, kind="denied", hint=hint)


def _invalid(message: str) -> CallError:
    return CallError(f"memory: {message}", kind="invalid")


def _too_long(path: str, n_bytes: int) -> CallError:
    return CallError(
        f"the note `{path}` has {n_bytes:,} bytes; at most {MAX_NOTE_BYTES:,} are read or written",
        kind="invalid",
        hint="split it into several notes, or write files below `out/`",
    )
