"""A call: one node of a run's tree."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import CallError, SkillError
from orchestrator.runs.amount import Amount
from orchestrator.runs.context import recorded
from orchestrator.runs.past import Tape, canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.runs.past import Claims, Past, Told

Kind = Literal["root", "skill", "llm", "rlm", "memory", "approval"]


@dataclass(slots=True, eq=False)
class Call:
    """One node of a run's tree. Ids say where it hangs: `0.2.1` is the first child of the second child of the root."""

    id: str
    kind: Kind
    name: str
    arguments: Any = None
    parent: Call | None = None
    printed: str = ""  # by its code, while it ran
    spent: Amount = field(default_factory=Amount, repr=False)  # by this call and all below it
    tokens_in: int = field(default=0, repr=False)
    tokens_out: int = field(default=0, repr=False)
    model: str = ""  # that answered it, of an llm call
    node: str = ""  # of a cluster, on which its worker was
    n_children: int = field(default=0, repr=False)
    past: Past | None = field(default=None, repr=False)
    told: Told | None = field(
        default=None, repr=False
    )  # what the record says of it, of a call that is made again
    stage: int = field(default=0, repr=False)  # which stretch of it is under way
    claims: Claims | None = field(default=None, repr=False)  # calls on record of this stretch
    tape: Tape = field(default_factory=Tape, repr=False)  # what it did by itself, where it is made again
    cell: int = field(default=0, repr=False)  # the number of its cell that runs
    n_posed: int = field(default=0, repr=False)  # questions to a host that is the model
    n_asked: int = field(default=0, repr=False)  # requests of its cell that are being served
    world_fault: str = field(default="", repr=False)  # the last failure of the surroundings in it, or below

    @property
    def depth(self) -> int:
        """Steps from the root, which has 0."""
        return self.id.count(".")

    def child(self, kind: Kind, name: str, arguments: Any) -> Call:
        """The next call that this one makes; where it is made again, with the id that it had."""
        told = None
        if self.claims is not None and not self.claims.is_empty:
            told = self.claims.take(kind, name, canonical(recorded(arguments)))
        if told is None:
            self.n_children += 1
            return Call(f"{self.id}.{self.n_children}", kind, name, arguments, self, past=self.past)
        return Call(told.id, kind, name, arguments, self, past=self.past, told=told).again()

    def again(self) -> Call:
        """This call, ready to be made once more: it finds what the record has of its children."""
        if self.past is not None:
            self.tape = self.past.tape(self.id)
            self.n_children = self.past.n_children(self.id)
            self.enter(self.stage)
        return self

    def enter(self, stage: int, *, is_whole: bool = False) -> None:
        """Begin a stretch: `is_whole` where it is run again from one end to the other."""
        self.stage = stage
        if self.past is not None:
            self.claims = self.past.claims(self.id, stage, is_whole=is_whole)

    @property
    def is_settled(self) -> bool:
        """Whether it is on record as ended, and need not be made: where all is done again, one without cells of its own."""
        if self.told is None or not self.told.is_finished:
            return False
        return self.past is None or not self.past.whole or self.tape.is_empty

    def repeat(self, told: Told) -> None:
        """Count in what it cost when it was made."""
        fields = told.fields or {}
        spent = Amount(fields.get("calls", 0), fields.get("tokens", 0), fields.get("usd", 0.0))
        self.charge(spent, fields.get("tokens_in", 0), fields.get("tokens_out", 0))
        self.model, self.printed = fields.get("model", ""), fields.get("printed", "")

    def charge(self, spent: Amount, tokens_in: int, tokens_out: int) -> None:
        """Count a model request in, here and in all calls that wait for this one."""
        for call in self.path():
            call.spent.add(spent)
            call.tokens_in += tokens_in
            call.tokens_out += tokens_out

    def blame(self, kind: str) -> None:
        """Note that what went wrong here came from the surroundings: no evidence against those that wait for it."""
        for call in self.path():
            call.world_fault = kind

    def refused(self, depth_limit: int | None) -> CallError | None:
        """Why it may not be made: it is too deep, or repeats a call that it is itself part of."""
        refusal = SkillError if self.kind == "skill" else CallError
        if depth_limit is not None and self.depth > depth_limit:
            return refusal(
                f"`{self.name}` would be at depth {self.depth}; the budget allows {depth_limit}: {self.route()}",
                kind="budget",
                error_kind="depth",
                hint=f"allow more with `budget: {{depth: {self.depth}}}` in the workflow",
            )
        if self.parent is not None and any(self.repeats(other) for other in self.parent.path()):
            return refusal(
                f"`{self.name}` calls itself with the same arguments: {self.route()}",
                kind="denied",
                error_kind="cycle",
                hint="change an argument on each level, or stop at the level where nothing is left to do",
            )
        return None

    def path(self) -> Iterator[Call]:
        """This call and those that it was made by, up to the root."""
        call: Call | None = self
        while call is not None:
            yield call
            call = call.parent

    def route(self) -> str:
        """How the root came here, for a person to read."""
        return " → ".join(call.name for call in reversed(list(self.path())))

    def repeats(self, other: Call) -> bool:
        """Whether the other call is the same function with the same arguments."""
        return self.name == other.name and canonical(self.arguments) == canonical(other.arguments)


def described(arguments: Mapping[str, Any], limit: int = 60) -> str:
    """Arguments in one short line, as `path="a.txt", unit="words"`."""
    text = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False, default=repr)}" for name, value in arguments.items()
    )
    return text if len(text) <= limit else text[: limit - 1] + "…"
