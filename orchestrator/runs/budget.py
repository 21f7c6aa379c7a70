"""One ledger for a run's whole tree: what was spent and what is left.

Concurrency is part of the budget. A slot is never held across a nested wait: with a pool that is, a tree of
depth 3 stops for ever once every slot belongs to a caller that waits for its callee. A free slot goes to the
deepest call that waits: if new callers came first, each with a worker of its own, a wide tree would start them all
before the first of them got its answer.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BudgetExhausted
from orchestrator.values import Limits, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FIRST = 1_000_000
"""A depth before all others: of those who have had their answer and only need to go on."""


class Ledger:
    """What a run has spent of its limits. The run makes one; every call of its tree uses it.

    Its clock stands still exactly while `_n_stops` sections are open.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._started = time.monotonic()
        self._stopped_at = 0.0
        self._n_stops = 0
        self._scope: asyncio.Timeout | None = None
        self._slots = Slots(max(1, limits.concurrency))

    @property
    def usage(self) -> Usage:
        """What the whole tree has spent up to now."""
        return Usage(seconds=round(self.seconds, 3))

    @property
    def seconds(self) -> float:
        """Wall time since the run began, without what a person took to answer."""
        now = self._stopped_at if self._n_stops else time.monotonic()
        return now - self._started

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """The section that the whole run is. Raises BudgetExhausted when its time is over."""
        try:
            async with asyncio.timeout(self.limits.seconds) as self._scope:
                yield
        except TimeoutError:
            if self._scope is None or not self._scope.expired():
                raise
            raise BudgetExhausted("seconds", round(self.seconds, 1), self.limits.seconds or 0) from None

    @asynccontextmanager
    async def uncounted(self) -> AsyncIterator[None]:
        """A section whose time is not the run's: a person is asked. Sections may overlap."""
        if not self._n_stops:
            self._stopped_at = time.monotonic()
            self._end_at(None)
        self._n_stops += 1
        try:
            yield
        finally:
            self._n_stops -= 1
            if not self._n_stops:
                self._started += time.monotonic() - self._stopped_at
                self._end_at(self.seconds_left())

    def _end_at(self, left_s: float | None) -> None:
        if self._scope is not None and self.limits.seconds is not None and not self._scope.expired():
            now = asyncio.get_running_loop().time()
            self._scope.reschedule(None if left_s is None else now + left_s)

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
    async def slot(self, depth: int) -> AsyncIterator[Slot]:
        """A place among the calls that work at the same time, waited for; deeper calls go first."""
        await self._slots.take(depth)
        slot = Slot(self._slots)
        try:
            yield slot
        finally:
            slot.free()


class Slots:
    """So many places, handed out to who waits at the greatest depth. Belongs to one event loop.

    True between events: no place is free while somebody waits, except until the loop's next turn.
    """

    def __init__(self, n_free: int) -> None:
        self._n_free = n_free
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()

    async def take(self, depth: int) -> None:
        """Wait for a place."""
        if self._n_free and not self._waiting:
            self._n_free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-depth, next(self._numbers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()  # it was handed over at this very moment
            raise

    def give(self) -> None:
        """Give a place back. Who asks for one before the loop's next turn is still considered for it."""
        self._n_free += 1
        asyncio.get_running_loop().call_soon(self._hand_out)

    def _hand_out(self) -> None:
        while self._n_free and self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self._n_free -= 1
                turn.set_result(None)


class Slot:
    """A place among those who work at the same time; lent to others while its holder only waits."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
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
                await self._slots.take(FIRST)
                self._held = True
                if self._n_waits:  # another wait began while this one queued for the place
                    self.free()

    def free(self) -> None:
        """Give the place away for good, or until the waits end."""
        if self._held:
            self._held = False
            self._slots.give()
