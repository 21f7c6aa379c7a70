"""A text cut into pieces that keep their place: `text[piece.start:piece.end]` is the piece, and nothing is lost.

Pieces follow each other without a gap, so that joining them gives the text again. As a program:
`python text_split.py FILE --by headings` prints JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_BLANK_LINES = re.compile(r"(?:\r\n|\r|\n)(?:[ \t]*(?:\r\n|\r|\n))+")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
# Where a cut hurts least, best first: between paragraphs, lines, sentences, words.
_BREAKS = (_BLANK_LINES, re.compile(r"\r\n|\r|\n"), re.compile(r"[.!?][\"')\]]*\s"), re.compile(r"\s"))

Cut = tuple[int, int, str, int]
"""Start, end, title and level of a piece; level 0 has no heading."""


def split(
    text: str | None = None,
    path: str | None = None,
    by: str = "headings",
    size: int = 4000,
    with_text: bool = True,
) -> dict[str, Any]:
    """The pieces of a text or a file, in order.

    `by` is `headings`, `paragraphs`, `lines` or `size`. `size` is the longest piece in characters; by `lines` it is
    the number of lines in each. Headings and paragraphs longer than that are cut again at the best place inside.
    Raises ValueError unless there is exactly one of `text` and `path`.
    """
    if (text is None) == (path is None):
        raise ValueError("give either `text` or `path`")
    if size < 1:
        raise ValueError(f"`size` is {size}; at least 1 is needed")
    whole = text if text is not None else read_text(Path(path or ""))
    pieces = [
        {
            "start": start,
            "end": end,
            "title": title,
            "level": level,
            **({"text": whole[start:end]} if with_text else {}),
        }
        for start, end, title, level in cuts(whole, by, size)
    ]
    return {"pieces": pieces, "n_pieces": len(pieces), "n_chars": len(whole)}


def cuts(text: str, by: str, size: int) -> Iterator[Cut]:
    """Where the text is cut; every character belongs to exactly one piece."""
    ways: dict[str, Callable[[], Iterator[Cut]]] = {
        "headings": lambda: _bounded(text, _by_headings(text), size),
        "paragraphs": lambda: _bounded(text, _by_paragraphs(text), size),
        "lines": lambda: _by_lines(text, size),
        "size": lambda: _bounded(text, iter([(0, len(text), "", 0)] if text else []), size),
    }
    if by not in ways:
        raise ValueError(f"`by` is `{by}`; it takes {', '.join(ways)}")
    return ways[by]()


def read_text(path: Path) -> str:
    """The file as text with its line ends kept; bytes that are no UTF-8 become the replacement character."""
    return path.read_bytes().decode("utf-8", errors="replace")


def main(arguments: list[str] | None = None) -> int:
    """The program: 0 with the pieces as JSON, 2 for a file that can't be read."""
    parser = argparse.ArgumentParser(description="Cut a text into pieces that keep their offsets.")
    parser.add_argument("path", help="the file to cut")
    parser.add_argument("--by", choices=["headings", "paragraphs", "lines", "size"], default="headings")
    parser.add_argument(
        "--size", type=int, default=4000, help="longest piece in characters; lines in each by lines"
    )
    parser.add_argument("--offsets-only", action="store_true", help="leave the texts of the pieces out")
    options = parser.parse_args(arguments)
    try:
        result = split(
            path=options.path, by=options.by, size=options.size, with_text=not options.offsets_only
        )
    except (OSError, ValueError) as error:
        print(f"text_split: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=2, ensure_ascii=False))
    return 0


def _by_headings(text: str) -> Iterator[Cut]:
    """Cut before each Markdown heading (`#` to `######`) that is not in a code block."""
    begin, title, level, fence = 0, "", 0, ""
    for start, line in _lines(text):
        mark = _FENCE.match(line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) and not line[mark.end() :].strip() else fence
        elif mark:
            fence = mark[1]
        elif heading := _HEADING.match(line):
            if start > begin:
                yield begin, start, title, level
            begin, title, level = start, heading[2] or "", len(heading[1])
    if begin < len(text):
        yield begin, len(text), title, level


def _by_paragraphs(text: str) -> Iterator[Cut]:
    begin = 0
    for gap in _BLANK_LINES.finditer(text):
        yield begin, gap.end(), "", 0
        begin = gap.end()
    if begin < len(text):
        yield begin, len(text), "", 0


def _by_lines(text: str, n_lines: int) -> Iterator[Cut]:
    begin = end = 0
    for number, line in enumerate(_LINE.finditer(text), 1):
        end = line.end()
        if number % n_lines == 0:
            yield begin, end, "", 0
            begin = end
    if begin < end:
        yield begin, end, "", 0


def _bounded(text: str, pieces: Iterator[Cut], size: int) -> Iterator[Cut]:
    """The pieces, those longer than `size` cut again; each part keeps the title."""
    for start, end, title, level in pieces:
        while end - start > size:
            middle = _best_cut(text, start, start + size)
            yield start, middle, title, level
            start = middle
        yield start, end, title, level


def _best_cut(text: str, start: int, latest: int) -> int:
    """The last good place to cut in the second half of the range, else its end."""
    earliest = start + (latest - start) // 2
    for pattern in _BREAKS:
        ends = (match.end() for match in pattern.finditer(text, earliest, latest))
        places = [end for end in ends if end > start and not _is_inside_line_end(text, end)]
        if places:
            return places[-1]
    return latest - 1 if _is_inside_line_end(text, latest) and latest - 1 > start else latest


def _is_inside_line_end(text: str, place: int) -> bool:
    # A cut there would make two line ends of one.
    return text[place - 1] == "\r" and text[place : place + 1] == "\n"


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((match.start(), match[0].rstrip("\r\n")) for match in _LINE.finditer(text))


if __name__ == "__main__":
    sys.exit(main())
