"""Which recorded runs a change may do harm to: those of the workflow it is about, or that called the skill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.runs.history import end_of_run, list_runs
from orchestrator.runs.journal import FILE_NAME, read_journal

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.runs.changing import Change
    from orchestrator.values import Limits

MAX_RUNS = 20
"""Runs that are looked at, the newest that were answered; so many take seconds where none has long cells."""

MAX_READ = 300
"""Journals that are searched for them."""


SPENT = ("calls", "tokens", "usd", "seconds")
"""Limits of what a whole run spends; the others are of one call in it."""


def affected(change: Change) -> list[str]:
    """Ids of recorded runs that were answered and that the change is about, newest first, at most `MAX_RUNS`.

    Of a skill, those that called it come before those that only could: without it these may not begin.
    """
    answered = [one for one in list_runs(change.workspace) if one.status == "answered"]
    if change.workflow is not None:
        answered = [one for one in answered if one.workflow == change.workflow.name]
    closest: list[str] = []
    others: list[str] = []
    for one in answered[:MAX_READ]:
        if len(closest) == MAX_RUNS:
            break
        try:
            _sort_in(change, change.workspace.runs / one.run, closest, others)
        except (UsageError, OSError):
            continue  # a damaged journal can't be run again
    return [*closest, *others][:MAX_RUNS]


def called(folder: Path) -> set[str]:
    """Names of the skills that a run called."""
    return {
        str(event.fields.get("name", "")).partition(".")[0]
        for event in read_journal(folder / FILE_NAME, only=frozenset({"call_started"}))
        if event.fields.get("kind") == "skill"
    }


def beyond(limits: Limits, folder: Path) -> str:
    """By what a recorded run would have gone beyond these limits; empty where by nothing.

    A replay asks no model and so spends nothing: that what was spent fits is to be seen in the record alone.
    """
    end = end_of_run(folder) or {}
    for name in SPENT:
        allowed, spent = getattr(limits, name), end.get("usage", {}).get(name, 0)
        if allowed is not None and spent > allowed:
            return f"it spent {spent:,.10g} {name}, where {allowed:,.10g} would be allowed"
    return ""


def _sort_in(change: Change, folder: Path, closest: list[str], others: list[str]) -> None:
    started = next(read_journal(folder / FILE_NAME, only=frozenset({"run_started"})), None)
    header = started.fields if started is not None else {}
    if change.workflow is not None:
        # A run of another version of the workflow says nothing of a change of this one.
        if header.get("version") == change.workflow.version:
            closest.append(folder.name)
    elif change.skill is not None:
        if change.skill.name in called(folder):
            closest.append(folder.name)
        elif change.proposal.action != "describe" and change.skill.name in header.get("skills", {}):
            others.append(folder.name)
