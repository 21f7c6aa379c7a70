"""Counting usage records: values in, values out.

A record counts for the skill, the strategy and the workflow that it names; for the workflow only when it names no
skill, so that a workflow's tally counts its own attempts and not the calls inside them. Counting records one after
another gives the same tallies as counting them in several sittings, also where something is forgotten to stay
within a bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from orchestrator.memory.record import FORGOTTEN, evidence
from orchestrator.values import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal["skills", "strategies", "workflows"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FAILURES: frozenset[Outcome] = frozenset({"error", "invalid", "timeout", "denied", "budget"})

MAX_VERSIONS = 20
"""Versions kept of one skill, strategy or workflow; the one unused for longest goes first."""

MAX_ERROR_KINDS = 30
"""Error kinds told apart of one tally; further ones are counted as `other`."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How one skill, strategy or workflow did, or one version of it.

    `passed` and `not_passed`, of a skill, count attempts that called it and that checks judged: what others say of it,
    beside what it says of itself. `calls` = `ok` + `unverified` + `failed` + those that ended without an outcome. The numbers of `error_kinds` add
    up to `failed`: a failed call that names no kind counts under its outcome. Times are as recorded, ISO 8601.
    """

    name: str
    calls: int = 0
    ok: int = 0
    unverified: int = 0
    failed: int = 0
    error_kinds: Mapping[str, int] = field(default_factory=dict)
    usd: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    duration_s: float = 0.0
    first_used: str | None = None
    last_used: str | None = None
    versions: Mapping[str, Tally] = field(default_factory=dict)  # empty in a version's own tally
    passed: int = 0
    not_passed: int = 0


@dataclass(frozen=True, slots=True)
class Imported:
    """What another tool's `skill-usage.json` says of a skill. None = it does not say."""

    name: str
    calls: int
    ok: int | None = None
    failed: int | None = None
    last_used: str | None = None


@dataclass(frozen=True, slots=True)
class Tallies:
    """The usage record in figures, by name, in the order in which the names were first seen.

    `imported` is kept apart: it comes from files of other tools, imported or found where the summary would be.
    """

    skills: Mapping[str, Tally] = field(default_factory=dict)
    strategies: Mapping[str, Tally] = field(default_factory=dict)
    workflows: Mapping[str, Tally] = field(default_factory=dict)
    imported: Mapping[str, Imported] = field(default_factory=dict)
    n_records: int = 0
    n_skipped: int = 0  # lines of the record that are no records, such as one a killed writer left


@dataclass(slots=True)
class Count:
    """A tally being counted; what its fields mean is said at `Tally`."""

    name: str
    calls: int = 0
    ok: int = 0
    unverified: int = 0
    failed: int = 0
    error_kinds: dict[str, int] = field(default_factory=dict)
    usd: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    duration_s: float = 0.0
    first_used: str | None = None
    last_used: str | None = None
    versions: dict[str, Count] = field(default_factory=dict)
    passed: int = 0
    not_passed: int = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one checked record here and for its version."""
        self._count(record)
        version = record["version"]
        if version is None:
            return
        if version not in self.versions and len(self.versions) >= MAX_VERSIONS:
            del self.versions[min(self.versions, key=lambda one: moment(self.versions[one].last_used))]
        self.versions.setdefault(version, Count(version))._count(record)

    def frozen(self) -> Tally:
        """The tally as it stands; later counting leaves it alone."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values["error_kinds"] = dict(self.error_kinds)
        values["versions"] = {name: count.frozen() for name, count in self.versions.items()}
        return Tally(**values)

    def _count(self, record: Mapping[str, Any]) -> None:
        outcome = record["outcome"]
        self.calls += 1
        self.ok += outcome == "ok"
        self.unverified += outcome == "unverified"
        if outcome in FAILURES:
            self.failed += 1
            kind = record["error_kind"] or outcome
            if kind not in self.error_kinds and len(self.error_kinds) >= MAX_ERROR_KINDS:
                kind = "other"
            self.error_kinds[kind] = self.error_kinds.get(kind, 0) + 1
        self.usd += record["usd"] or 0.0
        self.tokens_in += record["tokens_in"] or 0
        self.tokens_out += record["tokens_out"] or 0
        self.duration_s += record["duration_s"] or 0.0
        at = record["at"]
        if self.first_used is None or moment(at) < moment(self.first_used):
            self.first_used = at
        if self.last_used is None or moment(at) > moment(self.last_used):
            self.last_used = at


@dataclass(slots=True)
class Counts:
    """All tallies being counted. Whoever folds the record makes one and owns it."""

    skills: dict[str, Count] = field(default_factory=dict)
    strategies: dict[str, Count] = field(default_factory=dict)
    workflows: dict[str, Count] = field(default_factory=dict)
    n_records: int = 0
    n_skipped: int = 0

    def table(self, kind: Kind) -> dict[str, Count]:
        """The tallies of one kind, by name."""
        table: dict[str, Count] = getattr(self, kind)
        return table

    def add(self, record: Mapping[str, Any] | None) -> None:
        """Count a checked record, or a line that is none."""
        if record is None:
            self.n_skipped += 1
            return
        self.n_records += 1
        if record["error_kind"] == FORGOTTEN:
            if record["workflow"] is None:
                self.strategies.pop(record["strategy"], None)
            return
        for kind, name in _subjects(record):
            self.table(kind).setdefault(name, Count(name)).add(record)
        said = evidence(record) if record.get("verdict") else None
        if said is not None:
            self._judge(record.get("skills", "").split(), *said)

    def _judge(self, skills: list[str], success: bool, weight: float) -> None:
        """Count what checks said of an attempt for the skills that it called."""
        for name in skills:
            count = self.skills.setdefault(name, Count(name))
            count.passed += success and weight == 1.0
            count.not_passed += not success

    def frozen(self, imported: Mapping[str, Imported]) -> Tallies:
        """The tallies as they stand, with what another tool counted."""
        tables = {kind: {name: count.frozen() for name, count in self.table(kind).items()} for kind in KINDS}
        return Tallies(**tables, imported=imported, n_records=self.n_records, n_skipped=self.n_skipped)


def moment(at: str | None) -> datetime:
    """A checked record's time as one that can be compared."""
    assert at is not None
    return datetime.fromisoformat(at)


def _subjects(record: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
    skill, strategy, workflow = record["skill"], record["strategy"], record["workflow"]
    if skill is not None:
        yield "skills", skill
    if strategy is not None:
        yield "strategies", strategy
    if workflow is not None and skill is None:
        yield "workflows", workflow
