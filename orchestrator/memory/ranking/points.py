"""What is kept of the record: for each situation that occurred, what came of the arms that were tried in it."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Facts = tuple[tuple[str, float | str], ...]
"""A situation as it is compared: by name, numbers as float, all else as text."""

HUGE = 1e300


@dataclass(slots=True)
class Tally:
    """Sums over the records of one arm, each times its weight; `tried` and `succeeded` are how many there were."""

    weight: float = 0.0
    success: float = 0.0
    usd: float = 0.0
    duration_s: float = 0.0
    tried: int = 0
    succeeded: int = 0

    def add(self, other: Tally) -> None:
        """Count what another has counted."""
        self.weigh(other, 1.0)
        self.tried += other.tried
        self.succeeded += other.succeeded

    def weigh(self, other: Tally, share: float) -> None:
        """Let a share of what another weighs count here too, without a trial of one's own."""
        self.weight += other.weight * share
        self.success += other.success * share
        self.usd += other.usd * share
        self.duration_s += other.duration_s * share

    def scale(self, factor: float) -> None:
        """Let everything weigh `factor` times what it did."""
        self.weight *= factor
        self.success *= factor
        self.usd *= factor
        self.duration_s *= factor

    def to_list(self) -> list[float]:
        """As plain JSON values."""
        return list(astuple(self))


@dataclass(slots=True, eq=False)
class Point:
    """One situation, and the tallies of the arms that were tried in it."""

    facts: Facts
    tallies: dict[str, Tally] = field(default_factory=dict)

    def tally(self, arm: str) -> Tally:
        """The tally of an arm here, to be added to."""
        return self.tallies.setdefault(arm, Tally())

    @property
    def weight(self) -> float:
        """What all its records weigh."""
        return sum(tally.weight for tally in self.tallies.values())


def facts_of(situation: Mapping[str, object]) -> Facts:
    """A situation as it is compared. Numbers that are none, as infinity, are compared as texts."""
    return tuple(
        sorted(((str(name), _fact(value)) for name, value in situation.items()), key=lambda one: one[0])
    )


def _fact(value: object) -> float | str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    try:
        number = float(value)
    except OverflowError:
        return HUGE if value > 0 else -HUGE
    if number - number != 0:  # infinite, or not a number
        return str(number)
    return max(-HUGE, min(HUGE, number))
