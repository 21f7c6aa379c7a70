"""How well the ranking orders strategies on recorded outcomes, one task after another, and what a decision costs.

    python benchmarks/ranking.py [--seeds 3] [RECORD.json]...

A record has {"name", "arms": [name], "features": [[number]], "ok": ["0110..."], "cost": [[share of the time allowed]]}, a row
for each task and a column for each arm. Tasks come in random order. The arms are tried in the order of the ranking
until one succeeds, three at most, and only what was tried is learned. Without files only the time is measured.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from report import report, summarised

from orchestrator.memory.ranking import Ranker, Tuning

N_ATTEMPTS = 3
TIME_ALLOWED_S = 100.0
N_ARMS = 40
N_RECORDS = 5000

Situation = dict[str, Any]


class Side(Protocol):
    """What is compared: a ranking, as our own."""

    def rank(self, situation: Situation) -> Sequence[Any]:
        """The arms, best first, each as a value with `arm`."""

    def record(self, arm: str, situation: Situation, *, success: bool, duration_s: float) -> None:
        """Learn an outcome."""


Maker = Callable[[Sequence[str], int], Side]


@dataclass(frozen=True)
class Arm:
    """A ranked arm of the sides that know no more of it."""

    arm: str


class Greedy:
    """The success rate of each arm, whatever the situation; equals in random order."""

    def __init__(self, arms: Sequence[str], seed: int) -> None:
        self.random = random.Random(seed)
        self.good = dict.fromkeys(arms, 1)
        self.bad = dict.fromkeys(arms, 1)

    def rank(self, situation: Situation) -> Sequence[Any]:  # noqa: ARG002  what it leaves out is the point
        """By score."""
        scores = {arm: self.score(arm) for arm in self.good}
        return [Arm(arm) for arm in sorted(scores, key=lambda arm: -scores[arm])]

    def record(self, arm: str, situation: Situation, *, success: bool, duration_s: float) -> None:  # noqa: ARG002
        """Count."""
        (self.good if success else self.bad)[arm] += 1

    def score(self, arm: str) -> float:
        """The rate."""
        return self.good[arm] / (self.good[arm] + self.bad[arm]) + 1e-9 * self.random.random()


class Thompson(Greedy):
    """A draw from the beta distribution of each arm (Thompson 1933), whatever the situation."""

    def score(self, arm: str) -> float:
        """The draw."""
        return self.random.betavariate(self.good[arm], self.bad[arm])


SIDES: dict[str, Maker] = {
    "ours": Ranker,
    "ours without exploration": lambda arms, seed: Ranker(
        arms, seed, tuning=Tuning(exploration=0.0, hope=0.0)
    ),
    "Thompson without context": Thompson,
    "greedy without context": Greedy,
}


@dataclass(frozen=True)
class Result:
    """One side over one record, in its second half; `ms` is of all tasks, rank and records together."""

    gap: float
    first: float
    solved: float
    attempts: float
    ms: float


def main() -> None:
    """Measure quality for each file, then the time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("records", nargs="*", type=Path)
    args = parser.parse_args()
    for path in args.records:
        record = json.loads(path.read_text("utf-8"))
        report(
            f"Ranking: {record['name']}, {len(record['ok'])} tasks, {len(record['arms'])} arms, {args.seeds} seeds",
            [
                "side",
                "gap",
                "gap, lowest-highest",
                "first succeeds",
                f"solved within {N_ATTEMPTS}",
                "attempts",
                "ms a task",
            ],
            [
                row(name, [course(make, record, seed) for seed in range(args.seeds)])
                for name, make in SIDES.items()
            ],
            "`gap`: 0 = the best single arm in hindsight, 1 = always right where any arm is.",
        )
    report(
        f"Ranking: what a decision costs, {N_ARMS} arms",
        ["what", "median (min-max) ms", "mean ms"],
        latency(),
        "A decision: `rank`, and `record` of what was tried: one arm in two thirds of them, two or three in the others. "
        "The maximum is a decision in which the scales were taken anew; the mean has its share of that.",
    )


