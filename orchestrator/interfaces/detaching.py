"""Begins a run in a process of its own, which outlives its caller."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from orchestrator.interfaces.running import run_planned
from orchestrator.interfaces.terminal import as_json, clean, say, show
from orchestrator.runs.journal import FILE_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.app import Plan

OUTPUT = "output.txt"
"""In the run's folder: what the run printed."""

LONGEST_S = 30.0
"""How long a run may take to begin its record."""


def detach(planned: Plan, *, as_object: bool) -> int:
    """Begin the run apart from this process; the value is the exit code: 0 once its record has begun."""
    folder = planned.workspace.runs / planned.run
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        _go_apart(folder)
        return run_planned(planned, as_object=True)
    code = _ended_early(pid, folder)
    if code is not None:
        sys.stderr.write((folder / OUTPUT).read_text("utf-8", "replace"))
        return code
    if as_object:
        show(as_json({"status": "running", "run": planned.run}))
    else:
        show(planned.run)
    say(
        f"runs apart from this process; it prints to\n  {clean(str(folder / OUTPUT))}\n"
        f"  orchestrate status {planned.run}\n  orchestrate stop {planned.run}"
    )
    return 0


def _go_apart(folder: Path) -> None:
    """Leave the caller's terminal and group; what is printed goes to a file."""
    os.setsid()
    output = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)


def _ended_early(pid: int, folder: Path) -> int | None:
    """The exit code of a run that ended before its record began; None once it has begun."""
    until = time.monotonic() + LONGEST_S
    journal = folder / FILE_NAME
    while time.monotonic() < until:
        if journal.exists() and journal.stat().st_size:
            return None
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            has_begun = journal.exists() and journal.stat().st_size
            return None if has_begun else os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    return None
