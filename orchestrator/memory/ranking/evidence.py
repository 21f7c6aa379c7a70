"""What the record says of each arm in one situation, as numbers that a regression can weigh.

For each arm: the logit of its rate overall, how much better or worse it and all arms did around here, in circles of
several widths, and how it did lately beside what was expected. Every rate is drawn towards what is known one step
wider, with pseudo-counts (Robbins, "An empirical Bayes approach to statistics", 1956); a situation speaks for
another with weight exp(-distance / width) (Nadaraya, "On estimating regression", 1964, with a Laplace kernel, the one
that forests of random trees converge to: Balog et al., "The Mondrian kernel", 2016).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.memory.ranking.points import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.memory.ranking.space import Near
    from orchestrator.memory.ranking.trend import Trend
    from orchestrator.memory.ranking.tuning import Tuning

OVERALL = 10.0
"""Pseudo-records that an arm's rate is drawn towards the rate of all by."""

OWN = (0.3, 0.5, 2.0)
"""The same, of how an arm did around here, from the narrowest circle to the widest."""

COMMON = 2.0
"""The same, of how all arms did around here."""

COST = 1.0
"""The same, of what an arm costs around here."""

STEEPNESS = 4.0
"""Change of a logit for a change of a probability, at one half: 1 / (p(1-p))."""

SIMILAR = 0.3
"""A situation is called similar from this kernel weight on, at the middle width."""

FAINT = 1e-2
"""Kernel weights below this are left out."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is on one arm. `row` is for the regression, the trend last."""

    row: tuple[float, ...]
    around: Tally  # its record around here, as of now; `tried` and `succeeded` of similar situations alone
    usd: float  # expected, as is the time
    duration_s: float


@dataclass(frozen=True, slots=True)
class Record:
    """What there is on all arms, for one decision."""

    totals: Mapping[str, Tally]
    near: Near
    trends: Mapping[str, Trend]
    fade: float  # what a stored weight of 1 weighs by now


@dataclass(slots=True)
class _Circle:
    """Sums over one kernel, by arm: of weights, and of successes more than the arms' rates would have given."""

    seen: list[float]
    above: list[float]


def prior(tuning: Tuning) -> tuple[list[float], list[float]]:
    """Weights of a row before anything was learned, and their variances."""
    n = len(tuning.widths)
    return [0.0, 1.0, *[1.5] * n, *[0.7] * n, 1.0], [0.1, 0.05, *[0.1] * n, *[0.1] * n, 0.1]


def rows(record: Record, arms: Iterable[str], tuning: Tuning) -> list[tuple[float, ...]]:
    """The numbers for the regression, for each of the arms. All must be in the record's totals."""
    index = {arm: n for n, arm in enumerate(record.totals)}
    everything = _sum(record.totals.values(), record.fade)
    rates = _rates(record.totals.values(), everything, record.fade, tuning)
    circles = _circles(record, index, rates, tuning.widths)
    common = [_above(sum(circle.above), sum(circle.seen), COMMON * tuning.shrinkage) for circle in circles]
    counts = [count * tuning.shrinkage for count in OWN]
    found = []
    for arm in arms:
        n = index[arm]
        own = [
            _above(circle.above[n], circle.seen[n], count)
            for circle, count in zip(circles, counts, strict=True)
        ]
        trend = STEEPNESS * record.trends[arm].value if arm in record.trends else 0.0
        found.append((1.0, math.log(rates[n] / (1.0 - rates[n])), *own, *common, trend))
    return found


def gather(record: Record, arms: Sequence[str], tuning: Tuning) -> list[Evidence]:
    """The evidence on each of the arms. All must be in the record's totals."""
    everything = _sum(record.totals.values(), record.fade)
    around = _around(record, tuning)
    return [
        Evidence(row, around[arm], *_costs(around[arm], record.totals[arm], everything, record.fade))
        for arm, row in zip(arms, rows(record, arms, tuning), strict=True)
    ]


def _sum(tallies: Iterable[Tally], fade: float) -> Tally:
    whole = Tally()
    for tally in tallies:
        whole.add(tally)
    whole.scale(fade)
    return whole


def _rates(tallies: Iterable[Tally], everything: Tally, fade: float, tuning: Tuning) -> list[float]:
    """The rate of each arm, drawn towards that of all, which is drawn towards a half; away from 0 and 1."""
    of_all = (everything.success + 1.0) / (everything.weight + 2.0)
    count = max(OVERALL * tuning.shrinkage, 1e-9)
    found = ((one.success * fade + count * of_all) / (one.weight * fade + count) for one in tallies)
    return [min(0.99, max(0.01, rate)) for rate in found]


def _circles(
    record: Record, index: Mapping[str, int], rates: Sequence[float], widths: tuple[float, float, float]
) -> tuple[_Circle, _Circle, _Circle]:
    """The sums for the three widths: in one pass, since this is most of what a decision costs."""
    farthest = record.near[-1][0] if record.near else 0.0
    seen, above, seen_2, above_2, seen_3, above_3 = ([0.0] * len(index) for _ in range(6))
    for distance, point in record.near:
        kernel, kernel_2, kernel_3 = [record.fade * _kernel(distance, width * farthest) for width in widths]
        for arm, tally in point.tallies.items():
            n = index[arm]
            weight = tally.weight
            more = tally.success - weight * rates[n]
            seen[n] += kernel * weight
            above[n] += kernel * more
            seen_2[n] += kernel_2 * weight
            above_2[n] += kernel_2 * more
            seen_3[n] += kernel_3 * weight
            above_3[n] += kernel_3 * more
    return _Circle(seen, above), _Circle(seen_2, above_2), _Circle(seen_3, above_3)


def _around(record: Record, tuning: Tuning) -> dict[str, Tally]:
    """What the situations around here say of each arm, at the middle width."""
    found = {arm: Tally() for arm in record.totals}
    farthest = record.near[-1][0] if record.near else 0.0
    for distance, point in record.near:
        kernel = _kernel(distance, tuning.widths[1] * farthest)
        if kernel < FAINT:
            break
        for arm, tally in point.tallies.items():
            sums = found[arm]
            sums.weigh(tally, kernel * record.fade)
            if kernel >= SIMILAR:
                sums.tried += tally.tried
                sums.succeeded += tally.succeeded
    return found


def _kernel(distance: float, width: float) -> float:
    if width <= 0.0:  # all are the same situation
        return 1.0
    return math.exp(-distance / width)


def _above(above: float, seen: float, count: float) -> float:
    """A shrunk difference of rates, as one of logits."""
    return STEEPNESS * above / max(seen + count, 1e-9)


def _costs(around: Tally, total: Tally, everything: Tally, fade: float) -> tuple[float, float]:
    """What a trial is expected to cost in money and time: around here, drawn towards the arm's mean, and that to all's."""
    weight = total.weight * fade + COST
    each = max(everything.weight, 1e-9)
    usd = (total.usd * fade + COST * everything.usd / each) / weight
    duration_s = (total.duration_s * fade + COST * everything.duration_s / each) / weight
    near = around.weight + COST
    return (around.usd + COST * usd) / near, (around.duration_s + COST * duration_s) / near
