"""Records of one run put together: what its calls of one subject came to, and each workflow's attempts as one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.memory.record import UNDECIDED

if TYPE_CHECKING:
    from orchestrator.memory.reviewing.entry import Entry
    from orchestrator.memory.reviewing.sample import Sample


@dataclass(slots=True)
class Unit:
    """The attempts of one call of a workflow as one entry, which did well when one of them did.

    `first` is the first attempt's strategy, the chance with which it was chosen, and whether it did well; None where it
    says nothing.
    """

    workflow: str
    first: tuple[str, float, bool] | None
    entry: Entry

    @property
    def is_root(self) -> bool:
        """Whether the call is the run itself."""
        return not self.entry.depth and self.entry.parent is None

    def add(self, entry: Entry) -> None:
        """Take in the next attempt; after one that did well, nothing speaks against it."""
        was = self.entry
        ended = was if was.said is True else entry
        self.entry = ended._replace(
            at=entry.at, version=entry.version,
            usd=(was.usd or 0) + (entry.usd or 0), duration_s=(was.duration_s or 0) + (entry.duration_s or 0),
            tokens_in=(was.tokens_in or 0) + (entry.tokens_in or 0),
            tokens_out=(was.tokens_out or 0) + (entry.tokens_out or 0),
        )  # fmt: skip


@dataclass(slots=True)
class Counted:
    """A run's judged calls of one subject, those that did well, and of these how many have a time, and their sum."""

    sample: Sample
    n: int = 0
    ok: int = 0
    timed: int = 0
    seconds: float = 0.0

    def add(self, entry: Entry) -> None:
        """Count a call, in its sample too."""
        self.sample.add(entry)
        if entry.said is not None:
            self.n += 1
            if entry.said:
                self.ok += 1
                if entry.duration_s:
                    self.timed += 1
                    self.seconds += entry.duration_s


@dataclass(slots=True)
class Open:
    """One run that is being read: what it did by subject, and its workflows."""

    counts: dict[str, Counted] = field(default_factory=dict)
    units: dict[tuple[str, str], Unit] = field(default_factory=dict)

    def attempt(self, workflow: str, entry: Entry) -> None:
        """Take in an attempt of a workflow."""
        key = workflow, entry.call or ""
        unit = self.units.get(key)
        if unit is None:
            self.units[key] = Unit(workflow, _first(entry), entry)
        else:
            unit.add(entry)


def _first(entry: Entry) -> tuple[str, float, bool] | None:
    if (
        entry.strategy is None
        or entry.probability is None
        or entry.said is None
        or entry.error_kind in UNDECIDED
    ):
        return None
    return entry.strategy, entry.probability, entry.said
