"""`orchestrate watch`: look at a workspace while people, editors and programs change its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse

OF_RUNS = (
    "input", "budget", "model", "sub_model", "strategy", "environment", "yes", "frozen", "jobs", "in_a_row",
)  # fmt: skip
"""Options that say how runs go."""


def run(args: argparse.Namespace) -> int:
    """Watch until it is told to stop; the value is the exit code."""
    if (args.workflow is None) != (args.on is None):
        raise UsageError(
            "a workflow is run on files, so both have to be named",
            hint="orchestrate watch WORKFLOW --on 'inbox/*'; `orchestrate watch` alone checks the workspace",
        )
    workspace = existing_workspace(args.workspace)
    if args.workflow is None and (idle := [name for name in OF_RUNS if getattr(args, name)]):
        raise UsageError(
            f"`--{idle[0].replace('_', '-')}` is for runs, and nothing is to be run",
            hint="orchestrate watch WORKFLOW --on 'inbox/*'; `orchestrate watch` alone checks the workspace",
        )
    from orchestrator.interfaces.file_events import Hints  # brings watchdog

    with Hints() as hints:
        if args.workflow is not None:
            from orchestrator.interfaces.arriving import run_on_files

            return run_on_files(args, hints)
        from orchestrator.interfaces.rechecking import recheck

        return recheck(workspace, hints, once=args.once, as_json=args.json)
