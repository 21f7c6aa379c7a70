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

    def ask(self, depth: int) -> asyncio.Future[None]:
        """Stand in line for a place, which is taken once this is done."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._n_free and not self._waiting:
            self._n_free -= 1
            turn.set_result(None)
        else:
            heapq.heappush(self._waiting, (-depth, next(self._numbers), turn))
        return turn

    async def take(self, depth: int) -> None:
        """Wait for a place."""
        turn = self.ask(depth)
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
    """A place among those who work at the same time; lent to others while its holder only waits.

    True between events: the place is held (`_held`), or lent while `_n_waits` waits go on, or `_back` is under way to
    fetch it, or it was given up for good. It is never fetched twice, however many waits end at the same time.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._n_waits = 0
        self._held = True
        self._is_over = False
        self._back: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Give the place away while the holder waits for something; several waits may overlap.

        A wait that is cancelled does not stand in line for the place: its holder goes on at once, and gets it later.
        """
        self._n_waits += 1
        if self._held:
            self._held = False
            self._slots.give()
        was_cut = False
        try:
            yield
        except asyncio.CancelledError:
            was_cut = True
            raise
        finally:
            self._n_waits -= 1
            if not self._n_waits and not self._held and not self._is_over:
                self._fetch()
                if self._back is not None and not was_cut:
                    await asyncio.shield(self._back)

    def free(self) -> None:
        """Give the place up for good."""
        self._is_over = True
        if self._held:
            self._held = False
            self._slots.give()
        elif self._back is not None:
            self._back.cancel()

    def _fetch(self) -> None:
        """Stand in line for the place, unless that is under way."""
        if self._back is not None:
            return
        turn = self._back = self._slots.ask(FIRST)
        if turn.done():
            self._came(turn)
        else:
            turn.add_done_callback(self._came)

    def _came(self, turn: asyncio.Future[None]) -> None:
        self._back = None
        if turn.cancelled():
            return
        if self._n_waits or self._is_over:  # nobody needs it any more, or another wait began meanwhile
            self._slots.give()
        else:
            self._held = True
