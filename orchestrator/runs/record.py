"""A call on record: its beginning and end in the journal, and of a skill's call a line in the usage record."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BudgetExhausted, CallError
from orchestrator.runs.context import recorded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestrator.documents.types import Skill
    from orchestrator.runs.call import Call
    from orchestrator.runs.parts import Parts
    from orchestrator.values import CallOutcome


UNDECIDED = frozenset({"cancelled", "not_run", "no_model", "auth", "quota"})
"""Kinds of ends that say nothing of a skill: it was cut short, or what it needed was not there."""


async def on_record(
    parts: Parts, call: Call, work: Callable[[], Awaitable[Any]], *, skill: Skill | None = None
) -> Any:
    """The work's value. Whatever ends the work, the journal tells it; so does the usage record if it is a skill's."""
    parts.journal.append(
        "call_started",
        call.id,
        parent=call.parent.id if call.parent else None,
        kind=call.kind,
        name=call.name,
        arguments=recorded(call.arguments),
        depth=call.depth,
    )
    began = time.monotonic()
    try:
        value = await work()
    except BaseException as error:
        _finish(parts, call, skill, time.monotonic() - began, error=error)
        raise
    _finish(parts, call, skill, time.monotonic() - began, value=value)
    return value


def _finish(
    parts: Parts,
    call: Call,
    skill: Skill | None,
    duration_s: float,
    *,
    value: Any = None,
    error: BaseException | None = None,
) -> None:
    outcome, error_kind = _outcome(error)
    duration_s = round(duration_s, 6)
    parts.journal.append(
        "call_finished",
        call.id,
        outcome=outcome,
        value=recorded(value),
        error=None if error is None else str(error) or type(error).__name__,
        duration_s=duration_s,
        calls=call.spent.calls,
        tokens=call.spent.tokens,
        usd=call.spent.usd,
        **({"printed": call.printed} if call.printed else {}),
        **_of_model(call),
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


def _of_model(call: Call) -> dict[str, Any]:
    """Which model answered an llm call, and its tokens."""
    if call.kind != "llm":
        return {}
    return {"model": call.model, "tokens_in": call.tokens_in, "tokens_out": call.tokens_out}


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
