"""Whether a distilled program does what its run did, and depends on what it is given.

It is run with nothing but the record: each call that the run made comes to what it came to then, and no other is made.
Nothing can be written, and there is no network. On the run's own inputs it has to come to the run's answer; on others,
to another answer or to a call that the run did not make. A program that gives the same answer whatever it is
given has its answer written into it.

Covered: what depends on no input, no context and no result of a call, or not on a question (an input of several words)
that it is asked. Not covered: a program that depends on them in a part of its answer only; one that writes files or
asks the network itself is refused unseen.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.environments.frames import TextFile
from orchestrator.environments.session import Repeat
from orchestrator.errors import Unrepeatable, WorkerLost
from orchestrator.runs.call import Call
from orchestrator.runs.context import recorded
from orchestrator.runs.past import Claims, Past, Told, canonical
from orchestrator.runs.rehearsal import Rehearsal
from orchestrator.runs.repl import seed_of
from orchestrator.runs.table import skill_table
from orchestrator.strategies.distilling.binding import is_free_text
from orchestrator.strategies.distilling.perturb import perturbed
from orchestrator.values import Cell, Grants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.runs.calls import Server

TIMEOUT_S = 20.0
"""How long a whole proof may take: its calls take no time, and somebody waits for the answer."""

MAX_VARIATIONS = 8

OTHER = object()
"""Stands for an answer that is not the run's: a call that it did not make, an error, no answer."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program to be proved: its cells, the variables it is given, what the run's calls came to, and its answer."""

    cells: Sequence[str]
    variables: Mapping[str, Any]
    calls: Sequence[Told]
    answer: Any
    through_context: frozenset[str]  # inputs that only find the context
    retold: Callable[[Mapping[str, Any]], str]  # the task's text with other inputs in it


class Recital(Rehearsal):
    """The journal of a proof: it holds a run's calls, in no order, and takes nothing in."""

    def __init__(self, real: Any, calls: Sequence[Told]) -> None:
        self.folder, self.run, self.hiding = real.folder, real.run, real.hiding
        self.differences = []
        self._listen = None
        self.past = _AnyOrder(calls)
        self.past.header = real.past.header
        self.past.go_on()

    def tell(self, event: Any, call: str, **fields: Any) -> None:
        """Nobody listens to a proof."""


class _AnyOrder(Past):
    """A record in which each call is found once, whichever cell makes it."""

    def __init__(self, calls: Sequence[Told]) -> None:
        super().__init__()
        self._calls = list(calls)

    def claims(self, call: str, stage: int, *, is_whole: bool = False) -> Claims:  # noqa: ARG002
        return Claims(self._calls if call == PROOF else ())


PROOF = "proof"


