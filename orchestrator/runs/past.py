"""What a run is on record to have done, so that doing it again repeats nothing.

Cells are run again when their worker is lost or the run is resumed. What they ask for is then found here: by the call
that asks, the stretch of it (`stage`: before, in or after which of its cells), the function and the arguments, so
that the order in which threads ask does not matter. What a call does by itself, in order, is its `tape`.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.errors import CallError, SkillError
from orchestrator.runs.amount import Amount

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.runs.journal import Event

ON_TAPE = frozenset({"chosen", "iteration", "reply", "cell_started", "cell_finished", "check"})

RESUMABLE = frozenset({"interrupted", "error"})
"""How a run may have ended and still go on: it was stopped, or the world failed it."""


@dataclass(slots=True, eq=False)
class Told:
    """A call that is on record. `fields` are those of its end, None where it came to none."""

    id: str
    kind: str
    name: str
    arguments: Any
    stage: int
    n_starts: int = 1
    fields: dict[str, Any] | None = None
    n_children: int = 0
    lost: Amount = field(default_factory=Amount)  # by requests of which nothing more is known

    @property
    def is_finished(self) -> bool:
        """Whether it came to an end of its own."""
        return self.fields is not None and not self.fields.get("cut")

    @property
    def was_cut(self) -> bool:
        """Whether its caller's deadline, or the end of the run, ended it."""
        return self.fields is not None and bool(self.fields.get("cut"))

    def error(self) -> CallError | None:
        """What it raised."""
        fields = self.fields or {}
        if fields.get("error") is None:
            return None
        kind = SkillError if fields.get("raised", "SkillError") == "SkillError" else CallError
        return kind(
            fields["error"], kind=fields["outcome"], retryable=fields.get("retryable", False),
            error_kind=fields.get("error_kind") or "", hint=fields.get("hint", ""), partial=fields.get("partial"),
        )  # fmt: skip


class Claims:
    """The calls on record of one stretch of a call; each is given to the first that makes the same one again.

    `is_whole`: the stretch came to its end, so that what is not found here is something else than was done before.
    """

    def __init__(
        self, told: Iterable[Told] = (), *, is_whole: bool = False, notes: Iterable[Any] = ()
    ) -> None:
        self.is_whole = is_whole
        self._notes: dict[str, deque[Any]] = defaultdict(deque)
        for fn, value in notes:
            self._notes[fn].append(value)
        self._left: dict[tuple[str, str, str], deque[Told]] = defaultdict(deque)
        for one in told:
            self._left[one.kind, one.name, canonical(one.arguments)].append(one)

    def take(self, kind: str, name: str, key: str) -> Told | None:
        """The call on record that this is; None where there is none."""
        found = self._left.get((kind, name, key))
        if found is None:
            return None
        told = found.popleft()
        if not found:
            del self._left[kind, name, key]
        return told

    @property
    def is_empty(self) -> bool:
        """Whether no call is left to be made again."""
        return not self._left

    def left(self, kind: str = "", name: str = "") -> list[Told]:
        """Calls that nobody made again so far: all, or those of one function."""
        return [
            one for (its_kind, its_name, _), told in self._left.items() for one in told
            if not kind or (its_kind, its_name) == (kind, name)
        ]  # fmt: skip

    def note(self, fn: str) -> Any:
        """What was told the last time; None where nothing is left."""
        found = self._notes.get(fn)
        return found.popleft() if found else None


@dataclass(frozen=True, slots=True)
class Step:
    """An event of a call's own, and the stage of the call from there on."""

    event: Event
    stage: int


