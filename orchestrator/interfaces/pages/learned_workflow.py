"""What was learned of one workflow: in sentences that its figures bear, in charts, and in tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.interfaces.pages import charts
from orchestrator.interfaces.pages.charts import amount, interval, share
from orchestrator.interfaces.pages.tables import Cell, Shown, Table, figure, head, moment
from orchestrator.interfaces.strategies import order_of
from orchestrator.interfaces.terminal import clean, duration, many, money, plural
from orchestrator.memory import figures
from orchestrator.memory.experience import Row
from orchestrator.strategies.learned import programs_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from orchestrator.memory.experience import Experience
    from orchestrator.memory.figures import Solution, Solved, Unit
    from orchestrator.strategies.choose import Choice
    from orchestrator.strategies.course import Standing
    from orchestrator.strategies.learned import Program
    from orchestrator.workspace import Workspace

ENDS = 5
"""Runs at each end of a workflow's record that are compared, where there are twice as many."""

_WORDS: dict[str, str] = {"usd": "", "tokens": " tokens", "seconds": ""}


@dataclass(frozen=True, slots=True)
class Part:
    """What was learned of one workflow. `missing` says which charts there are none of, and why."""

    name: str
    said: tuple[str, ...]
    charts: tuple[Shown, ...]
    tables: tuple[Table, ...]
    missing: str
    n_programs: int


def part_of(
    workspace: Workspace, name: str, solved: Solved | None, course: Sequence[Standing], experience: Experience
) -> Part:
    """A workflow with its solutions, the orders of its strategies after each, and its programs."""
    programs, _ = programs_of(workspace, name)
    choices = order_of(workspace, name, experience)
    rows = experience.rows.get(name, {})
    solutions = list(solved.latest) if solved else []
    first, unit = (solved.n - len(solutions) + 1, solved.unit) if solved else (1, "tokens")
    there = {choice.strategy for choice in choices}
    shown = (_cost(solutions, first, unit), _success(solutions, first), _places(course, there))
    tables = (_strategies(choices, rows, unit), _programs(programs, rows, unit))
    said = tuple(_said(solutions, solved.n, unit)) if solved else (_ELSEWHERE,)
    return Part(
        clean(name), said, tuple(one for one in shown if one), tuple(one for one in tables if one),
        _missing(solutions) if solved else "", len(programs),
    )  # fmt: skip


_ELSEWHERE = "It was not run here; what it learned came with the workspace."


def _said(solutions: Sequence[Solution], n: int, unit: Unit) -> list[str]:
    """What its figures say, in sentences that they bear."""
    shown = "." if n == len(solutions) else f", the last {len(solutions):,} of which are shown."
    rate, word = figures.passed(solutions), _WORDS[unit]
    if rate.n:
        between = f"between {charts.percent(rate.low)} and {charts.percent(rate.high)} %"
        verdict = f"Of {rate.n:,} with a verdict, {rate.ok:,} passed: the true share lies, 19 times in 20, {between}."
    else:
        verdict = "None has a verdict: nothing checked what came out."
    said = [f"{plural(n, 'run')}{shown} {verdict}"]
    if len(solutions) >= 2 * ENDS:
        before, now = figures.typical(solutions[:ENDS], unit), figures.typical(solutions[-ENDS:], unit)
        of = f"Median of the first {ENDS} shown: {amount(before, unit)}{word}"
        said.append(f"{of}; of the latest {ENDS}: {amount(now, unit)}{word}.")
    else:
        before, now = (float(getattr(solutions[place], unit)) for place in (0, -1))
        last = f", the latest {amount(now, unit)}{word}" if n > 1 else ""
        said.append(f"{'The first' if n > 1 else 'It'} took {amount(before, unit)}{word}{last}.")
    return said


def _missing(solutions: Sequence[Solution]) -> str:
    """Why there is no course yet, in a sentence."""
    n_judged, n_needed = figures.passed(solutions).n, 2 * figures.MIN_BLOCK
    if n_judged >= n_needed:
        return ""
    verb = "has" if n_judged == 1 else "have"
    return (
        f"How success went over time is drawn from {n_needed} runs with a verdict on; {n_judged} {verb} one. With fewer, "
        "chance alone moves it more than anything else."
    )


