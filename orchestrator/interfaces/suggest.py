"""`orchestrate suggest`: the skills that fit a task, or that none does; also as a host's hook, where its user asks for it.

A host waits for this command: it imports what a warm start needs and nothing more.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.interfaces.terminal import as_json, columns, say, show, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from orchestrator.memory.suggestions import Suggestion


def run(args: argparse.Namespace) -> int:
    """Print the skills that fit; the value is the exit code."""
    if args.hook:
        from orchestrator.interfaces.offering import offer

        return offer(args.workspace, k=args.k)
    from orchestrator.memory.suggestions import suggest

    if args.k < 1:
        raise UsageError(f"`-k {args.k}` asks for no skill", hint="write -k and a number from 1")
    found = suggest(_task(args.task), k=args.k, workspace=args.workspace)
    if args.json:
        show(as_json([_object(one) for one in found]))
        return 0
    if not found:
        say(
            "no skill fits this task\nhint: say it in other words, or see what there is with `orchestrate skills`"
        )
        return 0
    header = ["SKILL", "SCORE", "WENT WELL", "WHY"]
    for line in table(header, [_row(one) for one in found], right=[1], width=columns(sys.stdout)):
        show(line)
    return 0


def _task(words: Sequence[str]) -> str:
    task = sys.stdin.read() if list(words) == ["-"] else " ".join(words)
    if not task.strip():
        raise UsageError(
            "no task was given", hint='orchestrate suggest "what is to be done", or - to read it from stdin'
        )
    return task


def _row(one: Suggestion) -> list[str]:
    return [one.name, f"{one.score:.2f}", went_well(one), ", ".join(one.why)]


def went_well(one: Suggestion) -> str:
    """Of how many calls how many went well; empty without calls."""
    return f"{one.calls - one.failed:,} of {one.calls:,}" if one.calls else ""


def _object(one: Suggestion) -> dict[str, object]:
    return {name: getattr(one, name) for name in ("name", "score", "description", "calls", "failed", "why")}
