"""The usage record in one pass: samples of every skill, strategy and workflow, in a window and in the one before.

Lines come in about the order of their times, and those of one run lie near each other; what this takes for granted is
only that a run's records of one subject are at most `MAX_OPEN` runs apart, else they count as those of two runs.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.memory.record import FORGOTTEN, evidence
from orchestrator.memory.reviewing.regret import Tries
from orchestrator.memory.reviewing.sample import Sample
from orchestrator.memory.reviewing.units import Open, Unit
from orchestrator.memory.tallies import FAILURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.memory.reviewing.window import Window

MAX_OPEN = 2000
"""Runs whose records are being put together at once."""

_TEXTS = ("run", "call", "parent", "skill", "strategy", "version", "workflow", "error_kind", "verdict")
_AMOUNTS = ("depth", "tokens_in", "tokens_out", "duration_s", "usd", "probability")
_OUTCOMES = FAILURES | {"ok", "unverified", None}
_TEXT = frozenset({str, type(None)})
_AMOUNT = frozenset({int, float, type(None)})
_MOST = 2**53

_AT, _SKILL = b'{"at":"', b'"skill":"'

Samples = dict[str, Sample]
"""By subject: `skill:NAME`, `strategy:WORKFLOW/NAME`, `workflow:NAME`."""


@dataclass(slots=True)
class Reading:
    """What was read. `tries` are of the window alone, by workflow; `last_used` holds dates, of all of the record."""

    now: Samples = field(default_factory=dict)
    before: Samples = field(default_factory=dict)
    tries: dict[str, Tries] = field(default_factory=dict)
    chosen_by: dict[str, dict[str, int]] = field(default_factory=dict)  # a host's uses: who chose the skill
    last_used: dict[str, str] = field(default_factory=dict)
    first: str = ""  # the date of the first line
    n_records: int = 0
    n_skipped: int = 0


def read(lines: Iterable[bytes], window: Window) -> Reading:
    """Count the lines of a record. What is no record is counted as skipped; nothing raises."""
    reader = _Reader(window)
    for line in lines:
        reader.take(line)
    return reader.finish()


class _Reader:
    """One pass. `take` is called for each line, `finish` once."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._first_day, self._last_day = window.days
        self._found = Reading()
        self._open: OrderedDict[tuple[int, str], Open] = OrderedDict()

    def take(self, line: bytes) -> None:
        day = line[7:17] if line.startswith(_AT) else b""
        if day:
            if not self._found.first:
                self._found.first = day.decode("ascii", "replace")
            self._note_use(line, day)
            if not self._first_day <= day <= self._last_day:
                return  # most lines of a long record: they are not parsed
        record = _record(line)
        if record is None:
            self._found.n_skipped += bool(line.strip())
            return
        try:
            place = self._window.place(record["at"])
        except (ValueError, OverflowError):
            self._found.n_skipped += 1
            return
        if place is not None:
            self._count(record, place)

    def finish(self) -> Reading:
        while self._open:
            self._close_oldest()
        return self._found

    def _note_use(self, line: bytes, day: bytes) -> None:
        if (start := line.find(_SKILL)) > 0:
            start += len(_SKILL)
            name = line[start : line.find(b'"', start)].decode("utf-8", "replace")
            when = day.decode("ascii", "replace")
            if when > self._found.last_used.get(name, ""):
                self._found.last_used[name] = when

    def _count(self, record: Mapping[str, Any], place: int) -> None:
        found = self._found
        if record.get("error_kind") == FORGOTTEN:
            self._forget(record)
            return
        found.n_records += 1
        said = evidence(record)
        verdict = None if said is None else said[0]
        opened = self._opened(place, record.get("run") or "")
        skill, strategy, workflow = record.get("skill"), record.get("strategy"), record.get("workflow")
        if skill is not None:
            self._add(f"skill:{skill}", record, place, verdict, opened)
            self._note_choice(skill, record, place)
        if strategy is not None:
            self._add(f"strategy:{workflow or ''}/{strategy}", record, place, verdict, opened)
        if workflow is not None and skill is None:
            opened.attempt(workflow, record, verdict)
        if not record.get("run"):
            self._close_oldest()  # nothing else belongs to it: it is the only one without a name

    def _add(
        self, subject: str, record: Mapping[str, Any], place: int, verdict: bool | None, opened: Open
    ) -> None:
        samples = self._found.now if place else self._found.before
        sample = samples.get(subject)
        if sample is None:
            sample = samples[subject] = Sample()
        sample.add(record, verdict)
        if verdict is not None:
            opened.judged(subject, verdict)

    def _note_choice(self, skill: str, record: Mapping[str, Any], place: int) -> None:
        situation = record.get("situation")
        if place and isinstance(situation, dict) and isinstance(who := situation.get("used_by"), str):
            counts = self._found.chosen_by.setdefault(skill, {})
            if who in ("person", "model"):
                counts[who] = counts.get(who, 0) + 1

    def _opened(self, place: int, run: str) -> Open:
        key = place, run
        opened = self._open.get(key)
        if opened is None:
            if len(self._open) >= MAX_OPEN:
                self._close_oldest()
            opened = self._open[key] = Open()
        else:
            self._open.move_to_end(key)
        if not run:
            self._open.move_to_end(key, last=False)
        return opened

    def _close_oldest(self) -> None:
        (place, run), opened = self._open.popitem(last=False)
        samples = self._found.now if place else self._found.before
        for unit in opened.units.values():
            self._close_unit(unit, run, place, opened)
        for subject, (n, ok) in opened.counts.items():
            if (sample := samples.get(subject)) is not None:
                sample.close_run(n, ok)

    def _close_unit(self, unit: Unit, run: str, place: int, opened: Open) -> None:
        """Count what a workflow came to, and how its first strategy did, which chance may have chosen."""
        if unit.is_root:
            record = unit.record(run)
            self._add(f"workflow:{unit.workflow}", record, place, unit.verdict, opened)
            if record["outcome"] == "budget":
                samples = self._found.now if place else self._found.before
                ends = samples[f"workflow:{unit.workflow}"].ends
                limit = record["error_kind"] or "?"
                ends[limit] = ends.get(limit, 0) + 1
        if place and unit.first is not None:
            self._found.tries.setdefault(unit.workflow, Tries()).add(*unit.first)

    def _forget(self, record: Mapping[str, Any]) -> None:
        """Leave out what stands before a line that takes it back."""
        strategy, workflow = record.get("strategy"), record.get("workflow")
        while self._open:
            self._close_oldest()
        for samples in (self._found.now, self._found.before):
            for subject in [
                one for one in samples if one.startswith("strategy:") and one.endswith(f"/{strategy}")
            ]:
                if workflow is None or subject == f"strategy:{workflow}/{strategy}":
                    del samples[subject]
        for name, tries in self._found.tries.items():
            if workflow is None or name == workflow:
                tries.forget(strategy or "")


def _record(line: bytes) -> dict[str, Any] | None:
    """The record of a line, None when it is none: as `record.parsed`, of the fields that are counted here alone.

    That one takes 11 µs a line, this one 5; a million lines are to be read in seconds.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if type(found) is not dict or type(found.get("at")) is not str:
        return None
    get = found.get
    outcome = get("outcome")
    if (outcome is not None and type(outcome) is not str) or outcome not in _OUTCOMES:
        return None
    for name in _TEXTS:
        if type(get(name)) not in _TEXT:
            return None
    for name in _AMOUNTS:
        value = get(name)
        if value is not None and (type(value) not in _AMOUNT or not 0 <= value <= _MOST):
            return None
    found.setdefault("outcome", None)
    found.setdefault("error_kind", None)
    return found
