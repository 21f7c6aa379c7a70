"""How far situations are apart.

Numbers are measured in standard deviations of the situations seen so far; where one of them is many deviations from
the mean, after a logarithm that leaves small ones alone (asinh), so that a size of a million does not drown all
else. A category that differs, or a fact that only one of two situations has, counts as numbers that are two standard
deviations apart. Each fact is stretched by what it says of outcomes (`metric`). Scales are taken anew whenever the
number of records has grown by a quarter, which costs little on average.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from itertools import compress, repeat
from operator import ne
from typing import TYPE_CHECKING, Any

from orchestrator.memory.ranking.metric import relevance
from orchestrator.memory.ranking.points import Facts, Point, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MISMATCH = 4.0
"""Added to the squared distance for each category that differs."""

GROWTH = 1.25
"""Scales are taken anew when there are so many times as many records."""

OUTLYING = 6.0
"""Deviations from the mean from which on a kind of number is taken by its logarithm."""

SAMPLE = 8
"""One in so many distances is in the sample that says how far the nearest situations are."""

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
    vectors: list[Vector] = field(default_factory=list)  # with one place more, for what categories add
    points: list[Point] = field(default_factory=list)


class Space:
    """The situations of one record, by their distance. A ranker makes one and owns it.

    Between calls every point is in exactly one group, and the groups are what placing the points in their order
    with the present scales gives.
    """

    def __init__(self) -> None:
        self.points: dict[Facts, Point] = {}
        self._scales: dict[str, Scale] = {}
        self._relevance: dict[str, float] = {}
        self._n_records = 0
        self._next_scaling = 0.0
        self._columns: dict[str, int] = {}  # the place of each fact in a signature
        self._groups: dict[Signature, _Group] = {}

    def add(self, facts: Facts, arm: str, tally: Tally) -> bool:
        """Count what came of an arm in a situation. True = other situations may be near now."""
        self._n_records += 1
        point = self.points.get(facts)
        is_new = point is None
        if point is None:
            point = self.points[facts] = Point(facts)
        point.tally(arm).add(tally)
        if self._n_records > self._next_scaling or not self._is_known(facts):
            self._rescale()
            return True
        if is_new:
            self._place(point)
        return is_new

    def nearest(self, facts: Facts, n: int) -> Near:
        """The `n` nearest situations."""
        here, signature = self._vector(facts), self._signature(facts)
        penalties = [MISMATCH * self._relevance.get(name, 1.0) for name in self._columns]
        unknown = MISMATCH * sum(name not in self._columns for name, _ in facts)
        distances: list[float] = []
        points: list[Point] = []
        for group in self._groups.values():
            apart = unknown + sum(compress(penalties, map(ne, signature, group.signature)))
            distances += map(math.dist, repeat((*here, math.sqrt(apart))), group.vectors)
            points += group.points
        return [(distances[i], points[i]) for i in _smallest(distances, n)]

    def drop(self, n: int) -> None:
        """Leave out the `n` situations whose records weigh least."""
        lightest = heapq.nsmallest(n, self.points.values(), key=lambda point: point.weight)
        for point in lightest:
            del self.points[point.facts]
        self._rescale()

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        names = list(dict.fromkeys(tuple(name for name, _ in facts) for facts in self.points))
        shapes = {shape: n for n, shape in enumerate(names)}
        return {
            "names": [list(shape) for shape in names],
            "points": [
                [
                    shapes[tuple(name for name, _ in point.facts)],
                    [fact for _, fact in point.facts],
                    {arm: tally.to_list() for arm, tally in point.tallies.items()},
                ]
                for point in self.points.values()
            ],
            "scales": {name: list(scale) for name, scale in self._scales.items()},
            "relevance": dict(self._relevance),
            "n_records": self._n_records,
            "next_scaling": self._next_scaling,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Space:
        """What `to_dict` made."""
        space = cls()
        for shape, values, tallies in value["points"]:
            facts = tuple(zip(value["names"][shape], values, strict=True))
            space.points[facts] = Point(facts, {arm: Tally(*sums) for arm, sums in tallies.items()})
        space._scales = {
            name: (bool(is_log), middle, factor) for name, (is_log, middle, factor) in value["scales"].items()
        }
        space._relevance = dict(value["relevance"])
        space._n_records, space._next_scaling = value["n_records"], value["next_scaling"]
        space._place_all()
        return space

    def _rescale(self) -> None:
        """Take the scales anew from the points there are."""
        columns: dict[str, list[float]] = {}
        for facts in self.points:
            for name, fact in facts:
                if isinstance(fact, float):
                    columns.setdefault(name, []).append(fact)
        self._relevance = relevance(self.points.values())
        self._scales = {}
        for name, column in columns.items():
            is_log, middle, factor = _scale(column)
            self._scales[name] = is_log, middle, factor * math.sqrt(self._relevance.get(name, 1.0))
        self._next_scaling = self._n_records * GROWTH
        self._place_all()

    def _place_all(self) -> None:
        names = sorted({name for facts in self.points for name, _ in facts})
        self._columns = {name: n for n, name in enumerate(names)}
        self._groups = {}
        for point in self.points.values():
            self._place(point)

    def _place(self, point: Point) -> None:
        signature = self._signature(point.facts)
        group = self._groups.setdefault(signature, _Group(signature))
        group.vectors.append((*self._vector(point.facts), 0.0))
        group.points.append(point)

    def _is_known(self, facts: Facts) -> bool:
        return all(
            name in self._columns and (isinstance(fact, str) or name in self._scales) for name, fact in facts
        )

    def _vector(self, facts: Facts) -> Vector:
        numbers = {name: fact for name, fact in facts if isinstance(fact, float)}
        found = []
        for name, (is_log, middle, factor) in self._scales.items():
            number = numbers.get(name)
            if number is None:
                found.append(0.0)
            else:
                place = ((math.asinh(number) if is_log else number) - middle) * factor
                found.append(max(-FAR, min(FAR, place)))
        return tuple(found)

    def _signature(self, facts: Facts) -> Signature:
        found: list[object] = [ABSENT] * len(self._columns)
        for name, fact in facts:
            column = self._columns.get(name)
            if column is not None:
                found[column] = fact if isinstance(fact, str) else NUMBER
        return tuple(found)


def _smallest(distances: Sequence[float], n: int) -> list[int]:
    """Where the `n` smallest are, in their order; a sample says where to look, which halves the time."""
    few: Sequence[int] = range(len(distances))
    if len(distances) > 4 * n:
        bound = sorted(distances[::SAMPLE])[2 * n // SAMPLE]
        few = [i for i, distance in enumerate(distances) if distance <= bound]
        if len(few) < n:
            few = range(len(distances))
    return sorted(few, key=distances.__getitem__)[:n]


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
