"""Which arm to try first, second, ..., in a situation: a contextual bandit that explains itself.

An arm's score is the probability that it succeeds here, as far as the record knows (`evidence`, weighed by
`stacking`), less a little for what it costs, and spread by a draw where little is known (`draws`).
"""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError
from orchestrator.memory.ranking import draws
from orchestrator.memory.ranking.clock import Clock, Moment, day_of
from orchestrator.memory.ranking.cost import amount, penalties
from orchestrator.memory.ranking.evidence import Evidence, Record, gather, prior, rows
from orchestrator.memory.ranking.points import Facts, Tally, facts_of
from orchestrator.memory.ranking.space import Near, Space
from orchestrator.memory.ranking.stacking import Stack
from orchestrator.memory.ranking.trend import Trend
from orchestrator.memory.ranking.tuning import Tuning

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

SCHEMA = "orchestrate.ranking/1"

NOTABLE = 0.15
"""A trend is spoken of when it takes so much off a rate."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """An arm at its place in the order, and why it stands there."""

    arm: str
    score: float  # what it was ordered by: `chance`, less what the cost weighs, plus what there is to learn
    tried: int  # records of the arm, in all situations
    succeeded: int
    chance: float  # probability of success here
    probability: float  # of being first, over the draws; what an evaluation from the record needs
    cost_usd: float  # expected here, as is the time
    duration_s: float
    why: str


class Ranker:
    """A ranking of arms that learns. One thread; who makes one owns it, and saves it with `to_dict`.

    The same seed, calls and values give the same answers, on every machine with the same floating point; one that was
    saved and restored goes on exactly as the first would have. Arms keep the order in which they came: it is the
    order without any record, and decides between equals. Every tally is stored as of the clock's origin.
    """

    def __init__(self, arms: Iterable[str], seed: int | None = None, *, tuning: Tuning | None = None) -> None:
        self._arms = dict.fromkeys(arms)
        self._seed = random.SystemRandom().getrandbits(53) if seed is None else seed
        self._tuning = tuning or Tuning()
        self._stack = Stack(*prior(self._tuning))
        self._space = Space()
        self._totals = {arm: Tally() for arm in self._arms}
        self._trends: dict[str, Trend] = {}
        self._heirs: dict[str, str] = {}
        self._clock = Clock.of(self._tuning)
        self._n_ranked = 0
        self._seen: tuple[Facts, Near] | None = None  # what was near where `rank` asked last

    @property
    def arms(self) -> list[str]:
        """The arms that are ranked."""
        return list(self._arms)

    def add(self, arm: str) -> None:
        """Rank one more arm from now on. What is on record of it, from before it was removed, counts again."""
        self._arms.setdefault(arm)
        self._totals.setdefault(arm, Tally())

    def remove(self, arm: str) -> None:
        """Rank this arm no more. Its record goes on saying what situations are like."""
        self._arms.pop(arm, None)

    def rank(self, situation: Mapping[str, Any], only: Collection[str] | None = None) -> list[Ranked]:
        """The arms, or those named, best first; probabilities are among these."""
        facts = facts_of(situation)
        arms = [arm for arm in self._arms if only is None or arm in only]
        evidence = gather(self._record(facts), arms, self._tuning)
        chances = [self._stack.probability(one.row) for one in evidence]
        values = [
            chance - cost
            for chance, cost in zip(chances, penalties(evidence, self._tuning.price), strict=True)
        ]
        unknown = [self._unknown(chance, one) for chance, one in zip(chances, evidence, strict=True)]
        key = f"{self._seed} {self._clock.n_records} {self._n_ranked}"
        self._n_ranked += 1
        shares = [self._share(arm) for arm in arms]
        order, scores, firsts = draws.ordered(values, unknown, shares, key, self._tuning.hope)
        best = max(values, default=0.0)
        return [
            Ranked(
                arm=arms[n],
                score=score,
                tried=self._totals[arms[n]].tried,
                succeeded=self._totals[arms[n]].succeeded,
                chance=chances[n],
                probability=firsts[n],
                cost_usd=evidence[n].usd,
                duration_s=evidence[n].duration_s,
                why=self._why(arms[n], evidence[n], to_learn=place == 0 and values[n] < best),
            )
            for place, (n, score) in enumerate(zip(order, scores, strict=True))
        ]

    def record(
        self,
        arm: str,
        situation: Mapping[str, Any],
        *,
        success: bool,
        usd: float = 0.0,
        duration_s: float = 0.0,
        at: Moment = None,
        weight: float = 1.0,
    ) -> None:
        """Learn what came of an arm; one that is not known is added.

        `weight` is what the outcome counts, above 0 and at most 1: little where nothing has verified it. `at` is when
        it was made; without it only later records make a record fade. Raises
        UsageError for a weight out of bounds, and ValueError for what is no time.
        """
        if not 0.0 < weight <= 1.0:
            raise UsageError(f"the weight of a record is above 0 and at most 1, not {weight!r}")
        day, facts = day_of(at), facts_of(situation)
        self.add(arm)
        self._learn(arm, rows(self._record(facts), [arm], self._tuning)[0], success, weight)
        self._clock.tick(day)
        if self._clock.is_long_ago:
            self._move_origin()
        counts = weight * self._clock.weight(day)
        one = Tally(
            counts, counts * success, counts * amount(usd), counts * amount(duration_s), 1, int(success)
        )
        self._totals[arm].add(one)
        if self._space.add(facts, arm, one):
            self._seen = None
        if len(self._space.points) > self._tuning.n_situations:
            self._drop()

    def inherit(self, new_arm: str, old_arm: str, discount: float = 0.5) -> None:
        """Let a new version of an arm begin with the record of the old one, each record counting `discount` of itself.

        Raises UsageError when the old arm is not known, or the discount is below 0 or above 1.
        """
        if old_arm not in self._totals:
            raise UsageError(f"no arm named `{old_arm}` to inherit from")
        if not 0.0 <= discount <= 1.0:
            raise UsageError(f"a discount is from 0 to 1, not {discount!r}")
        self.add(new_arm)
        if new_arm == old_arm:
            return
        self._heirs[new_arm] = old_arm
        for point in self._space.points.values():
            if old_arm in point.tallies:
                point.tally(new_arm).weigh(point.tallies[old_arm], discount)
        self._totals[new_arm].weigh(self._totals[old_arm], discount)

    def forget(self, arm: str, **where: float | str | bool) -> None:
        """Take back what was recorded of an arm, in the situations that have all these facts; without any, in all."""
        facts = set(facts_of(where))
        kept = Tally()
        for point in self._space.points.values():
            if facts <= set(point.facts):
                point.tallies.pop(arm, None)
            elif arm in point.tallies:
                kept.add(point.tallies[arm])
        if arm in self._totals:
            self._totals[arm] = kept
        self._trends.pop(arm, None)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            "schema": SCHEMA,
            "arms": list(self._arms),
            "seed": self._seed,
            "tuning": {**asdict(self._tuning), "widths": list(self._tuning.widths)},
            "n_ranked": self._n_ranked,
            "clock": self._clock.to_dict(),
            "totals": {arm: tally.to_list() for arm, tally in self._totals.items()},
            "trends": {arm: trend.to_list() for arm, trend in self._trends.items()},
            "heirs": dict(self._heirs),
            "stack": self._stack.to_dict(),
            "space": self._space.to_dict(),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Ranker:
        """What `to_dict` made. Raises ValueError for another schema, KeyError or TypeError for what is damaged."""
        if value["schema"] != SCHEMA:
            raise ValueError(f"a ranking with the schema `{value['schema']}`; this reads `{SCHEMA}`")
        tuning = Tuning(**{**value["tuning"], "widths": tuple(value["tuning"]["widths"])})
        ranker = cls(value["arms"], value["seed"], tuning=tuning)
        ranker._n_ranked = value["n_ranked"]
        ranker._clock = Clock(**value["clock"])
        ranker._totals = {arm: Tally(*sums) for arm, sums in value["totals"].items()}
        ranker._trends = {arm: Trend(*sums) for arm, sums in value["trends"].items()}
        ranker._heirs = dict(value["heirs"])
        ranker._stack = Stack.from_dict(value["stack"])
        ranker._space = Space.from_dict(value["space"])
        return ranker

    def _record(self, facts: Facts) -> Record:
        """What there is for a decision in this situation."""
        if self._seen is None or self._seen[0] != facts:
            self._seen = facts, self._space.nearest(facts, self._tuning.n_neighbours)
        for trend in self._trends.values():
            trend.fade(self._clock.n_records)
        return Record(self._totals, self._seen[1], self._trends, self._clock.fade)

    def _learn(self, arm: str, row: tuple[float, ...], success: bool, weight: float) -> None:
        expected = self._stack.probability((*row[:-1], 0.0))  # as if there were no trend
        self._stack.learn(row, success, weight)
        trend = self._trends.setdefault(arm, Trend(at=self._clock.n_records))
        trend.add(success - expected, weight)

    def _unknown(self, chance: float, evidence: Evidence) -> float:
        """The standard deviation of what is not known of an arm's chance, as of a rate after so many records."""
        if self._clock.n_records == 0:  # the order without a record is the one that was given
            return 0.0
        return math.sqrt(chance * (1.0 - chance) / (1.0 + evidence.around.weight))

    def _share(self, arm: str) -> float:
        """How much of what is not known of an arm its draw spreads by."""
        if not self._tuning.exploration:
            return 0.0
        enough = self._tuning.first_tries * math.log1p(self._clock.n_records)
        return 1.0 if 0 < self._totals[arm].tried < enough else self._tuning.exploration

    def _drop(self) -> None:
        """Leave out a tenth of the situations, and removed arms of which nothing is left."""
        self._space.drop(math.ceil(self._tuning.n_situations / 10))
        self._seen = None
        left = {arm for point in self._space.points.values() for arm in point.tallies}.union(self._arms)
        self._totals = {arm: tally for arm, tally in self._totals.items() if arm in left}
        self._trends = {arm: trend for arm, trend in self._trends.items() if arm in left}
        self._heirs = {arm: old for arm, old in self._heirs.items() if arm in left}

    def _move_origin(self) -> None:
        factor = self._clock.fade
        for point in self._space.points.values():
            for tally in point.tallies.values():
                tally.scale(factor)
        for tally in self._totals.values():
            tally.scale(factor)
        self._clock.move_origin()

    def _why(self, arm: str, evidence: Evidence, *, to_learn: bool) -> str:
        total, here = self._totals[arm], evidence.around
        elsewhere = f"{total.succeeded - here.succeeded} of {total.tried - here.tried} elsewhere"
        if here.tried:
            said = f"{here.succeeded} of {here.tried} in similar situations"
        elif total.tried:
            said = f"not tried yet in similar situations; {elsewhere}"
        elif arm in self._heirs:
            said = f"not tried yet; begins with the record of `{self._heirs[arm]}`"
        else:
            said = "not tried yet"
        lately = self._trends[arm].value if arm in self._trends else 0.0
        if lately < -NOTABLE:
            said += "; worse lately"
        return f"{said}; first this time to learn more of it" if to_learn else said
