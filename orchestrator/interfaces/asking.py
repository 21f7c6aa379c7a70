"""Questions to a person on the terminal. An answer comes from the keyboard only, never from a skill or a model."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import termios
from typing import TYPE_CHECKING

from orchestrator.interfaces.terminal import clean, is_terminal, say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestrator.interfaces.console import View
    from orchestrator.runs.parts import Approval


def asker(view: View) -> Callable[[Approval], Awaitable[bool]] | None:
    """What puts approvals to the person at the terminal, one at a time; None where nobody is there."""
    if not (is_terminal(sys.stderr) and sys.stdin.isatty()):
        return None
    one_at_a_time = asyncio.Lock()

    async def ask(approval: Approval) -> bool:
        async with one_at_a_time:
            with view.paused():
                say(f"\n{clean(approval.prompt)}")
                if approval.arguments:
                    say(clean(json.dumps(approval.arguments, indent=2, ensure_ascii=False, default=str)))
                sys.stderr.flush()
                # What was typed before this question was seen is no answer to it.
                termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
                sys.stderr.write("allow it? [y/N] ")
                sys.stderr.flush()
                return (await _typed_line()).strip().lower() in ("y", "yes")

    return ask


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
