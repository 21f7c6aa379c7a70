"""Which recorded runs a change may do harm to: those of the workflow it is about, or that called the skill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.runs.history import end_of_run, list_runs
from orchestrator.runs.journal import FILE_NAME, read_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    """Ids of recorded runs that were answered and that the change is about, newest first, at most `MAX_RUNS`."""
    found: list[str] = []
    answered = [one for one in list_runs(change.workspace) if one.status == "answered"]
    if change.workflow is not None:
        answered = [one for one in answered if one.workflow == change.workflow.name]
    for one in answered[:MAX_READ]:
        if len(found) < MAX_RUNS and _is_about(change, change.workspace.runs / one.run / FILE_NAME):
            found.append(one.run)
    return found


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


def _is_about(change: Change, journal: Path) -> bool:
    try:
        if change.workflow is not None:
            return any(version == change.workflow.version for version in _versions(journal))
        assert change.skill is not None  # it is about the one or the other
        return change.skill.name in _called(journal)
    except (UsageError, OSError):
        return False  # a damaged journal can't be run again


def _versions(journal: Path) -> Iterator[str]:
    """The version of the workflow that a run was made of: another one says nothing of a change of this one."""
    for event in read_journal(journal, only=frozenset({"run_started"})):
        yield event.fields.get("version", "")


def _called(journal: Path) -> set[str]:
    """Names of the skills that a run called."""
    return {
        str(event.fields.get("name", "")).partition(".")[0]
        for event in read_journal(journal, only=frozenset({"call_started"}))
        if event.fields.get("kind") == "skill"
    }
