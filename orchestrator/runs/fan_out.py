"""What many calls at once may cost, said before the first of them is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.runs.budget import Estimate, Ledger

TYPICAL_REPLY_TOKENS = 500
"""What a reply is taken to have before there is a run's own average."""

CHILD_TURNS = 3
CHILD_TURN_TOKENS = 4_000
"""What a recursive child is taken to use: so many turns, each of so many tokens for its prompt."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """From what price on many calls at once need somebody's word, and what happens where nobody can give it."""

    usd: float = 1.0
    tokens: int = 2_000_000
    calls: int = 2_000
    otherwise: Literal["refuse", "shrink"] = "refuse"


@dataclass(frozen=True, slots=True)
class Price:
    """What a fan-out of `n` calls is expected to cost."""

    n: int
    tokens: int
    usd: float

    def __str__(self) -> str:
        return f"{self.n:,} calls, about {self.tokens:,} tokens and {self.usd:.2f} usd"

    def is_above(self, limits: FanOut) -> bool:
        """Whether it needs somebody's word."""
        return self.n > limits.calls or self.tokens > limits.tokens or self.usd > limits.usd


def priced(estimates: Sequence[Estimate], ledger: Ledger, *, n_turns: int = 1) -> Price:
    """The price of one request for each estimate, with replies as long as they were on average so far."""
    spent = ledger.spent
    reply_tokens = TYPICAL_REPLY_TOKENS
    if spent.calls >= 5:
        reply_tokens = min(TYPICAL_REPLY_TOKENS * 4, max(1, spent.tokens // spent.calls // 4))
    amounts = [one.amount(min(reply_tokens, one.reply_tokens)) for one in estimates]
    return Price(
        len(estimates),
        n_turns * sum(one.tokens for one in amounts),
        n_turns * sum(one.usd for one in amounts),
    )


def n_below(prices: Sequence[Price], limits: FanOut) -> int:
    """How many of the calls, in order, stay below the limits together."""
    total = Price(0, 0, 0.0)
    for number, one in enumerate(prices):
        total = Price(total.n + one.n, total.tokens + one.tokens, total.usd + one.usd)
        if total.is_above(limits):
            return number
    return len(prices)
