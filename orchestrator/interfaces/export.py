"""`orchestrate export`: one run in the form of another program."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.interfaces.terminal import clean, say, show
from orchestrator.memory.files import workspace_error
from orchestrator.runs.export import FORMATS, rlm_lines
from orchestrator.runs.history import find_run, read_tree
from orchestrator.workspace import existing_workspace, expanded_path

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace) -> int:
    """Print a run's log, or write it to a file; the value is the exit code."""
    if args.format not in FORMATS:
        close = difflib.get_close_matches(args.format, FORMATS, n=1)
        raise UsageError(
            f"no format named `{args.format}` ({len(FORMATS)} known: {', '.join(FORMATS)})",
            hint=f"did you mean `{close[0]}`?" if close else "orchestrate export RUN --format rlm",
        )
    lines = rlm_lines(read_tree(find_run(existing_workspace(args.workspace), args.run)))
    if args.out is None:
        for line in lines:
            show(line)
        return 0
    path = expanded_path(args.out)
    try:
        with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise workspace_error(path, error) from error
    say(f"wrote {clean(str(path))}")
    return 0
