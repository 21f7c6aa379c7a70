"""What a call's latest attempt did, taken from the record: its cells with what they showed, and the calls that they made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.strategies.distilling.cell_run import CallMade, CellRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.documents.types import Skill
    from orchestrator.runs.past import Past, Step, Told

_RAISED_AT = re.compile(r'File "<cell (\d+)>", line (\d+)')


@dataclass(frozen=True, slots=True)
class Story:
    """An attempt that has ended. `calls` are those that its cells made themselves, finished ones only."""

    cells: tuple[CellRun, ...] = ()
    shown: tuple[str, ...] = ()  # by each cell
    calls: tuple[Told, ...] = ()
    skills: tuple[str, ...] = ()  # names of skills that were called, in the order of their first calls


def story_of(past: Past, call: str, skills: Mapping[str, Skill]) -> Story:
    """The story of the attempt that the call began last."""
    steps = past.steps(call)
    begins = [at for at, step in enumerate(steps) if _begins(step)]
    steps = steps[begins[-1] if begins else 0 :]
    told = {stage: past.children(call, stage) for stage in sorted({step.stage for step in steps})}
    made = [one for stage in told for one in told[stage]]
    cells, shown, iteration = [], [], 0
    for at, step in enumerate(steps):
        if step.event.event == "iteration":
            iteration = step.event.fields.get("iteration", 1)
        elif step.event.event == "cell_started":
            ended = next((one for one in steps[at + 1 :] if one.event.event == "cell_finished"), None)
            cells.append(_cell(step, ended, told.get(step.stage, []), iteration, skills))
            shown.append(ended.event.fields["output"] if ended else "")
    names = (one.name.partition(".")[0].partition("/")[0] for one in made if one.kind == "skill")
    return Story(
        tuple(cells), tuple(shown), tuple(one for one in made if one.is_finished), tuple(dict.fromkeys(names))
    )


def _begins(step: Step) -> bool:
    return step.event.event == "iteration" and step.event.fields.get("iteration", 1) == 1


def _cell(
    step: Step, ended: Step | None, told: Sequence[Told], iteration: int, skills: Mapping[str, Skill]
) -> CellRun:
    fields = ended.event.fields if ended else {}
    number = step.event.fields["cell"]
    failed = ended is None or bool(fields.get("error"))
    lines = [int(line) for cell, line in _RAISED_AT.findall(fields.get("output", "")) if int(cell) == number]
    return CellRun(
        number,
        step.event.fields["source"],
        failed=failed,
        failed_line=lines[0] if failed and lines else None,
        answered=bool(fields.get("answered")),
        calls=tuple(_made(one, skills) for one in told),
        iteration=iteration,
    )


def _made(told: Told, skills: Mapping[str, Skill]) -> CallMade:
    failed = told.fields is None or told.fields.get("error") is not None
    return CallMade(told.kind, told.name, told.arguments, _writes(told, skills), failed)


def _writes(told: Told, skills: Mapping[str, Skill]) -> bool:
    """Whether a call may have changed the world: a function that declares so, a script that nobody declared."""
    if told.kind == "memory":
        return told.name == "memory.write"
    if told.kind != "skill":
        return False
    name, _, function = told.name.partition(".")
    skill = skills.get(name)
    known = skill.functions.get(function) if skill is not None else None
    return known.effects == "write" if known is not None else "/" in told.name
