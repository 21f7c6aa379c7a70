"""What the usage record says of strategies: a ranking over all workflows, and counts for each one of them.

Folded from the record like the summary (`summary`), line by line and once; kept in `memory/cache/`, where deleting it
costs no more than reading the record again. What counts as evidence, and how much, `record.evidence` says.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard

from orchestrator.errors import WorkspaceError
from orchestrator.memory import editions, files
from orchestrator.memory.log import Place, is_at_end, read_on
from orchestrator.memory.ranking import Ranked, Ranker
from orchestrator.memory.ranking.tuning import Tuning
from orchestrator.memory.record import FORGOTTEN, TAGS, evidence, parsed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orchestrator.workspace import Workspace

SCHEMA = "orchestrate.experience/2"
FILE_NAME = "experience.json"
LOCK = "experience.lock"
SEED = 20251226
"""Of the ranking's own choices: the same record gives the same order, on every machine."""

TUNING = Tuning(first_tries=0.0)
"""A run follows a strategy that failed with the next, so that each gets its first tries without being put in front."""

MAX_WORKFLOWS = 500
"""Workflows with counts of their own; the one unused for longest goes first. The ranking goes on knowing of it."""

MAX_AT_ONCE = 3000
"""Attempts that the ranking learns from in one reading, the latest: a millisecond each, and older ones weigh little."""

MAX_WAYS = 100
"""Ways that are told apart of one workflow's models."""


@dataclass(slots=True)
class Row:
    """How one strategy did in one workflow. `tried` = `passed` + `unverified` + `failed`; sums are of all of them.

    `failed_now` counts the failures of `version` alone, the workflow's latest that was tried.
    """

    tried: int = 0
    passed: int = 0
    unverified: int = 0
    failed: int = 0
    usd: float = 0.0
    tokens: int = 0
    duration_s: float = 0.0
    version: str = ""
    failed_now: int = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one attempt."""
        self.tried += 1
        outcome = record["outcome"]
        self.passed += outcome == "ok"
        self.unverified += outcome == "unverified"
        is_failure = outcome not in ("ok", "unverified")
        self.failed += is_failure
        self.usd += record["usd"] or 0.0
        self.tokens += (record["tokens_in"] or 0) + (record["tokens_out"] or 0)
        self.duration_s += record["duration_s"] or 0.0
        if record["version"] != self.version:
            self.version, self.failed_now = record["version"] or "", 0
        self.failed_now += is_failure

    @property
    def succeeded(self) -> int:
        """Attempts that no check and no error spoke against."""
        return self.passed + self.unverified

    @property
    def mean_usd(self) -> float:
        """What an attempt cost."""
        return self.usd / self.tried if self.tried else 0.0


Rows = dict[str, dict[str, Row]]


@dataclass(slots=True)
class Experience:
    """Evidence about strategies. Whoever folds the record makes one and owns it.

    `rows` are by workflow and strategy; `ways` by workflow and what a model's cells did, as `grep verify`. The
    workflows are in the order in which they were last used.
    """

    ranker: Ranker = field(default_factory=lambda: Ranker([], seed=SEED, tuning=TUNING))
    rows: Rows = field(default_factory=dict)
    ways: Rows = field(default_factory=dict)
    situations: dict[str, dict[str, Any]] = field(default_factory=dict)  # each workflow's latest

    def add(self, record: Mapping[str, Any] | None) -> None:
        """Take in a checked record; only attempts of strategies say something here."""
        if says_something(record):
            self.count(record)
            self.learn(record)

    def count(self, record: Mapping[str, Any]) -> None:
        """Count an attempt in its workflow."""
        strategy, workflow = record["strategy"], record["workflow"] or ""
        if record["error_kind"] == FORGOTTEN:
            for name in [workflow] if record["workflow"] is not None else list(self.rows):
                self.rows.get(name, {}).pop(strategy, None)
                if strategy == "rlm":
                    self.ways.pop(name, None)
            return
        rows = self.rows[workflow] = self.rows.pop(workflow, {})
        rows.setdefault(strategy, Row()).add(record)
        self.situations[workflow] = record["situation"] or {}
        if len(self.rows) > MAX_WORKFLOWS:
            oldest = next(iter(self.rows))
            del self.rows[oldest]
            self.ways.pop(oldest, None)
            self.situations.pop(oldest, None)
        if (way := record.get("tags")) and TAGS.issuperset(way.split()):  # it goes into prompts
            ways = self.ways.setdefault(workflow, {})
            if way in ways or len(ways) < MAX_WAYS:
                ways.setdefault(way, Row()).add(record)

    def learn(self, record: Mapping[str, Any]) -> None:
        """Let the ranking learn from an attempt."""
        strategy, workflow = record["strategy"], record["workflow"]
        if record["error_kind"] == FORGOTTEN:
            self.ranker.forget(strategy, **({} if workflow is None else {"workflow": workflow}))
        elif said := evidence(record):
            self._begin(strategy)
            success, weight = said
            self.ranker.record(
                strategy, record["situation"] or {}, success=success, weight=weight, usd=record["usd"] or 0.0,
                duration_s=record["duration_s"] or 0.0,
            )  # fmt: skip

    def rank(self, situation: Mapping[str, Any], names: Sequence[str]) -> list[Ranked]:
        """The strategies, best first, as if there were no others; probabilities add up to 1."""
        for name in names:
            self._begin(name)
        return self.ranker.rank(situation, only=names)

    def _begin(self, name: str) -> None:
        """Rank one more strategy. A program that was edited begins with the record of its cells before, discounted."""
        if name not in self.ranker.arms and editions.is_edited(name):
            tried = [arm for arm in self.ranker.arms if any(arm in rows for rows in self.rows.values())]
            if earlier := editions.before(name, tried):
                self.ranker.inherit(name, earlier)
        self.ranker.add(name)

    def knows(self, names: Sequence[str]) -> bool:
        """Whether one of these strategies was tried anywhere, or is an edition of one that was."""
        wanted = {editions.original(name) for name in names}
        return any(editions.original(name) in wanted for rows in self.rows.values() for name in rows)

    def row(self, workflow: str, strategy: str) -> Row:
        """The counts of one strategy in one workflow."""
        return self.rows.get(workflow, {}).get(strategy) or Row()

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "ranker": self.ranker.to_dict(),
            "rows": _plain(self.rows),
            "ways": _plain(self.ways),
            "situations": self.situations,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Experience:
        """What `to_dict` made. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            Ranker.from_dict(value["ranker"]),
            _rows(value["rows"]),
            _rows(value["ways"]),
            dict(value["situations"]),
        )


