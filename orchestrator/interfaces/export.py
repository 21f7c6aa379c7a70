"""`orchestrate export`: one run in the form of another program."""

from __future__ import annotations

import difflib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.interfaces.terminal import clean, say, show
from orchestrator.runs.export import FORMATS, rlm_lines
from orchestrator.runs.history import find_run, read_tree
from orchestrator.workspace import existing_workspace, expanded_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from pathlib import Path


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
        _write(path.resolve(), lines)
    except OSError as error:
        raise UsageError(
            f"can't write `--out {args.out}`: {error.strerror or error}",
            hint="name a file in a folder that exists and that you may write to",
        ) from error
    say(f"wrote {clean(str(path))}")
    return 0


def _write(path: Path, lines: Iterable[str]) -> None:
    """Write a file whole or not at all; what is no file, as a pipe, gets the lines as they come."""
    whole = not path.exists() or path.is_file()
    part = path.with_name(f".{path.name}.{os.getpid()}.part") if whole else path
    try:
        with part.open("w", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in lines)
        if whole:
            part.replace(path)
    except BaseException:
        if whole:
            with suppress(OSError):
                part.unlink()
        raise
