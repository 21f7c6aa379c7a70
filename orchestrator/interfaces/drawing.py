"""A run's tree as lines of text: whole for `show`, in brief for a live view.

Values in, lines out; who prints them decides about colour. A line's tone repeats what its mark says, so that
nothing is lost without colour.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.interfaces.terminal import clean, duration, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.runs.tree import CellView, CheckView, Node

Tone = Literal["plain", "good", "bad", "busy", "faint"]

FINE = ("ok", "unverified")
"""Outcomes of calls that did what they should."""

MAX_ALIKE = 10
"""Of finished calls with one name under one caller, how many `show` lists before it counts the rest."""

MAX_OUTPUT_LINES = 20
"""How much of an observation `show` prints: half from its beginning, half from its end."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a drawing, safe for a terminal."""

    text: str
    tone: Tone = "plain"


def whole(root: Node, width: int) -> list[Line]:
    """Everything a person wants to see of a run: cells with what they showed, calls, checks."""
    return [Line(_title(root, width), _tone(root)), *_inside(root, "", width)]


def brief(root: Node, width: int, height: int, now: datetime) -> list[Line]:
    """What goes on right now in at most `height` lines: running and failed calls first, the rest counted."""
    lines = [Line(_title(root, width, now), _tone(root)), *_going_on(root, "", width, now)]
    if len(lines) <= height:
        return lines
    return [*lines[: height - 1], Line(f"… {plural(len(lines) - height + 1, 'more line')}", "faint")]


def label(node: Node, width: int) -> str:
    """A call as it was written, as `skill-audit.scan(folder="skills")`, in at most `width` cells."""
    if node.kind == "root" or not isinstance(node.arguments, dict):
        return one_line(node.name, width)
    shown = ", ".join(f"{name}={_short(value)}" for name, value in node.arguments.items())
    return one_line(f"{node.name}({shown})", width)


def check_line(check: CheckView, width: int) -> Line:
    """One check with what it said when it failed."""
    if check.passed:
        return Line(one_line(f"✓ check: {check.name}", width), "good")
    return Line(one_line(f"✗ check: {check.name}: {check.message}", width), "bad")


def _inside(node: Node, guide: str, width: int) -> Iterator[Line]:
    """Lines below a call's title: its cells with the calls that each made, then other calls and checks."""
    for index, cell in enumerate(node.cells):
        yield from _cell(cell, guide, width)
        yield from _calls([child for child in node.children if child.during == index], guide + "│  ", width)
    yield from _calls(
        [child for child in node.children if not 0 <= child.during < len(node.cells)], guide, width
    )
    for check in node.checks:
        line = check_line(check, width - len(guide) - 3)
        yield Line(f"{guide}├─ {line.text}", line.tone)
    if node.outcome not in (None, *FINE) and node.message:
        for text in clean(node.message).splitlines():
            yield Line(f"{guide}└─ {one_line(text, width - len(guide) - 3)}", "bad")


def _cell(cell: CellView, guide: str, width: int) -> Iterator[Line]:
    took = f"  {duration(cell.duration_s)}" if cell.duration_s is not None else "  not finished"
    mark = "✗" if cell.error else "✓" if cell.duration_s is not None else "…"
    yield Line(f"{guide}├─ {mark} cell {cell.number}{took}", "bad" if cell.error else "plain")
    inner = f"{guide}│    "
    for text in cell.source.splitlines():
        yield Line((inner + _fitted(text, width - len(inner))).rstrip(), "faint")
    for text in _middle_left_out(cell.output.splitlines()):
        yield Line(f"{inner}> {_fitted(text, width - len(inner) - 2)}")


