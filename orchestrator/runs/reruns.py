"""Which recorded runs a change may do harm to: those of the workflow it is about, or that called the skill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.runs.history import list_runs
from orchestrator.runs.journal import FILE_NAME, read_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.runs.changing import Change

MAX_RUNS = 20
"""Runs that are looked at, the newest that were answered; so many take seconds where none has long cells."""

MAX_READ = 300
"""Journals that are searched for them."""


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
