"""`orchestrate usage`: how skills, workflows and strategies did, from the usage record."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.interfaces.terminal import as_json, clean, columns, duration, plural, say, show, table
from orchestrator.memory.usage import UsageStore
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from orchestrator.memory.tallies import Imported, Tallies, Tally


def run(args: argparse.Namespace) -> int:
    """Print tallies by skill, workflow and strategy; the value is the exit code."""
    workspace = existing_workspace(args.workspace)
    tallies = UsageStore(workspace).tallies()
    if args.json:
        show(as_json(asdict(tallies)))
        return 0
    if not tallies.n_records and not tallies.imported:
        say(
            f"nothing recorded in `{clean(str(workspace.root))}`\nhint: `orchestrate WORKFLOW` makes a record"
        )
        return 0
    _print_tables(tallies)
    say(f"{plural(tallies.n_records, 'record')} in {clean(str(workspace.usage_log))}")
    if tallies.n_skipped:
        say(f"{plural(tallies.n_skipped, 'line')} skipped: a writer was killed there")
    return 0


def _print_tables(tallies: Tallies) -> None:
    for title, rows in (
        ("SKILL", tallies.skills),
        ("WORKFLOW", tallies.workflows),
        ("STRATEGY", tallies.strategies),
    ):
        if rows:
            # A run tries several strategies: what is counted of a workflow are its attempts.
            header = [
                title,
                "CALLS" if title == "SKILL" else "ATTEMPTS",
                "OK",
                "FAILED",
                "TIME EACH",
                "LAST USED",
                "FAILED WITH",
            ]
            _print(header, [_row(tally) for tally in _by_calls(rows.values())], right=[1, 2, 3, 4])
    if tallies.imported:
        rows_imported = [_imported_row(one) for one in tallies.imported.values()]
        _print(["SKILL (ANOTHER TOOL)", "CALLS", "OK", "FAILED", "LAST USED"], rows_imported, right=[1, 2, 3])


def _print(header: list[str], rows: list[list[str]], *, right: list[int]) -> None:
    for line in table(header, rows, right=right, width=columns(sys.stdout)):
        show(line)
    show("")


def _by_calls(tallies: Iterable[Tally]) -> list[Tally]:
    return sorted(tallies, key=lambda tally: (-tally.calls, tally.name))


def _row(tally: Tally) -> list[str]:
    return [
        tally.name,
        f"{tally.calls:,}",
        f"{tally.ok + tally.unverified:,}",
        f"{tally.failed:,}" if tally.failed else "",
        duration(tally.duration_s / tally.calls) if tally.duration_s else "",
        _day(tally.last_used),
        _kinds(tally.error_kinds),
    ]


def _imported_row(one: Imported) -> list[str]:
    return [
        one.name,
        f"{one.calls:,}",
        *("" if n is None else f"{n:,}" for n in (one.ok, one.failed)),
        _day(one.last_used),
    ]


def _kinds(kinds: Mapping[str, int]) -> str:
    """What failed most, first."""
    return ", ".join(f"{name} {n}" for name, n in sorted(kinds.items(), key=lambda pair: -pair[1]))


def _day(at: str | None) -> str:
    try:
        return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d") if at else ""
    except ValueError:
        return ""
