"""A cell of a run that is over: its source, how it went, and the calls that it made."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import Any

CALLS_OF = {
    "llm_query": "llm",
    "llm_query_batched": "llm",
    "rlm_query": "rlm",
    "rlm_query_batched": "rlm",
}
"""The functions of a REPL that make sub-calls, and the kind under which a journal has them."""

BATCHED = frozenset({"llm_query_batched", "rlm_query_batched"})

GIVEN = frozenset(
    {
        *CALLS_OF,
        *("context", "inputs", "skills", "memory", "budget", "history", "task", "output", "failures"),
        *("chunk_bytes", "pieces", "approve", "log", "FINAL", "FINAL_VAR", "SHOW_VARS"),
        *("SkillError", "SubCallError"),
    }
)
"""Names that every cell finds bound anew. `answer` is not among them: what cells put into it stays."""


@dataclass(frozen=True, slots=True)
class CallMade:
    """A call that a cell made itself; one of a batch is a call of its own."""

    kind: str  # "llm", "rlm", "skill", "memory" or "approval", as in a journal
    name: str = ""
    arguments: Any = None
    writes: bool = False  # it changed the world, or something below it did
    failed: bool = False
    line: int | None = None  # of the cell, where it is known


@dataclass(frozen=True, slots=True)
class CellRun:
    """A cell as it ran. `failed_line` is the line of its source that raised; None where that is not known."""

    number: int
    source: str
    failed: bool = False
    failed_line: int | None = None
    answered: bool = False
    calls: tuple[CallMade, ...] = ()
    iteration: int = 0


def parsed(source: str) -> ast.Module | None:
    """The tree of a cell; None for what is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def first_line(statement: ast.stmt) -> int:
    """The line that a statement starts on, with its decorators."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def last_line(statement: ast.stmt) -> int:
    """The line that a statement ends on."""
    return statement.end_lineno or statement.lineno


def statements_run(cell: CellRun, tree: ast.Module) -> tuple[list[ast.stmt], ast.stmt | None]:
    """The statements of a cell that ran to their ends, and the one that raised.

    Where it is not known which one raised, all count as run: their names tell which did.
    """
    if not cell.failed or cell.failed_line is None:
        return tree.body, None
    done = [statement for statement in tree.body if last_line(statement) < cell.failed_line]
    rest = tree.body[len(done) :]
    return done, rest[0] if rest else None