def row(name: str, results: Sequence[Result]) -> list[object]:
    """The means of one side over the seeds."""
    gaps = [one.gap for one in results]
    fields = ("first", "solved", "attempts", "ms")
    means = [statistics.mean(getattr(one, field) for one in results) for field in fields]
    return [name, statistics.mean(gaps), f"{min(gaps):.2f}-{max(gaps):.2f}", *means]


def course(make: Maker, record: dict[str, Any], seed: int) -> Result:
    """One side over the tasks of a record, in the order of one seed."""
    arms, ok, cost = record["arms"], record["ok"], record["cost"]
    order = list(range(len(ok)))
    random.Random(seed).shuffle(order)
    side = make(arms, seed)
    firsts, solved, tried, spent_s = [], [], [], 0.0
    for task in order:
        situation = {f"f{n}": value for n, value in enumerate(record["features"][task])}
        began = time.perf_counter()
        outcomes = []
        for arm in [one.arm for one in side.rank(situation)][:N_ATTEMPTS]:
            n = arms.index(arm)
            outcomes.append(ok[task][n] == "1")
            side.record(arm, situation, success=outcomes[-1], duration_s=TIME_ALLOWED_S * cost[task][n])
            if outcomes[-1]:
                break
        spent_s += time.perf_counter() - began
        firsts.append(outcomes[0])
        solved.append(outcomes[-1])
        tried.append(len(outcomes))
    half = len(order) // 2
    late = [ok[task] for task in order[half:]]
    best = max(statistics.mean(one[n] == "1" for one in late) for n in range(len(arms)))
    oracle = statistics.mean("1" in one for one in late)
    first = statistics.mean(firsts[half:])
    gap = (first - best) / max(oracle - best, 1e-9)
    return Result(
        gap, first, statistics.mean(solved[half:]), statistics.mean(tried[half:]), 1e3 * spent_s / len(order)
    )


def latency() -> list[list[object]]:
    """What a decision costs with a short and with a long record, of numbers and of categories."""
    rows = []
    for kind, make in (("8 numbers, each situation new", numbers), ("11 facts as of a run", facts)):
        source = random.Random(1)
        arms = [f"arm-{n}" for n in range(N_ARMS)]
        ranker = Ranker(arms, seed=1)
        durations: list[float] = []
        n_records, marks = 0, [500, N_RECORDS]
        while n_records < N_RECORDS:
            situation = make(source)
            n_tried = source.choice((1, 1, 1, 1, 2, 3))
            began = time.perf_counter()
            for n, one in enumerate(ranker.rank(situation)[:n_tried], 1):
                ranker.record(one.arm, situation, success=n == n_tried, duration_s=1.0)
            durations.append(time.perf_counter() - began)
            n_records += n_tried
            if n_records >= marks[0]:
                rows.append(measured(f"{kind}, around {marks.pop(0):,} records", durations[-200:]))
        saved = json.dumps(ranker.to_dict())
        began = time.perf_counter()
        Ranker.from_dict(json.loads(saved))
        rows.append([f"{kind}: restore {len(saved) / 1e3:,.0f} kB", "", 1e3 * (time.perf_counter() - began)])
    return rows


def measured(name: str, durations_s: list[float]) -> list[object]:
    """A row of times."""
    return [name, summarised(durations_s).ms, 1e3 * statistics.mean(durations_s)]


def numbers(source: random.Random) -> Situation:
    """A situation as of recorded benchmarks."""
    return {f"f{n}": source.gauss(0, 1) for n in range(8)}


def facts(source: random.Random) -> Situation:
    """A situation as of a run."""
    workflow = source.randrange(30)
    return {
        "workflow": f"workflow-{workflow}",
        "version": f"{workflow}.{source.randrange(3)}",
        "skills": f"skill-{workflow % 7} skill-{workflow % 5}",
        "n_skills": 2,
        "context_log_bytes": round(source.gauss(4, 1), 2),
        "n_items": source.randrange(50),
        "context_type": ("files", "text", "list")[workflow % 3],
        "density": round(source.uniform(0.2, 0.6), 2),
        "depth": 0,
        "model": source.choice(("small", "large")),
        "output": "object",
    }


if __name__ == "__main__":
    main()
