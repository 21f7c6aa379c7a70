"""Learning without one of its parts, as long as a block lasts.

Two of them need the product's own modules changed in this process: `Ranker` in `memory.experience` (no shrinkage), and
`situation_of` in `runs.learning` (no context, shuffled situations). What has been distilled `sides` deletes after each
run; no learning at all is a setting.
"""

from __future__ import annotations

import contextlib
import random
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.memory import experience
from orchestrator.memory.ranking import Ranker, Tuning
from orchestrator.runs import learning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.strategies.situation import Situation

Without = Literal["", "context", "order", "shrinkage", "distilling"]
N_REMEMBERED = 200
"""Situations that a shuffled one is drawn from: the latest."""


@contextlib.contextmanager
def taken_away(what: Without) -> Iterator[None]:
    """Without that part of learning, as long as the block lasts."""
    kept = learning.situation_of, experience.Ranker
    try:
        if what == "context":
            learning.situation_of = lambda task: {}  # noqa: ARG005  the same for all, that is the point
        elif what == "order":
            learning.situation_of = _Shuffled()
        elif what == "shrinkage":
            experience.Ranker = _Unshrunk  # type: ignore[misc]
        yield
    finally:
        learning.situation_of, experience.Ranker = kept  # type: ignore[misc]


class _Unshrunk(Ranker):
    """A ranking that believes the record alone, however little there is of it."""

    def __init__(self, arms: Any, seed: int | None = None, *, tuning: Tuning | None = None) -> None:
        super().__init__(arms, seed, tuning=replace(tuning or Tuning(), shrinkage=0.0))


class _Shuffled:
    """Gives each run the situation of some run before it."""

    def __init__(self) -> None:
        self._of = learning.situation_of
        self._seen: deque[Situation] = deque(maxlen=N_REMEMBERED)
        self._source = random.Random(0)

    def __call__(self, task: Any) -> Situation:
        self._seen.append(self._of(task))
        return self._source.choice(self._seen)
