"""`orchestrate watch`: look at a workspace while people, editors and programs change its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace) -> int:
    """Watch until it is told to stop; the value is the exit code."""
    if (args.workflow is None) != (args.on is None):
        raise UsageError(
            "a workflow is run on files, so both have to be named",
            hint="orchestrate watch WORKFLOW --on 'inbox/*'; `orchestrate watch` alone checks the workspace",
        )
    from orchestrator.interfaces.file_events import Hints  # brings watchdog

    with Hints() as hints:
        if args.workflow is not None:
            from orchestrator.interfaces.arriving import run_on_files

            return run_on_files(args, hints)
        from orchestrator.interfaces.rechecking import recheck

        return recheck(existing_workspace(args.workspace), hints, once=args.once, as_json=args.json)
