"""Records of one run put together: what its calls of one subject came to, and each workflow's attempts as one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.memory.record import UNDECIDED

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class Unit:
    """The attempts of one call of a workflow, which succeeded when one of them did.

    `first` is the first attempt's strategy, the chance with which it was chosen, and whether it did well; None where it
    says nothing. `is_root`: the call is the run itself.
    """

    workflow: str
    is_root: bool
    first: tuple[str, float, bool] | None
    verdict: bool | None = None
    outcome: str | None = None
    error_kind: str | None = None
    at: str = ""
    version: str | None = None
    usd: float = 0.0
    tokens: int = 0
    duration_s: float = 0.0

    def add(self, record: Mapping[str, Any], verdict: bool | None) -> None:
        """Take in the next attempt; after one that did well, nothing speaks against it."""
        if self.verdict is not True:
            self.verdict = verdict
            self.outcome, self.error_kind = record["outcome"], record["error_kind"]
        self.at, self.version = record["at"], record.get("version")
        self.usd += record.get("usd") or 0.0
        self.tokens += (record.get("tokens_in") or 0) + (record.get("tokens_out") or 0)
        self.duration_s += record.get("duration_s") or 0.0

    def record(self, run: str) -> dict[str, Any]:
        """All attempts as one record."""
        return {
            "at": self.at, "run": run, "version": self.version, "outcome": self.outcome, "error_kind": self.error_kind,
            "usd": self.usd, "tokens_in": self.tokens, "duration_s": self.duration_s,
        }  # fmt: skip


@dataclass(slots=True)
class Open:
    """One run that is being read: by subject, its judged calls and those that went well; and its workflows."""

    counts: dict[str, list[int]] = field(default_factory=dict)
    units: dict[tuple[str, str], Unit] = field(default_factory=dict)

    def judged(self, subject: str, verdict: bool) -> None:
        """Count a call that says something."""
        counts = self.counts.get(subject)
        if counts is None:
            counts = self.counts[subject] = [0, 0]
        counts[0] += 1
        counts[1] += verdict

    def attempt(self, workflow: str, record: Mapping[str, Any], verdict: bool | None) -> None:
        """Take in an attempt of a workflow."""
        key = workflow, record.get("call") or ""
        unit = self.units.get(key)
        if unit is None:
            is_root = not record.get("depth") and record.get("parent") is None
            unit = self.units[key] = Unit(workflow, is_root, _first(record, verdict))
        unit.add(record, verdict)


def _first(record: Mapping[str, Any], verdict: bool | None) -> tuple[str, float, bool] | None:
    strategy, probability = record.get("strategy"), record.get("probability")
    if strategy is None or probability is None or verdict is None or record["error_kind"] in UNDECIDED:
        return None
    return strategy, float(probability), verdict
