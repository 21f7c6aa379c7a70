"""What model requests come to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Amount:
    """Model requests, their tokens, and what they cost."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0

    def add(self, other: Amount) -> None:
        """Count the other in."""
        self.calls += other.calls
        self.tokens += other.tokens
        self.usd += other.usd

    def take(self, other: Amount) -> None:
        """Count the other out."""
        self.calls -= other.calls
        self.tokens -= other.tokens
        self.usd -= other.usd
