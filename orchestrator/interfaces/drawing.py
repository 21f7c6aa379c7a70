"""A run's tree as lines of text: whole for `show`, in brief for a live view.

Values in, lines out; who prints them decides about colour. A line's tone repeats what its mark says, so that
nothing is lost without colour.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.interfaces.terminal import clean, duration, money, one_line, plural
from orchestrator.runs.journal import place_of
from orchestrator.runs.tree import FINE, NOT_MADE, beginning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.runs.tree import CellView, CheckView, Node, TurnView

__all__ = [
    "FINE",
    "NOT_MADE",
    "Line",
    "brief",
    "check_line",
    "label",
    "now_utc",
    "spent",
    "turn_line",
    "whole",
]

Tone = Literal["plain", "good", "bad", "busy", "faint"]

MAX_ALIKE = 10
"""Of finished calls with one name under one caller, how many `show` lists before it counts the rest."""

MAX_NOT_MADE = 3
"""The same of calls that were not made: they mostly say the same."""

MAX_FAILED = 50
"""Of failed calls with one name under one caller, how many `show` lists before it counts the rest."""

MAX_RUNNING = 8
"""Of calls that run under one caller, how many a live view lists before it counts the rest."""

MAX_OUTPUT_LINES = 20
"""How much of an observation `show` prints: half from its beginning, half from its end."""

MAX_PROSE_LINES = 4
"""How much of what a model wrote around its cells `show` prints."""

_FENCED = re.compile(r"^[ \t]*(`{3,}|~{3,}).*?(^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a drawing, safe for a terminal."""

    text: str
    tone: Tone = "plain"


def whole(root: Node, width: int) -> list[Line]:
    """Everything a person wants to see of a run: turns and cells with what they showed, calls, checks."""
    return [Line(_title(root, width), _tone(root)), *_inside(root, "", width)]


def brief(root: Node, width: int, height: int, now: datetime) -> list[Line]:
    """What goes on right now in at most `height` lines: running and failed calls first, the rest counted."""
    lines = [Line(_title(root, width, now), _tone(root)), *_going_on(root, "", width, now)]
    if len(lines) <= height:
        return lines
    return [*lines[: height - 1], Line(f"… {plural(len(lines) - height + 1, 'more line')}", "faint")]


def label(node: Node, width: int) -> str:
    """A call as it was written, as `skill-audit.scan(folder="skills")`, in at most `width` cells."""
    if node.kind in ("root", "approval") or not isinstance(node.arguments, dict):
        return one_line(node.title, width)
    if node.kind in ("llm", "rlm"):
        return one_line(f"{node.name}({_short(_prompt(node.arguments.get('prompt')), 60)})", width)
    shown = ", ".join(f"{name}={_short(value)}" for name, value in node.arguments.items())
    return one_line(f"{node.name}({shown})", width)


def check_line(check: CheckView, width: int) -> Line:
    """One check with what it said when it failed."""
    if check.passed:
        return Line(one_line(f"✓ check: {check.name}", width), "good")
    return Line(one_line(f"✗ check: {check.name}: {check.message}", width), "bad")


def turn_line(turn: TurnView, width: int) -> Line:
    """One turn of a model: which model, its tokens, what it cost, how long it took, and what was wrong with it."""
    mark = "✗" if turn.problem else "…" if turn.reply is None else "●"
    figures = (
        f"{turn.tokens_in:,} in, {turn.tokens_out:,} out" if turn.reply is not None else "asking",
        money(turn.usd),
        plural(turn.calls, "request") if turn.calls > 1 else "",
        duration(turn.duration_s),
    )
    head = f"turn {turn.number}" + (f": {turn.problem}" if turn.problem else "")
    text = " · ".join(part for part in (head, turn.model, *figures) if part)
    return Line(one_line(f"{mark} {text}", width), "bad" if turn.problem else "plain")


def spent(usage: Mapping[str, Any], unpriced: Sequence[str] = ()) -> list[str]:
    """What a run spent on models, in words: nothing for one that asked none. `unpriced` are models without a price."""
    if not usage.get("calls"):
        return []
    cost = money(usage.get("usd", 0.0))
    if unpriced:
        names = clean(", ".join(f"`{name}`" for name in unpriced))
        cost = f"{cost} and the unknown price of {names}" if cost else "price unknown"
    parts = [plural(usage["calls"], "model request"), f"{usage.get('tokens', 0):,} tokens", cost]
    return [part for part in parts if part]


def now_utc() -> datetime:
    """This moment, as journals write it."""
    return datetime.now(UTC)


