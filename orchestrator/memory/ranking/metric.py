"""Which facts of a situation matter: those along which outcomes go together.

For each fact, the records of each arm are put in the order of its values; the serial correlation of their outcomes,
less the arm's mean, is the share of what is unexplained that this fact alone explains (one minus half of the ratio of
von Neumann, "Distribution of the ratio of the mean square successive difference to the variance", 1941, section 1).
Squared distances along a fact are stretched in proportion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.memory.ranking.points import Point

COUNT = 30.0
"""Pairs of records by which each correlation is drawn towards `USUAL`."""

USUAL = 0.2
LEAST, MOST = 0.05, 3.0
"""Bounds of what squared distances are stretched by."""

Outcome = tuple[float | str, float, float]
"""The value of a fact in one situation, by how much an arm did better there than usual, and the weight of that."""


def relevance(points: Iterable[Point]) -> dict[str, float]:
    """What squared distances along each fact are to be multiplied with; 1 on average."""
    by_arm: dict[str, list[tuple[dict[str, float | str], float, float]]] = {}
    for point in points:
        facts = dict(point.facts)
        for arm, tally in point.tallies.items():
            if tally.weight > 0.0:
                by_arm.setdefault(arm, []).append((facts, tally.success / tally.weight, tally.weight))
    together: dict[str, float] = {}
    alone: dict[str, float] = {}
    for outcomes in by_arm.values():
        weight = sum(one[2] for one in outcomes)
        mean = sum(one[1] * one[2] for one in outcomes) / weight
        scale = len(outcomes) / weight
        for name in sorted({name for facts, _, _ in outcomes for name in facts}):
            column = [(facts[name], rate - mean, own * scale) for facts, rate, own in outcomes if name in facts]
            product, square = _pairs(column)
            together[name] = together.get(name, 0.0) + product
            alone[name] = alone.get(name, 0.0) + square
    variance = 0.2
    found = {
        name: max(0.0, (together[name] + COUNT * USUAL * variance) / (alone[name] + COUNT * variance)) for name in together
    }
    mean = sum(found.values()) / len(found) if found else 1.0
    return {name: min(MOST, max(LEAST, one / mean)) if mean > 0 else 1.0 for name, one in found.items()}


def _pairs(column: list[Outcome]) -> tuple[float, float]:
    """Sums over neighbours along a fact: of the product of their outcomes, and of the mean square."""
    column.sort(key=lambda one: (isinstance(one[0], str), one[0]))
    product = square = 0.0
    for lag in (1,2):
      for (value, one, _), (next_value, other, _) in zip(column, column[lag:], strict=False):
        if isinstance(value, str) and value != next_value:
            continue
        product += one * other
        square += (one * one + other * other) / 2
    return product, square
