"""What cost takes off an arm's score: little, so that success decides and cost among equals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.memory.ranking.evidence import Evidence

TIME = 0.25
"""What a tenfold time weighs beside tenfold money."""

RANGE = 1000.0
"""The dearest counts as no more than so many times as dear as the cheapest."""

MOST = 1e12


def penalties(evidence: Sequence[Evidence], price: float) -> list[float]:
    """What is taken off the chance of each arm: `price` for each tenfold above the cheapest."""
    money = _tenfolds([one.usd for one in evidence])
    time = _tenfolds([one.duration_s for one in evidence])
    return [price * (usd + TIME * duration) for usd, duration in zip(money, time, strict=True)]


def amount(value: float) -> float:
    """A cost that can be added up: what is negative or no number counts as none."""
    return float(min(value, MOST)) if value > 0.0 else 0.0


def _tenfolds(costs: Sequence[float]) -> list[float]:
    floor = max(costs, default=0.0) / RANGE
    if floor <= 0.0:
        return [0.0] * len(costs)
    cheapest = max(min(costs), floor)
    return [math.log10(max(cost, floor) / cheapest) for cost in costs]