def _inside(node: Node, guide: str, width: int) -> Iterator[Line]:
    """Lines below a call's title, attempt by attempt: turns, cells with the calls that each made, other calls, checks."""
    by_cell: dict[int, list[Node]] = {}
    others: dict[int, list[Node]] = {}
    for child in node.children:
        if 0 <= child.during < len(node.cells):
            by_cell.setdefault(child.during, []).append(child)
        else:
            others.setdefault(node.attempt_of(child.turn), []).append(child)
    cells: dict[int, list[int]] = {}
    for index, cell in enumerate(node.cells):
        cells.setdefault(cell.turn, []).append(index)
    for attempt in range(max(1, node.n_attempts)):
        numbers = [number for number, turn in enumerate(node.turns) if turn.attempt == attempt]
        if node.n_attempts > 1:
            name = node.turns[numbers[0]].strategy
            yield Line(
                f"{guide}├─ {one_line(f'attempt {attempt + 1}: {name}', width - len(guide) - 3)}", "faint"
            )
        for number in [-1, *numbers] if attempt == 0 else numbers:
            if number >= 0 and node.turns[number].model:
                yield from _turn(node.turns[number], guide, width)
            for index in cells.get(number, ()):
                yield from _cell(node.cells[index], guide, width)
                yield from _calls(by_cell.get(index, ()), guide + "│  ", width)
        yield from _calls(others.get(attempt, ()), guide, width)
        yield from _checks(node, attempt, guide, width)
    for one in node.divergences:
        text = f"⚠ run again, {place_of(one.cell, one.line)}{one.message}"
        yield Line(f"{guide}├─ {one_line(text, width - len(guide) - 3)}", "bad")
    if node.outcome not in (None, *FINE) and node.message:
        for text in clean(node.message).splitlines():
            yield Line(f"{guide}└─ {one_line(text, width - len(guide) - 3)}", "bad")


def _checks(node: Node, attempt: int, guide: str, width: int) -> Iterator[Line]:
    for check in node.checks:
        if node.attempt_of(check.turn) == attempt:
            line = check_line(check, width - len(guide) - 3)
            yield Line(f"{guide}├─ {line.text}", line.tone)


def _turn(turn: TurnView, guide: str, width: int) -> Iterator[Line]:
    line = turn_line(turn, width - len(guide) - 3)
    yield Line(f"{guide}├─ {line.text}", line.tone)
    prose = [text for text in _FENCED.sub("", turn.reply or "").splitlines() if text.strip()]
    for text in prose[:MAX_PROSE_LINES]:
        yield Line(f"{guide}│    {one_line(text, width - len(guide) - 5)}")
    if len(prose) > MAX_PROSE_LINES:
        yield Line(f"{guide}│    … {plural(len(prose) - MAX_PROSE_LINES, 'more line')}", "faint")


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
    seen: Counter[tuple[str, str]] = Counter()
    for node in calls:
        kind = node.title, "ok" if node.outcome in FINE else node.outcome or ""
        seen[kind] += 1
        if seen[kind] > _n_listed(kind[1]):
            continue
        yield Line(f"{guide}├─ {_title(node, width - len(guide) - 3)}", _tone(node))
        if node.kind == "llm" and node.outcome in FINE:
            yield Line(f"{guide}│    > {one_line(_short(node.value, 200), width - len(guide) - 7)}")
        yield from _inside(node, guide + "│  ", width)
    for (name, outcome), n in seen.items():
        if (n_more := n - _n_listed(outcome)) > 0:
            mark = "✓" if outcome == "ok" else "○" if outcome in NOT_MADE else "✗"
            said = outcome.replace("_", " ") or "not finished"
            yield Line(
                f"{guide}├─ {mark} {one_line(name, 40)}: {plural(n_more, 'more call')}, all {said}", "faint"
            )


def _n_listed(outcome: str) -> int:
    if outcome in NOT_MADE:
        return MAX_NOT_MADE
    return MAX_ALIKE if outcome in ("", "ok") else MAX_FAILED


