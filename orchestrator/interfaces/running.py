"""Shows a run while it goes on, and what it came to: the same for one that begins and one that is resumed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from orchestrator.app import execute
from orchestrator.interfaces.asking import asker
from orchestrator.interfaces.console import view_for_stderr
from orchestrator.interfaces.outcome import print_answer, print_interrupted, say_ending, say_needs
from orchestrator.interfaces.stopping import Stop
from orchestrator.interfaces.terminal import clean, say
from orchestrator.runs.history import recall

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.app import Plan
    from orchestrator.interfaces.console import View
    from orchestrator.values import RunResult

REFRESH_S = 0.1

WORD_S = 2.0
"""A run that waits so long for a cluster before it begins says so."""


def run_planned(planned: Plan, *, as_object: bool) -> int:
    """Run what was planned; the value is the exit code."""
    stopped = Stop()
    with view_for_stderr() as view:
        if planned.resumes:
            recall(planned.workspace.runs / planned.run, view.tree)
        try:
            result = asyncio.run(_watched(planned, view, stopped))
        except asyncio.CancelledError:
            result = None
        finally:
            stopped.stand_down()
    if result is None:
        print_interrupted(planned, view.tree, as_object=as_object)
        return 128 + stopped.signum
    print_answer(result, as_object=as_object)
    if result.status == "suspended":
        say_needs(result, planned)
    else:
        say_ending(result, view.tree, planned)
    return result.exit_code


async def _watched(planned: Plan, view: View, stopped: Stop) -> RunResult:
    task = asyncio.create_task(execute(planned, listen=view.listen, person=asker(view)))
    stopped.watch(task)
    drawing = asyncio.create_task(_draw(view.refresh))
    waiting = asyncio.get_running_loop().call_later(WORD_S, _say_what_for, planned, view)
    try:
        return await task
    finally:
        drawing.cancel()
        waiting.cancel()


def _say_what_for(planned: Plan, view: View) -> None:
    if planned.executor.address is not None and view.tree.root is None:
        say(f"waiting for the nodes of `{clean(planned.executor.name)}`")


async def _draw(refresh: Callable[[], None]) -> None:
    while True:
        refresh()
        await asyncio.sleep(REFRESH_S)
