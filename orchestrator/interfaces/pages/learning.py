"""The page of what a workspace has learned: figures gathered, put into words, charts and tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.app import open_catalog
from orchestrator.errors import OrchestratorError
from orchestrator.interfaces.pages import charts
from orchestrator.interfaces.pages.charts import amount, interval, share
from orchestrator.interfaces.pages.rendering import page
from orchestrator.interfaces.strategies import order_of, workflows_of
from orchestrator.interfaces.terminal import clean, duration, many, money, plural
from orchestrator.memory import figures
from orchestrator.memory.experience import Row, experience_of
from orchestrator.memory.usage import UsageStore
from orchestrator.strategies.course import standings
from orchestrator.strategies.learned import folder_of, programs_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from orchestrator.interfaces.pages.charts import Chart
    from orchestrator.memory.experience import Experience
    from orchestrator.memory.figures import Record, Solution, Solved, Unit
    from orchestrator.memory.tallies import Imported, Tallies, Tally
    from orchestrator.strategies.choose import Choice
    from orchestrator.strategies.course import Standing
    from orchestrator.strategies.learned import Program
    from orchestrator.workspace import Workspace

ENDS = 5
"""Runs at each end of a workflow's record that are compared, where there are twice as many."""

MAX_UNUSED = 60


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: a text, or a small chart beside it; `right` for figures."""

    text: str
    right: bool = False
    chart: Chart | None = None
    code: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Figures in rows. `note` is said above it."""

    title: str
    head: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A chart with the table of its figures; without a chart, `empty` says why."""

    chart: Chart | None
    table: Table | None = None
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What was learned of one workflow."""

    name: str
    said: tuple[str, ...]
    charts: tuple[Shown, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """The whole page."""

    name: str
    facts: tuple[str, ...]
    parts: tuple[Part, ...]
    skills: Shown
    unused: tuple[str, ...] = ()
    imported: Table | None = None


def learning_page(workspace: Workspace, *, live: str = "", home: str = "") -> str:
    """The HTML of the page. `live` and `home` are addresses where it is served. Raises WorkspaceError."""
    shown = gathered(workspace)
    data = {"learned": shown, "home": home}
    parts = ("learning.css", *(("live.js", "refresh.js") if live else ()))
    return page("learning.html", f"Learned · {shown.name}", data, parts, live=live)


def gathered(workspace: Workspace) -> Learned:
    """What the workspace's record says by now."""
    record, _ = figures.read_record(workspace)
    experience, tallies = experience_of(workspace), UsageStore(workspace).tallies()
    courses = standings(list(record.attempts))
    folders = {folder_of(workspace, name).name for name in record.workflows}
    names = {*record.workflows, *(workflows_of(workspace, experience) - folders)}
    latest = {name: solved.latest[-1].at for name, solved in record.workflows.items()}
    parts = [
        _part(workspace, name, record.workflows.get(name), courses.get(name, []), experience)
        for name in sorted(names, key=lambda name: (latest.get(name, ""), name), reverse=True)
        if name
    ]
    return Learned(
        clean(workspace.root.name or str(workspace.root)),
        _facts(record, tallies, parts),
        tuple(parts),
        _skills(tallies),
        _unused(workspace, tallies),
        _imported(list(tallies.imported.values())),
    )


def _facts(record: Record, tallies: Tallies, parts: Sequence[Part]) -> tuple[str, ...]:
    n_runs = sum(solved.n for solved in record.workflows.values())
    if not tallies.n_records:
        return ("nothing is on record yet",)
    return (
        plural(n_runs, "run") + f" of {plural(len(record.workflows), 'workflow')}",
        plural(sum(one.calls for one in tallies.skills.values()), "call")
        + f" of {plural(len(tallies.skills), 'skill')}",
        plural(
            sum(len(table.rows) for part in parts for table in part.tables if table.title == PROGRAMS),
            "program",
        )
        + " learned",
    )


PROGRAMS = "Programs that were distilled"


def _part(
    workspace: Workspace, name: str, solved: Solved | None, course: list[Standing], experience: Experience
) -> Part:
    programs, _ = programs_of(workspace, name)
    unit: Unit = solved.unit if solved else "tokens"
    solutions = list(solved.latest) if solved else []
    first = solved.n - len(solutions) + 1 if solved else 1
    choices = order_of(workspace, name, experience)
    there = {choice.strategy for choice in choices}
    rows = experience.rows.get(name, {})
    tables = [_strategies(choices, rows, unit)] if rows else []
    if programs:
        tables.append(_programs(programs, rows, unit))
    if solved is None:
        return Part(
            clean(name), ("It was not run here; what it learned came with the workspace.",), (), tuple(tables)
        )
    shown = (_cost(solutions, first, unit), _success(solutions, first), _places(course, there))
    return Part(clean(name), tuple(_said(solutions, solved.n, unit)), shown, tuple(tables))


def _said(solutions: Sequence[Solution], n: int, unit: Unit) -> list[str]:
    """What its figures say, in sentences that they bear."""
    rate = figures.passed(solutions)
    said = [
        plural(n, "run")
        + ("." if n == len(solutions) else f", the last {len(solutions):,} of which are shown.")
    ]
    if rate.n:
        low, high = charts.percent(rate.low), charts.percent(rate.high)
        said[0] += (
            f" Of {rate.n:,} that checks judged, {rate.ok:,} passed: the true share lies, 19 times in 20, between {low} and {high} %."
        )
    else:
        said[0] += " No check has judged one."
    word = _WORDS[unit]
    if len(solutions) >= 2 * ENDS:
        before, now = figures.typical(solutions[:ENDS], unit), figures.typical(solutions[-ENDS:], unit)
        said.append(
            f"Median of the first {ENDS} shown: {amount(before, unit)}{word}; of the latest {ENDS}: {amount(now, unit)}{word}."
        )
    elif len(solutions) > 1:
        before, now = (float(getattr(solutions[place], unit)) for place in (0, -1))
        said.append(f"The first took {amount(before, unit)}{word}, the latest {amount(now, unit)}{word}.")
    return said


def _cost(solutions: Sequence[Solution], first: int, unit: Unit) -> Shown:
    head = tuple(
        Cell(text, right=text in _FIGURES)
        for text in ("run", "when", "strategy", "ended", "attempts", "tokens", "cost", "time")
    )
    rows = [
        (
            Cell(f"{number:,}"), Cell(moment(one.at)), Cell(clean(one.strategy), code=True), Cell(one.ending),
            Cell(f"{one.attempts:,}", right=True), Cell(many(one.tokens), right=True),
            Cell(money(one.usd) or "-", right=True), Cell(duration(one.seconds), right=True),
        )
        for number, one in enumerate(solutions, first)
    ]  # fmt: skip
    return Shown(charts.cost(solutions, first, unit), Table("", head, tuple(reversed(rows))))


def _success(solutions: Sequence[Solution], first: int) -> Shown:
    blocks = figures.course(solutions)
    if not blocks:
        n = figures.passed(solutions).n
        return Shown(
            None,
            empty=f"How success went over time is drawn from {2 * figures.MIN_BLOCK} judged runs on; there {'is' if n == 1 else 'are'} {n}. "
            "With fewer, chance alone moves it more than anything else.",
        )
    head = (Cell("runs"), Cell("passed", right=True), Cell("judged", right=True), Cell("true share"))
    rows = tuple(
        (
            Cell(f"{first + one.first - 1}-{first + one.last - 1}"), Cell(f"{one.rate.ok}", right=True),
            Cell(f"{one.rate.n}", right=True), Cell(share(one.rate)),
        )
        for one in blocks
    )  # fmt: skip
    return Shown(charts.success(blocks, first), Table("", head, rows))


def _places(course: Sequence[Standing], there: Collection[str]) -> Shown:
    if not course or len(course[-1].choices) < 2 or len(course) < 2:
        return Shown(None, empty="One strategy was tried so far, so there is no order to show.")
    gone = [choice.strategy for choice in course[-1].choices if choice.strategy not in there]
    head = (Cell("after run"), Cell("order of the strategies"))
    rows = tuple(
        (
            Cell(clean(one.run), code=True),
            Cell(clean(", ".join(choice.strategy for choice in one.choices)), code=True),
        )
        for one in reversed(course)
    )
    return Shown(charts.places(course, gone), Table("", head, rows))


def _strategies(choices: Sequence[Choice], rows: dict[str, Row], unit: Unit) -> Table:
    head = tuple(
        Cell(text, right=text in _FIGURES)
        for text in ("", "strategy", "tried", "passed", "true share", "each", "why it stands here")
    )
    found = [
        (
            Cell(f"{place}."), Cell(clean(choice.strategy), code=True), Cell(f"{row.tried:,}", right=True),
            Cell(_passed(row), right=True), _interval(row), Cell(_each(row, unit), right=True), Cell(clean(choice.why)),
        )
        for place, choice in enumerate(choices, 1)
        for row in [rows.get(choice.strategy) or Row()]
    ]  # fmt: skip
    return Table("Strategies, in the order in which the next run tries them", head, tuple(found))


def _programs(programs: dict[str, Program], rows: dict[str, Row], unit: Unit) -> Table:
    head = tuple(
        Cell(text, right=text in _FIGURES)
        for text in ("program", "cells", "models", "learned", "its run", "now", "record")
    )
    by_hand = rows.get("rlm")
    found = []
    for name, program in programs.items():
        row, evidence = rows.get(name) or Row(), program.document.evidence
        found.append(
            (
                Cell(clean(name), code=True), Cell(f"{len(program.document.cells)}", right=True),
                Cell("asks one" if program.asks else "asks none"),
                Cell(moment(evidence.at) if evidence and evidence.at else ""),
                Cell((amount(evidence.usd, unit) if unit == "usd" else many(evidence.tokens)) if evidence and unit != "seconds" else "-", right=True),
                Cell(_each(row, unit), right=True),
                Cell(f"{row.tried:,} tried, {_passed(row)} passed" if row.tried else "not tried yet"),
            )
        )  # fmt: skip
    note = "Cells that a model wrote and checks let through, tried before a model is asked to write new ones."
    if by_hand and by_hand.tried:
        note += (
            f" Where a model writes them (rlm), a run takes {_each(by_hand, unit)}{_WORDS[unit]} on average."
        )
    return Table(PROGRAMS, head, tuple(found), note)


def _skills(tallies: Tallies) -> Shown:
    used = sorted(tallies.skills.values(), key=lambda one: (-one.calls, one.name))
    used = [one for one in used if one.calls]
    if not used:
        return Shown(None, empty="No skill was called yet.")
    head = tuple(
        Cell(text, right=text in _FIGURES)
        for text in (
            "skill",
            "calls",
            "ok",
            "failed",
            "time each",
            "last used",
            "failed with",
            "attempts with it that passed",
        )
    )
    rows = tuple(
        (
            Cell(clean(one.name), code=True), Cell(f"{one.calls:,}", right=True),
            Cell(f"{one.ok + one.unverified:,}", right=True), Cell(f"{one.failed:,}" if one.failed else "", right=True),
            Cell(duration(one.duration_s / one.calls), right=True), Cell(moment(one.last_used)), Cell(_kinds(one)),
            _judged(one),
        )
        for one in used
    )  # fmt: skip
    note = (
        "Calls of one run lean on each other, so their share has no interval here. What checks said of the attempts "
        "that called a skill has one."
    )
    return Shown(charts.uses(used), Table("", head, rows, note))


def _judged(one: Tally) -> Cell:
    rate = figures.rate(one.passed, one.passed + one.not_passed)
    return Cell(share(rate), chart=interval(rate)) if rate.n else Cell("-")


def _imported(found: Sequence[Imported]) -> Table | None:
    if not found:
        return None
    head = (
        Cell("skill"),
        Cell("calls", right=True),
        Cell("ok", right=True),
        Cell("failed", right=True),
        Cell("last used"),
    )
    rows = tuple(
        (
            Cell(clean(one.name), code=True), Cell(f"{one.calls:,}", right=True), Cell("" if one.ok is None else f"{one.ok:,}", right=True),
            Cell("" if one.failed is None else f"{one.failed:,}", right=True), Cell(moment(one.last_used)),
        )
        for one in found
    )  # fmt: skip
    return Table("Counted by another tool", head, rows)


def _unused(workspace: Workspace, tallies: Tallies) -> tuple[str, ...]:
    """Skills that a run could call here and none has; none where they can't be read."""
    try:
        catalog = open_catalog(workspace)
    except (OrchestratorError, OSError):
        return ()
    names = [clean(skill.name) for skill in catalog.skills if skill.name not in tallies.skills]
    more = [f"and {len(names) - MAX_UNUSED:,} more"] if len(names) > MAX_UNUSED else []
    return (*sorted(names)[:MAX_UNUSED], *more)


_FIGURES = frozenset(
    {
        "attempts",
        "tokens",
        "cost",
        "time",
        "tried",
        "passed",
        "each",
        "cells",
        "its run",
        "now",
        "calls",
        "ok",
        "failed",
        "time each",
    }
)
_WORDS: dict[Unit, str] = {"usd": "", "tokens": " tokens", "seconds": ""}


def _passed(row: Row) -> str:
    return f"{row.passed:,}" + (f" (+{row.unverified:,} unchecked)" if row.unverified else "")


def _interval(row: Row) -> Cell:
    rate = figures.rate(row.passed, row.passed + row.failed)
    return Cell(share(rate), chart=interval(rate)) if rate.n else Cell("-")


def _each(row: Row, unit: Unit) -> str:
    if not row.tried:
        return "-"
    total = {"usd": row.usd, "tokens": row.tokens, "seconds": row.duration_s}[unit]
    return amount(total / row.tried, unit)


def _kinds(tally: Tally) -> str:
    kinds = sorted(tally.error_kinds.items(), key=lambda pair: -pair[1])
    return clean(", ".join(f"{name} {n:,}" for name, n in kinds[:4]))


def moment(at: str | None) -> str:
    """A time as a person reads it, here; what is none, as nothing."""
    try:
        return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M") if at else ""
    except (ValueError, OverflowError):
        return ""
