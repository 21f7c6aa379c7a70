"""Exploration: an arm of which little is known is drawn with a spread, and may come first by it.

As in Thompson, "On the likelihood that one unknown probability exceeds another" (1933), but with draws that are
uniform: an arm whose best possible draw is below the worst of another never comes before it, so that exploration ends
by itself where the record is clear (as in successive elimination: Even-Dar, Mannor and Mansour, 2006, section 3).
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

N_STEPS = 48
"""Steps of the quadrature for probabilities."""

REACH = math.sqrt(3.0)
"""Half the width of a uniform distribution with a standard deviation of 1."""


def drawn(values: Sequence[float], spreads: Sequence[float], key: str) -> list[float]:
    """A draw for each arm; the same for the same `key`. `spreads` are standard deviations."""
    source = random.Random(key)  # noqa: S311  exploration is no secret
    return [
        value + spread * REACH * (2.0 * source.random() - 1.0)
        for value, spread in zip(values, spreads, strict=True)
    ]


def probabilities(values: Sequence[float], spreads: Sequence[float]) -> list[float]:
    """With which probability each has the largest draw, within about 0.01; they add up to 1.

    The integral over its density times the others' distribution functions, by the midpoint rule.
    """
    if not values:
        return []
    ends = [
        (value - REACH * spread, value + REACH * spread)
        for value, spread in zip(values, spreads, strict=True)
    ]
    low, high = max(start for start, _ in ends), max(end for _, end in ends)
    found = [0.0] * len(values)
    rivals = [n for n, (_, end) in enumerate(ends) if end > low]
    step = (high - low) / N_STEPS
    for n in range(N_STEPS if step > 1e-12 else 0):
        at = low + n * step
        below = [_below(at + step / 2, *ends[m]) for m in rivals]
        for own, m in enumerate(rivals):
            others = math.prod(below[:own]) * math.prod(below[own + 1 :])
            found[m] += (_below(at + step, *ends[m]) - _below(at, *ends[m])) * others
    whole = sum(found)
    if whole <= 1e-9:  # no spread: the first of the best
        best = max(range(len(values)), key=values.__getitem__)
        return [float(n == best) for n in range(len(values))]
    return [one / whole for one in found]


def _below(at: float, start: float, end: float) -> float:
    """The share of the uniform distribution between `start` and `end` that lies below."""
    if end - start < 1e-12:
        return float(at >= start)
    return max(0.0, min(1.0, (at - start) / (end - start)))
