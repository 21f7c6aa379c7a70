"""Regular expressions over a tree of text files, with line numbers and the lines around each match.

Files are read line by line, so their size does not matter. As a program: `python text_search.py PATTERN PATH`
prints JSON and exits 1 when nothing matches.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, BinaryIO

SKIPPED_FOLDERS = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv"})
N_SNIFFED_BYTES = 8_192
N_PIECE_BYTES = 1 << 20  # a longer line is searched in pieces of this size
N_SHOWN_CHARS = 500


@dataclass(frozen=True)
class Query:
    """What is looked for. `limit` is the number of matching lines after which the search ends."""

    pattern: re.Pattern[str]
    n_context: int
    limit: int


@dataclass
class Match:
    """One matching line. `column` is 1-based, in characters; long lines are cut around the match."""

    path: str
    line: int
    column: int
    text: str
    before: list[str]
    after: list[str] = field(default_factory=list)


def search(
    path: str,
    pattern: str,
    globs: Sequence[str] = ("**",),
    exclude: Sequence[str] = (),
    ignore_case: bool = False,
    literal: bool = False,
    context: int = 0,
    limit: int = 200,
) -> dict[str, Any]:
    """The matching lines below `path`, in the order of file names and lines.

    `truncated` says that there are more than `limit`. Raises ValueError for a pattern that is none and
    FileNotFoundError for a path that is not there.
    """
    query = Query(_compiled(pattern, ignore_case=ignore_case, literal=literal), context, limit)
    root = Path(path)
    if not root.exists():
        raise FileNotFoundError(f"no file or folder `{path}`")
    matches: list[Match] = []
    skipped: list[dict[str, str]] = []
    n_files = 0
    truncated = False
    for file in files_below(root, globs, exclude):
        name = file.as_posix()
        try:
            with file.open("rb") as stream:
                if _is_binary(stream):
                    skipped.append({"path": name, "why": "no text"})
                    continue
                n_files += 1
                truncated = _search_file(stream, name, query, matches)
        except OSError as error:
            skipped.append({"path": name, "why": error.strerror or "can't be read"})
        if truncated:
            break
    return {
        "matches": [vars(match) for match in matches],
        "n_matches": len(matches),
        "n_files": n_files,
        "truncated": truncated,
        "skipped": skipped,
    }


def files_below(root: Path, globs: Sequence[str] = ("**",), exclude: Sequence[str] = ()) -> Iterator[Path]:
    """The files that fit a glob, sorted. A glob without `/` is compared with the name, else with the relative path.

    Links to folders are not followed, so that no search leaves the tree or runs in a circle.
    """
    if root.is_file():
        yield root
        return
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in SKIPPED_FOLDERS)
        for name in sorted(files):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if path.is_file() and fits(relative, globs) and not fits(relative, exclude):
                yield path


def fits(relative: str, globs: Sequence[str]) -> bool:
    """Whether a relative path fits one of the globs; `**` stands for any number of folders."""
    name = relative.rsplit("/", 1)[-1]
    return any(
        _glob(glob).fullmatch(relative) if "/" in glob or "**" in glob else fnmatch(name, glob)
        for glob in globs
    )


def main(arguments: list[str] | None = None) -> int:
    """The program: 0 when something matches, 1 when nothing does, 2 for a bad pattern or path."""
    parser = argparse.ArgumentParser(description="Search text files with a regular expression.")
    parser.add_argument("pattern", help="a Python regular expression")
    parser.add_argument("path", nargs="?", default=".", help="a file or folder")
    parser.add_argument("--globs", nargs="+", default=["**"], help="files to search, as '*.md' or 'docs/**'")
    parser.add_argument("--exclude", nargs="+", default=[], help="files to leave out")
    parser.add_argument("--ignore-case", action="store_true", help="upper and lower case are the same")
    parser.add_argument("--literal", action="store_true", help="the pattern is plain text")
    parser.add_argument("--context", type=int, default=0, help="lines to show before and after a match")
    parser.add_argument("--limit", type=int, default=200, help="matching lines after which the search ends")
    options = vars(parser.parse_args(arguments))
    try:
        result = search(**options)
    except (ValueError, FileNotFoundError) as error:
        print(f"text_search: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=2, ensure_ascii=False))
    return 0 if result["n_matches"] else 1


def _compiled(pattern: str, *, ignore_case: bool, literal: bool) -> re.Pattern[str]:
    try:
        return re.compile(re.escape(pattern) if literal else pattern, re.IGNORECASE if ignore_case else 0)
    except re.error as error:
        raise ValueError(f"`{pattern}` is no regular expression: {error}") from None


def _glob(glob: str) -> re.Pattern[str]:
    # `**/` may stand for no folder at all, which fnmatch can't say.
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(wild.get(part) or re.escape(part) for part in parts), re.DOTALL)


def _is_binary(stream: BinaryIO) -> bool:
    head = stream.read(N_SNIFFED_BYTES)
    stream.seek(0)
    return b"\0" in head


def _search_file(stream: BinaryIO, name: str, query: Query, matches: list[Match]) -> bool:
    """Add the file's matches; True when there is one more than the limit."""
    before: deque[str] = deque(maxlen=query.n_context)
    waiting: list[Match] = []  # matches that still lack lines after them
    for number, n_chars_before, text in _lines(stream):
        shown = _cut(text, 0)
        if n_chars_before == 0:
            for match in waiting:
                match.after.append(shown)
            waiting = [match for match in waiting if len(match.after) < query.n_context]
        is_known = bool(n_chars_before and matches and (matches[-1].path, matches[-1].line) == (name, number))
        found = None if is_known else query.pattern.search(text)
        if found:
            if len(matches) >= query.limit:
                return True
            match = Match(
                name, number, n_chars_before + found.start() + 1, _cut(text, found.start()), list(before)
            )
            matches.append(match)
            if query.n_context:
                waiting.append(match)
        if n_chars_before == 0:
            before.append(shown)
    return False


def _lines(stream: BinaryIO) -> Iterator[tuple[int, int, str]]:
    """Line number, characters of this line that came before, text without its end; long lines in pieces."""
    number, n_chars_before = 1, 0
    while piece := stream.readline(N_PIECE_BYTES):
        text = piece.decode("utf-8", errors="replace")
        yield number, n_chars_before, text.rstrip("\r\n")
        if piece.endswith(b"\n"):
            number, n_chars_before = number + 1, 0
        else:
            n_chars_before += len(text)


def _cut(text: str, start: int) -> str:
    if len(text) <= N_SHOWN_CHARS:
        return text
    begin = max(0, start - N_SHOWN_CHARS // 4)
    end = begin + N_SHOWN_CHARS
    return ("…" if begin else "") + text[begin:end] + ("…" if end < len(text) else "")


if __name__ == "__main__":
    sys.exit(main())
