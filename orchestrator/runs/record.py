"""A call on record: its beginning and end in the journal, and of a skill's call a line in the usage record.

A call that the record has already is not made again: it comes to what it came to then. One that was started and of
whose end nothing is known is made again, or, where it may have changed the world, asked about.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from orchestrator.environments.session import asked_line
from orchestrator.errors import BudgetExhausted, CallError, SkillError, Unrepeatable, UsageError
from orchestrator.memory.record import SURROUNDINGS, UNDECIDED
from orchestrator.runs.amount import Amount
from orchestrator.runs.context import recorded, restored
from orchestrator.runs.desk import Need, need_id
from orchestrator.runs.journal import place_of
from orchestrator.runs.rehearsal import Rehearsal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestrator.documents.types import Skill
    from orchestrator.runs.call import Call
    from orchestrator.runs.parts import Parts
    from orchestrator.values import CallOutcome


ENDED = {"CancelledError": "it was ended with what called it"}
"""What is said of errors that say nothing themselves."""


async def on_record(
    parts: Parts,
    call: Call,
    work: Callable[[], Awaitable[Any]],
    *,
    skill: Skill | None = None,
    once: bool = False,
) -> Any:
    """The work's value. Whatever ends the work, the journal tells it; so does the usage record if it is a skill's.

    `once`: it may change the world, so that it is not done a second time without somebody's word.
    """
    told = call.told
    if isinstance(parts.journal, Rehearsal) and not call.is_settled:
        return await _rehearsed(parts.journal, call, work)
    if told is not None:
        if call.is_settled:
            return repeated(parts, call)
        if told.was_cut and call.parent is not None and call.parent.claims and call.parent.claims.is_whole:
            # As the first time: what ends it is the deadline of its cell.
            await asyncio.get_running_loop().create_future()
        call.charge(told.lost, told.lost.tokens, 0)
        told.lost = Amount()
    else:
        _note_divergence(parts, call)
    if once and (need := _in_doubt(parts, call)) is not None:
        work = _settled(await parts.desk.answer(need), work)
    if told is None or once:
        _start(parts, call)
    began = time.monotonic()
    try:
        value = await (_done_once(parts, call, work) if once else work())
    except BaseException as error:
        _finish(parts, call, skill, time.monotonic() - began, error=error)
        raise
    _finish(parts, call, skill, time.monotonic() - began, value=value)
    return value


def _start(parts: Parts, call: Call) -> None:
    parts.journal.append(
        "call_started",
        call.id,
        parent=call.parent.id if call.parent else None,
        kind=call.kind,
        name=call.name,
        arguments=recorded(call.arguments),
        depth=call.depth,
        # Not always the one that the record is at: a cell may be run again while a later one is under way.
        stage=call.parent.stage if call.parent else 0,
    )


async def _done_once(parts: Parts, call: Call, work: Callable[[], Awaitable[Any]]) -> Any:
    """The value of work that may change the world; asked about whenever its worker is killed in the midst of it."""
    n_starts = 1 + (call.told.n_starts if call.told else 0)
    while True:
        try:
            return await work()
        except SkillError as error:
            if error.error_kind != "worker_killed":
                raise
        need = _doubt(parts, call, n_starts, "was started, and its worker was killed")
        settled = _settled(await parts.desk.answer(need), work)
        if settled is not work:
            return await settled()
        call.enter(call.stage)  # what it has called so far is on record
        _start(parts, call)
        n_starts += 1


async def _rehearsed(journal: Rehearsal, call: Call, work: Callable[[], Awaitable[Any]]) -> Any:
    """The value of a call whose cells are run again; one that the record does not have is not made."""
    told = call.told
    if told is None:
        where = place_of(call.parent.cell if call.parent else 0, asked_line())
        raise Unrepeatable(f"{where}`{call.name}` was not called when the run was made")
    if not told.is_finished:
        await asyncio.get_running_loop().create_future()  # the deadline of its cell ended it
    fields = told.fields or {}
    try:
        value = await work()
    except CallError as error:
        journal.compare(call.id, f"`{call.name}`: its error", str(error), fields["error"])
        raise
    journal.compare(call.id, f"`{call.name}`: its error", None, fields["error"])
    journal.compare(call.id, f"`{call.name}`: its value", value, fields["value"])
    return value


def diverged(parts: Parts, call: Call, message: str, line: int = 0) -> None:
    """Put on record that a cell does something else than it did before."""
    parts.journal.append("diverged", call.id, cell=call.cell, line=line, message=message)
    parts.journal.tell("log", call.id, text=f"warning: {place_of(call.cell, line)}{message}")


def repeated(parts: Parts, call: Call) -> Any:
    """What a call that is on record came to when it was made. Raises what it raised."""
    assert call.told is not None
    call.repeat(call.told)
    if (error := call.told.error()) is not None:
        raise error
    return restored((call.told.fields or {})["value"], parts.workspace.texts)


def _note_divergence(parts: Parts, call: Call) -> None:
    """Report a call that is not on record where the record should have it."""
    parent = call.parent
    if parent is None or parent.claims is None:
        return
    if parent.claims.is_whole:
        diverged(parts, parent, f"`{call.name}` was called as it was not called before", asked_line())
    elif parent.n_asked <= 1 and (left := [one for one in parent.claims.left() if one.is_finished]):
        message = f"`{call.name}` was called where `{left[0].name}` was called before"
        diverged(parts, parent, message, asked_line())


def _in_doubt(parts: Parts, call: Call) -> Need | None:
    """The question whether a call that may have changed the world was done; None where it was never begun."""
    told, parent = call.told, call.parent
    if told is not None:
        number, why = told.n_starts, "was started, and nothing is known of its end"
    elif parent is None or parent.claims is None or parent.n_asked > 1:
        return None
    elif parent.claims.left(call.kind, call.name):
        number = 0
        why = "is called with other arguments than before, in the cell's place of a call that was made"
    else:
        return None
    return _doubt(parts, call, number, why)


def _doubt(parts: Parts, call: Call, number: int, why: str) -> Need:
    """The question, `number` telling it from others about the same call."""
    prompt = (
        f'`{call.name}` {why}. Look whether it was done: answer "retry" to do it now, or {{"done": value}} '
        "with the value that it gave."
    )
    fields = {"function": call.name, "arguments": recorded(call.arguments)}
    return Need(need_id(parts.journal.run, call.id, "in_doubt", number), "in_doubt", call.id, prompt, fields)


def _settled(answer: Any, work: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    """What is left to do of a call that was in doubt."""
    if answer == "retry":
        return work
    if not isinstance(answer, dict) or answer.keys() != {"done"}:
        raise UsageError(
            f"`{answer!s:.60}` is no answer to a call in doubt", hint='it is "retry" or {"done": value}'
        )

    async def done() -> Any:
        return answer["done"]

    return done


def _finish(
    parts: Parts,
    call: Call,
    skill: Skill | None,
    duration_s: float,
    *,
    value: Any = None,
    error: BaseException | None = None,
) -> None:
    if error is not None and parts.desk.is_closed:
        return  # it was ended with the run, which goes on with it
    outcome, error_kind = _outcome(error)
    if error_kind in SURROUNDINGS:
        call.blame(error_kind)
    duration_s = round(duration_s, 6)
    parts.journal.append(
        "call_finished",
        call.id,
        outcome=outcome,
        value=recorded(value),
        error=None if error is None else str(error) or ENDED.get(type(error).__name__, type(error).__name__),
        duration_s=duration_s,
        calls=call.spent.calls,
        tokens=call.spent.tokens,
        usd=call.spent.usd,
        tokens_in=call.tokens_in,
        tokens_out=call.tokens_out,
        **({"printed": call.printed} if call.printed else {}),
        **({"model": call.model} if call.kind == "llm" else {}),
        **({"node": call.node} if call.node else {}),
        **_of_error(error),
    )
    if skill is None:
        return
    parts.usage.record(
        run=parts.journal.run,
        call=call.id,
        parent=call.parent.id if call.parent else None,
        depth=call.depth,
        skill=skill.name,
        version=skill.version,
        workflow=parts.workflow.name,
        # Who was cut short by its caller's deadline or the run's end has neither succeeded nor failed.
        outcome=None if error_kind in UNDECIDED else outcome,
        duration_s=duration_s,
        tokens_in=call.tokens_in,
        tokens_out=call.tokens_out,
        usd=call.spent.usd,
        error_kind=error_kind,
    )


def _of_error(error: BaseException | None) -> dict[str, Any]:
    """All that it takes to raise an error again; of one that did not come from the call, that it was cut."""
    if error is None:
        return {}
    if not isinstance(error, CallError):
        return {"cut": True}
    return {
        "raised": "SkillError" if isinstance(error, SkillError) else "CallError",
        "error_kind": error.error_kind,
        "retryable": error.retryable,
        "hint": error.hint,
        **({"partial": recorded(error.partial)} if error.partial is not None else {}),
    }


def _outcome(error: BaseException | None) -> tuple[CallOutcome, str | None]:
    if error is None:
        return "ok", None
    if isinstance(error, CallError):
        return error.kind, error.error_kind
    if isinstance(error, BudgetExhausted):
        return "budget", error.limit
    if isinstance(error, asyncio.CancelledError):
        return "timeout", "cancelled"
    return "error", type(error).__name__
