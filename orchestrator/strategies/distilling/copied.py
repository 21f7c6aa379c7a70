"""Literals of a program that its model copied from what it saw, or that are the answer itself.

Such a program gives the same answer whatever its inputs are. What a model may know without looking is no copy: the
task, the inputs, and what its own earlier cells printed of their literals.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.strategies.distilling.cell_run import CellRun, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.strategies.distilling.origins import How, Spot

MIN_COPY_CHARS = 8
PROSE_CHARS = 40
MIN_LINE_CHARS = 16
MIN_NUMBERS = 3
"""So many numbers of a prose literal that stand in what was seen are no chance."""

MIN_DIGITS = 4
"""A shorter number may stand anywhere."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run's model was shown, and what it came to. `task`: the workflow's text, which it knew from the start."""

    observations: Sequence[str] = ()  # what each cell showed, in the order of the cells
    context: Any = None
    task: str = ""
    answer: Any = ...  # `...` where it is not known
    results: Sequence[Any] = ()  # what its calls came to
    is_all: bool = True  # else the context was left out, for its size


@dataclass(frozen=True, slots=True)
class Copied:
    """A literal that stands in what was seen before its cell was written, or that is prose."""

    cell: int
    line: int
    text: str
    source: str  # where it stands: "what cell 1 showed", "the context"; "" for prose that is found nowhere


class Sights:
    """Finds literals in what was seen. Made for one run."""

    def __init__(self, cells: Sequence[CellRun], inputs: Mapping[str, Any], seen: Seen) -> None:
        self._cells = cells
        self._seen = seen
        self._known = "\n".join([seen.task, *texts_in(inputs), *inputs])
        self._context = "\n".join(texts_in(seen.context))
        self._literals = [[str(value) for _, value in literals(cell.source)] for cell in cells]

    def source(self, at: int, value: str | int | float) -> str:
        """Where a literal of the cell at this position was seen before; "" for nowhere."""
        text = str(value).strip()
        if isinstance(value, str):
            if len(text) < MIN_COPY_CHARS or text in self._known:
                return ""
        elif len(text.strip("-").replace(".", "")) < MIN_DIGITS or text in self._known:
            return ""
        for earlier, shown in enumerate(self._seen.observations[:at]):
            if (
                self._was_seen(earlier, at)
                and not self._wrote(earlier, text)
                and self._stands_in(text, shown)
            ):
                return f"what cell {self._cells[earlier].number} showed"
        if isinstance(value, str) and len(text) >= PROSE_CHARS and self._stands_in(text, self._context):
            return "the context"
        return ""

    def tolerates(self, value: str | int | float) -> bool:
        """Whether a literal may be a constant of the answer: a word of the task, an input, 0 or 1."""
        if not isinstance(value, str):
            return value in (0, 1, -1) or str(value) in re.findall(r"-?\d+(?:\.\d+)?", self._known)
        return (
            len(value) <= PROSE_CHARS
            and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", self._known) is not None
        )

    def knows(self, text: str) -> bool:
        """Whether a text stands in the task or the inputs."""
        return text.strip() in self._known

    def _was_seen(self, earlier: int, at: int) -> bool:
        """Whether what a cell showed was known when another was written: not so within one reply."""
        first, second = self._cells[earlier].iteration, self._cells[at].iteration
        return not (first and first == second)

    def _wrote(self, upto: int, text: str) -> bool:
        return any(text in literal for cell in self._literals[: upto + 1] for literal in cell)

    def _stands_in(self, text: str, shown: str) -> bool:
        if re.fullmatch(r"-?\d+(\.\d+)?", text):
            return re.search(rf"(?<![\d.]){re.escape(text)}(?![\d.])", shown.replace(",", "")) is not None
        if _flat(text) in _flat(shown):
            return True
        lines = [line.strip() for line in text.splitlines()]
        if len(lines) > 1 and any(
            len(line) >= MIN_LINE_CHARS and line in shown and line not in self._known for line in lines
        ):
            return True
        return len(text) > PROSE_CHARS and self._retells(text, shown)

    def _retells(self, text: str, shown: str) -> bool:
        """Whether a long text is made of what was shown: half of its word sequences, or several numbers."""
        words, there = _words(text), set(_runs(_words(shown)))
        runs = [run for run in _runs(words) if " ".join(run) not in " ".join(_words(self._known))]
        if runs and sum(run in there for run in runs) * 2 >= len(runs):
            return True
        numbers = {
            one for one in re.findall(r"\d+(?:\.\d+)?", text) if len(one) > 1 and one not in self._known
        }
        return len(numbers) >= MIN_NUMBERS and numbers <= set(re.findall(r"\d+(?:\.\d+)?", shown))


def literals(source: str) -> Iterator[tuple[int, str | int | float]]:
    """The texts and numbers of a cell, with their lines."""
    for node in ast.walk(parsed(source) or ast.Module([], [])):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str | int | float)
            and not isinstance(node.value, bool)
        ):
            yield node.lineno, node.value


def searched(source: str) -> Iterator[tuple[int, str]]:
    """The texts of a cell that are no names of fields, with their lines: not `{"text": ...}`, `x["text"]`, `x.get("text")`."""
    tree = parsed(source) or ast.Module([], [])
    names: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            names.update(id(key) for key in node.keys)
        elif isinstance(node, ast.Subscript):
            names.add(id(node.slice))
        elif isinstance(node, ast.Call) and node.args and getattr(node.func, "attr", "") in _BY_NAME:
            names.add(id(node.args[0]))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in names:
            yield node.lineno, node.value


_BY_NAME = {"get", "pop", "setdefault", "itemgetter", "attrgetter"}


def texts_in(value: Any) -> Iterator[str]:
    """Every text and number in a JSON value, as texts, keys included."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)
    elif value is not None:
        yield str(value)


def leaves(value: Any) -> Iterator[str | int | float]:
    """The texts and numbers of an answer, without keys."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield value


def is_prose(value: object) -> bool:
    """Whether a literal is sentences rather than a word, a path or a pattern."""
    return (
        isinstance(value, str)
        and len(value.strip()) > PROSE_CHARS
        and len(re.findall(r"[^\W\d_]{2,}", value)) > 5
    )


def is_answer(how: How, spot: Spot, answer: Any, sights: Sights) -> bool:
    """Whether a literal that is in the answer's value is a part of the answer that was known beforehand."""
    value = spot.value
    if how == "whole":
        told = answer is ... or any(type(leaf) is type(value) and leaf == value for leaf in leaves(answer))
        return (told and not sights.tolerates(value)) or (is_prose(value) and not sights.knows(str(value)))
    if how != "text" or not isinstance(value, str) or sights.knows(value):
        return False
    text = value.strip()
    in_leaf = answer is ... or any(text in str(leaf) for leaf in leaves(answer))
    return in_leaf and (
        is_prose(_without_labels(value)) or (len(text) >= MIN_COPY_CHARS and bool(re.search(r"\d\d", text)))
    )


def _without_labels(text: str) -> str:
    """A text without lines that say what stands below or beside them: headings, and what ends with a colon."""
    return "\n".join(line for line in text.splitlines() if not re.match(r"\s*#|.*:\s*$", line))


def _flat(text: str) -> str:
    return re.sub(r"(?:\s|\\n)+", " ", text)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _runs(words: list[str]) -> list[tuple[str, ...]]:
    return list(zip(words, words[1:], words[2:], words[3:], strict=False))
