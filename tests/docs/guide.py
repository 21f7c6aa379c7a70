"""A guide as a test sees it: the files that it has its reader write and the commands it has its reader type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)
NEEDS = re.compile(r"^<!-- needs: (\S+) -->$", re.MULTILINE)
EXIT = re.compile(r"\[exit (\d+)\]$")


@dataclass(frozen=True)
class File:
    """A block with `file=PATH` behind its language."""

    path: str
    text: str


@dataclass(frozen=True)
class Command:
    """A line of a `console` block that begins with `$ `, and what is shown below it; `...` stands for anything."""

    line: str
    shown: str
    exit_code: int = 0


def steps(guide: Path) -> list[File | Command]:
    """Files and commands in the order of the text."""
    found: list[File | Command] = []
    for block in FENCE.finditer(guide.read_text(encoding="utf-8")):
        info, text = block["info"].split(), block["text"]
        named = [word.removeprefix("file=") for word in info if word.startswith("file=")]
        if named:
            found.append(File(named[0], text))
        elif info[:1] == ["console"]:
            found += _commands(text)
    return found


def needed(guide: Path) -> str | None:
    """The environment that a guide is about, where not every machine has it: it is skipped where that is missing."""
    found = NEEDS.search(guide.read_text(encoding="utf-8"))
    return found[1] if found else None


def fits(shown: str, printed: str) -> bool:
    """Whether what was printed is what the guide shows."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def _commands(text: str) -> list[Command]:
    commands = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        ended = EXIT.search(shown.strip())
        code = int(ended[1]) if ended else 0
        commands.append(Command(line, EXIT.sub("", shown.strip()), code))
    return commands
