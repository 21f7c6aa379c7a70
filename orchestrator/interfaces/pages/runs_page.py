"""The list of runs, where pages are served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.interfaces.pages.rendering import page
from orchestrator.interfaces.pages.tables import moment
from orchestrator.interfaces.terminal import clean, duration, many, money, plural
from orchestrator.runs.history import count_runs, list_runs

if TYPE_CHECKING:
    from orchestrator.runs.history import RunInfo
    from orchestrator.workspace import Workspace

MAX_RUNS = 200
"""Listed, the newest; older ones are counted."""

LOOKS = {"answered": ("good", "✓"), "running": ("busy", "…"), "suspended": ("busy", "…")}


@dataclass(frozen=True, slots=True)
class Row:
    """A run in the list."""

    run: str
    workflow: str
    status: str
    look: str
    sign: str
    started: str
    figures: tuple[str, ...]
    note: str


def runs_page(workspace: Workspace, *, live: str, learning: str) -> str:
    """The HTML of the list. `live` and `learning` are addresses beside it."""
    name = clean(workspace.root.name or str(workspace.root))
    rows, n_runs = [_row(info) for info in list_runs(workspace, MAX_RUNS)], count_runs(workspace)
    n_going = sum(row.status == "running" for row in rows)
    facts = [plural(n_runs, "run"), *([f"{n_going} going on"] if n_going else [])]
    data = {"name": name, "facts": facts, "rows": rows, "n_older": n_runs - len(rows), "learning": learning}
    return page("runs.html", f"Runs · {name}", data, ("learning.css", "live.js", "refresh.js"), live=live)


def _row(info: RunInfo) -> Row:
    look, sign = LOOKS.get(info.status, ("bad", "✗"))
    usage = info.usage
    tokens, is_going = usage.get("tokens") or 0, info.status == "running"  # its figures come with its end
    took = "" if is_going else duration(usage.get("seconds"))
    spent = (f"{many(tokens)} tokens" if tokens else "", money(usage.get("usd") or 0.0))
    waits = f"waits for {plural(len(info.needs), 'answer')}" if info.needs else ""
    message = info.message if info.message != info.status else ""
    return Row(
        info.run, clean(info.workflow), info.status, look, sign, moment(info.started),
        (took, *spent), clean(waits or message.split("\n")[0][:200]),
    )  # fmt: skip
