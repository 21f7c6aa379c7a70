"""Ends a run that a person or the system stops, so that its workers end and its record is closed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from orchestrator.interfaces.terminal import hush

if TYPE_CHECKING:
    from types import FrameType

MERCY_S = 1.5
"""How long a run may take to stop its workers before this process goes, and takes them with it."""

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the system's request to end, and a terminal that was closed."""


class Stop:
    """Turns the stopping signals into the run's cancellation, and makes sure that it ends.

    Made before the run begins; `stand_down` once it has ended. Plain signal handlers, not the event loop's: they
    also work while the loop is busy. A second signal, or MERCY_S without an end, ends this process, and its workers
    die with it.
    """

    def __init__(self) -> None:
        self.signum = signal.SIGINT.value
        self._task: asyncio.Task[Any] | None = None
        self._before = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGALRM)}
        self._on_terminal = sys.stdout.isatty()

    def watch(self, task: asyncio.Task[Any]) -> None:
        """Cancel this task when a signal comes. To be called in the event loop that runs it."""
        self._task, self._loop = task, asyncio.get_running_loop()
        self._answer(self._arrived)

    def stand_down(self) -> None:
        """Give the signals back."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _answer(self, handler: Any) -> None:
        for number in STOPPING:
            if number != signal.SIGHUP or self._before[number] != signal.SIG_IGN:  # `nohup` asks to go on
                signal.signal(number, handler)

    def _arrived(self, signum: int, _frame: FrameType | None) -> None:
        self.signum = signum
        self._answer(self._end)
        signal.signal(signal.SIGALRM, self._end)
        signal.setitimer(signal.ITIMER_REAL, MERCY_S)
        if self._on_terminal and not sys.stdout.isatty():
            hush()  # it was closed: writing there would fail from now on
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)

    def _end(self, _signum: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            os.write(2, b"\ninterrupted before the run could close its record\n")
        os._exit(128 + self.signum)
