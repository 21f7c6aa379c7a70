"""What a model wrote, read as cells: the fences that are to run, or what is wrong with the reply.

Models fence code in many ways, and all sane ones count: three or more backticks or tildes, a tag of `repl` or Python in
any case, CRLF, a last fence that nothing closes. Fences tagged `repl` win: where there are any, Python beside them is
an example. A fence ends at the first line that closes it; when what stands before it is no Python only because a
text in triple quotes is open there, the line was part of that text and the next closing line is tried.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CHARS = 1_000_000
"""A longer reply is not looked through."""

PYTHON = frozenset({"python", "py", "python3", "repl"})
MAX_INNER_FENCES = 20
"""So many closing lines are taken for a part of the code before the first one counts."""

MAX_LOOKS = 100
"""How often in one reply code is looked at for that: a reply of thousands of fences is read by their lines alone."""

_OPENING = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\s`]*)[^`\n]*$")
_THINKING = re.compile(r"\A\s*<(think|thinking|reasoning)>.*?</\1>", re.DOTALL)
_FINAL = re.compile(r"^[ \t]*FINAL(_VAR)?\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reading:
    """Sources of the cells of a reply, in order; or why there are none, in a sentence for the model."""

    cells: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Fence:
    """One fenced block; `tag` is lower case, `closed` whether a fence ended it."""

    tag: str
    source: str
    closed: bool


def read_reply(text: str, *, cut: bool = False) -> Reading:
    """The cells of a reply. `cut`: it ended because it was as long as it may be."""
    if len(text) > MAX_CHARS:
        return Reading(problem=f"it has {len(text):,} characters; at most {MAX_CHARS:,} are read")
    found = list(fences(_THINKING.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))))
    tagged = [fence for fence in found if fence.tag == "repl"]
    runnable = tagged or [fence for fence in found if fence.tag in PYTHON]
    runnable = [fence for fence in runnable if fence.source.strip()]
    if not runnable:
        return Reading(problem=_why_none(text, found))
    if cut and not runnable[-1].closed:
        return Reading(
            problem="it was cut off inside its last code block, since it was as long as a reply may be"
        )
    return Reading(tuple(fence.source for fence in runnable))


def fences(text: str) -> Iterator[Fence]:
    """The fenced blocks of a text with LF line ends."""
    lines = text.split("\n")
    at, n_looks = 0, MAX_LOOKS
    while at < len(lines):
        opening = _OPENING.match(lines[at])
        at += 1
        if opening is None:
            continue
        tag = opening[2].strip("{}.:,").lower()
        end, n_looks = _end(lines, at, opening[1], n_looks if tag in PYTHON else 0)
        yield Fence(tag, _dedented(lines[at - 1], lines[at:end]), end < len(lines))
        at = end + 1


def _end(lines: list[str], start: int, fence: str, n_looks: int) -> tuple[int, int]:
    """Number of the line that closes the fence, or of lines where none does; and how many looks are left."""
    first, n_inner = len(lines), 0
    for number in range(start, len(lines)):
        bare = lines[number].strip()
        if not bare.startswith(fence) or bare.strip(fence[0]):
            continue
        first = min(first, number)
        if n_looks <= 0 or n_inner >= MAX_INNER_FENCES:
            break
        n_looks, n_inner = n_looks - 1, n_inner + 1
        if not _is_open_text("\n".join(lines[start:number])):
            return number, n_looks
    return first, n_looks


def _is_open_text(source: str) -> bool:
    """Whether the code ends inside a text in triple quotes."""
    if '"""' not in source and "'''" not in source:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except SyntaxError as error:
        return "unterminated triple-quoted" in (error.msg or "")
    except (ValueError, RecursionError, MemoryError):
        return False
    return False


def _dedented(opening: str, lines: list[str]) -> str:
    """The lines with up to as much indentation taken away as their fence has, as CommonMark has it."""
    indent = len(opening) - len(opening.lstrip(" \t"))
    if indent:
        lines = [line[min(indent, len(line) - len(line.lstrip(" \t"))) :] for line in lines]
    return "\n".join(lines) + "\n"


def _why_none(text: str, found: list[Fence]) -> str:
    if not text.strip():
        return "it is empty"
    if any(fence.tag in PYTHON for fence in found):
        return "its code block is empty"
    if found:
        tag = found[0].tag
        return f"its code block is tagged `{tag:.30}`" if tag else "its code block has no tag"
    if _FINAL.search(text):
        return "`FINAL` stands in its text, where nothing runs it"
    return "it has no code block"