async def why_unproved(server: Server, program: Program) -> str:
    """Why the program can't be trusted; empty where it can."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _why(server, program)
    except TimeoutError:
        return f"to prove it takes more than {TIMEOUT_S:.0f} seconds"


async def _why(server: Server, program: Program) -> str:
    same = await _answer(server, program, program.variables, program.calls)
    if same is OTHER:
        return "run again on its own inputs, it makes other calls than before, or gives no answer"
    if not _equal(same, program.answer):
        return "run again on its own inputs, it gives another answer"
    given = {name: program.variables[name] for name in ("inputs", "context")}
    others = _variations(given, program.through_context)
    if others:
        return await _why_not_other(server, program, given["inputs"], others)
    changed = [_changed(one) for one in program.calls]
    if any(one is not None for one in changed):
        calls = [new or one for new, one in zip(changed, program.calls, strict=True)]
        found = await _answer(server, program, program.variables, calls)
        if found is OTHER or not _equal(found, program.answer):
            return ""
    return "it depends on nothing that it is given"


async def _why_not_other(
    server: Server, program: Program, inputs: Mapping[str, Any], others: Sequence[Mapping[str, Any]]
) -> str:
    """Why what it is given does not matter enough; empty where its answer follows, and each question it is asked."""
    depends = False
    unheard = {name for name in _changed_names(inputs, others) if is_free_text(inputs[name])}
    for other in others:
        changed = _changed_names(inputs, [other])
        if depends and not changed & unheard:
            continue
        given_now = {**program.variables, **other}
        if "inputs" in other:
            given_now["task"] = program.retold(other["inputs"])
        found = await _answer(server, program, given_now, program.calls)
        if found is OTHER or not _equal(found, program.answer):
            unheard -= changed
        if found is OTHER or not _equal(found, _echoed(program.answer, inputs, other.get("inputs", {}))):
            depends = True
        if depends and not unheard:
            return ""
    if not depends:
        return "it gives the same answer whatever its inputs are"
    return f"it gives the same answer whatever the input `{min(unheard)}` is"


def _changed_names(inputs: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> set[str]:
    return {name for other in others for name, one in other.get("inputs", {}).items() if one != inputs[name]}


def _variations(given: Mapping[str, Any], through_context: frozenset[str]) -> list[dict[str, Any]]:
    """Other inputs; where there are none to vary, other contexts. Where the context is the inputs, both change alike.

    Never inputs and context side by side: that a program hangs on one says nothing of the other. Inputs that only find
    the context are not varied: the context that they would find is not here.
    """
    inputs, context = given["inputs"], given["context"]
    free = {name: one for name, one in (inputs or {}).items() if name not in through_context}
    is_same = recorded(context) == recorded(inputs)
    varied = [{"inputs": {**inputs, **one}} for one in perturbed(free)] if free else []
    if is_same:
        varied = [{**one, "context": one["inputs"]} for one in varied]
    if not varied and context and not _has_files(context):  # a large text is not copied for a proof
        varied = list(perturbed({"context": context}))
    return varied[:MAX_VARIATIONS]


def _echoed(answer: Any, old: Mapping[str, Any], new: Mapping[str, Any]) -> Any:
    """The run's answer as it would be if it only repeated the inputs: where an old text stands, the new one does."""
    turned = [(old[name], new[name]) for name in old if name in new and old[name] != new[name]]
    return _turned(recorded(answer), turned)


def _turned(value: Any, turned: list[tuple[Any, Any]]) -> Any:
    for old, new in turned:
        if type(value) is type(old) and value == old:
            return new
    if isinstance(value, dict):
        return {key: _turned(one, turned) for key, one in value.items()}
    if isinstance(value, list):
        return [_turned(one, turned) for one in value]
    if isinstance(value, str):
        for old, new in turned:
            if isinstance(old, str) and len(old) > 2:
                value = value.replace(old, new)
    return value


def _has_files(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_files, value.values()))
    return any(map(_has_files, value)) if isinstance(value, list) else isinstance(value, TextFile)


def _changed(told: Told) -> Told | None:
    """The call with another value; None where it has none that could be another."""
    fields = told.fields or {}
    others = perturbed({"value": fields.get("value")})
    if not others:
        return None
    return replace(told, fields={**fields, "value": others[0]["value"]})


async def _answer(
    server: Server, program: Program, variables: Mapping[str, Any], calls: Sequence[Told]
) -> Any:
    """What the program answers, or OTHER."""
    journal = Recital(server.parts.journal, calls)
    parts = replace(server.parts, journal=journal, accepts_prices=True)
    call = Call(PROOF, "root", server.call.name, past=journal.past)
    call.enter(0)
    proving = replace(server, parts=parts, call=call, slot=None)
    grants = Grants(read=server.rights.granted.read)
    seed = seed_of(journal.past.header)
    session = await parts.workers.start(
        grants, PROOF, variables=dict(variables), skills=skill_table(server.scope.values()), seed=seed
    )
    try:
        for number, source in enumerate(program.cells, 1):
            call.cell = number
            repeat = Repeat(f"{seed} {PROOF} {number}", [], lambda _: None)
            within = parts.ledger.within(2 * TIMEOUT_S)  # the proof as a whole ends first
            done = await session.cell(Cell(number, source), proving, within, repeat=repeat)
            if done.failure is not None:
                return OTHER
            if done.answered:
                return done.answer
    except (Unrepeatable, WorkerLost):
        return OTHER
    finally:
        await session.close()
    return OTHER


def _equal(one: Any, other: Any) -> bool:
    return canonical(recorded(one)) == canonical(recorded(other))
