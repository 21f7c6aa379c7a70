"""Which arm to try first, second, ..., in a situation: a contextual bandit that explains itself.

An arm's score is the probability that it succeeds here, as far as the record knows (`evidence`, weighed by
`stacking`), less a little for what it costs, and spread by a draw where little is known (`draws`).
"""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError
from orchestrator.memory.ranking import draws
from orchestrator.memory.ranking.evidence import Evidence, gather, prior
from orchestrator.memory.ranking.points import Facts, Tally, facts_of
from orchestrator.memory.ranking.space import Near, Space
from orchestrator.memory.ranking.stacking import Stack
from orchestrator.memory.ranking.trend import Trend
from orchestrator.memory.ranking.tuning import Tuning

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = "orchestrate.ranking/1"

MAX_POINTS = 3000
"""Situations that are kept; those whose records weigh least go first, a tenth at a time."""

TIME = 0.25
"""What a power of ten of time weighs beside one of money."""

HALF_LIVES = 64.0
"""Weights are stored as of some moment, and as of now again when it is so many half-lives ago."""

NOTABLE = 0.15
"""A trend is spoken of when it takes so much off a rate."""

EPOCH_S = 1577836800.0
"""2020-01-01 in seconds since 1970: days are counted from there."""

Moment = datetime | str | float | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """An arm at its place in the order, and why it stands there."""

    arm: str
    score: float  # what it was ordered by: `chance`, less what the cost weighs, plus the draw
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
    order without any record, and decides between equals. Weights of records are stored as of `_origin`, a moment in
    half-lives, so that none needs to be touched as they fade.
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
        self._n_records = 0
        self._n_ranked = 0
        self._day: float | None = None  # of the latest record that had one
        self._origin = 0.0
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

    def rank(self, situation: Mapping[str, Any]) -> list[Ranked]:
        """The arms, best first."""
        facts = facts_of(situation)
        found = self._evidence(facts)
        arms = list(self._arms)
        evidence = [found[arm] for arm in arms]
        chances = [self._stack.probability(one.row) for one in evidence]
        values = [chance - cost for chance, cost in zip(chances, self._prices(evidence), strict=True)]
        spreads = [
            self._spread(chance, one.around.weight) for chance, one in zip(chances, evidence, strict=True)
        ]
        scores = draws.drawn(values, spreads, f"{self._seed} {self._n_records} {self._n_ranked}")
        self._n_ranked += 1
        firsts = draws.probabilities(values, spreads)
        order = sorted(range(len(arms)), key=lambda n: -scores[n])
        best = max(values, default=0.0)
        return [
            Ranked(
                arm=arms[n],
                score=scores[n],
                tried=self._totals[arms[n]].tried,
                succeeded=self._totals[arms[n]].succeeded,
                chance=chances[n],
                probability=firsts[n],
                cost_usd=evidence[n].usd,
                duration_s=evidence[n].duration_s,
                why=self._why(arms[n], evidence[n], to_learn=n == order[0] and values[n] < best),
            )
            for n in order
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

        `weight` is what the outcome counts, above 0 and at most 1: little where nothing has verified it. `at` is an
        ISO 8601 text, a datetime or seconds since 1970; without it only later records make a record fade. Raises
        UsageError for a weight out of bounds, and ValueError for a text that is no time.
        """
        if not 0.0 < weight <= 1.0:
            raise UsageError(f"the weight of a record is above 0 and at most 1, not {weight!r}")
        self.add(arm)
        facts = facts_of(situation)
        self._learn(arm, self._evidence(facts)[arm], success, weight)
        stored = weight * self._stored_weight(at)
        one = Tally(
            stored, stored * success, stored * _amount(usd), stored * _amount(duration_s), 1, int(success)
        )
        if facts not in self._space.points:
            self._seen = None
        self._space.point(facts).tally(arm).add(one)
        self._totals[arm].add(one)
        if len(self._space.points) > MAX_POINTS:
            self._space.drop(MAX_POINTS // 10)
            self._seen = None

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
            "n_records": self._n_records,
            "n_ranked": self._n_ranked,
            "day": self._day,
            "origin": self._origin,
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
        ranker._n_records, ranker._n_ranked = value["n_records"], value["n_ranked"]
        ranker._day, ranker._origin = value["day"], value["origin"]
        ranker._totals = {arm: Tally(*sums) for arm, sums in value["totals"].items()}
        ranker._trends = {arm: Trend(*sums) for arm, sums in value["trends"].items()}
        ranker._heirs = dict(value["heirs"])
        ranker._stack = Stack.from_dict(value["stack"])
        ranker._space = Space.from_dict(value["space"])
        return ranker

    def _evidence(self, facts: Facts) -> dict[str, Evidence]:
        if self._seen is None or self._seen[0] != facts:
            self._seen = facts, self._space.nearest(facts, self._tuning.n_neighbours)
        for trend in self._trends.values():
            trend.fade(self._n_records)
        return gather(self._totals, self._seen[1], self._trends, self._fade(), self._tuning)

    def _learn(self, arm: str, evidence: Evidence, success: bool, weight: float) -> None:
        expected = self._stack.probability((*evidence.row[:-1], 0.0))  # as if there were no trend
        self._stack.learn(evidence.row, success, weight)
        self._n_records += 1
        trend = self._trends.setdefault(arm, Trend(at=self._n_records))
        trend.add(success - expected, weight)

    def _spread(self, chance: float, nearby: float) -> float:
        if self._n_records == 0:  # the order without a record is the one that was given
            return 0.0
        return self._tuning.exploration * math.sqrt(chance * (1.0 - chance) / (1.0 + nearby))

    def _prices(self, evidence: list[Evidence]) -> list[float]:
        """What the cost of each takes off its chance."""
        usd = _decades([one.usd for one in evidence])
        time = _decades([one.duration_s for one in evidence])
        return [self._tuning.price * (money + TIME * more) for money, more in zip(usd, time, strict=True)]

    def _now(self, day: float | None) -> float:
        """A moment in half-lives."""
        return self._n_records / self._tuning.half_life + (day or 0.0) / self._tuning.half_life_days

    def _fade(self) -> float:
        return float(2.0 ** (self._origin - self._now(self._day)))

    def _stored_weight(self, at: Moment) -> float:
        """What a record of now counts, as of `_origin`, which is brought forward where that is long ago."""
        day = _day(at)
        if day is not None:
            self._day = day if self._day is None else max(self._day, day)
        now = self._now(self._day)
        if now - self._origin > HALF_LIVES:
            factor = self._fade()
            for point in self._space.points.values():
                for tally in point.tallies.values():
                    tally.scale(factor)
            for tally in self._totals.values():
                tally.scale(factor)
            self._origin = now
        return float(2.0 ** (self._now(self._day if day is None else day) - self._origin))

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


def _decades(costs: list[float]) -> list[float]:
    """Powers of ten above the cheapest; what is below a thousandth of the dearest counts as that."""
    floor = max(costs, default=0.0) / 1000.0
    if floor <= 0.0:
        return [0.0] * len(costs)
    cheapest = max(min(costs), floor)
    return [math.log10(max(cost, floor) / cheapest) for cost in costs]


def _amount(value: float) -> float:
    """A cost that can be added up: what is negative or no number counts as none."""
    return min(float(value), 1e12) if value > 0.0 else 0.0


def _day(at: Moment) -> float | None:
    """A moment in days since 2020."""
    if at is None:
        return None
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if isinstance(at, datetime):
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return (float(at) - EPOCH_S) / 86400.0