def _cost(solutions: Sequence[Solution], first: int, unit: Unit) -> Shown | None:
    if len(solutions) < 2:
        return None
    rows = [
        (
            Cell(f"{number:,}"), Cell(moment(one.at)), Cell(clean(one.strategy), code=True), Cell(one.ending),
            figure(f"{one.attempts:,}"), figure(many(one.tokens)), figure(money(one.usd) or "-"), figure(duration(one.seconds)),
        )
        for number, one in enumerate(solutions, first)
    ]  # fmt: skip
    titles = head("run", "when", "strategy", "ended", "attempts#", "tokens#", "cost#", "time#")
    return Shown(charts.cost(solutions, first, unit), Table("", titles, tuple(reversed(rows))))


def _success(solutions: Sequence[Solution], first: int) -> Shown | None:
    blocks = figures.course(solutions)
    if not blocks:
        return None
    rows = tuple(
        (
            Cell(f"{first + one.first - 1}-{first + one.last - 1}"), figure(f"{one.rate.ok}"), figure(f"{one.rate.n}"),
            Cell(share(one.rate)),
        )
        for one in blocks
    )  # fmt: skip
    titles = head("runs", "passed#", "with a verdict#", "true share")
    return Shown(charts.success(blocks, first), Table("", titles, rows))


def _places(course: Sequence[Standing], there: Collection[str]) -> Shown | None:
    if len(course) < 2 or len(course[-1].choices) < 2:
        return None
    gone = [choice.strategy for choice in course[-1].choices if choice.strategy not in there]
    orders = [(one.run, ", ".join(choice.strategy for choice in one.choices)) for one in reversed(course)]
    rows = tuple((Cell(clean(run), code=True), Cell(clean(order))) for run, order in orders)
    return Shown(charts.places(course, gone), Table("", head("after run", "order of the strategies"), rows))


def _strategies(choices: Sequence[Choice], rows: dict[str, Row], unit: Unit) -> Table | None:
    if not rows:
        return None
    found = [(choice, rows.get(choice.strategy) or Row()) for choice in choices]
    cells = tuple(
        (
            Cell(f"{place}."), Cell(clean(choice.strategy), code=True), figure(f"{row.tried:,}"), figure(_passed(row)),
            _interval(row), figure(_each(row, unit)), Cell(clean(choice.why)),
        )
        for place, (choice, row) in enumerate(found, 1)
    )  # fmt: skip
    titles = head("", "strategy", "tried#", "passed#", "true share", "each#", "why it stands here")
    return Table("Strategies, in the order in which the next run tries them", titles, cells)


def _programs(programs: dict[str, Program], rows: dict[str, Row], unit: Unit) -> Table | None:
    if not programs:
        return None
    cells = tuple(
        _program(name, program, rows.get(name) or Row(), unit) for name, program in programs.items()
    )
    note = "Cells that a model wrote and checks let through, tried before a model is asked to write new ones."
    if (by_model := rows.get("rlm")) and by_model.tried:
        note += (
            f" Where a model writes them (rlm), a run takes {_each(by_model, unit)}{_WORDS[unit]} on average."
        )
    titles = head("program", "cells#", "models", "learned", "its first run#", "a run now#", "record")
    return Table("Programs that were distilled", titles, cells, note)


def _program(name: str, program: Program, row: Row, unit: Unit) -> tuple[Cell, ...]:
    evidence = program.document.evidence
    cost = "-"
    if evidence is not None and unit != "seconds":
        cost = amount(evidence.usd if unit == "usd" else evidence.tokens, unit)
    return (
        Cell(clean(name), code=True), figure(f"{len(program.document.cells)}"),
        Cell("asks one" if program.asks else "asks none"), Cell(moment(evidence.at) if evidence else ""), figure(cost),
        figure(_each(row, unit)), Cell(f"{row.tried:,} tried, {_passed(row)} passed" if row.tried else "not tried yet"),
    )  # fmt: skip


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
