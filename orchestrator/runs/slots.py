"""Concurrency: the places for calls that work at the same time.

A slot is never held across a nested wait: with a pool that is, a tree of depth 3 stops for ever once every slot
belongs to a caller that waits for its callee. A free slot goes to the deepest call that waits: if new callers came
first, each with a worker of its own, a wide tree would start them all before the first of them got its answer.
"""

from __future__ import annotations

import asyncio
import heapq
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FIRST = 1_000_000
"""A depth before all others: of those who have had their answer and only need to go on."""


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
