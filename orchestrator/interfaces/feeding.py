"""Whether a workflow that is run on files makes these files itself, which would never end, and costs with each run.

A file may be a run's own where that run could write there and the file was changed while the run went on. Either alone
says nothing: files arrive while runs go on, and a workflow may clear up behind itself.

Covered: files that a run makes, changes or links, in what its workflow may write, which is more than its skills may.
Not covered: environments that hold no run to that; what was made by runs of an earlier watcher.
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

IN_A_ROW = 20
"""So many runs, each on a file that the one before may have made, are no chance any more."""

MAX_KEPT = 1000
"""Runs that are remembered: a file is looked at soon after the run that may have made it."""


@dataclass(slots=True)
class Span:
    """When a run went on and what it may write. `number` counts the runs in a row that led to it, itself too."""

    run: str
    number: int
    may_write: tuple[Path, ...]
    begun_ns: int
    ended_ns: int | None = None


class Feeding:
    """The runs of one watcher, as far as they may have made files. Made and asked by that watcher alone."""

    def __init__(self) -> None:
        self._spans: deque[Span] = deque(maxlen=MAX_KEPT)

    def before(self, path: Path) -> int:
        """How many runs in a row led to this file; 0 where no run may have made it."""
        changed_ns = 0
        for look in (path.lstat, path.stat):
            with contextlib.suppress(OSError):  # it is gone, or a link to nothing
                changed_ns = max(changed_ns, look().st_ctime_ns)
        place = path.parent.resolve() / path.name
        return max((one.number for one in self._spans if _may_have_made(one, place, changed_ns)), default=0)

    def begun(self, run: str, number: int, may_write: Sequence[Path], now_ns: int) -> None:
        """Note a run before it begins."""
        self._spans.append(Span(run, number, tuple(one.resolve() for one in may_write), now_ns))

    def ended(self, run: str, now_ns: int) -> None:
        """Note that a run has no process any more."""
        for one in self._spans:
            if one.run == run:
                one.ended_ns = now_ns


def _may_have_made(span: Span, place: Path, changed_ns: int) -> bool:
    until_ns = span.ended_ns if span.ended_ns is not None else changed_ns
    return span.begun_ns <= changed_ns <= until_ns and any(map(place.is_relative_to, span.may_write))
