"""Questions to a person on the terminal. An answer comes from the keyboard only, never from a skill or a model."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from orchestrator.interfaces.terminal import clean, put, say, somebody_is_there
from orchestrator.runs.desk import UNSAID
from orchestrator.runs.inputs import read_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestrator.interfaces.console import View
    from orchestrator.runs.desk import Need
    from orchestrator.runs.plan import Plan


def asker(view: View) -> Callable[[Need], Awaitable[Any]] | None:
    """What puts needs to the person at the terminal, one at a time; None where nobody is there."""
    if not somebody_is_there():
        return None
    one_at_a_time = asyncio.Lock()

    async def ask(need: Need) -> Any:
        async with one_at_a_time:
            with view.paused():
                say(f"\n{clean(need.prompt)}")
                if arguments := need.fields.get("arguments"):
                    say(clean(json.dumps(arguments, indent=2, ensure_ascii=False, default=str)))
                answer = await (_allowed() if need.kind == "approval" else _settled())
                return UNSAID if answer is None else answer

    return ask


def asked_inputs(planned: Plan) -> dict[str, str]:
    """What the person at the terminal types for each input that is missing."""
    typed = {}
    properties = planned.workflow.inputs.get("properties", {})
    for name in planned.missing:
        said = properties.get(name, {}).get("description", "")
        if said:
            say(clean(said))
        sys.stderr.write(f"{name}: ")
        sys.stderr.flush()
        typed[name] = sys.stdin.readline().rstrip("\n")
    return typed


async def _allowed() -> bool | None:
    """Whether the person agrees; None where the input ends, which is no answer."""
    while (word := await _typed("allow it? [y/N] ")) is not None:
        if word.lower() in ("y", "yes"):
            return True
        if word.lower() in ("", "n", "no"):
            return False
        say("type y to allow it, n not to; Ctrl-D leaves it open")
    return None


async def _settled() -> Any:
    """What the person says of a call that is in doubt; None where the input ends."""
    while (word := await _typed("do it (again)? [retry / done] ")) is not None:
        if word.lower() == "retry":
            return "retry"
        if word.lower() == "done":
            value = await _typed("its value as JSON [null]: ")
            try:
                return {"done": read_json(value or "null")}
            except ValueError as error:
                say(f"that is no JSON: {error}")
    return None


async def _typed(question: str) -> str | None:
    """A line that is typed after this question was seen: what was typed before is no answer to it. None at the end of input."""
    put(question)
    line = await _typed_line()
    return line.strip() if line else None


async def _typed_line() -> str:
    """The next line from the keyboard, waited for in the event loop: a thread in `input()` can't be cancelled."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[bytes] = loop.create_future()
    keyboard = sys.stdin.fileno()

    def ready() -> None:
        if not typed.done():
            typed.set_result(os.read(keyboard, 4096))

    loop.add_reader(keyboard, ready)
    try:
        return (await typed).decode("utf-8", "replace")
    finally:
        loop.remove_reader(keyboard)
