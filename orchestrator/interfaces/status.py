"""`orchestrate status`: the runs of a workspace."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.interfaces.terminal import as_json, clean, columns, duration, plural, say, show, table
from orchestrator.runs.history import find_run, list_runs, run_info
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse

    from orchestrator.runs.history import RunInfo
    from orchestrator.workspace import Workspace

N_SHOWN = 20
"""Runs in the table that people read; `--json` has all."""


def run(args: argparse.Namespace) -> int:
    """Print runs, newest first; the value is the exit code."""
    workspace = existing_workspace(args.workspace)
    if args.run:
        return _one(run_info(find_run(workspace, args.run)), workspace, as_object=args.json)
    runs = list_runs(workspace)
    if args.json:
        show(as_json([_object(info) for info in runs]))
        return 0
    if not runs:
        say(f"no runs in `{clean(str(workspace.root))}`\nhint: `orchestrate WORKFLOW` makes one")
        return 0
    rows = [
        [info.run, info.status, _local(info.started), duration(info.usage["seconds"]), info.workflow]
        for info in runs
    ]
    for line in table(
        ["RUN", "STATUS", "STARTED", "TOOK", "WORKFLOW"], rows[:N_SHOWN], right=[3], width=columns(sys.stdout)
    ):
        show(line)
    if len(runs) > N_SHOWN:
        say(f"… {plural(len(runs) - N_SHOWN, 'older run')}; --json lists all")
    return 0


def _one(info: RunInfo, workspace: Workspace, *, as_object: bool) -> int:
    if as_object:
        show(as_json(_object(info)))
        return 0
    usage = info.usage
    show(f"{info.run}  {info.status}  {clean(info.workflow)}")
    show(
        f"started {_local(info.started)}, {duration(usage['seconds']) or 'no time known'}, {plural(usage['calls'], 'model request')}"
    )
    if info.message:
        show(clean(info.message))
    show(f"record: {clean(str(workspace.runs / info.run))}\n  orchestrate show {info.run}")
    return 0


def _object(info: RunInfo) -> dict[str, Any]:
    return {
        "run": info.run,
        "workflow": info.workflow,
        "status": info.status,
        "started": info.started,
        "usage": info.usage,
    }


def _local(at: str) -> str:
    """A journal's time as this machine's clock shows it."""
    try:
        return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return "?"