def _calls(calls: Sequence[Node], guide: str, width: int) -> Iterator[Line]:
    seen: Counter[str] = Counter()
    for node in calls:
        seen[node.name] += node.outcome in FINE
        if node.outcome in FINE and seen[node.name] > MAX_ALIKE:
            continue
        yield Line(f"{guide}├─ {_title(node, width - len(guide) - 3)}", _tone(node))
        yield from _inside(node, guide + "│  ", width)
    for name, n in seen.items():
        if n > MAX_ALIKE:
            yield Line(
                f"{guide}├─ ✓ {one_line(name, 40)}: {plural(n - MAX_ALIKE, 'more call')}, all ok", "faint"
            )


def _going_on(node: Node, guide: str, width: int, now: datetime) -> Iterator[Line]:
    if node.cells and node.cells[-1].duration_s is None:
        cell = node.cells[-1]
        first = next((text for text in cell.source.splitlines() if text.strip()), "")
        yield Line(f"{guide}├─ {one_line(f'… cell {cell.number}: {first}', width - len(guide) - 3)}", "busy")
    yield from _failed_cells([cell for cell in node.cells if cell.error], guide, width)
    running = [child for child in node.children if child.outcome is None]
    failed = [child for child in node.children if child.outcome not in (None, *FINE)]
    for child in running:
        yield Line(f"{guide}├─ {_title(child, width - len(guide) - 3, now)}", "busy")
        yield from _going_on(child, guide + "│  ", width, now)
    for child in failed[-5:]:
        text = f"{_title(child, 60)}: {child.message}"
        yield Line(f"{guide}├─ {one_line(text, width - len(guide) - 3)}", "bad")
    if len(failed) > 5:
        yield Line(f"{guide}├─ ✗ {plural(len(failed) - 5, 'earlier failed call')}", "bad")
    for name, n in Counter(child.name for child in node.children if child.outcome in FINE).items():
        yield Line(f"{guide}├─ {one_line(f'✓ {name}: {n:,} ok', width - len(guide) - 3)}", "good")
    for check in node.checks:
        line = check_line(check, width - len(guide) - 3)
        yield Line(f"{guide}├─ {line.text}", line.tone)


def _failed_cells(cells: Sequence[CellView], guide: str, width: int) -> Iterator[Line]:
    if len(cells) > 5:
        yield Line(f"{guide}├─ ✗ {plural(len(cells) - 5, 'earlier failed cell')}", "bad")
    for cell in cells[-5:]:
        text = f"✗ cell {cell.number} {duration(cell.duration_s)}: {cell.error}"
        yield Line(f"{guide}├─ {one_line(text, width - len(guide) - 3)}", "bad")


def _title(node: Node, width: int, now: datetime | None = None) -> str:
    """Mark, call, strategy and time of a node, on one line."""
    mark = "…" if node.outcome is None else "✓" if node.outcome in FINE else "✗"
    took = node.duration_s
    if took is None and now is not None and node.started_at:
        took = max(0.0, (now - datetime.fromisoformat(node.started_at)).total_seconds())
    notes = [
        note
        for note in (node.strategy, "" if node.outcome in (None, *FINE) else node.outcome, duration(took))
        if note
    ]
    tail = "  " + " · ".join(notes) if notes else ""
    return f"{mark} {label(node, width - 2 - len(tail))}{tail}"


def _tone(node: Node) -> Tone:
    if node.outcome is None:
        return "busy"
    return "good" if node.outcome in FINE else "bad"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = f'"{text}"' if isinstance(value, str) else text
    return one_line(text, 40)


def _fitted(text: str, width: int) -> str:
    """A line of code or output, cut at the right and not folded: its indentation is kept."""
    indent = text[: len(text) - len(text.lstrip())].expandtabs(4)[: width // 2]
    return indent + one_line(text, width - len(indent))


def _middle_left_out(lines: Sequence[str]) -> Sequence[str]:
    left_out = len(lines) - MAX_OUTPUT_LINES
    if left_out <= 0:
        return lines
    half = MAX_OUTPUT_LINES // 2
    return [*lines[:half], f"… {plural(left_out, 'line')} left out; --json has them all", *lines[-half:]]


def now_utc() -> datetime:
    """This moment, as journals write it."""
    return datetime.now(UTC)
