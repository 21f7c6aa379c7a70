"""A guide as a test sees it: the files that it has its reader write and the commands it has its reader type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)
EXIT = re.compile(r"\[exit (\d+)\]$")
ID = re.compile(r"\b(?:\d{8}-\d{6}-[0-9a-f]{6}|[0-9a-f]{8})\b")
"""Ids of runs and of needs. They are others each time, so one that a guide shows stands for one that is printed."""


@dataclass(frozen=True)
class File:
    """A block with `file=PATH` behind its language."""

    path: str
    text: str


@dataclass(frozen=True)
class Command:
    """A line of a `console` block that begins with `$ `, and what is shown below it; `...` stands for anything, and an id for one."""

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


def fits(shown: str, printed: str, ids: dict[str, str] | None = None) -> bool:
    """Whether what was printed is what the guide shows. `ids` learns what the shown ids stand for."""
    ids = {} if ids is None else ids
    new: list[str] = []
    pattern = ""
    for part in re.split(rf"({ID.pattern}|\.\.\.)", shown.strip()):
        if part == "...":
            pattern += ".*?"
        elif part in new:
            pattern += f"(?P=id{new.index(part)})"
        elif ID.fullmatch(part) and part not in ids:
            pattern += f"(?P<id{len(new)}>{ID.pattern})"
            new.append(part)
        else:
            pattern += re.escape(ids.get(part, part))
    found = re.fullmatch(pattern, printed.strip(), re.DOTALL)
    if found is not None:
        ids.update({name: found[f"id{number}"] for number, name in enumerate(new)})
    return found is not None


def with_ids(text: str, ids: dict[str, str]) -> str:
    """The text with each id that was shown replaced by the one that it stands for."""
    return ID.sub(lambda one: ids.get(one[0], one[0]), text)


def _commands(text: str) -> list[Command]:
    commands = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        ended = EXIT.search(shown.strip())
        code = int(ended[1]) if ended else 0
        commands.append(Command(line, EXIT.sub("", shown.strip()), code))
    return commands
