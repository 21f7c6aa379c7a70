"""What other strategies would have come to, estimated from records of those that were chosen by chance.

An attempt whose strategy came first with the chance p stands for 1/p attempts: the self-normalised estimator of Swaminathan
and Joachims, "The self-normalized estimator for counterfactual learning", NeurIPS 2015. Attempts that were no choice
(p of 1, or 0) say nothing of the others and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.memory.reviewing.chance import Share

SURE = 0.999
"""A strategy that came first with this chance or a larger one was no choice."""

RARE = 0.001
"""One with a smaller chance would stand for more attempts than anybody should believe."""


@dataclass(slots=True)
class Weighed:
    """Attempts of one strategy that were chosen by chance: so many, and sums of their weights."""

    n: int = 0
    weight: float = 0.0
    squares: float = 0.0
    well: float = 0.0

    @property
    def share(self) -> Share:
        """What the strategy would have come to, as a share of so many attempts as its weights are worth (Kish 1965)."""
        worth = self.weight * self.weight / self.squares if self.squares else 0.0
        return Share(worth * self.well / self.weight if self.weight else 0.0, worth)


@dataclass(slots=True)
class Tries:
    """First attempts of one workflow by strategy."""

    by_strategy: dict[str, Weighed] = field(default_factory=dict)
    n: int = 0
    ok: int = 0

    def add(self, strategy: str, probability: float, success: bool) -> None:
        """Count a first attempt, where chance had a say in it."""
        if not RARE <= probability < SURE:
            return
        self.n += 1
        self.ok += success
        one = self.by_strategy.setdefault(strategy, Weighed())
        weight = 1 / probability
        one.n += 1
        one.weight += weight
        one.squares += weight * weight
        one.well += weight * success

    def forget(self, strategy: str) -> None:
        """Leave out a strategy. What was counted of all stays."""
        self.by_strategy.pop(strategy, None)

    @property
    def mostly(self) -> str | None:
        """The strategy that was chosen most often."""
        return max(self.by_strategy, key=lambda name: (self.by_strategy[name].n, name), default=None)

    @property
    def rate(self) -> float:
        """How the strategies that were chosen did."""
        return self.ok / self.n if self.n else 0.0