class Past:
    """A run's record in memory. Fed with all events of the journal before the run goes on, and with each new one.

    Of calls that came to their end only that end is kept, unless `whole`. True after each event: `_stages` says which
    stretch each open call is in, and `_told` holds every call whose caller may still be run again.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole
        self._stages: dict[str, int] = defaultdict(int)
        self._told: dict[str, Told] = {}
        self._children: dict[str, dict[int, list[Told]]] = defaultdict(lambda: defaultdict(list))
        self._notes: dict[tuple[str, int], list[Any]] = defaultdict(list)
        self._tapes: dict[str, deque[Step]] = defaultdict(deque)
        self._began = self._last = ""
        self._lost: dict[str, Amount] = {}  # of requests that are under way, by the call that made them
        self.header: dict[str, Any] = {}
        self.context: Any = None  # of the root call, as it was recorded
        self.finished: dict[str, Any] | None = None
        self.answers: dict[str, Any] = {}
        self.spent = Amount()
        self.seconds = 0.0
        self.n_diverged = 0
        self.is_live = False

    def add(self, event: Event) -> None:
        """Take one event in."""
        if not self.is_live:
            self._count(event)
        take_in = getattr(self, f"_on_{event.event}", None)
        if take_in is not None:
            take_in(event)
        elif event.event in ON_TAPE:
            self._on_tape(event)

    def go_on(self) -> None:
        """End the record of before: from here on events are this process's own."""
        self.is_live = True
        self._count_lost()

    @property
    def is_over(self) -> bool:
        """Whether the run has come to an end that stands."""
        return self.finished is not None and self.finished["status"] not in RESUMABLE

    def tape(self, call: str) -> Tape:
        """What a call did by itself, to be done again in this order."""
        return Tape(self._tapes.get(call, ()))

    def steps(self, call: str) -> list[Step]:
        """All that a call that has not ended did by itself so far."""
        return list(self._tapes.get(call, ()))

    def children(self, call: str, stage: int) -> list[Told]:
        """The calls that it made in one stretch."""
        return list(self._children.get(call, {}).get(stage, ()))

    def stage(self, call: str) -> int:
        """Which stretch a call is in."""
        return self._stages[call]

    def told(self, call: str) -> Told | None:
        """A call on record."""
        return self._told.get(call)

    def n_children(self, call: str) -> int:
        """The highest number of a call's children."""
        told = self._told.get(call)
        return told.n_children if told else 0

    def claims(self, call: str, stage: int, *, is_whole: bool = False) -> Claims:
        """The calls on record that a call made in one stretch."""
        stages = self._children.get(call)
        notes = self._notes.get((call, stage), ())
        return Claims(stages.get(stage, ()) if stages else (), is_whole=is_whole, notes=notes)

    def _on_tape(self, event: Event) -> None:
        if event.event in ("cell_started", "cell_finished"):
            self._stages[event.call] += 1
        self._tapes[event.call].append(Step(event, self._stages[event.call]))

    def _on_run_started(self, event: Event) -> None:
        self.header = event.fields

    def _on_resumed(self, event: Event) -> None:
        self.answers.update(event.fields.get("answers") or {})
        self.finished = None

    def _on_run_finished(self, event: Event) -> None:
        self.finished = event.fields

    def _on_diverged(self, _: Event) -> None:
        self.n_diverged += 1

    def _on_noted(self, event: Event) -> None:
        fields = event.fields
        self._notes[event.call, self._stages[event.call]].append((fields["fn"], fields["value"]))

    def _on_call_started(self, event: Event) -> None:
        fields, parent = event.fields, event.fields.get("parent") or ""
        if event.call == "0":
            self.context = fields.get("context")
        if (again := self._told.get(event.call)) is not None:
            again.n_starts += 1
            again.fields = None
            return
        stage = fields.get("stage", self._stages[parent])
        told = Told(event.call, fields["kind"], fields["name"], fields.get("arguments"), stage)
        self._told[event.call] = told
        if parent:
            self._children[parent][told.stage].append(told)
            if (above := self._told.get(parent)) is not None:
                above.n_children = max(above.n_children, int(event.call.rpartition(".")[2]))

    def _on_call_finished(self, event: Event) -> None:
        told = self._told.get(event.call)
        if told is None:
            return
        if event.call == "0" and not self.whole:
            return  # whether the run has ended, `run_finished` says
        told.fields = event.fields
        if told.is_finished and not self.whole:
            self._forget(event.call)

    def _forget(self, call: str) -> None:
        """Let go of what happened in a call that came to its end."""
        self._tapes.pop(call, None)
        self._stages.pop(call, None)
        for stage, children in self._children.pop(call, {}).items():
            self._notes.pop((call, stage), None)
            for child in children:
                self._told.pop(child.id, None)
                self._forget(child.id)

    def _count(self, event: Event) -> None:
        """Sum up what was spent. A request without an end is taken to have cost its prompt."""
        fields = event.fields
        is_llm = (
            event.event == "call_finished" and (told := self._told.get(event.call)) and told.kind == "llm"
        )
        if event.event == "request":
            amount = Amount(1, fields.get("tokens_in", 0), fields.get("usd", 0.0))
            self._lost.setdefault(event.call, Amount()).add(amount)
        elif is_llm or event.event == "reply":
            n_tokens = fields.get("tokens_in", 0) + fields.get("tokens_out", 0)
            self.spent.add(Amount(fields.get("calls", 0), n_tokens, fields.get("usd", 0.0)))
            self._lost.pop(event.call, None)
            if is_llm:  # what its lost requests cost is part of that, and was counted when they were lost
                self.spent.take(self._told[event.call].lost)
        if event.event == "resumed":
            self._count_lost()
        if event.event in ("run_started", "resumed"):
            self.seconds += _seconds(self._began, self._last)
            self._began = event.at
        elif event.event in ("suspended", "run_finished"):
            self.seconds = event.fields["usage"]["seconds"]
            self._began = ""
        self._last = event.at

    def _count_lost(self) -> None:
        """Count requests whose process did not live to see their replies."""
        for call, amount in self._lost.items():
            self.spent.add(amount)
            if (told := self._told.get(call)) is not None:
                told.lost.add(amount)
        self._lost.clear()

    def close_count(self) -> None:
        """Count the time of a life that ended without a word."""
        self.seconds += _seconds(self._began, self._last)
        self._began = ""


class Tape:
    """The events of one call's own that are still to be done again, in order."""

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self._steps = deque(steps)
        self.ran_out = False  # something was done that is not on it

    def next(self, event: str, **same: Any) -> Step | None:
        """The next step if it is this event with these fields; it is left where it is."""
        if not self._steps or self._steps[0].event.event != event:
            return None
        fields = self._steps[0].event.fields
        return self._steps[0] if all(fields.get(name) == value for name, value in same.items()) else None

    def take(self, event: str, **same: Any) -> Step | None:
        """The next step if it is this one. Where it is another, the rest of the tape tells of something else: dropped."""
        step = self.next(event, **same)
        if step is None:
            self.ran_out = True
            self._steps.clear()
        else:
            self._steps.popleft()
        return step

    @property
    def is_empty(self) -> bool:
        """Whether all was done again."""
        return not self._steps


def canonical(value: Any) -> str:
    """The same text for equal JSON values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=repr)


def _seconds(begin: str, end: str) -> float:
    if not begin or not end:
        return 0.0
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())
