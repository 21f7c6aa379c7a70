"""Charts as values: marks with their places, which a template draws as SVG and escapes.

A chart is 460 units wide and is never drawn much larger or smaller than that, so that its text keeps a readable size,
also on a phone. It shows one thing; what its marks stand for is said in words below it, and each tells its figures.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from orchestrator.interfaces.terminal import clean, duration, many, money, one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from orchestrator.memory.figures import Block, Ending, Rate, Solution, Unit
    from orchestrator.memory.tallies import Tally
    from orchestrator.strategies.course import Standing

WIDTH, HEIGHT = 460, 190
TOP, BOTTOM = 12, 164
LEFT, RIGHT = 58, 448

ENDINGS: dict[Ending, tuple[str, str]] = {
    "passed": ("good", "passed its checks"),
    "unverified": ("open", "answered, nothing checked it"),
    "failed": ("cross", "failed"),
    "undecided": ("faint", "cut short, or its surroundings failed"),
}
"""The look of an ending, told by its form too, and what it says."""

USES = ("good", "open", "bad", "faint")
"""The looks of a skill's calls: ok, unverified, failed, without an outcome."""

MAX_BARS = 16
MAX_LINES = 6


@dataclass(frozen=True, slots=True)
class Mark:
    """One element of a drawing. Its attributes are of SVG and carry numbers or names of ours; texts come from anywhere."""

    tag: Literal["circle", "line", "path", "rect", "text"]
    look: str
    attributes: Mapping[str, str | float]
    text: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """What a look stands for."""

    look: str
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its title and what is to be said of it."""

    title: str
    said: str
    marks: tuple[Mark, ...]
    keys: tuple[Key, ...] = ()
    height: int = HEIGHT


def cost(solutions: Sequence[Solution], first: int, unit: Unit) -> Chart:
    """What each solution cost. `first` is the number of the first one."""
    values = [float(getattr(one, unit)) for one in solutions]
    top, ticks = scale(max(values))
    marks = [*_rows((tick / top, amount(tick, unit)) for tick in ticks)]
    places = [(_x(number, len(values)), _y(value / top)) for number, value in enumerate(values)]
    if len(places) > 1:
        marks.append(_path("guide", places))
    radius = 4 if len(values) <= 60 else 2.5
    for number, (one, (x, y)) in enumerate(zip(solutions, places, strict=True), first):
        look, said = ENDINGS[one.ending]
        told = f"{number}: {amount(getattr(one, unit), unit)}, {said}, by {one.strategy}"
        marks.append(_ended(look, x, y, radius, clean(told)))
    marks += _ends(first, first + len(values) - 1)
    counts = Counter(one.ending for one in solutions)
    keys = tuple(
        Key(look, f"{said} ({counts[name]:,})") for name, (look, said) in ENDINGS.items() if counts[name]
    )
    what = {"usd": "Cost", "tokens": "Tokens", "seconds": "Time"}[unit]
    note = {
        "usd": "",
        "tokens": "The model has no known price, so tokens are shown.",
        "seconds": "No model was asked.",
    }
    return Chart(f"{what} of each run", note[unit], tuple(marks), keys)


def success(blocks: Sequence[Block], first: int) -> Chart:
    """How large a part passed, in blocks of runs, each with its interval."""
    n = blocks[-1].last
    marks = [*_rows((tick / 4, f"{25 * tick} %") for tick in range(5))]
    marks.append(
        _path("guide", [(_x((one.first + one.last) / 2 - 1, n), _y(one.rate.share)) for one in blocks])
    )
    for one in blocks:
        x = _x((one.first + one.last) / 2 - 1, n)
        told = f"runs {first + one.first - 1} to {first + one.last - 1}: {share(one.rate)}"
        ends = {"x1": x, "x2": x, "y1": _y(one.rate.low), "y2": _y(one.rate.high)}
        marks.append(Mark("line", "whisker", ends, title=told))
        marks.append(Mark("circle", "dot good", {"cx": x, "cy": _y(one.rate.share), "r": 4}, title=told))
    marks += _ends(first, first + n - 1)
    said = "Checks let it through, or it failed. A line spans where the true share lies, 19 times in 20."
    return Chart("Passed, of those with a verdict", said, tuple(marks))


def places(standings: Sequence[Standing], gone: Collection[str] = ()) -> Chart:
    """In which order strategies stood after each run. `gone` are those whose files are there no more."""
    latest = [choice.strategy for choice in standings[-1].choices]
    shown = latest[:MAX_LINES]
    deepest = max(
        place for one in standings for place, choice in enumerate(one.choices, 1) if choice.strategy in shown
    )
    edge, best = 292, next((name for name in shown if name not in gone), "")
    step = min(36.0, (BOTTOM - TOP) / max(1, deepest - 1))
    height = round(TOP + 12 + step * (deepest - 1) + 40)
    row = {place: TOP + 10 + step * (place - 1) for place in range(1, deepest + 1)}
    marks = [Mark("text", "tick", {"x": 12, "y": row[place] + 4}, text=f"{place}.") for place in row]
    for strategy in reversed(shown):
        look = "first" if strategy == best else "other"
        ways = _ways(standings, strategy)
        spots = [(_x(number, len(standings), 40, edge), row[place]) for number, place in ways]
        marks.append(_path(f"way {look}", spots))
        marks.append(Mark("circle", f"end {look}", {"cx": spots[-1][0], "cy": spots[-1][1], "r": 4}))
        name = f"{one_line(strategy, 17)} gone" if strategy in gone else one_line(strategy, 20)
        at = {"x": edge + 12, "y": spots[-1][1] + 4}
        marks.append(Mark("text", f"name {look}", at, text=name, title=clean(strategy)))
    n = len(standings)
    below = height - 8
    marks.append(Mark("text", "tick", {"x": 40, "y": below}, text="earlier"))
    marks.append(Mark("text", "tick end", {"x": edge, "y": below}, text="now"))
    said = f"The order after each of the last {n} runs: the next run tries the first, and goes on where checks fail."
    if len(latest) > len(shown):
        said += f" {len(latest) - len(shown)} further ones are in the table."
    return Chart("Which strategy is tried first", said, tuple(marks), height=height)


def uses(tallies: Sequence[Tally]) -> Chart:
    """How often each skill was called, and how its calls ended."""
    shown = tallies[:MAX_BARS]
    most = max(one.calls for one in shown)
    marks: list[Mark] = []
    for number, one in enumerate(shown):
        y = 8 + number * 26
        parts = (one.ok, one.unverified, one.failed, one.calls - one.ok - one.unverified - one.failed)
        name = {"x": 172, "y": y + 13}
        marks.append(Mark("text", "name end", name, text=one_line(one.name, 21), title=clean(one.name)))
        x = 180.0
        told = ", ".join(f"{n:,} {word}" for n, word in zip(parts, _USE_WORDS, strict=True) if n)
        for n, look in zip(parts, USES, strict=True):
            if n:
                wide = max(1.5, 230 * n / most)
                box = {"x": round(x, 1), "y": y + 2, "width": round(wide, 1), "height": 15}
                marks.append(Mark("rect", look, box, title=clean(f"{one.name}: {told}")))
                x += wide
        marks.append(Mark("text", "tick", {"x": round(x + 6, 1), "y": y + 13}, text=many(one.calls)))
    keys = tuple(
        Key(f"block {look}", word)
        for look, word, name in zip(USES, _USE_WORDS, ("ok", "unverified", "failed", ""), strict=True)
        if (any(getattr(one, name) for one in shown) if name else any(_without(one) for one in shown))
    )
    said = f"{len(tallies) - len(shown)} further ones are in the table." if len(tallies) > len(shown) else ""
    return Chart("Calls of each skill", said, tuple(marks), keys, height=26 * len(shown) + 14)


_USE_WORDS = ("ok", "answered, nothing checked it", "failed", "cut short")


def interval(rate: Rate) -> Chart:
    """A share with its interval, small enough for a cell of a table."""
    span = {
        "x": round(100 * rate.low, 1),
        "y": 3,
        "width": round(100 * (rate.high - rate.low), 1),
        "height": 6,
    }
    marks = (
        Mark("rect", "track", {"x": 0, "y": 5.5, "width": 100, "height": 1}),
        Mark("rect", "span", span),
        Mark("circle", "dot good", {"cx": round(100 * rate.share, 1), "cy": 6, "r": 3}),
    )
    return Chart(share(rate), "", marks if rate.n else marks[:1], height=12)


def share(rate: Rate) -> str:
    """A share in words, with its interval."""
    if not rate.n:
        return "none was judged"
    return f"{rate.ok:,} of {rate.n:,} ({percent(rate.low)}-{percent(rate.high)} %)"


def percent(part: float) -> str:
    """A part of 1 in whole hundredths; it says 0 or 100 of nothing less than that."""
    return f"{min(99, max(1, round(100 * part))) if 0 < part < 1 else round(100 * part)}"


def amount(value: float, unit: Unit) -> str:
    """A cost as a person reads it."""
    if unit == "usd":
        return money(value) or "$0"
    return many(value) if unit == "tokens" else duration(value) if value else "0"


def scale(most: float) -> tuple[float, list[float]]:
    """The top of an axis from 0 that holds `most`, and its three or four round ticks."""
    if most <= 0:
        return 1.0, [0.0]
    size = 10.0 ** math.floor(math.log10(most / 3))
    step = next(size * n for n in (1, 2, 2.5, 5, 10) if size * n * 4 >= most)
    n_steps = max(1, math.ceil(most / step - 1e-9))
    return step * n_steps, [step * n for n in range(n_steps + 1)]


def _without(one: Tally) -> int:
    return one.calls - one.ok - one.unverified - one.failed


def _ways(standings: Sequence[Standing], strategy: str) -> list[tuple[int, int]]:
    return [
        (number, place)
        for number, one in enumerate(standings)
        for place, choice in enumerate(one.choices, 1)
        if choice.strategy == strategy
    ]


def _rows(ticks: Iterable[tuple[float, str]]) -> Iterator[Mark]:
    for part, text in ticks:
        y = _y(part)
        yield Mark("line", "grid", {"x1": LEFT, "x2": RIGHT, "y1": y, "y2": y})
        yield Mark("text", "tick end", {"x": LEFT - 8, "y": y + 4}, text=text)


def _ends(first: int, last: int) -> Iterator[Mark]:
    yield Mark("text", "tick", {"x": LEFT, "y": HEIGHT - 6}, text=f"run {first:,}")
    if last > first:
        yield Mark("text", "tick end", {"x": RIGHT, "y": HEIGHT - 6}, text=f"{last:,}")


def _ended(look: str, x: float, y: float, radius: float, title: str) -> Mark:
    if look != "cross":
        return Mark("circle", f"dot {look}", {"cx": x, "cy": y, "r": radius}, title=title)
    left, right, above, below = (round(at, 1) for at in (x - radius, x + radius, y - radius, y + radius))
    return Mark(
        "path", look, {"d": f"M{left} {above} L{right} {below} M{left} {below} L{right} {above}"}, title=title
    )


def _path(look: str, places: Sequence[tuple[float, float]]) -> Mark:
    return Mark("path", look, {"d": "M" + " L".join(f"{x} {y}" for x, y in places)})


def _x(number: float, n: int, left: float = LEFT + 10, right: float = RIGHT - 8) -> float:
    """The place of one of `n` along the axis; a single one stands in the middle."""
    return round(left + (right - left) * (number / (n - 1) if n > 1 else 0.5), 1)


def _y(part: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * part, 1)
