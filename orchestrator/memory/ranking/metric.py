"""Which facts of a situation matter: those along which outcomes go together.

For each fact, the records of each arm are put in the order of its values; the serial correlation of their outcomes,
less the arm's mean, is the share of what is unexplained that this fact alone explains (one minus half of the ratio of
von Neumann, "Distribution of the ratio of the mean square successive difference to the variance", 1941, section 1).
Squared distances along a fact are stretched in proportion. The correlations are drawn towards their mean, by as much as
their differences may be chance (James and Stein, "Estimation with quadratic loss", 1961, with unequal variances as in
Efron and Morris, "Data analysis using Stein's estimator", 1975, section 2): where all facts say as much, or the record
is short, all count the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.memory.ranking.points import Point, Tally

LEAST, MOST = 0.05, 3.0
"""Bounds of what squared distances are multiplied with."""

LAGS = (1, 2)
"""A record is compared with those so many places further on."""

USUAL_SPREAD = 0.01
"""Variance of the correlations of facts before the record speaks: some matter, and some do not."""

FEWEST = 10.0
"""Pairs that a fact is compared by at least."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of an arm in one situation, less what it usually does."""

    facts: dict[str, float | str]
    above: float


@dataclass(slots=True)
class _Pairs:
    """Sums over neighbours along a fact: of the product of their outcomes, and of the mean of the squares."""

    product: float = 0.0
    square: float = 0.0
    n: int = 0

    def add(self, column: list[tuple[float | str, float]]) -> None:
        """Compare the outcomes of one arm. Categories are compared where they are the same."""
        column.sort(key=lambda one: (isinstance(one[0], str), one[0]))
        for lag in LAGS:
            for (value, one), (other_value, other) in zip(column, column[lag:], strict=False):
                if isinstance(value, str) and value != other_value:
                    continue
                self.product += one * other
                self.square += (one * one + other * other) / 2.0
                self.n += 1


def relevance(points: Iterable[Point]) -> dict[str, float]:
    """What squared distances along each fact are to be multiplied with; about 1 on average."""
    sums: dict[str, _Pairs] = {}
    for outcomes in _outcomes(points):
        for name in sorted({name for one in outcomes for name in one.facts}):
            pairs = sums.setdefault(name, _Pairs())
            pairs.add([(one.facts[name], one.above) for one in outcomes if name in one.facts])
    explained = _drawn_together(
        {name: pairs for name, pairs in sums.items() if pairs.n >= FEWEST and pairs.square > 0.0}
    )
    mean = sum(explained.values()) / max(1, len(explained))
    if mean <= 0.0:
        return {}
    return {name: min(MOST, max(LEAST, one / mean)) for name, one in explained.items()}


def _drawn_together(sums: dict[str, _Pairs]) -> dict[str, float]:
    """The correlations, less what may be chance of their differences; none is negative."""
    if not sums:
        return {}
    found = {name: pairs.product / pairs.square for name, pairs in sums.items()}
    chance = {name: 1.0 / pairs.n for name, pairs in sums.items()}  # variance of a correlation of nothing
    mean = sum(found.values()) / len(found)
    spread = sum((one - mean) ** 2 for one in found.values()) / max(1, len(found) - 1)
    true_spread = USUAL_SPREAD + max(0.0, spread - sum(chance.values()) / len(chance))
    return {
        name: max(0.0, mean + (one - mean) * true_spread / (true_spread + chance[name]))
        for name, one in found.items()
    }


def _outcomes(points: Iterable[Point]) -> list[list[_Outcome]]:
    """The outcomes of each arm, about its mean."""
    by_arm: dict[str, list[tuple[dict[str, float | str], Tally]]] = {}
    for point in points:
        facts = dict(point.facts)
        for arm, tally in point.tallies.items():
            if tally.weight > 0.0:
                by_arm.setdefault(arm, []).append((facts, tally))
    found = []
    for records in by_arm.values():
        mean = sum(tally.success for _, tally in records) / sum(tally.weight for _, tally in records)
        found.append([_Outcome(facts, tally.success / tally.weight - mean) for facts, tally in records])
    return found
