"""What the usage record says of one skill, strategy or workflow in one window of time, being counted."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.memory.reviewing.chance import Clusters
from orchestrator.memory.reviewing.proposal import MAX_RUNS

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    are judged, and `clusters` counts these by run.
    """

    calls: int = 0
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
    _sums: list[int] = field(default_factory=lambda: [0] * 6)

    @property
    def clusters(self) -> Clusters:
        """The judged calls of all runs that were closed."""
        return Clusters(*self._sums)

    def add(self, record: Mapping[str, Any], verdict: bool | None) -> None:
        """Count one call; `verdict` is whether it did well, None where nothing follows."""
        self.calls += 1
        outcome, run = record.get("outcome"), record.get("run") or ""
        if verdict is None:
            self._unjudged(outcome)
        else:
            self._judged(record, verdict, run)
        self.unverified += outcome == "unverified"
        if verdict is not True and outcome is not None:
            self._failed_with(record.get("error_kind") or outcome, run)
        usd, tokens = (
            record.get("usd") or 0.0,
            (record.get("tokens_in") or 0) + (record.get("tokens_out") or 0),
        )
        self.usd += usd
        self.tokens += tokens
        if usd > self.most_usd:
            self.most_usd = usd
        if tokens > self.most_tokens:
            self.most_tokens = tokens
        if (duration := record.get("duration_s")) is not None:
            self.durations.append(duration)
        if run and (not self.runs or self.runs[-1] != run):
            self.runs.append(run)

    def close_run(self, n: int, ok: int) -> None:
        """Count what one run's judged calls came to."""
        sums = self._sums
        sums[0] += 1
        sums[1] += n
        sums[2] += ok
        sums[3] += ok * ok
        sums[4] += n * ok
        sums[5] += n * n

    def percentile(self, part: float) -> float | None:
        """The duration in seconds that this part of the calls does not exceed; None where none is known."""
        ordered = sorted(self.durations)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None

    def _unjudged(self, outcome: Any) -> None:
        if outcome is None:
            self.unjudged += 1
        elif outcome == "denied":
            self.denied += 1
        else:
            self.outside += 1

    def _judged(self, record: Mapping[str, Any], verdict: bool, run: str) -> None:
        self.well += verdict
        self.failed += not verdict
        if not verdict and run and (not self.failing or self.failing[-1] != run):
            self.failing.append(run)
        version = record.get("version")
        if isinstance(version, str) and (version in self.versions or len(self.versions) < MAX_VERSIONS):
            part = self.versions.setdefault(version, Part())
            part.n += 1
            part.ok += verdict
            part.last = max(part.last, record["at"])

    def _failed_with(self, kind: str, run: str) -> None:
        if kind not in self.kinds and len(self.kinds) >= MAX_KINDS:
            kind = "other"
        number, example = self.kinds.get(kind, (0, ""))
        self.kinds[kind] = number + 1, run or example


def newest(runs: deque[str]) -> tuple[str, ...]:
    """Runs, each once, the newest first."""
    return tuple(dict.fromkeys(reversed(runs)))