def says_something(record: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, Any]]:
    """Whether a record is one of an attempt that proves something, or takes such records back."""
    if record is None or record["strategy"] is None:
        return False
    return record["error_kind"] == FORGOTTEN or evidence(record) is not None


def experience_of(workspace: Workspace) -> Experience:
    """What the record says by now. What is new in it is kept for the next time, where that can be."""
    path = workspace.cache / FILE_NAME
    found, place = _read(path)
    if is_at_end(workspace.usage_log, place):
        return found
    try:
        with files.locked(workspace.memory / LOCK):
            found, place = _read(path)  # another process may have folded while we waited
            found, place = _folded(found, place, workspace.usage_log)
            value = {"schema": SCHEMA, "offset": place.offset, "mark": place.mark, **found.to_dict()}
            path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            files.replace(path, text.encode("utf-8", "backslashreplace"))  # as in the record itself
    except (WorkspaceError, OSError):
        found, _ = _folded(found, place, workspace.usage_log)
    return found


def _folded(found: Experience, place: Place, record: Path) -> tuple[Experience, Place]:
    """The experience with what was added to the record. A long record is not learned from its beginning."""
    held = [found]
    latest: deque[Mapping[str, Any]] = deque(maxlen=MAX_AT_ONCE)

    def again() -> None:
        held[0] = Experience()
        latest.clear()

    def take(line: bytes) -> None:
        attempt = parsed(line)
        if says_something(attempt):
            held[0].count(attempt)
            latest.append(attempt)

    place = read_on(record, place, take, again)
    for attempt in latest:
        held[0].learn(attempt)
    return held[0], place


def _read(path: Path) -> tuple[Experience, Place]:
    """What was kept; nothing where there is none, or where it is damaged: it is made anew."""
    try:
        value = json.loads(path.read_bytes())
        if value["schema"] != SCHEMA:
            return Experience(), Place()
        place = Place(value["offset"], value["mark"])
        if type(place.offset) is not int or place.offset < 0 or not isinstance(place.mark, str):
            return Experience(), Place()
        return Experience.from_dict(value), place
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Experience(), Place()


def _plain(rows: Rows) -> dict[str, dict[str, Any]]:
    return {name: {one: asdict(row) for one, row in found.items()} for name, found in rows.items()}


def _rows(value: Mapping[str, Mapping[str, Any]]) -> Rows:
    return {name: {one: Row(**row) for one, row in found.items()} for name, found in value.items()}
