"""A verified run's cells as a program for the next run: dead ends left out, inputs in place of their values.

What comes out is a candidate. It is refused where it would give the same answer whatever its inputs are: when the
answer is written into it, when a copy of what the model saw flows into the answer, or when nothing of the inputs,
the context, skills or sub-calls does. To run it again on other inputs (see `perturb`) proves more.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.strategies.distilling.abstract_run import AbstractRun
from orchestrator.strategies.distilling.cell_run import CALLS_OF, GIVEN, CallMade, CellRun, first_line, parsed
from orchestrator.strategies.distilling.copied import Copied, Seen, Sights, is_answer, is_prose, literals
from orchestrator.strategies.distilling.editing import without
from orchestrator.strategies.distilling.generalise import Replaced, generalised
from orchestrator.strategies.distilling.labels import labels
from orchestrator.strategies.distilling.liveness import (
    Place,
    Step,
    Unsure,
    needed,
    place_of,
    steps_of,
    why_dropped,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.strategies.distilling.origins import Spot, Value

__all__ = ["CallMade", "CellRun", "Distilled", "Dropped", "Refused", "Replaced", "Seen", "distil"]

SOURCES = ("context", "inputs", "skill", "files", "memory", "task")


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was left out, and why: a whole cell, or the statement at a line of it."""

    cell: int
    why: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Distilled:
    """A program. `numbers`: which cell of the run each cell comes from."""

    cells: tuple[str, ...]
    numbers: tuple[int, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    uses: tuple[str, ...] = ()  # `context`, `inputs.days`, `skills.word_count`, `llm_query`, ...
    ignores: tuple[str, ...] = ()  # inputs that it does not read
    copied: tuple[
        Copied, ...
    ] = ()  # literals seen before or written as prose that do not flow into the answer
    doubts: tuple[str, ...] = ()  # literals that may be one of several inputs, and stayed
    depends: Literal["data", "control"] = "data"  # how the answer hangs on what is given


@dataclass(frozen=True, slots=True)
class Refused:
    """Why no program came of a run."""

    reason: str


@dataclass
class _Program:
    """A program in the making: its cells, and the positions of those in the run."""

    sources: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    replaced: list[Replaced] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def distil(
    cells: Sequence[CellRun], inputs: Mapping[str, Any], seen: Seen | None = None
) -> Distilled | Refused:
    """The program that a run's cells come to, or why there is none.

    The answer was given by the last cell that is marked `answered`, else by the last one that did not fail and sets it.
    """
    seen = seen or Seen()
    try:
        steps = steps_of(cells)
        answering = _answering(cells, steps)
        if answering is None:
            return Refused("no cell gave an answer")
        steps, kept = needed(cells, answering)
        program = _program(cells, steps, kept, inputs)
        answer = _answer_of(program)
    except Unsure as error:
        return Refused(str(error))
    except RecursionError:
        return Refused("a cell is nested too deeply")
    sights = Sights(cells, inputs, seen)
    reason = _why_not(program, answer, cells, inputs, seen) or _why_independent(answer, inputs, seen)
    if reason:
        return Refused(reason)
    uses = _uses(program.sources)
    read = {name.removeprefix("inputs.") for name in uses if name.startswith("inputs.")}
    return Distilled(
        tuple(program.sources),
        tuple(cells[at].number for at in program.places),
        tuple(program.dropped),
        tuple(program.replaced),
        uses,
        () if "inputs" in uses else tuple(sorted(inputs.keys() - read)),
        tuple(_copies(program, cells, sights)),
        tuple(program.doubts),
        "data" if answer.has(*SOURCES, "sub:") else "control",
    )


def _answering(cells: Sequence[CellRun], steps: Sequence[Step]) -> int | None:
    marked = [at for at, cell in enumerate(cells) if cell.answered]
    if marked:
        return marked[-1]
    sets = [
        step.at
        for step in steps
        if not step.cell.failed
        and ("<answer>" in step.facts.binds or "answer" in step.facts.changes | step.facts.binds)
    ]
    return sets[-1] if sets else None


def _program(
    cells: Sequence[CellRun], steps: Sequence[Step], kept: Collection[Place], inputs: Mapping[str, Any]
) -> _Program:
    """The kept statements of each cell, with inputs in place of their values."""
    program = _Program()
    for at, cell in enumerate(cells):
        tree = parsed(cell.source)
        own = [step for step in steps if step.at == at]
        if tree is None or not any(place_of(at, part) in kept for part in tree.body):
            program.dropped.append(Dropped(cell.number, _why_whole(cell, own)))
            continue
        body = tree.body
        dropped = [number for number, part in enumerate(body) if place_of(at, part) not in kept]
        program.dropped += [_dropped(cell, body[number], own) for number in dropped]
        source, replaced, doubts = generalised(without(cell.source, body, dropped), cell.number, inputs)
        program.sources.append(source)
        program.places.append(at)
        program.replaced += replaced
        program.doubts += doubts
    return program


def _why_whole(cell: CellRun, own: Sequence[Step]) -> str:
    if not own:
        return (
            "it is no Python"
            if parsed(cell.source) is None
            else "it failed"
            if cell.failed
            else "it is empty"
        )
    if cell.failed:
        return "it failed"
    reasons = dict.fromkeys(why_dropped(step, {}) for step in own)
    return next(iter(reasons)) if len(reasons) == 1 else "nothing later uses what it bound"


def _dropped(cell: CellRun, statement: ast.stmt, own: Sequence[Step]) -> Dropped:
    step = next((one for one in own if first_line(one.statement) == first_line(statement)), None)
    why = why_dropped(step, {}) if step else "it did not run: the cell had failed"
    return Dropped(cell.number, why, first_line(statement))


def _answer_of(program: _Program) -> Value:
    """What the answer of the program comes from."""
    run = AbstractRun()
    for at, source in enumerate(program.sources):
        tree = parsed(source)
        if tree is None:
            raise Unsure("the program that came out is no Python")
        run.cell(at, tree.body)
    return run.answer | run.env.get("answer", type(run.answer)())


def _why_not(
    program: _Program, answer: Value, cells: Sequence[CellRun], inputs: Mapping[str, Any], seen: Seen
) -> str:
    """Why what the program says was written into it; "" where it was not."""
    sights = Sights(cells, inputs, seen)
    beside = _labels(program, answer, inputs, seen)
    for how, spot in sorted(
        answer.spots, key=lambda one: (one[1].at, one[1].line, str(one[1].value), one[0])
    ):
        cell = cells[program.places[spot.at]]
        where = f"cell {cell.number}, line {_line(cell, spot)}: {_shown(spot.value)}"
        is_label = how == "whole" and any(
            type(one) is type(spot.value) and one == spot.value for one in beside
        )
        if not is_label and is_answer(how, spot, seen.answer, sights):
            return f"the answer is written into the program: {where}"
        source = sights.source(program.places[spot.at], spot.value)
        if source:
            return f"what the answer is made of was copied from {source}: {where}"
    return ""


def _labels(
    program: _Program, answer: Value, inputs: Mapping[str, Any], seen: Seen
) -> list[str | int | float]:
    """The literals that only say what the answer's other parts are."""
    spots = [spot for how, spot in answer.spots if how == "whole"]
    if not spots or not seen.is_all or not answer.has(*SOURCES, "sub:"):
        return []
    before = seen.observations[: min(program.places[spot.at] for spot in spots)]
    constants = {spot.value for spot in spots}
    return labels(seen.answer, constants, seen.task, [seen.context, inputs, seen.results, before])


def _why_independent(answer: Value, inputs: Mapping[str, Any], seen: Seen) -> str:
    if answer.has(*SOURCES, *(f"?{source}" for source in SOURCES)):
        return ""
    asked = answer.has("sub:", "?sub:")
    if asked and not inputs and not seen.context:
        return ""
    if asked:
        return "the answer comes of prompts that hold nothing of the inputs, the context or a skill's results"
    return "the answer depends on no input, context, skill or sub-call"


def _copies(program: _Program, cells: Sequence[CellRun], sights: Sights) -> list[Copied]:
    """The literals of a program that are reported: seen before, or prose."""
    found = []
    for at, source in zip(program.places, program.sources, strict=True):
        for line, value in literals(source):
            seen_in = sights.source(at, value)
            if seen_in or (is_prose(value) and not sights.knows(str(value))):
                found.append(Copied(cells[at].number, line, str(value), seen_in))
    return sorted(found, key=lambda one: (one.cell, one.line, one.text))


def _line(cell: CellRun, spot: Spot) -> int:
    """The line of the run's cell that a literal of the program stands on."""
    return next((line for line, value in literals(cell.source) if value == spot.value), spot.line)


def _shown(value: object) -> str:
    text = repr(value)
    return f"`{text}`" if len(text) <= 80 else f"`{text[:77]}...`"


def _uses(sources: Sequence[str]) -> tuple[str, ...]:
    """The names of a REPL that a program reads, with the inputs and skills it names."""
    found: set[str] = set()
    for source in sources:
        tree = parsed(source) or ast.Module([], [])
        named: set[int] = set()
        for node in ast.walk(tree):
            match node:
                case ast.Subscript(
                    value=ast.Name(id="inputs" | "skills" as whole) as name,
                    slice=ast.Constant(value=str(key)),
                ):
                    found.add(f"{whole}.{key}")
                    named.add(id(name))
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="inputs") as name, attr="get"),
                    args=[ast.Constant(value=str(key)), *_],
                ):
                    found.add(f"inputs.{key}")
                    named.add(id(name))
                case ast.Attribute(value=ast.Name(id="skills") as name, attr=key):
                    found.add(f"skills.{key}")
                    named.add(id(name))
        read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in named}
        found |= read & (GIVEN - {"FINAL", "FINAL_VAR", "SubCallError", "SkillError"} | CALLS_OF.keys())
    return tuple(sorted(found))
