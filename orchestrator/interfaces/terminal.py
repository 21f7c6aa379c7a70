"""Text for people: made safe for a terminal, fitted to its width, measured in its cells."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import termios
import unicodedata
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What moves a cursor, sets a title, hides text or turns its direction. Newline and tab stay; so do joiners,
# which scripts and emoji need. Surrogates are here because no stream can write them.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """The text with control characters written out, so that they do nothing."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def one_line(text: str, width: int) -> str:
    """The text, cleaned, on one line of at most `width` cells; `…` stands for what was left out."""
    # What lies far behind the cut is never looked at: an observation may have megabytes.
    flat = clean(" ".join(text[: 8 * max(width, 1)].split()))
    if len(text) <= 8 * max(width, 1) and n_cells(flat) <= width:
        return flat
    room, kept = max(width, 1) - 1, 0
    for end, char in enumerate(flat):
        kept += _char_cells(char)
        if kept > room:
            return flat[:end].rstrip() + "…"
    return flat + "…"


def n_cells(text: str) -> int:
    """How many columns a terminal needs for the text."""
    return len(text) if text.isascii() else sum(map(_char_cells, text))


def columns(stream: TextIO | None = None) -> int:
    """Columns of the terminal behind `stream` (stderr unless given), at least 40; 80 where there is none."""
    if os.environ.get("COLUMNS", "").isdigit():
        return max(40, int(os.environ["COLUMNS"]))
    try:
        return max(40, os.get_terminal_size((stream or sys.stderr).fileno()).columns)
    except (OSError, ValueError):
        return max(40, shutil.get_terminal_size((80, 24)).columns)


def somebody_is_there() -> bool:
    """Whether a person sees what we ask and can type an answer."""
    return is_terminal(sys.stderr) and sys.stdin.isatty()


def put(question: str) -> None:
    """Show a question. What was typed before it was seen is no answer to it, and is thrown away."""
    sys.stderr.flush()
    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    sys.stderr.write(question)
    sys.stderr.flush()


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream leads to a terminal that understands more than lines."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def coloured(stream: TextIO) -> bool:
    """Whether colour may be written to the stream: a terminal, and no wish against it (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def say(text: str = "") -> None:
    """Write one line of what is not the answer: to stderr."""
    sys.stderr.write(text + "\n")


def show(text: str) -> None:
    """Write one line of the answer: to stdout."""
    sys.stdout.write(text + "\n")


def hush() -> None:
    """Send what is still to be written to stdout nowhere: its reader is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def lose_what_stderr_refuses() -> None:
    """Make stderr a stream that never fails: what it can't take is dropped, and the run goes on."""
    ours = sys.__stderr__
    if ours is None:  # it was closed when this process began
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - it is open until this process ends
    elif sys.stderr is ours:
        buffered = io.BufferedWriter(_Heedless(ours.fileno(), "wb", closefd=False))
        sys.stderr = io.TextIOWrapper(buffered, ours.encoding, "backslashreplace", line_buffering=True)


class _Heedless(io.FileIO):
    """A file whose writes always succeed, although what is written may go nowhere."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:  # full, or its reader is gone
            return len(data)


def as_json(value: Any) -> str:
    """Indented JSON; what JSON has no form for stands as its text."""
    import json  # here: help and errors print none

    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def plural(n: int, noun: str) -> str:
    """A count with its noun, as `1 call` or `1,204 calls`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def duration(seconds: float | None) -> str:
    """A time as a person reads it, as `43 ms`, `1.2 s`, `3 min 05 s`; empty for None."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def money(usd: float) -> str:
    """Dollars as a person reads them, as `$0.0312` or `$4.97`; empty for nothing."""
    if usd <= 0:
        return ""
    return f"${usd:.2f}" if usd >= 1 else f"${usd:.4f}" if usd >= 0.00005 else "<$0.0001"


def many(n: float) -> str:
    """A count as a person reads it, as `950`, `34,210` or `1.97 M`."""
    return f"{n:,.0f}" if n < 1_000_000 else f"{n / 1_000_000:.2f} M"


def size(n_bytes: int) -> str:
    """A size as a person reads it, as `12.3 kB`."""
    amount, unit = float(n_bytes), "bytes"
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{n_bytes:,} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Sequence[int] = (),
    width: int | None = None,
) -> list[str]:
    """Lines of an aligned table. The last column is shortened to fit `width`; the others are kept whole.

    `right` numbers the columns whose text stands at the right.
    """
    cleaned = [[clean(cell).replace("\n", " ") for cell in row] for row in [header, *rows]]
    widths = [max(map(n_cells, column)) for column in zip(*cleaned, strict=True)]
    room = (width or columns(sys.stdout)) - sum(widths[:-1]) - 2 * (len(widths) - 1)
    widths[-1] = min(widths[-1], max(room, 12))
    lines = []
    for row in cleaned:
        cells = [*row[:-1], one_line(row[-1], widths[-1])]
        padded = [_padded(cell, widths[number], number in right) for number, cell in enumerate(cells)]
        lines.append("  ".join(padded).rstrip())
    return lines


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - n_cells(text))
    return space + text if right else text + space


def _char_cells(char: str) -> int:
    if char < "\u0300":  # before the first that combine: most of most texts
        return 1
    if unicodedata.combining(char) or char in "\u200b\u200c\u200d\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
