"""How the order of a workflow's strategies came about: the record, gone through once more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.memory.experience import Experience
from orchestrator.strategies.choose import NAMES, Choice, ordered
from orchestrator.strategies.learned import is_learned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

MAX_STANDINGS = 40
"""Of a workflow: the order after each of its latest calls."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The order after a call of the workflow: of the strategies that were tried by then, as its next run would try them.

    Where little is known, the ranking draws; a run has draws of its own, so two that are close may change places.
    """

    run: str
    choices: tuple[Choice, ...]


def standings(attempts: Sequence[Mapping[str, Any]]) -> dict[str, list[Standing]]:
    """Each workflow's orders, oldest first. `attempts` are checked records; a millisecond or two for each of them.

    Programs that have not been tried yet are not in them, and what was forgotten leaves.
    """
    last = {_call(one): number for number, one in enumerate(attempts) if one["outcome"] is not None}
    left = Counter(workflow for workflow, _ in last)
    experience = Experience()
    found: dict[str, list[Standing]] = {workflow: [] for workflow in left}
    for number, attempt in enumerate(attempts):
        experience.add(attempt)
        workflow, run = call = _call(attempt)
        if last.get(call) != number:
            continue  # more attempts of the same call follow
        left[workflow] -= 1
        if left[workflow] < MAX_STANDINGS and experience.rows.get(workflow):
            found[workflow].append(Standing(run.partition(" ")[0], _order(workflow, experience)))
    return found


def _call(attempt: Mapping[str, Any]) -> tuple[str, str]:
    return attempt["workflow"] or "", f"{attempt['run'] or ''} {attempt['call'] or ''}"


def _order(workflow: str, experience: Experience) -> tuple[Choice, ...]:
    rows = experience.rows[workflow]
    names = [name for name in reversed(rows) if is_learned(name)]
    names += [name for name in NAMES if name in rows]
    version = next(row.version for row in reversed(rows.values()))
    situation = experience.situations.get(workflow, {})
    return tuple(ordered(workflow, version, names, experience, situation))
