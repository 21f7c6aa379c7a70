"""What a rule reports: one place in one file, and why a person should look at it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["high", "medium", "low", "info"]

SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low", "info")
N_EXCERPT_CHARS = 160
N_LOOKED_AT_CHARS = 8_000


@dataclass(frozen=True)
class Finding:
    """One thing that a rule saw. `file` is relative to the skill; `line` is 1-based, 0 for the whole file."""

    rule: str
    severity: Severity
    file: str
    line: int
    excerpt: str
    why: str

    def as_json(self) -> dict[str, object]:
        """The finding as plain JSON values."""
        return asdict(self)


def lowered(severity: Severity, n_steps: int = 1) -> Severity:
    """The severity that many steps below, at least `info`."""
    return SEVERITIES[min(SEVERITIES.index(severity) + n_steps, len(SEVERITIES) - 1)]


def is_test(name: str) -> bool:
    """Whether a file is one of a skill's own tests, which make such files in folders of their own."""
    parts = name.split("/")
    return any(part in ("tests", "test", "__tests__") for part in parts[:-1]) or parts[-1].startswith("test_")


def bounded(line: str) -> str:
    """The line as patterns look at it: blanks pulled together, and cut, so that no line costs them long.

    Padding can't push a command out of sight, and what is cut is so long that it is a finding by itself.
    """
    return re.sub(r"[ \t]{2,}", " ", line)[:N_LOOKED_AT_CHARS]


def excerpt(text: str, start: int = 0) -> str:
    """The part of a line around `start`, safe to show: no invisible or control characters, `…` where cut.

    What is left is in the line in this order, so that a reader can search for it.
    """
    begin = max(0, start - N_EXCERPT_CHARS // 4) if len(text) > N_EXCERPT_CHARS else 0
    piece = text[begin : begin + N_EXCERPT_CHARS]
    shown = "".join(char for char in piece if not _is_hidden(char))
    return ("…" if begin else "") + shown.strip() + ("…" if begin + N_EXCERPT_CHARS < len(text) else "")


def _is_hidden(char: str) -> bool:
    is_selector = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    return is_selector or (char != "\t" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co"))
