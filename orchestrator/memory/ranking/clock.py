"""How old a record is: in half-lives, by how many records came after it and, where it says when it was made, by days.

Weights fade exponentially, and are stored as of one moment, `origin`, so that none has to be touched as time passes.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.memory.ranking.tuning import Tuning

Moment = datetime | str | float | None
"""When something was recorded: an ISO 8601 text, a datetime or seconds since 1970."""

LONG_AGO = 64.0
"""Half-lives after which `origin` is brought forward: stored weights stay far from what a float can hold."""

DAY_S = 86400.0


@dataclass(slots=True)
class Clock:
    """The present of one record. A ranker makes one and owns it."""

    half_life: float  # records
    half_life_days: float
    n_records: int = 0
    first_day: float | None = None  # of the first record that said when it was made
    last_day: float = 0.0  # the latest, counted from the first
    origin: float = 0.0

    @classmethod
    def of(cls, tuning: Tuning) -> Clock:
        """The clock of an empty record."""
        return cls(tuning.half_life, tuning.half_life_days)

    @property
    def fade(self) -> float:
        """What a stored weight of 1 weighs by now."""
        return float(2.0 ** (self.origin - self._half_lives(self.last_day)))

    @property
    def is_long_ago(self) -> bool:
        """Whether the origin is so long ago that stored weights are to be multiplied with `fade`, and it moved."""
        return self._half_lives(self.last_day) - self.origin > LONG_AGO

    def move_origin(self) -> None:
        """Store weights as of now, from now on."""
        self.origin = self._half_lives(self.last_day)

    def tick(self, day: float | None) -> None:
        """One more record, made on a day."""
        self.n_records += 1
        if day is None:
            return
        if self.first_day is None:
            self.first_day = day
        self.last_day = max(self.last_day, day - self.first_day)

    def weight(self, day: float | None) -> float:
        """What a record that was made on a day, or else just now, counts, as it is stored."""
        age_day = self.last_day if day is None or self.first_day is None else day - self.first_day
        return float(2.0 ** (self._half_lives(age_day) - self.origin))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    def _half_lives(self, day: float) -> float:
        return self.n_records / self.half_life + day / self.half_life_days


def day_of(at: Moment) -> float | None:
    """A moment in days since 1970. Raises ValueError for what is no moment."""
    if at is None:
        return None
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if isinstance(at, datetime):
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(at):
        raise ValueError(f"`{at}` is no time")
    return at / DAY_S