def _going_on(node: Node, guide: str, width: int, now: datetime) -> Iterator[Line]:
    if (doing := _doing(node)) is not None:
        yield Line(f"{guide}├─ {one_line(doing, width - len(guide) - 3)}", "busy")
    attempt = max(0, node.n_attempts - 1)
    for earlier in range(max(0, attempt - 3), attempt):
        yield Line(f"{guide}├─ {one_line(_came_to_nothing(node, earlier), width - len(guide) - 3)}", "bad")
    failed_cells = [cell for cell in node.cells if cell.error and node.attempt_of(cell.turn) == attempt]
    yield from _failed_cells(failed_cells, guide, width)
    running = list(node.running.values())
    for child in running[:MAX_RUNNING]:
        yield Line(f"{guide}├─ {_title(child, width - len(guide) - 3, now)}", "busy")
        yield from _going_on(child, guide + "│  ", width, now)
    if len(running) > MAX_RUNNING:
        yield Line(f"{guide}├─ … {len(running) - MAX_RUNNING:,} more at work or waiting", "busy")
    for child in node.failed[-5:]:
        text = f"{_title(child, 60)}: {child.message}"
        yield Line(f"{guide}├─ {one_line(text, width - len(guide) - 3)}", _tone(child))
    if len(node.failed) > 5:
        yield Line(f"{guide}├─ ✗ {plural(len(node.failed) - 5, 'earlier failed call')}", "bad")
    for (name, outcome), nodes in node.not_made.items():
        text = f"○ {name}: {len(nodes):,} {outcome.replace('_', ' ')}: {nodes[-1].message}"
        yield Line(f"{guide}├─ {one_line(text, width - len(guide) - 3)}", "faint")
    for name, n in node.n_fine.items():
        yield Line(f"{guide}├─ {one_line(f'✓ {name}: {n:,} ok', width - len(guide) - 3)}", "good")
    yield from _checks(node, attempt, guide, width)


def _came_to_nothing(node: Node, attempt: int) -> str:
    """Why an attempt is not the last one."""
    name = next((turn.strategy for turn in node.turns if turn.attempt == attempt), "")
    checks = [check for check in node.checks if node.attempt_of(check.turn) == attempt and not check.passed]
    return f"✗ {name}: " + (f"check {checks[0].name}: {checks[0].message}" if checks else "no answer")


def _doing(node: Node) -> str | None:
    """What the call itself does right now, beside the calls that it waits for."""
    turn = node.turns[-1] if node.turns and node.turns[-1].model else None
    head = f"turn {turn.number}: " if turn is not None else ""
    if node.cells and node.cells[-1].duration_s is None:
        cell = node.cells[-1]
        first = next((text for text in cell.source.splitlines() if text.strip()), "")
        return f"… {head}cell {cell.number}: {first}"
    if turn is not None and turn.reply is None and node.outcome is None:
        return f"… {head}asking {turn.model}"
    return None


def _failed_cells(cells: Sequence[CellView], guide: str, width: int) -> Iterator[Line]:
    if len(cells) > 5:
        yield Line(f"{guide}├─ ✗ {plural(len(cells) - 5, 'earlier failed cell')}", "bad")
    for cell in cells[-5:]:
        text = f"✗ cell {cell.number} {duration(cell.duration_s)}: {cell.error}"
        yield Line(f"{guide}├─ {one_line(text, width - len(guide) - 3)}", "bad")


def _title(node: Node, width: int, now: datetime | None = None) -> str:
    """Mark, call, strategy, cost and time of a node, on one line."""
    took = node.duration_s
    if took is None and now is not None and node.started_at:
        took = max(0.0, (now - datetime.fromisoformat(node.started_at)).total_seconds())
    notes = [
        note
        for note in (
            node.strategy,
            f"depth {node.depth}" if node.outcome is None and now is not None and node.depth else "",
            "" if node.outcome in (None, *FINE) else node.outcome.replace("_", " "),
            plural(node.calls, "request") if node.calls > 1 else "",
            f"{node.tokens:,} tokens" if node.tokens else "",
            money(node.usd),
            duration(took),
        )
        if note
    ]
    tail = "  " + " · ".join(notes) if notes else ""
    return f"{_mark(node)} {label(node, width - 2 - len(tail))}{tail}"


def _mark(node: Node) -> str:
    if node.outcome is None:
        return "…"
    return "✓" if node.outcome in FINE else "○" if node.outcome in NOT_MADE else "✗"


def _tone(node: Node) -> Tone:
    if node.outcome is None:
        return "busy"
    return "good" if node.outcome in FINE else "faint" if node.outcome in NOT_MADE else "bad"


def _prompt(prompt: Any) -> Any:
    """What a prompt says: of a list of messages, its last one."""
    if isinstance(prompt, list) and prompt and isinstance(prompt[-1], dict):
        return prompt[-1].get("content", "")
    return prompt


def _short(value: Any, width: int = 40) -> str:
    value = beginning(value)  # an argument may have megabytes
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = f'"{text}"' if isinstance(value, str) else text
    return one_line(text, width)


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
