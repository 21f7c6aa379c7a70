"""The usage record in one pass: samples of every skill, strategy and workflow, in a window and in the one before.

Lines come in about the order of their times, and those of one run lie near each other; what this takes for granted is
only that a run's records of one subject are at most `MAX_OPEN` runs apart, else they count as those of two runs.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.memory.record import FORGOTTEN
from orchestrator.memory.reviewing.entry import entries
from orchestrator.memory.reviewing.regret import Tries
from orchestrator.memory.reviewing.sample import Sample
from orchestrator.memory.reviewing.units import Counted, Open

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.memory.reviewing.entry import Entry
    from orchestrator.memory.reviewing.units import Unit
    from orchestrator.memory.reviewing.window import Window

MAX_OPEN = 2000
"""Runs whose records are being put together at once."""

_AT = b'{"at":"'
_SKILL = b'"skill":"'

_NOTHING = (-1, ""), Open()
"""The key and the value of a run that is none."""

Samples = dict[str, Sample]
"""By subject: `skill:NAME`, `strategy:WORKFLOW/NAME`, `workflow:NAME`."""


@dataclass(slots=True)
class Reading:
    """What was read. `tries` are of the window alone, by workflow; `last_used` holds dates, of all of the record."""

    now: Samples = field(default_factory=dict)
    before: Samples = field(default_factory=dict)
    tries: dict[str, Tries] = field(default_factory=dict)
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)  # by skill: `entry.HOST`, and `offered`
    last_used: dict[str, str] = field(default_factory=dict)
    first: str = ""  # the date of the first line
    n_records: int = 0
    n_skipped: int = 0


def read(lines: Iterable[bytes], window: Window) -> Reading:
    """Count the lines of a record. What is no record is counted as skipped; nothing raises."""
    reader = _Reader(window)
    for entry in entries(reader.near(lines)):
        reader.take(entry)
    return reader.finish()


def read_offers(lines: Iterable[bytes], window: Window, found: Reading) -> None:
    """Count the skills that were offered to a host in the window, from `memory/offers.jsonl` (see `memory.asked`)."""
    for line in lines:
        try:
            offer = json.loads(line)
            if window.place(offer["at"]) == 1:
                for name in {name for name in offer["skills"] if isinstance(name, str)}:
                    count_use(found, name, "offered")
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue


def count_use(found: Reading, skill: str, how: str) -> None:
    """Count how a host came to use a skill, by its name without the plugin's."""
    counts = found.hosts.setdefault(skill.rpartition(":")[2], {})
    counts[how] = counts.get(how, 0) + 1


class _Reader:
    """One pass. `take` is called for each record that lies near the windows, `finish` once."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._found = Reading()
        self._open: OrderedDict[tuple[int, str], Open] = OrderedDict()
        self._latest = _NOTHING

    def near(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The lines that may lie in a window: most of a long record do not, and are not decoded."""
        first, last = self._window.days
        for line in lines:
            if line.startswith(_AT):
                day = line[7:17]
                if not self._found.first:
                    self._found.first = day.decode("ascii", "replace")
                if not first <= day <= last:
                    self._note_use(line, day)
                    continue
            yield line

    def take(self, entry: Entry | None) -> None:
        """Count one record; None is a line that is none."""
        try:
            place = None if entry is None else self._window.place(entry.at)
        except (ValueError, OverflowError):
            entry = place = None
        if entry is None:
            self._found.n_skipped += 1
            return
        if place is None and entry.skill is not None:
            self._used(entry.skill, entry.at)
        if entry.error_kind == FORGOTTEN:
            self._forget(entry)
        elif place is not None:
            self._count(entry, place)

    def finish(self) -> Reading:
        """What was read; every run is closed."""
        while self._open:
            self._close_oldest()
        for samples in (self._found.before, self._found.now):
            for subject, sample in samples.items():
                if subject.startswith("skill:"):
                    self._used(subject.removeprefix("skill:"), sample.last)
        return self._found

    def _used(self, skill: str, at: str) -> None:
        if at > self._found.last_used.get(skill, ""):
            self._found.last_used[skill] = at

    def _note_use(self, line: bytes, day: bytes) -> None:
        start = line.find(_SKILL)
        if start > 0:
            start += len(_SKILL)
            name = line[start : line.find(b'"', start)].decode("utf-8", "replace")
            self._used(name, day.decode("ascii", "replace"))

    def _count(self, entry: Entry, place: int) -> None:
        self._found.n_records += 1
        opened = self._opened(place, entry.run or "")
        skill, strategy, workflow = entry.skill, entry.strategy, entry.workflow
        if skill is not None:
            self._add(f"skill:{skill}", entry, place, opened)
            if place and entry.host is not None:
                count_use(self._found, skill, entry.host)
        if strategy is not None:
            self._add(f"strategy:{workflow or ''}/{strategy}", entry, place, opened)
        if workflow is not None and skill is None:
            opened.attempt(workflow, entry)
        if not entry.run:
            self._close_oldest()  # nothing else belongs to it: it is the only one without a name

    def _add(self, subject: str, entry: Entry, place: int, opened: Open) -> None:
        counted = opened.counts.get(subject)
        if counted is None:
            samples = self._found.now if place else self._found.before
            counted = opened.counts[subject] = Counted(samples.setdefault(subject, Sample()))
        counted.add(entry)

    def _opened(self, place: int, run: str) -> Open:
        key = place, run
        if key == self._latest[0]:
            return self._latest[1]  # as most often
        opened = self._open.get(key)
        if opened is None:
            if len(self._open) >= MAX_OPEN:
                self._close_oldest()
            opened = self._open[key] = Open()
            if not run:
                self._open.move_to_end(key, last=False)
        else:
            self._open.move_to_end(key)
        self._latest = key, opened
        return opened

    def _close_oldest(self) -> None:
        key, opened = self._open.popitem(last=False)
        if key == self._latest[0]:
            self._latest = _NOTHING
        place = key[0]
        for unit in opened.units.values():
            self._close_unit(unit, place, opened)
        for counted in opened.counts.values():
            if counted.n:
                counted.sample.close_run(counted)

    def _close_unit(self, unit: Unit, place: int, opened: Open) -> None:
        """Count what a workflow came to, and how its first strategy did, which chance may have chosen."""
        if unit.is_root:
            self._add(f"workflow:{unit.workflow}", unit.entry, place, opened)
            samples = self._found.now if place else self._found.before
            samples[f"workflow:{unit.workflow}"].close_unit(unit.entry)
        if place and unit.first is not None:
            self._found.tries.setdefault(unit.workflow, Tries()).add(*unit.first)

    def _forget(self, entry: Entry) -> None:
        """Leave out what stands before a line that takes it back."""
        strategy, workflow = entry.strategy, entry.workflow
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
