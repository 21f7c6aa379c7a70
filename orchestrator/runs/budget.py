"""One ledger for a run's whole tree: what was spent, what is promised to requests under way, and what is left.

What a model request may cost is reserved before it is sent: its prompt as estimated, and the longest reply that it
allows. What does not fit waits until others are settled, since they mostly cost less than was reserved for them;
it is refused once it could not fit even if all that is under way cost nothing. So no limit is passed, as long as
estimates are no lower than the truth, and of many requests at once those that fit are made.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import BudgetExhausted
from orchestrator.runs.amount import Amount
from orchestrator.runs.slots import Slot, Slots
from orchestrator.values import Limits, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_COUNTED: tuple[Counted, ...] = ("calls", "tokens", "usd")
_ROUNDING = 1e-9  # sums of dollars are not exact


MIN_REPLY_TOKENS = 256
"""A request whose reply would have to be shorter than this to fit is refused."""

Counted = Literal["calls", "tokens", "usd"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one request may cost: tokens of its prompt, the longest reply, dollars a token (0 where unknown)."""

    prompt_tokens: int
    reply_tokens: int
    usd_in: float = 0.0
    usd_out: float = 0.0

    def amount(self, reply_tokens: int) -> Amount:
        """What it costs with a reply of this length."""
        usd = self.prompt_tokens * self.usd_in + reply_tokens * self.usd_out
        return Amount(1, self.prompt_tokens + reply_tokens, usd)


class Reservation:
    """What one request may cost, held until it is settled.

    `reply_tokens` is the longest reply that may be asked for; `limit` names what made it shorter than was wished.
    """

    def __init__(
        self, ledger: Ledger, amount: Amount, reply_tokens: int, limit: Counted | None = None
    ) -> None:
        self._ledger = ledger
        self._amount = amount
        self._open = True
        self.reply_tokens = reply_tokens
        self.limit = limit

    def settle(self, spent: Amount) -> None:
        """Replace what was reserved by what was spent. The first call counts."""
        if self._open:
            self._open = False
            self._ledger.settled(self._amount, spent)


class Ledger:
    """What a run has spent of its limits. The run makes one; every call of its tree uses it.

    Its clock stands still exactly while `_n_stops` sections are open. True between events: what is spent and
    reserved together passes no limit by more than what was spent beyond its reservation, and who waits in `_waiting`
    would fit if all that is reserved came to nothing.
    """

    def __init__(self, limits: Limits, spent: Amount | None = None, seconds: float = 0.0) -> None:
        self.limits = limits
        self.spent = spent or Amount()  # also by the processes that had the run before
        self._reserved = Amount()
        self._waiting: list[tuple[Estimate, asyncio.Future[Reservation]]] = []
        self._started = time.monotonic() - seconds
        self._stopped_at = 0.0
        self._n_stops = 0
        self._scope: asyncio.Timeout | None = None
        self._slots = Slots(max(1, limits.concurrency))

    @property
    def usage(self) -> Usage:
        """What the whole tree has spent up to now."""
        spent = self.spent
        return Usage(spent.calls, spent.tokens, round(spent.usd, 9), round(self.seconds, 3))

    @property
    def seconds(self) -> float:
        """Wall time since the run began, without what a person took to answer."""
        now = self._stopped_at if self._n_stops else time.monotonic()
        return now - self._started

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """The section that the whole run is. Raises BudgetExhausted when its time is over."""
        try:
            async with asyncio.timeout(self.seconds_left()) as self._scope:
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

    @property
    def is_over(self) -> bool:
        """Whether the run's time has ended it."""
        return self._scope is not None and self._scope.expired()

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

    async def reserve(self, estimate: Estimate) -> Reservation:
        """Hold what a request may cost, waiting for others to be settled. Raises BudgetExhausted when it never fits.

        The last requests that fit get a shorter reply: what is left, but no less than MIN_REPLY_TOKENS.
        """
        if not self._waiting and (found := self._reserved_for(estimate)) is not None:
            return found
        turn: asyncio.Future[Reservation] = asyncio.get_running_loop().create_future()
        self._waiting.append((estimate, turn))
        self._serve_waiting()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                turn.result().settle(Amount())
            raise

    def settled(self, reserved: Amount, spent: Amount) -> None:
        """Take a reservation back and count what was spent instead; to be called by the reservation."""
        self._reserved.take(reserved)
        self.spent.add(spent)
        self._serve_waiting()

    def room(self, name: Counted) -> float:
        """What is neither spent nor reserved of a limit; infinite where there is none, below zero when it is passed."""
        limit = getattr(self.limits, name)
        if limit is None:
            return math.inf
        return float(limit - getattr(self.spent, name) - getattr(self._reserved, name))

    def _serve_waiting(self) -> None:
        """Let everybody who waits and fits go on, in the order of their coming, and refuse who never will."""
        left = []
        for estimate, turn in self._waiting:
            if turn.done():
                continue
            try:
                found = self._reserved_for(estimate)
            except BudgetExhausted as error:
                turn.set_exception(error)
                continue
            if found is None:
                left.append((estimate, turn))
            else:
                turn.set_result(found)
        self._waiting = left

    def _reserved_for(self, estimate: Estimate) -> Reservation | None:
        """The reservation; None while it has to wait. Raises BudgetExhausted."""
        whole = estimate.amount(estimate.reply_tokens)
        if self._fits(whole):
            return self._hold(whole, estimate.reply_tokens)
        smallest = estimate.amount(min(MIN_REPLY_TOKENS, estimate.reply_tokens))
        self._refuse_what_never_fits(smallest)
        if self._reserved.calls:
            return None
        shorter, limit = self._affordable_reply(estimate)
        return self._hold(estimate.amount(shorter), shorter, limit)

    def _hold(self, amount: Amount, reply_tokens: int, limit: Counted | None = None) -> Reservation:
        self._reserved.add(amount)
        return Reservation(self, amount, reply_tokens, limit)

    def exhausted(self, limit: Counted) -> BudgetExhausted:
        """What to raise of a limit that lets nothing more through."""
        return BudgetExhausted(limit, round(getattr(self.spent, limit), 6), getattr(self.limits, limit) or 0)

    def _fits(self, amount: Amount) -> bool:
        return all(getattr(amount, name) <= self.room(name) + _ROUNDING for name in _COUNTED)

    def _refuse_what_never_fits(self, amount: Amount) -> None:
        for name in _COUNTED:
            limit, spent = getattr(self.limits, name), getattr(self.spent, name)
            needed = getattr(amount, name)
            if limit is not None and spent + needed > limit + _ROUNDING:
                raise BudgetExhausted(name, round(spent, 6), limit, needed=0 if name == "calls" else needed)

    def _affordable_reply(self, estimate: Estimate) -> tuple[int, Counted]:
        """The longest reply that fits while nothing else is under way, and the limit that it would pass."""
        by_tokens, by_usd = self.room("tokens") - estimate.prompt_tokens, math.inf
        if estimate.usd_out:
            by_usd = (self.room("usd") - estimate.prompt_tokens * estimate.usd_in) / estimate.usd_out
        longest = int(min(by_tokens, by_usd, estimate.reply_tokens))
        return longest, "tokens" if by_tokens <= by_usd else "usd"

    @asynccontextmanager
    async def slot(self, depth: int) -> AsyncIterator[Slot]:
        """A place among the calls that work at the same time, waited for; deeper calls go first."""
        await self._slots.take(depth)
        slot = Slot(self._slots)
        try:
            yield slot
        finally:
            slot.free()
