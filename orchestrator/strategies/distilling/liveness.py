"""Which statements of a run's cells its answer needs: liveness, backwards from the one that gave it.

At the top level cells are straight-line code, so one pass is exact but for what a name may share with another, which
`Sharing` answers generously. A statement stays when a later one needs what it binds or changes, when it changes more
than values (files, the world), or when it may end the run on purpose (`assert`, `raise`).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.strategies.distilling.cell_run import (
    GIVEN,
    CallMade,
    CellRun,
    first_line,
    last_line,
    parsed,
    statements_run,
)
from orchestrator.strategies.distilling.definitions import Definitions
from orchestrator.strategies.distilling.facts import Facts
from orchestrator.strategies.distilling.known_calls import PRINTING
from orchestrator.strategies.distilling.syntax import ANSWER, is_look, surely_bound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


@dataclass
class Step:
    """A statement that ran, in the cell at `at`. `partial`: it is the one that raised; `maybe`: it may not have run."""

    at: int
    cell: CellRun
    statement: ast.stmt
    facts: Facts
    sure: set[str]
    partial: bool = False
    maybe: bool = False
    bound_before: frozenset[str] = frozenset()
    writes: bool = False
    kept: bool = False


Place = tuple[int, int, int]
"""Where a statement stands: the position of its cell, line and column."""


def place_of(at: int, statement: ast.stmt) -> Place:
    """The place of a statement."""
    return at, statement.lineno, statement.col_offset


class Unsure(Exception):
    """What the answer needs can't be told from what ran; the text says why."""


def steps_of(cells: Sequence[CellRun], only: Collection[Place] | None = None) -> list[Step]:
    """Every statement that ran (or of these, those in `only`), in order, with what it does."""
    known, steps = Definitions(), []
    for at, cell in enumerate(cells):
        tree = parsed(cell.source)
        if tree is None:
            continue
        done, raised = statements_run(cell, tree)
        maybe = cell.failed and cell.failed_line is None
        for statement in done:
            if only is not None and place_of(at, statement) not in only:
                continue
            facts = known.facts(statement)
            step = Step(at, cell, statement, facts, surely_bound(statement), maybe=maybe)
            step.bound_before = frozenset(known.bound)
            steps.append(step)
            known.take_in(statement, facts)
        if raised is not None and only is None:
            facts = _before_raising(raised, known)
            steps.append(Step(at, cell, raised, facts, set(), partial=True))
        _mark_writes([step for step in steps if step.at == at], cell.calls)
    return steps


def needed(cells: Sequence[CellRun], answering: int) -> tuple[list[Step], set[Place]]:
    """All steps of the cells, and the places of those that the answer needs. Raises Unsure."""
    steps = steps_of(cells)
    mark_kept(steps, answering)
    kept, before = {place_of(step.at, step.statement) for step in steps if step.kept}, len(steps) + 1
    while len(kept) < before:  # without those that are gone, less is shared and more may go
        before = len(kept)
        left = steps_of(cells, kept)
        mark_kept(left, answering)
        kept = {place_of(step.at, step.statement) for step in left if step.kept}
    return steps, kept


def mark_kept(steps: Sequence[Step], answering: int) -> None:
    """Mark the steps that the answer needs, which the cell at `answering` gave. Raises Unsure."""
    live = _at_the_end([step for step in steps if step.at == answering])
    everything, at = False, answering
    for step in reversed(steps):
        if step.at > answering:
            continue
        if step.at != at:
            at = step.at
            live = {f"={name}" if name in GIVEN else name for name in live} - {ANSWER}
        if not (everything and (step.facts.binds or step.facts.changes)) and not _is_needed(step, live):
            continue
        _refuse_doubtful(step, answering)
        if step.partial or _is_undone(step):
            continue
        step.kept = True
        live = (live - step.sure) | step.facts.reads
        everything = everything or step.facts.dynamic


