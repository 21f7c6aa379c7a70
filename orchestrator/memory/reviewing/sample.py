"""What the usage record says of one skill, strategy or workflow in one window of time, being counted."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass, field
from math import log
from typing import TYPE_CHECKING

from orchestrator.memory.reviewing.chance import n_calls
from orchestrator.memory.reviewing.means import Means
from orchestrator.memory.reviewing.proposal import MAX_RUNS

if TYPE_CHECKING:
    from orchestrator.memory.reviewing.entry import Entry
    from orchestrator.memory.reviewing.units import Counted

MAX_KINDS = 30
"""Kinds of failures told apart of one subject; further ones count as `other`."""

MAX_VERSIONS = 20
"""Versions told apart of one subject; further ones are not."""


@dataclass(slots=True)
class Part:
    """Calls of one version: so many judged, so many of them well; `last` is the time of the latest."""

    n: int = 0
    ok: int = 0
    last: str = ""


@dataclass(slots=True)
class Sample:
    """One subject in one window. Whoever reads the record makes one and owns it.

    `calls` = `well` + `failed` + `denied` + `outside` + `unjudged`: they ended well (`unverified` of these with nothing
    to prove it), failed, were not allowed, failed by their surroundings, or ended without an outcome. Only the first two
    are judged, and `judged` counts these by run.
    """

    calls: int = 0
    last: str = ""  # the time of the latest record
    well: int = 0
    unverified: int = 0
    failed: int = 0
    denied: int = 0
    outside: int = 0
    unjudged: int = 0
    usd: float = 0.0
    tokens: int = 0
    most_usd: float = 0.0  # of one call
    most_tokens: int = 0
    durations: array[float] = field(default_factory=lambda: array("d"))
    kinds: dict[str, tuple[int, str]] = field(
        default_factory=dict
    )  # of failures: how many, and the latest run
    ends: dict[str, int] = field(default_factory=dict)  # at limits of the budget, by limit
    versions: dict[str, Part] = field(default_factory=dict)
    runs: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_RUNS))
    failing: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_RUNS))
    judged: dict[tuple[int, int], int] = field(
        default_factory=dict
    )  # runs by judged calls and those that did well
    times: Means = field(default_factory=Means)  # of calls that did well, a mean for each run
    costs: Means = field(default_factory=Means)  # of a workflow's runs that did well

    def add(self, entry: Entry) -> None:
        """Count one call."""
        self.calls += 1
        self.last = entry.at  # lines come in about the order of their times
        run, said, outcome = entry.run, entry.said, entry.outcome
        if said is True:
            self.well += 1
            if outcome == "unverified":
                self.unverified += 1
        elif said is False:
            self.failed += 1
            if run and (not self.failing or self.failing[-1] != run):
                self.failing.append(run)
        else:
            self._unjudged(outcome)
        if said is not True and outcome is not None:
            self._failed_with(entry.error_kind or outcome, run or "")
        if said is not None and (version := entry.version) is not None:
            part = self.versions.get(version) or self._version(version)
            part.n += 1
            part.ok += said
            part.last = entry.at
        if entry.usd or entry.tokens_in or entry.tokens_out:
            self._spent(entry)
        if entry.duration_s is not None:
            self.durations.append(entry.duration_s)
        if run and (not self.runs or self.runs[-1] != run):
            self.runs.append(run)

    def close_run(self, run: Counted) -> None:
        """Count what one run's judged calls came to."""
        key = run.n, run.ok
        self.judged[key] = self.judged.get(key, 0) + 1
        if run.timed:
            self.times.add(log(run.seconds / run.timed))

    def close_unit(self, entry: Entry) -> None:
        """Count what only a workflow's whole run has: what it cost, and the limit that it ended at."""
        if entry.said and entry.usd:
            self.costs.add(log(entry.usd))
        if entry.outcome == "budget":
            limit = entry.error_kind or "?"
            self.ends[limit] = self.ends.get(limit, 0) + 1

    @property
    def n_judged(self) -> int:
        """Calls that say something."""
        return n_calls(self.judged)

    def percentile(self, part: float) -> float | None:
        """The duration in seconds that this part of the calls does not exceed; None where none is known."""
        ordered = sorted(self.durations)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None

    def _unjudged(self, outcome: str | None) -> None:
        if outcome is None:
            self.unjudged += 1
        elif outcome == "denied":
            self.denied += 1
        else:
            self.outside += 1

    def _version(self, version: str) -> Part:
        """The part of a version that was not met yet; of one too many, a part that nobody sees."""
        if len(self.versions) >= MAX_VERSIONS:
            return Part()
        return self.versions.setdefault(version, Part())

    def _spent(self, entry: Entry) -> None:
        usd, tokens = entry.usd or 0.0, int((entry.tokens_in or 0) + (entry.tokens_out or 0))
        self.usd += usd
        self.tokens += tokens
        self.most_usd = max(self.most_usd, usd)
        self.most_tokens = max(self.most_tokens, tokens)

    def _failed_with(self, kind: str, run: str) -> None:
        if kind not in self.kinds and len(self.kinds) >= MAX_KINDS:
            kind = "other"
        number, example = self.kinds.get(kind, (0, ""))
        self.kinds[kind] = number + 1, run or example


def newest(runs: deque[str]) -> tuple[str, ...]:
    """Runs, each once, the newest first."""
    return tuple(dict.fromkeys(reversed(runs)))
