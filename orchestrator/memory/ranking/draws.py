"""Exploration: an arm of which little is known is drawn with a spread, and may come first by it.

As in Thompson, "On the likelihood that one unknown probability exceeds another" (1933), but with draws that are
uniform: an arm whose best possible draw is below the worst of another never comes before it, so that exploration ends
by itself where the record is clear (as in successive elimination: Even-Dar, Mannor and Mansour, 2006, section 3).
"""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

N_STEPS = 16
"""Steps of the quadrature for probabilities."""

REACH = math.sqrt(3.0)
"""Half the width of a uniform distribution with a standard deviation of 1."""


def ordered(
    values: Sequence[float], unknown: Sequence[float], shares: Sequence[float], key: str, hope: float
) -> tuple[list[int], list[float], list[float]]:
    """The order, the score at each place, and with which probability each arm comes first.

    `unknown` are standard deviations; a draw spreads by a share of them. Draws decide who is first, the same for the same `key`; the others follow by the
    best that may be hoped of them (Auer, "Using confidence bounds for exploitation-exploration trade-offs", 2002),
    since what is tried after a failure costs no first place. No score is above that of the place before.
    """
    if not values:
        return [], [], []
    spreads = [share * one for share, one in zip(shares, unknown, strict=True)]
    source = random.Random(key)  # noqa: S311  exploration is no secret
    draws = [
        value + spread * REACH * (2.0 * source.random() - 1.0)
        for value, spread in zip(values, spreads, strict=True)
    ]
    first = max(range(len(draws)), key=draws.__getitem__)
    hopes = [value + hope * one for value, one in zip(values, unknown, strict=True)]
    rest = sorted((n for n in range(len(values)) if n != first), key=lambda n: -hopes[n])
    scores = [draws[first], *(min(draws[first], hopes[n]) for n in rest)]
    return [first, *rest], scores, probabilities(values, spreads)


def probabilities(values: Sequence[float], spreads: Sequence[float]) -> list[float]:
    """With which probability each has the largest draw, within about 0.02; they add up to 1.

    For each arm, the sum over steps of what of its draw lies in the step, times the others' distribution functions in
    the middle of it.
    """
    ends = [
        (value - REACH * spread, value + REACH * spread)
        for value, spread in zip(values, spreads, strict=True)
    ]
    low, high = max(start for start, _ in ends), max(end for _, end in ends)
    found = [0.0] * len(values)
    if high - low < 1e-12:  # nothing is drawn: the first of the best
        found[max(range(len(values)), key=values.__getitem__)] = 1.0
        return found
    edges = [low + (high - low) * n / N_STEPS for n in range(N_STEPS + 1)]
    rivals = [n for n, (_, end) in enumerate(ends) if end > low]
    shares = [_shares(edges, *ends[n]) for n in rivals]
    for before, after in pairwise(zip(*shares, strict=True)):
        middles = [(one + other) / 2.0 for one, other in zip(before, after, strict=True)]
        all_below = math.prod(middles)
        for n, one, other, middle in zip(rivals, before, after, middles, strict=True):
            if other > one:
                found[n] += (other - one) * all_below / middle
    whole = sum(found)
    return [one / whole for one in found]


def _shares(edges: Sequence[float], start: float, end: float) -> list[float]:
    """The share of the uniform distribution from `start` to `end` below each edge; no edge is below `start`."""
    width = max(end - start, 1e-12)
    return [min(1.0, (edge - start) / width) for edge in edges]
