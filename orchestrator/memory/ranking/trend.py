"""Whether an arm does better or worse lately than the whole record makes one expect.

An exponentially weighted mean of what was left unexplained (Roberts, "Control chart tests based on geometric moving
averages", 1959): a record decays over a dozen later ones of the same arm, so that an arm that gets worse half-way is
noticed within some failures, long before the record as a whole has forgotten; and over some hundred records of any
arm, so that an arm that is no longer tried is given another chance.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

OWN_DECAY = 1.0 - 1.0 / 12.0
"""What an earlier record of the arm weighs beside the next one."""

DECAY = 1.0 - 1.0 / 300.0
"""What is left after each record of any arm."""

COUNT = 6.0
"""Pseudo-records without a trend."""


@dataclass(slots=True)
class Trend:
    """The unexplained part of one arm's outcomes, lately."""

    weight: float = 0.0
    above: float = 0.0
    at: int = 0  # the number of records when the sums were as they are

    @property
    def value(self) -> float:
        """By how much its rate is above what was expected."""
        return self.above / (self.weight + COUNT)

    def add(self, unexplained: float, weight: float) -> None:
        """Count an outcome less what was expected of it."""
        decay = OWN_DECAY**weight
        self.weight = self.weight * decay + weight
        self.above = self.above * decay + weight * unexplained

    def fade(self, now: int) -> None:
        """Let the records that were made since then pass."""
        factor = DECAY ** (now - self.at)
        self.weight *= factor
        self.above *= factor
        self.at = now

    def to_list(self) -> list[float]:
        """As plain JSON values."""
        return list(astuple(self))
