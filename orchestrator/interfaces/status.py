"""`orchestrate status`: the runs of a workspace."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.interfaces.needs import need_lines
from orchestrator.interfaces.terminal import (
    as_json,
    clean,
    columns,
    duration,
    plural,
    say,
    show,
    table,
)
from orchestrator.runs.history import find_run, list_runs, result_of_run, run_info, spent_of_run
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from orchestrator.runs.history import RunInfo

MAX_ANSWER_CHARS = 2_000
"""So much of an answer is shown; `--json` has the whole."""

N_SHOWN = 20
"""Runs in the table that people read; `--json` has all."""


def run(args: argparse.Namespace) -> int:
    """Print runs, newest first; the value is the exit code."""
    workspace = existing_workspace(args.workspace)
    if args.run:
        return _one(find_run(workspace, args.run), as_object=args.json)
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


def _one(folder: Path, *, as_object: bool) -> int:
    info = run_info(folder)
    if info.status in ("running", "crashed"):
        usage = spent_of_run(folder)
        if info.status == "running":
            usage["seconds"] = max(usage["seconds"], _since(info.started))
        info = replace(info, usage=usage)
    if as_object:
        show(as_json(_whole_object(folder, info)))
        return 0
    usage = info.usage
    show(f"{info.run}  {info.status}  {clean(info.workflow)}")
    show(
        f"started {_local(info.started)}, {duration(usage['seconds']) or 'no time known'}, {plural(usage['calls'], 'model request')}"
    )
    if info.message:
        show(clean(info.message))
    if (answer := (result_of_run(folder) or {}).get("answer")) is not None:
        shown = answer if isinstance(answer, str) else as_json(answer)
        show(clean(shown if len(shown) <= MAX_ANSWER_CHARS else f"{shown[:MAX_ANSWER_CHARS]}…"))
    show(f"record: {clean(str(folder))}\n  orchestrate show {info.run}")
    if info.status in ("crashed", "interrupted", "error"):
        show(f"  orchestrate resume {info.run}")
    for line in need_lines(info.run, info.needs, columns(sys.stdout)):
        show(line)
    return 0


def _whole_object(folder: Path, info: RunInfo) -> dict[str, Any]:
    """What `--json` says of one run: also its needs, and its result once it has ended."""
    result = result_of_run(folder) or {}
    names = ("answer", "strategy", "checks", "attempts", "message", "exit_code")
    return {
        **_object(info),
        "needs": list(info.needs),
        **{name: result[name] for name in names if name in result},
    }


def _since(at: str) -> float:
    try:
        return round((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds(), 3)
    except ValueError:
        return 0.0


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
