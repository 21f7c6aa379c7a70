"""What a ranking costs beside one that knows the truth: regret in a simulated world, with other ways to rank.

    python benchmarks/ranking_simulator.py [--seeds 30] [--tasks 400] [--attempts 3]

The world: families of tasks, strategies that are good at some of them, 5 % of the verdicts wrong, a strategy that gets
worse half-way, and one that arrives after a third and is the best for two families. A task shows its family, a number that goes
with it and two facts that say nothing. As in a run, strategies are tried in the order of the ranking until one is
said to have succeeded, three at most, and each is recorded. Regret counts the first place alone: by how much its
true probability of success is below the best there is, summed over the tasks.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from report import report

from orchestrator.memory.ranking import Ranker, Tuning

FAMILIES = ("digest", "audit", "search", "convert", "answer", "review")
STRATEGIES = ("written", "rlm", "direct", "grep", "map-reduce", "split-recurse", "verify-refine")
LATE = "learned"
WRONG = 0.05
POISON = (10, 50, 200)
T95 = 2.0  # of Student's distribution, for about 30 seeds

Situation = dict[str, Any]


class Policy(Protocol):
    """What is compared."""

    def order(self, situation: Situation) -> list[str]:
        """The strategies, best first."""

    def record(self, arm: str, situation: Situation, success: bool) -> None:
        """Learn an outcome."""

    def add(self, arm: str) -> None:
        """One more strategy from now on."""


Maker = Callable[[Sequence[str], int], Policy]


@dataclass
class Counts:
    """Successes and trials, by strategy and by family and strategy; what the simple policies go by."""

    arms: list[str]
    seed: int = 0
    n: dict[Any, int] = field(default_factory=dict)
    good: dict[Any, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.arms = list(self.arms)
        self.random = random.Random(self.seed)

    def add(self, arm: str) -> None:
        """One more strategy from now on."""
        self.arms.append(arm)

    def record(self, arm: str, situation: Situation, success: bool) -> None:
        """Count an outcome."""
        for key in (arm, (situation.get("workflow"), arm), None):
            self.n[key] = self.n.get(key, 0) + 1
            self.good[key] = self.good.get(key, 0) + success

    def order(self, situation: Situation) -> list[str]:
        """By score; equals in the order in which they came."""
        scores = {arm: self.score(arm, situation) for arm in self.arms}
        return sorted(self.arms, key=lambda arm: -scores[arm])

    def score(self, arm: str, situation: Situation) -> float:  # noqa: ARG002
        """Zero: the default order."""
        return 0.0

    def rate(self, key: Any, prior: float = 0.5, count: float = 0.0) -> float:
        """Successes of the trials, drawn towards the prior by so many pseudo-trials."""
        n = self.n.get(key, 0) + count
        return (self.good.get(key, 0) + count * prior) / n if n else prior

    def shrunk(self, arm: str) -> float:
        """A strategy's rate, drawn towards that of all."""
        return self.rate(arm, self.rate(None, count=2), count=4)


class SuccessRate(Counts):
    """Overall success rate."""

    def score(self, arm: str, situation: Situation) -> float:  # noqa: ARG002
        """The rate; untried: a half."""
        return self.rate(arm)


class Wilson(Counts):
    """Lower bound of Wilson's 95 % interval (Wilson 1927)."""

    def score(self, arm: str, situation: Situation) -> float:  # noqa: ARG002
        """The bound; untried: 0."""
        n, rate, z = self.n.get(arm, 0), self.rate(arm), 1.96
        if not n:
            return 0.0
        spread = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
        return (rate + z * z / (2 * n) - spread) / (1 + z * z / n)


class Ucb1(Counts):
    """UCB1 (Auer, Cesa-Bianchi and Fischer 2002, figure 1)."""

    def score(self, arm: str, situation: Situation) -> float:  # noqa: ARG002
        """Rate and bonus; untried first."""
        n = self.n.get(arm, 0)
        return self.rate(arm) + math.sqrt(2 * math.log(self.n[None]) / n) if n else math.inf


class GreedyFamily(Counts):
    """Success rate within the family."""

    def score(self, arm: str, situation: Situation) -> float:
        """The rate; untried: a half."""
        return self.rate((situation.get("workflow"), arm))


