"""How the skills of a workspace did, by use and outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.app import open_catalog
from orchestrator.errors import OrchestratorError
from orchestrator.interfaces.pages import charts
from orchestrator.interfaces.pages.charts import interval, share
from orchestrator.interfaces.pages.tables import Cell, Shown, Table, figure, head, moment
from orchestrator.interfaces.terminal import clean, duration
from orchestrator.memory import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.memory.tallies import Imported, Tallies, Tally
    from orchestrator.workspace import Workspace

MAX_UNUSED = 60


def used_skills(tallies: Tallies) -> Shown:
    """The skills that were called, the most called first."""
    used = sorted(tallies.skills.values(), key=lambda one: (-one.calls, one.name))
    used = [one for one in used if one.calls]
    if not used:
        return Shown(None, empty="No skill was called yet.")
    titles = head(
        "skill",
        "calls#",
        "ok#",
        "failed#",
        "time each#",
        "last used",
        "failed with",
        "attempts with it that passed",
    )
    rows = tuple(
        (
            Cell(clean(one.name), code=True), figure(f"{one.calls:,}"),
            figure(f"{one.ok + one.unverified:,}"), figure(f"{one.failed:,}" if one.failed else ""),
            figure(duration(one.duration_s / one.calls)), Cell(moment(one.last_used)), Cell(_kinds(one)),
            _judged(one),
        )
        for one in used
    )  # fmt: skip
    note = (
        "Calls of one run lean on each other, so their share has no interval here. What checks said of the attempts "
        "that called a skill has one."
    )
    return Shown(charts.uses(used), Table("", titles, rows, note))


def _judged(one: Tally) -> Cell:
    rate = figures.rate(one.passed, one.passed + one.not_passed)
    return Cell(share(rate), chart=interval(rate)) if rate.n else Cell("-")


def imported_skills(found: Sequence[Imported]) -> Table | None:
    """What another tool counted here; None where none did."""
    if not found:
        return None
    titles = head("skill", "calls#", "ok#", "failed#", "last used")
    rows = tuple(
        (
            Cell(clean(one.name), code=True), figure(f"{one.calls:,}"), figure("" if one.ok is None else f"{one.ok:,}"),
            figure("" if one.failed is None else f"{one.failed:,}"), Cell(moment(one.last_used)),
        )
        for one in found
    )  # fmt: skip
    return Table("Counted by another tool", titles, rows)


def unused_skills(workspace: Workspace, tallies: Tallies) -> tuple[str, ...]:
    """Skills that a run could call here and none has; none where they can't be read."""
    try:
        catalog = open_catalog(workspace)
    except (OrchestratorError, OSError):
        return ()
    names = [clean(skill.name) for skill in catalog.skills if skill.name not in tallies.skills]
    more = [f"and {len(names) - MAX_UNUSED:,} more"] if len(names) > MAX_UNUSED else []
    return (*sorted(names)[:MAX_UNUSED], *more)


def _kinds(tally: Tally) -> str:
    kinds = sorted(tally.error_kinds.items(), key=lambda pair: -pair[1])
    return clean(", ".join(f"{name} {n:,}" for name, n in kinds[:4]))
