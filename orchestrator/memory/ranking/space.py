"""How far situations are apart.

Numbers are measured in standard deviations of the situations seen so far; where one of them is many deviations from
the mean, after a logarithm that leaves small ones alone (asinh), so that a size of a million does not drown all
else. A category that differs, or a fact that only one
of two situations has, adds what two random numbers would: the expected squared distance of two standardised draws
is 2. Scales are taken anew whenever the number of situations has grown by a quarter, which costs little on average.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from itertools import compress, repeat
from operator import ne
from typing import TYPE_CHECKING, Any

from orchestrator.memory.ranking.metric import relevance
from orchestrator.memory.ranking.points import Facts, Point

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MISMATCH = 2.0
"""Added to the squared distance for each category that differs."""

GROWTH = 1.25
"""Scales are taken anew when there are so many times as many situations."""

OUTLYING = 6.0
"""Deviations from the mean from which on a kind of number is taken by its logarithm."""

LARGE = 1e100
"""Numbers from here on are taken by their logarithm, since their squares may be too large."""

FAR = 1e3
"""No number is farther from the mean than this."""

NUMBER, ABSENT = 1, None
"""What stands in a signature for a number and for a fact that is not there."""

Vector = tuple[float, ...]
Scale = tuple[bool, float, float]
"""Of a kind of number: whether its logarithm is taken, what is then subtracted, and what that is multiplied with."""

Signature = tuple[object, ...]
Near = list[tuple[float, Point]]
"""Situations with their distances, nearest first."""


@dataclass(slots=True)
class _Group:
    """Situations with the same categories."""

    signature: Signature
    vectors: list[Vector] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)


class Space:
    """The situations of one record, by their distance. A ranker makes one and owns it.

    Between calls every point is in exactly one group, and the groups are what placing the points in their order
    with the present scales gives.
    """

    def __init__(self, points: Sequence[Point] = (), scales: Mapping[str, Scale] | None = None) -> None:
        self.points = {point.facts: point for point in points}
        self.scales = dict(
            scales or {}
        )  # of each number: what is subtracted, and what it is multiplied with then
        self.names: list[str] = []
        self.relevance: dict[str, float] = {}
        self._groups: dict[Signature, _Group] = {}
        self._next_scaling = math.ceil(len(self.points) * GROWTH)
        self._place_all()

    def point(self, facts: Facts) -> Point:
        """The point of a situation, made if it is new."""
        found = self.points.get(facts)
        if found is not None:
            return found
        found = self.points[facts] = Point(facts)
        if len(self.points) > self._next_scaling or not self._known(facts):
            self.rescale()
        else:
            self._place(found)
        return found

    def nearest(self, facts: Facts, n: int) -> Near:
        """The `n` nearest situations."""
        here, signature = self._vector(facts), self._signature(facts)
        penalties = [MISMATCH * self.relevance.get(name, 1.0) for name in self.names]
        unknown = MISMATCH * sum(name not in self._columns for name, _ in facts)
        distances: list[float] = []
        points: list[Point] = []
        for group in self._groups.values():
            apart = unknown + sum(compress(penalties, map(ne, signature, group.signature)))
            found = map(math.dist, repeat(here), group.vectors)
            distances += [math.sqrt(one * one + apart) for one in found] if apart else found
            points += group.points
        order = heapq.nsmallest(n, range(len(distances)), key=distances.__getitem__)
        return [(distances[i], points[i]) for i in order]

    def rescale(self) -> None:
        """Take the scales anew from the points there are."""
        columns: dict[str, list[float]] = {}
        for facts in self.points:
            for name, fact in facts:
                if isinstance(fact, float):
                    columns.setdefault(name, []).append(fact)
        self.relevance = relevance(self.points.values())
        self.scales = {}
        for name, column in columns.items():
            is_log, middle, factor = _scale(column)
            self.scales[name] = is_log, middle, factor * math.sqrt(self.relevance.get(name, 1.0))
        self._next_scaling = math.ceil(len(self.points) * GROWTH)
        self._place_all()

    def drop(self, n: int) -> None:
        """Leave out the `n` situations whose records weigh least."""
        lightest = heapq.nsmallest(n, self.points.values(), key=lambda point: point.weight)
        for point in lightest:
            del self.points[point.facts]
        self.rescale()

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "points": [point.to_dict() for point in self.points.values()],
            "scales": {name: list(scale) for name, scale in self.scales.items()},
            "next_scaling": self._next_scaling,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Space:
        """What `to_dict` made."""
        scales = {
            name: (bool(is_log), float(middle), float(factor))
            for name, (is_log, middle, factor) in value["scales"].items()
        }
        space = cls([Point.from_dict(point) for point in value["points"]], scales)
        space._next_scaling = value["next_scaling"]
        return space

    def _place_all(self) -> None:
        self.names = sorted({name for facts in self.points for name, _ in facts})
        self._columns = {name: n for n, name in enumerate(self.names)}
        self._groups = {}
        for point in self.points.values():
            self._place(point)

    def _place(self, point: Point) -> None:
        signature = self._signature(point.facts)
        group = self._groups.setdefault(signature, _Group(signature))
        group.vectors.append(self._vector(point.facts))
        group.points.append(point)

    def _known(self, facts: Facts) -> bool:
        return all(
            name in self._columns and (isinstance(fact, str) or name in self.scales) for name, fact in facts
        )

    def _vector(self, facts: Facts) -> Vector:
        numbers = {name: fact for name, fact in facts if isinstance(fact, float)}
        found = []
        for name, (is_log, middle, factor) in self.scales.items():
            number = numbers.get(name)
            if number is None:
                found.append(0.0)
            else:
                place = ((math.asinh(number) if is_log else number) - middle) * factor
                found.append(max(-FAR, min(FAR, place)))
        return tuple(found)

    def _signature(self, facts: Facts) -> Signature:
        found: list[object] = [ABSENT] * len(self.names)
        for name, fact in facts:
            column = self._columns.get(name)
            if column is not None:
                found[column] = fact if isinstance(fact, str) else NUMBER
        return tuple(found)


def _scale(column: Sequence[float]) -> Scale:
    """The mean, and one over the standard deviation; 1 where all are the same."""
    if max(map(abs, column)) < LARGE:
        mean, factor = _moments(column)
        if max(max(column) - mean, mean - min(column)) * factor <= OUTLYING:
            return False, mean, factor
    return True, *_moments([math.asinh(value) for value in column])


def _moments(column: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(column) / len(column)
    variance = math.fsum((value - mean) ** 2 for value in column) / len(column)
    return mean, 1.0 / math.sqrt(variance) if variance > 1e-18 else 1.0