class GreedyShrunk(Counts):
    """Rate within the family, drawn towards the strategy's overall, and that towards all."""

    def score(self, arm: str, situation: Situation) -> float:
        """The shrunk rate."""
        return self.rate((situation.get("workflow"), arm), self.shrunk(arm), count=4)


class ThompsonShrunk(Counts):
    """A draw from the beta distribution around the shrunk rate."""

    def score(self, arm: str, situation: Situation) -> float:
        """The draw."""
        key, prior = (situation.get("workflow"), arm), self.shrunk(arm)
        good = self.good.get(key, 0) + 4 * prior
        return self.random.betavariate(good + 1e-3, self.n.get(key, 0) + 4 - good + 1e-3)


class Ours:
    """`orchestrator.Ranker`, in whole or with a part left out."""

    def __init__(
        self, arms: Sequence[str], seed: int, *, blind: bool = False, tuning: Tuning | None = None
    ) -> None:
        self.ranker = Ranker(arms, seed=seed, tuning=tuning)
        self.blind = blind

    def order(self, situation: Situation) -> list[str]:
        """As the ranker says."""
        return [one.arm for one in self.ranker.rank({} if self.blind else situation)]

    def record(self, arm: str, situation: Situation, success: bool) -> None:
        """Tell the ranker."""
        self.ranker.record(arm, {} if self.blind else situation, success=success)

    def add(self, arm: str) -> None:
        """One more arm."""
        self.ranker.add(arm)


POLICIES: dict[str, Maker] = {
    "ours": Ours,
    "ours without context": lambda arms, seed: Ours(arms, seed, blind=True),
    "ours without shrinkage": lambda arms, seed: Ours(arms, seed, tuning=Tuning(shrinkage=0.0)),
    "ours without exploration": lambda arms, seed: Ours(arms, seed, tuning=Tuning(exploration=0.0, hope=0.0)),
    "fixed default": lambda arms, seed: Counts(list(arms), seed),
    "overall success rate": lambda arms, seed: SuccessRate(list(arms), seed),
    "Wilson lower bound": lambda arms, seed: Wilson(list(arms), seed),
    "UCB1": lambda arms, seed: Ucb1(list(arms), seed),
    "greedy per family": lambda arms, seed: GreedyFamily(list(arms), seed),
    "greedy, shrunk": lambda arms, seed: GreedyShrunk(list(arms), seed),
    "Thompson, shrunk": lambda arms, seed: ThompsonShrunk(list(arms), seed),
}


class World:
    """The truth of one seed, and its tasks in their order."""

    def __init__(self, seed: int, n_tasks: int) -> None:
        self.random = random.Random(seed)
        self.n_tasks = n_tasks
        best = {family: self.random.choice(STRATEGIES) for family in FAMILIES}
        self.truth = {
            (family, arm): self.random.uniform(0.8, 0.95)
            if arm == best[family]
            else self.random.uniform(0.1, 0.75)
            for family in FAMILIES
            for arm in STRATEGIES
        }
        improved = self.random.sample(FAMILIES, 2)
        for family in FAMILIES:
            self.truth[family, LATE] = 0.97 if family in improved else self.random.uniform(0.1, 0.6)
        self.worse = best[next(family for family in FAMILIES if family not in improved)]
        self.bad = min(STRATEGIES, key=lambda arm: sum(self.truth[family, arm] for family in FAMILIES))
        self.tasks = [self._task() for _ in range(n_tasks)]
        self.verdicts = [(self.random.random(), self.random.random()) for _ in range(n_tasks)]

    def arrives(self, n: int) -> bool:
        """Whether the late strategy is there from task `n` on."""
        return n == self.n_tasks // 3

    def chance(self, n: int, arm: str) -> float:
        """The true probability that a strategy solves task `n`."""
        if arm == LATE and n < self.n_tasks // 3:
            return 0.0
        found = self.truth[self.tasks[n]["workflow"], arm]
        return 0.1 if arm == self.worse and n >= self.n_tasks // 2 else found

    def best(self, n: int) -> float:
        """The best that can be had for task `n`."""
        return max(self.chance(n, arm) for arm in (*STRATEGIES, LATE))

    def said(self, n: int, arm: str) -> bool:
        """The verdict on an attempt: the same for all policies, and wrong in 5 %."""
        draw = random.Random(f"{n} {arm} {self.verdicts[n]}")
        return (draw.random() < self.chance(n, arm)) != (draw.random() < WRONG)

    def situation(self) -> Situation:
        """One of a task that nobody has to do."""
        return self._task()

    def _task(self) -> Situation:
        family = self.random.choice(FAMILIES)
        return {
            "workflow": family,
            "size": round(self.random.gauss(FAMILIES.index(family) % 3, 0.7), 2),
            "n_items": self.random.randrange(100),
            "model": self.random.choice(("small", "large")),
        }


