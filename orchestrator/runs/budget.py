"""One ledger for a run's whole tree: what was spent and what is left.

Concurrency is part of the budget. A slot is never held across a nested wait: with a pool that is, a tree of
depth 3 stops for ever once every slot belongs to a caller that waits for its callee.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BudgetExhausted
from orchestrator.values import Limits, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Ledger:
    """What a run has spent of its limits. The run makes one; every call of its tree uses it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._started = time.monotonic()
        self._free = asyncio.Semaphore(max(1, limits.concurrency))

    @property
    def usage(self) -> Usage:
        """What the whole tree has spent up to now."""
        return Usage(seconds=round(self.seconds, 3))

    @property
    def seconds(self) -> float:
        """Wall time since the run began."""
        return time.monotonic() - self._started

    def seconds_left(self) -> float | None:
        """Wall time that is left; None where the budget sets no limit."""
        return None if self.limits.seconds is None else max(0.0, self.limits.seconds - self.seconds)

    def within(self, timeout_s: float) -> float:
        """The shorter of a timeout and the time that is left. Raises BudgetExhausted when none is."""
        left = self.seconds_left()
        if left is None:
            return timeout_s
        if left <= 0:
            raise BudgetExhausted("seconds", round(self.seconds, 1), self.limits.seconds or 0)
        return min(timeout_s, left)

    def left(self) -> dict[str, Any]:
        """What is left, as cells see it."""
        limits, usage = self.limits, self.usage
        return {
            "calls": None if limits.calls is None else limits.calls - usage.calls,
            "tokens": None if limits.tokens is None else limits.tokens - usage.tokens,
            "usd": None if limits.usd is None else round(limits.usd - usage.usd, 6),
            "seconds": None if (left := self.seconds_left()) is None else round(left, 1),
            "depth": limits.depth,
            "concurrency": limits.concurrency,
        }

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """A place among the calls that work at the same time, waited for."""
        await self._free.acquire()
        slot = Slot(self._free)
        try:
            yield slot
        finally:
            slot.free()


class Slot:
    """A place among those who work at the same time; lent to others while its holder only waits."""

    def __init__(self, semaphore: asyncio.Semaphore) -> None:
        self._semaphore = semaphore
        self._n_waits = 0
        self._held = True

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Give the place away while the holder waits for something; several waits may overlap."""
        self._n_waits += 1
        self.free()
        try:
            yield
        finally:
            self._n_waits -= 1
            if not self._n_waits and not self._held:
                await self._semaphore.acquire()
                self._held = True
                if self._n_waits:  # another wait began while this one queued for the place
                    self.free()

    def free(self) -> None:
        """Give the place away for good, or until the waits end."""
        if self._held:
            self._held = False
            self._semaphore.release()
