"""Runs recorded runs and skills' examples again, to see whether a change makes them worse.

A run is replayed: its cells run, with the values on record; no model is asked and no skill is called. So what can be
seen is that a change keeps a run from its answer: a skill that may not be called, a limit that is too low. What a run
would do that is not on record, as another strategy's cells, nobody knows: it is `unknown`, and said so.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from orchestrator.app import ENVIRONMENTS, open_catalog, plan_replay, rehearse, try_examples
from orchestrator.errors import OrchestratorError, WorldError
from orchestrator.interfaces.terminal import one_line
from orchestrator.runs.reruns import affected, beyond, called

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.runs.changing import Change

Held = Literal["holds", "fails", "unknown"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run, or one example, came out, and why where it does not hold."""

    held: Held
    why: str = ""


Outcomes = dict[str, Outcome]
"""By what it is of: `run <id>`, or `example <skill>.<function> <number>`."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is run again: ids of runs, and names of skills with examples."""

    change: Change
    runs: tuple[str, ...]
    skills: tuple[str, ...]

    def before(self) -> Outcomes:
        """As things are."""
        return self._all(None)

    def after(self) -> Outcomes:
        """With the change in force, which is on the disk by now."""
        return self._all(self.change.workflow_source)

    def _all(self, source: str | None) -> Outcomes:
        found = {f"run {run}": self._run(run, source) for run in self.runs}
        for name in self.skills:
            found |= self._examples(name)
        return found

    def _run(self, run: str, source: str | None) -> Outcome:
        workspace = self.change.workspace.root
        try:
            # `frozen`: a skill of the workspace's own would be trusted again, as for a program that calls `run()`.
            planned = plan_replay(run, workspace, source=source, vouching="frozen")
            if planned.distrusted:
                return Outcome("fails", f"it would be denied: {planned.distrusted[0]}")
            folder = planned.workspace.runs / planned.run
            if missed := sorted(called(folder).intersection(planned.barred)):
                return Outcome("fails", f"it called `{missed[0]}`, which would be denied")
            if more := beyond(planned.limits, folder):
                return Outcome("fails", more)
            if planned.environment not in ENVIRONMENTS:
                return Outcome("unknown", f"it ran in `{planned.environment}`, which is elsewhere")
            result, differences = asyncio.run(rehearse(planned))
        except WorldError as error:
            return Outcome("unknown", str(error))
        except OrchestratorError as error:
            return Outcome("fails", str(error))
        if result.status == "answered" and not differences:
            return Outcome("holds")
        why = result.message or (str(differences[0]) if differences else result.status)
        return Outcome("unknown" if _is_unrecorded(why) else "fails", why)

    def _examples(self, name: str) -> Outcomes:
        try:
            results = try_examples(self.change.workspace, name)
        except WorldError as error:
            return {f"examples of {name}": Outcome("unknown", str(error))}
        except OrchestratorError as error:
            return {f"examples of {name}": Outcome("fails", str(error))}
        return {
            f"example {name}.{one.function} {number}": Outcome(
                "holds" if one.passed else "fails", one.message
            )
            for number, one in enumerate(results, 1)
        }


def trial_of(change: Change) -> Trial:
    """What a change could make worse.

    Of a skill that goes, the examples of those that use it; of one that stays, its own.
    """
    return Trial(change, tuple(affected(change)), tuple(_with_examples(change)))


def worse(before: Mapping[str, Outcome], after: Mapping[str, Outcome]) -> dict[str, str]:
    """What held and fails now, and why."""
    gone = Outcome("fails", "it can't be run any more")
    return {
        name: now.why
        for name, was in before.items()
        if was.held == "holds" and (now := after.get(name, gone)).held == "fails"
    }


def told(before: Mapping[str, Outcome], after: Mapping[str, Outcome]) -> str:
    """How many were run again and held, in one line."""
    held = [name for name, one in before.items() if one.held == "holds"]
    if not held:
        return "no recorded run and no example could show whether it does harm"
    still = sum(one in after and after[one].held == "holds" for one in held)
    unknown = sum(one in after and after[one].held == "unknown" for one in held)
    said = f"run again: {still:,} of {len(held):,} runs and examples that held before still do"
    return f"{said}; of {unknown:,} the record does not say" if unknown else said


def lines(found: Mapping[str, str], width: int) -> list[str]:
    """What got worse, a line each."""
    return [one_line(f"{name}: {why}", width) for name, why in found.items()]


def _with_examples(change: Change) -> list[str]:
    if change.skill is None:
        return []
    name = change.skill.name
    if change.proposal.action == "describe":
        return [name] if change.skill.examples else []
    return [one.name for one in open_catalog(change.workspace).skills if name in one.uses and one.examples]


def _is_unrecorded(why: str) -> bool:
    """Whether a replay ended where the record does."""
    return any(
        sign in why for sign in ("when the run was made", "more than is on record", "is not on record here")
    )