def why_dropped(step: Step, aliases: dict[str, str]) -> str:
    """The reason why a step that is not kept was left out."""
    if step.partial:
        return "it failed"
    if is_look(step.statement, aliases) or (step.facts.calls & PRINTING and not step.facts.changes):
        return "it only looks"
    if step.facts.binds and not step.facts.changes:
        names = ", ".join(f"`{name}`" for name in sorted(step.facts.binds - {ANSWER})[:4])
        return f"nothing later uses {names}" if names else "another cell gave the answer"
    return "nothing later uses what it does"


def _at_the_end(steps: Sequence[Step]) -> set[str]:
    """What is live when the answer has been given."""
    if any(ANSWER in step.sure for step in steps):
        return {ANSWER}
    live = {ANSWER} if any(ANSWER in step.facts.binds for step in steps) else set()
    if any("answer" in step.facts.changes | step.facts.binds for step in steps) or not live:
        live.add("answer")
    return live


def _is_needed(step: Step, live: set[str]) -> bool:
    facts = step.facts
    if facts.binds & live or any(name in live or f"={name}" in live for name in facts.changes):
        return True
    return step.writes or (not step.partial and (facts.reaches_out or _is_gate(step)))


def _is_gate(step: Step) -> bool:
    """Whether it may end the run on purpose, and nothing of it is bound."""
    if not step.facts.gates or step.maybe:
        return False
    if isinstance(step.statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    return isinstance(step.statement, ast.Expr) or any(
        isinstance(node, ast.Raise | ast.Assert) for node in ast.walk(step.statement)
    )


def _is_undone(step: Step) -> bool:
    """Whether it marked an answer as ready in a cell that failed afterwards: that is taken back."""
    match step.statement:
        case ast.Assign(
            targets=[ast.Subscript(value=ast.Name(id="answer"), slice=ast.Constant(value="ready"))]
        ):
            return step.cell.failed
    return False


def _refuse_doubtful(step: Step, answering: int) -> None:
    where = f"cell {step.cell.number}"
    line = f"line {first_line(step.statement)}"
    if step.partial:
        if step.writes:
            raise Unsure(f"{where} failed in {line} after it had changed the world")
        raise Unsure(f"{where} failed in {line}, and what it had done until then is used")
    if ANSWER in step.facts.binds and step.at != answering:
        raise Unsure(f"{where} would answer in {line}, before the cell that did")
    if step.maybe and (step.facts.binds & step.bound_before or step.facts.changes or step.facts.reaches_out):
        raise Unsure(f"{where} failed, it is not known in which line, and {line} may matter")


def _before_raising(statement: ast.stmt, known: Definitions) -> Facts:
    """What a statement may have done when it raised: of a simple one, its last act (to bind, to change) was not done."""
    parts: Iterable[ast.AST]
    match statement:
        case ast.Assign(value=value) | ast.AugAssign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            parts = [value]
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=whole), args=args, keywords=keywords)):
            parts = [whole, *args, *keywords]
        case (
            ast.Import() | ast.ImportFrom() | ast.Assert() | ast.Raise() | ast.FunctionDef() | ast.ClassDef()
        ):
            parts = []
        case _:
            parts = [statement]
    facts = Facts()
    for part in parts:
        facts.add(known.facts(part))
    return facts


def _mark_writes(steps: list[Step], calls: Sequence[CallMade]) -> None:
    """Mark the steps that made calls which changed the world: by line, else by name, else all that call anything."""
    for call in calls:
        if not call.writes or call.failed:
            continue
        at_line = [
            step
            for step in steps
            if call.line is not None and first_line(step.statement) <= call.line <= last_line(step.statement)
        ]
        named = [step for step in steps if any(_may_be(name, call) for name in step.facts.calls)]
        for step in at_line or named or [step for step in steps if step.facts.calls]:
            step.writes = True


def _may_be(name: str, call: CallMade) -> bool:
    """Whether a dotted name in a cell calls what a journal has under this kind and name."""
    root, _, rest = name.partition(".")
    match call.kind:
        case "llm" | "rlm":
            return name.startswith(f"{call.kind}_query")
        case "skill":
            return root == "skills" and rest.partition(".")[0] == call.name.partition("/")[0].partition(".")[
                0
            ].replace("-", "_")
        case "approval":
            return name == "approve"
    return root == call.kind and (not call.name or name == call.name)
