"""Replays a finished run: its cells run again, every call comes to what is on record, and nothing new is done.

What does not come out as it did is a difference. A call that the record does not have ends the replay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.runs.context import recorded
from orchestrator.runs.hiding import Hiding
from orchestrator.runs.journal import FILE_NAME, Event, Journal, read_journal
from orchestrator.runs.past import Past

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.values import RunResult

EXPECTED = frozenset({"resumed", "call_finished", "run_finished"})
"""What a replay tells of its own beginning and end."""

COMPARED = ("status", "answer", "strategy", "checks", "exit_code")

_SCRATCH = re.compile(r"/\S*?/(\d{4}-cells-)")  # a worker's folder: another one in each process


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a replay did not come out as the run did."""

    call: str
    message: str

    def __str__(self) -> str:
        return f"{self.call}: {self.message}"


class Rehearsal(Journal):
    """The journal of a run that is replayed: read, compared with, and never written."""

    def __init__(
        self,
        folder: Path,
        run: str,
        listen: Callable[[Event], None] | None = None,
        hiding: Hiding | None = None,
    ) -> None:
        self.folder = folder
        self.run = run
        self.hiding = hiding or Hiding()
        self.differences: list[Difference] = []
        self._listen = listen
        self.past = Past(whole=True)
        for event in read_journal(folder / FILE_NAME, strict=True):
            self.past.add(replace(event, fields=self.hiding.restored(event.fields)))
        self.recorded = self.past.finished or {}
        self.past.go_on()

    def __exit__(self, *exc_info: object) -> None:
        """Nothing is held."""

    def append(self, event: Any, call: str, **fields: Any) -> Event:
        """Take an event that a run would write: one that the record does not have is a difference."""
        if event == "diverged":
            where = f"cell {fields['cell']}" + (f", line {fields['line']}" if fields["line"] else "")
            self.differ(call, f"{where}: {fields['message']}")
        elif event not in EXPECTED:
            self.differ(call, f"`{event}` is not on record here")
        return Event(-1, "", self.run, call, event, fields)

    def sync(self) -> None:
        """Nothing was written."""

    def differ(self, call: str, message: str) -> None:
        """Note a difference."""
        self.differences.append(Difference(call, message))

    def compare(self, call: str, what: str, now: Any, before: Any) -> None:
        """Note a difference where two values are not equal, but for the names of folders."""
        now, before = (self.hiding.fields({"value": one})["value"] for one in (recorded(now), before))
        if isinstance(now, str) and isinstance(before, str):
            now, before = (_SCRATCH.sub(r"/\1", text) for text in (now, before))
        if now != before:
            self.differ(call, f"{what} is {_short(now)}; on record: {_short(before)}")

    def compare_result(self, result: RunResult, fields: Mapping[str, Any]) -> None:
        """Compare how the run came out."""
        for name in COMPARED:
            self.compare("0", name, fields[name], self.recorded.get(name))
        if result.message and result.message != self.recorded.get("message", ""):
            self.differ("0", result.message)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:120]}…{text[-60:]}"
