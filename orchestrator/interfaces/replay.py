"""`orchestrate replay`: run a finished run's cells again, with what its calls came to, and compare."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from orchestrator.app import plan_replay, rehearse
from orchestrator.interfaces.console import headline, print_lines
from orchestrator.interfaces.drawing import whole
from orchestrator.interfaces.outcome import say_warnings
from orchestrator.interfaces.terminal import as_json, clean, columns, plural, say, show
from orchestrator.runs.history import read_tree

if TYPE_CHECKING:
    import argparse

N_SHOWN = 20


def run(args: argparse.Namespace) -> int:
    """Replay a run and print its tree; the value is the exit code: 0 where all came out the same."""
    planned = plan_replay(args.run, args.workspace)
    say_warnings(planned.warnings)
    result, differences = asyncio.run(rehearse(planned))
    tree = read_tree(planned.workspace.runs / planned.run)
    if args.json:
        found = [{"call": one.call, "message": one.message} for one in differences]
        show(as_json({"run": planned.run, "same": not found, "status": result.status, "differences": found}))
    else:
        width = columns(sys.stdout)
        show(headline(tree, width))
        if tree.root is not None:
            print_lines(whole(tree.root, width))
    for one in differences[:N_SHOWN]:
        say(f"✗ {clean(str(one))}")
    if len(differences) > N_SHOWN:
        say(f"… and {len(differences) - N_SHOWN} more; --json lists all")
    say(
        f"replayed: {plural(len(differences), 'difference')}"
        if differences
        else "replayed: it came out the same"
    )
    return 1 if differences else 0