@dataclass(frozen=True)
class Course:
    """What became of one policy in one world."""

    regret: float
    regret_late: (
        float  # in the second half, where the record is long and the worse strategy has to be noticed
    )
    attempts: float
    bad_first: float  # share of the tasks after the poison with the worst strategy in front


def run(make: Maker, seed: int, n_tasks: int, n_attempts: int, n_poison: int = 0) -> Course:
    """One policy in one world; in its middle, false successes of the worst strategy may be slipped in."""
    world = World(seed, n_tasks)
    policy = make(STRATEGIES, seed)
    regrets, tried, bad = [], 0, 0
    for n, situation in enumerate(world.tasks):
        if world.arrives(n):
            policy.add(LATE)
        if n == n_tasks // 2:
            for _ in range(n_poison):
                policy.record(world.bad, world.situation(), True)
        order = policy.order(situation)
        regrets.append(world.best(n) - world.chance(n, order[0]))
        bad += n >= n_tasks // 2 and order[0] == world.bad
        for arm in order[:n_attempts]:
            tried += 1
            success = world.said(n, arm)
            policy.record(arm, situation, success)
            if success:
                break
    half = n_tasks // 2
    return Course(sum(regrets), sum(regrets[half:]), tried / n_tasks, bad / (n_tasks - half))


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--attempts", type=int, default=3)
    args = parser.parse_args()
    seeds = range(args.seeds)
    courses = {
        name: [run(make, seed, args.tasks, args.attempts) for seed in seeds]
        for name, make in POLICIES.items()
    }
    report(
        f"Ranking: regret over {args.tasks} simulated tasks, {args.seeds} seeds",
        ["policy", "regret ± 95 %", "second half ± 95 %", "less ours ± 95 %", "attempts a task"],
        [regret_row(name, courses) for name in courses],
        "Regret: probability of success lost in first places, summed; lower is better. `less ours`: the difference to ours in the same worlds. "
        f"{len(FAMILIES)} families, {len(STRATEGIES)} strategies and one that arrives; 5 % of the verdicts wrong.",
    )
    poisoned = ("ours", "ours without context", "overall success rate", "greedy, shrunk", "Thompson, shrunk")
    report(
        f"Ranking: a poisoned record, {args.seeds} seeds",
        [
            "policy",
            "false successes",
            "worst strategy first, % of tasks after",
            "regret after ± 95 %",
            "more than unpoisoned ± 95 %",
        ],
        [
            poison_row(
                name,
                n,
                courses[name],
                [run(POLICIES[name], seed, args.tasks, args.attempts, n) for seed in seeds],
            )
            for name in poisoned
            for n in POISON
        ],
        "Half-way, someone adds so many successes that did not happen, for the strategy that is the worst overall, in "
        "situations like those of the tasks, in random order.",
    )


def regret_row(name: str, courses: dict[str, list[Course]]) -> list[object]:
    """One policy of the first table."""
    own, ours = courses[name], courses["ours"]
    return [
        name,
        interval([one.regret for one in own]),
        interval([one.regret_late for one in own]),
        interval([one.regret - other.regret for one, other in zip(own, ours, strict=True)])
        if own is not ours
        else "",
        statistics.mean(one.attempts for one in own),
    ]


def poison_row(name: str, n: int, clean: list[Course], poisoned: list[Course]) -> list[object]:
    """One policy of the second table."""
    more = [one.regret_late - other.regret_late for one, other in zip(poisoned, clean, strict=True)]
    first = 100 * statistics.mean(one.bad_first for one in poisoned)
    return [name, n, f"{first:.1f}", interval([one.regret_late for one in poisoned]), interval(more)]


def interval(values: Sequence[float]) -> str:
    """Mean and half of the 95 % interval of the mean."""
    half = T95 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{statistics.mean(values):.1f} ± {half:.1f}"


if __name__ == "__main__":
    main()
