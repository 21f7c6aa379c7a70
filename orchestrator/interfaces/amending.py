"""`orchestrate review apply ID` and `rollback ID`: make a proposed change, and take it back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.app import open_catalog
from orchestrator.errors import Denied
from orchestrator.interfaces.proving import lines, told, trial_of, worse
from orchestrator.interfaces.terminal import (
    as_json,
    clean,
    columns,
    plural,
    put,
    say,
    show,
    somebody_is_there,
)
from orchestrator.runs.amending import (
    apply,
    check_not_applied,
    diff,
    proposed,
    reverse,
    rollback,
    shown_path,
    to_roll_back,
)
from orchestrator.runs.changing import change_of
from orchestrator.runs.resuming import within_a_run
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from orchestrator.memory.reviewing.proposal import Proposal
    from orchestrator.runs.amending import Edit
    from orchestrator.runs.changing import Change
    from orchestrator.workspace import Workspace


def run_apply(args: argparse.Namespace) -> int:
    """Make a proposed change, and keep it unless recorded runs or examples get worse; the value is the exit code."""
    _check_asker()
    workspace = existing_workspace(args.workspace)
    check_not_applied(workspace, args.id)
    proposal = proposed(workspace, args.id)
    change = change_of(proposal, workspace, open_catalog(workspace))
    say(clean(f"{proposal.action} {proposal.subject}: {proposal.evidence.says}"))
    say(clean(f"wrong if {proposal.refuted_by}"))
    if not _agreed(change.edits, workspace, yes=args.yes, question=f"apply `{proposal.id}`? [y/N] "):
        return Denied.exit_code
    found, said = _applied(change)
    if args.json:
        show(as_json({**_object(proposal, change.edits, workspace), "applied": not found, "worse": found}))
    elif not found:
        show(clean(f"applied {proposal.id}: {_names(change.edits, workspace)}"))
    say(said)
    if found:
        say(f"error: `{proposal.id}` is undone: with it, what held before fails")
        for line in lines(found, columns(sys.stderr)):
            say(f"✗ {line}")
        return 1
    if proposal.action == "prefer":
        say("where the workflow has checks, the record may still put another strategy first")
    say(f"hint: `orchestrate review rollback {proposal.id}` takes it back")
    return 0


def run_rollback(args: argparse.Namespace) -> int:
    """Put back what was there before a change; the value is the exit code."""
    _check_asker()
    workspace = existing_workspace(args.workspace)
    found = to_roll_back(workspace, args.id)
    edits = reverse(found.edits)
    if not _agreed(edits, workspace, yes=args.yes, question=f"take `{args.id}` back? [y/N] "):
        return Denied.exit_code
    proposal = rollback(workspace, args.id).proposal
    if args.json:
        show(as_json({**_object(proposal, edits, workspace), "applied": False}))
    else:
        show(clean(f"rolled back {proposal.id}: {_names(edits, workspace)}"))
    return 0


def _applied(change: Change) -> tuple[dict[str, str], str]:
    """Apply a change; what got worse, so that it was undone, and one line of what was run again."""
    trial = trial_of(change)
    if trial.runs or trial.skills:
        runs, skills = plural(len(trial.runs), "recorded run"), plural(len(trial.skills), "skill")
        say(f"running {runs} and the examples of {skills} again, before and after")
    before = trial.before()
    found: dict[str, str] = {}
    said = ""

    def is_worse() -> bool:
        nonlocal said
        after = trial.after()
        found.update(worse(before, after))
        said = told(before, after)
        return bool(found)

    apply(change.workspace, change.proposal, change.edits, is_worse, datetime.now(UTC))
    return found, said


def _check_asker() -> None:
    if within_a_run():
        raise Denied(
            "a review's proposal can't be applied from within a run", hint="type it in a terminal of your own"
        )


def _agreed(edits: Sequence[Edit], workspace: Workspace, *, yes: bool, question: str) -> bool:
    """Show what will change; whether somebody wants it. Raises Denied where nobody can be asked and nobody said `--yes`."""
    for line in diff(edits, workspace):
        say(clean(line))
    if yes:
        return True
    if not somebody_is_there():
        raise Denied(
            "nobody is here to be asked, and nothing was changed",
            hint="`--yes` agrees to what is shown above",
        )
    put(clean(question))
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say("nothing was changed")
    return False


def _object(proposal: Proposal, edits: Sequence[Edit], workspace: Workspace) -> dict[str, object]:
    return {
        "id": proposal.id,
        "subject": proposal.subject,
        "action": proposal.action,
        "files": [shown_path(edit.path, workspace) for edit in edits],
    }


def _names(edits: Sequence[Edit], workspace: Workspace) -> str:
    return ", ".join(f"`{shown_path(edit.path, workspace)}`" for edit in edits)
