"""`orchestrate import`: uses of skills out of transcripts and other tools' files, for the usage record."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from orchestrator.errors import DocumentError, UsageError
from orchestrator.interfaces.terminal import as_json, clean, columns, one_line, plural, say, show, table
from orchestrator.memory.importing.bringing import bring
from orchestrator.memory.importing.reading import read
from orchestrator.values import Problem
from orchestrator.workspace import expanded_path, workspace_of

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from orchestrator.memory.importing.bringing import Brought
    from orchestrator.memory.importing.reading import Reading
    from orchestrator.workspace import Workspace

MAX_SHOWN = 20
"""Of what was skipped in a file, so much is named; all of it with --json."""


def run(args: argparse.Namespace) -> int:
    """Import files and say what came of each; the value is the exit code. Nothing is written when one can't be read."""
    workspace = workspace_of(args.workspace)
    readings = _read(workspace, [expanded_path(name) for name in args.files])
    brought = bring(workspace, readings, dry=args.dry_run)
    if args.json:
        files = [_as_object(path, readings[path], one) for path, one in brought.items()]
        show(as_json({"files": files, "dry_run": args.dry_run}))
        return 0
    rows = [
        [path.name, readings[path].shape, *(f"{n:,}" for n in (one.n_new, one.n_known, one.n_tallies)), f"{len(readings[path].skipped):,}"]
        for path, one in brought.items()
    ]  # fmt: skip
    for line in table(
        ["FILE", "SHAPE", "NEW", "KNOWN", "TALLIES", "SKIPPED"],
        rows,
        right=[2, 3, 4, 5],
        width=columns(sys.stdout),
    ):
        show(line)
    for path, reading in readings.items():
        _say_skipped(path, reading)
    n_new = sum(one.n_new for one in brought.values())
    done = "would be added to" if args.dry_run else "added to"
    say(f"{plural(n_new, 'record')} {done} {clean(str(workspace.usage_log))}")
    return 0


def _read(workspace: Workspace, paths: list[Path]) -> dict[Path, Reading]:
    """What each file says. Raises DocumentError with what is wrong with all of them."""
    readings: dict[Path, Reading] = {}
    problems = []
    own = {workspace.usage_summary.resolve(), workspace.usage_log.resolve()}
    for path in paths:
        if path.resolve() in own:
            why, hint = (
                "it belongs to this workspace, where it is counted as it lies",
                "name files of other tools",
            )
            problems.append(Problem(str(path), 0, why, hint))
            continue
        try:
            readings[path] = read(path)
        except UsageError as error:
            problems.append(Problem(str(path), 0, str(error), error.hint))
    if problems:
        raise DocumentError(problems)
    return readings


def _say_skipped(path: Path, reading: Reading) -> None:
    for one in reading.skipped[:MAX_SHOWN]:
        say(f"{clean(str(path))}:{one_line(one.place, 80)}: skipped: {one.why}")
    if (n_more := len(reading.skipped) - MAX_SHOWN) > 0:
        say(f"{clean(str(path))}: {n_more:,} more were skipped; --json names them")


def _as_object(path: Path, reading: Reading, brought: Brought) -> dict[str, object]:
    return {
        "path": str(path),
        "shape": reading.shape,
        "new": brought.n_new,
        "known": brought.n_known,
        "tallies": brought.n_tallies,
        "skipped": [{"place": one.place, "why": one.why} for one in reading.skipped],
    }
