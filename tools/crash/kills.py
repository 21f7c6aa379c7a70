"""When who dies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

Who = Literal["alone", "all", "worker"]
"""The orchestrator and nobody else; it and all that it started; or one of its workers, so that it goes on."""

Moment = Literal["after", "before", "torn"]
"""Beside an event: once it is written, when all before it has happened, or when half of its line is written."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill -9, at the event with the number `seq`, else when the run has lived for `after_s`."""

    who: Who
    seq: int | None = None
    moment: Moment = "after"
    after_s: float = 0.0
    pick: float = 0.0  # which worker, from 0 to below 1

    def outlived(self, ran_s: float) -> Self:
        """What is left to wait after a life that ended by itself."""
        return self if self.seq is not None else replace(self, after_s=max(0.0, self.after_s - ran_s))

    def __str__(self) -> str:
        when = f"{self.after_s:.3f} s" if self.seq is None else f"{self.moment} event {self.seq}"
        return f"{when}, {self.who}"
