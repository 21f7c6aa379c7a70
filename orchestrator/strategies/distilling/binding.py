"""Whether a distilled program is bound to the inputs of the one run that it comes from.

A model that was asked a question often writes its words into a search pattern: the program then answers the old question
whatever the new one is, and a check that looks at the answer's form would not notice.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from orchestrator.memory.matching.terms import terms
from orchestrator.strategies.distilling.cell_run import parsed
from orchestrator.strategies.distilling.copied import literals, searched
from orchestrator.strategies.distilling.syntax import dotted, imported

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.documents.types import Workflow
    from orchestrator.strategies.distilling.distil import Distilled

MAX_WORDS = 12
"""A longer literal is a prompt: that it shares words with an input says little, what it is sent with says more."""

MIN_CHARS = 4
"""A shorter single word may stand in a question and in a program by chance."""

_WORD = re.compile(r"\w+")


def why_bound(distilled: Distilled, workflow: Workflow, inputs: Mapping[str, Any]) -> str:
    """What ties the program to its run's inputs; empty where nothing does."""
    if ignored := _ignored(distilled, workflow, inputs):
        names = ", ".join(f"`{name}`" for name in ignored)
        return f"it does not read the input{'s' * (len(ignored) > 1)} {names}"
    if act := _acts(distilled.cells):
        return act
    told = set(terms(f"{workflow.description}\n{workflow.body}"))
    for name, value in inputs.items():
        if is_free_text(value):
            for cell, line, text in [*_taken(distilled.cells, value), *_sought(distilled.cells, value, told)]:
                return f"`{text:.60}` (cell {cell}, line {line}) is made of words of the input `{name}`"
    return ""


def is_free_text(value: Any) -> bool:
    """Whether an input is a text of several words, such as a question."""
    return isinstance(value, str) and len(value.split()) > 1


def _acts(cells: Sequence[str]) -> str:
    """What the program does that a proof can't repeat: it writes, or reads the date. A refusal may be caught in it."""
    aliases: dict[str, str] = {}
    for number, source in enumerate(cells, 1):
        tree = parsed(source) or ast.Module([], [])
        aliases.update(imported(tree))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = dotted(node.func, aliases)
            where = f"(cell {number}, line {node.lineno})"
            if getattr(node.func, "attr", "") in _WRITES or (name in _OPEN and _is_write(node)):
                return f"it writes files {where}"
            if name in _CLOCK:
                return f"it reads the date or the time {where}"
    return ""


def _is_write(call: ast.Call) -> bool:
    modes = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
    return any(
        not isinstance(mode, ast.Constant) or (isinstance(mode.value, str) and set(mode.value) & set("wax+"))
        for mode in modes
    )


_WRITES = frozenset({"write_text", "write_bytes", "mkdir", "makedirs", "unlink", "rmtree", "touch"})
_OPEN = frozenset({"open", "io.open"})
_CLOCK = frozenset({
    "datetime.date.today", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "time.time",
    "time.time_ns", "time.localtime", "time.gmtime", "time.strftime", "time.ctime", "time.asctime",
})  # fmt: skip


def _ignored(distilled: Distilled, workflow: Workflow, inputs: Mapping[str, Any]) -> list[str]:
    """Inputs that neither its cells read nor the context, which they do read, is found by."""
    uses = set(distilled.uses)
    if "inputs" in uses or "task" in uses:
        return []
    through = of_context(workflow, inputs)
    if not workflow.context:
        through = {"context"} if "context" in inputs else set(inputs)  # what `context` then is
    through_context = through if "context" in uses else set()
    return [name for name in inputs if f"inputs.{name}" not in uses and name not in through_context]


def of_context(workflow: Workflow, inputs: Mapping[str, Any]) -> set[str]:
    """The inputs that the workflow's context is found by."""
    return {name for name in inputs for pattern in workflow.context if _stands_in(name, pattern)}


def _stands_in(name: str, pattern: str) -> bool:
    return re.search(r"\{\{\s*" + re.escape(name) + r"\s*\}\}", pattern) is not None


def _taken(cells: Sequence[str], value: str) -> list[tuple[int, int, str]]:
    """Short literals all of whose words stand in an input: cell, line, text."""
    asked = set(terms(value))
    return [
        (number, line, text)
        for number, source in enumerate(cells, 1)
        for line, text in literals(source)
        if isinstance(text, str) and _is_made_of(text, asked)
    ]


def _sought(cells: Sequence[str], value: str, told: Collection[str]) -> list[tuple[int, int, str]]:
    """Single words that stand in an input and not in the workflow, and are no names of fields: what is searched for."""
    asked = set(terms(value)) - set(told)
    return [
        (number, line, text)
        for number, source in enumerate(cells, 1)
        for line, text in searched(source)
        if len(words := _WORD.findall(text)) == 1 and len(words[0]) >= MIN_CHARS and set(terms(text)) <= asked
    ]


def _is_made_of(text: str, asked: Collection[str]) -> bool:
    found = terms(text)
    return (
        0 < len(found) <= MAX_WORDS and len(_WORD.findall(text)) > 1 and all(term in asked for term in found)
    )
