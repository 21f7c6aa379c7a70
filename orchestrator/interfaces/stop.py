"""`orchestrate stop`: end runs that go on in other processes, with their state saved."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.interfaces.terminal import as_json, say, show
from orchestrator.runs.history import find_run, list_runs, machine_of, process_of, run_info
from orchestrator.runs.journal import is_alive
from orchestrator.runs.processes import this_machine
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

MERCY_S = 2.0
"""How long a run may take to end by itself: its own mercy for its workers is shorter."""


def run(args: argparse.Namespace) -> int:
    """Stop one run or all; the value is the exit code: 0 where none of them goes on."""
    workspace = existing_workspace(args.workspace)
    if args.all == (args.run is not None):
        raise UsageError("name one run, or --all", hint="`orchestrate status` lists them")
    if args.all:
        folders = [workspace.runs / info.run for info in list_runs(workspace) if info.status == "running"]
    else:
        folders = [find_run(workspace, args.run)]
    alive = [folder for folder in folders if is_alive(folder)]
    away = {folder: host for folder in alive if (host := machine_of(folder)) != this_machine()}
    here = [folder for folder in alive if folder not in away]
    for folder in here:
        _signal(folder, signal.SIGTERM)
    _wait(here)
    for folder in here:
        if is_alive(folder):
            _signal(folder, signal.SIGKILL)
    _wait(here)
    left = [folder.name for folder in alive if is_alive(folder)]
    stopped = [folder.name for folder in alive if folder.name not in left]
    if args.json:
        show(as_json({"stopped": stopped, "running": left}))
    for name in stopped:
        say(f"stopped {name}\n  orchestrate resume {name}")
    if not alive:
        say(
            "nothing to stop: "
            + ("no run goes on here" if args.all else f"`{folders[0].name}` is {run_info(folders[0]).status}")
        )
    for name in left:
        say(f"error: `{name}` could not be stopped")
    for folder, host in away.items():
        say(f"hint: `{folder.name}` goes on on `{host}`, which has this workspace too: stop it there")
    return 1 if left else 0


def _signal(folder: Path, signum: signal.Signals) -> None:
    process = process_of(folder)
    if process is None:
        say(f"`{folder.name}` does not say which process has it: look for it with `ps`, and end it by hand")
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signum)


def _wait(folders: list[Path]) -> None:
    until = time.monotonic() + MERCY_S
    while time.monotonic() < until and any(map(is_alive, folders)):
        time.sleep(0.02)
