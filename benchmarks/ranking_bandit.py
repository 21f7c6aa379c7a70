"""How often a ranking by itself, which tries only its first arm and is told of nothing else, stays with a worse one.

python benchmarks/ranking_bandit.py [--seeds N]
"""

from __future__ import annotations

import argparse
import random

from report import report

from orchestrator import Ranker
from orchestrator.memory.ranking.tuning import Tuning

SIDES = {"ours": Tuning(), "ours with the narrow draw from the first try on": Tuning(first_tries=0.0)}
WORLDS = ((0.25, 0.75), (0.75, 0.25), (0.3, 0.5, 0.8), (0.6, 0.7))
N_ROUNDS, N_LAST = 300, 100

NOTES = """One situation, arms with these chances of success in this order, 300 rounds. `stays`: the best arm was first in under a tenth of the last 100 rounds. `success`: mean chance of the arm that was first, over all rounds. Runs of workflows rank with the narrow draw: there a failure is followed by the next arm, which is told of too."""


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description="Rank by one arm at a time.")
    parser.add_argument("--seeds", type=int, default=100)
    n_seeds = parser.parse_args().seeds
    rows = []
    for rates in WORLDS:
        for side, tuning in SIDES.items():
            trials = [trial(rates, seed, tuning) for seed in range(n_seeds)]
            stays = sum(n_best < N_LAST / 10 for n_best, _ in trials)
            mean = sum(success for _, success in trials) / n_seeds
            rows.append(
                [
                    ", ".join(map(str, rates)),
                    side,
                    f"{stays} of {n_seeds}",
                    f"{mean:.3f}",
                    f"{max(rates):.2f}",
                ]
            )
    report(
        "Ranking: one arm at a time",
        ["arms", "side", "stays with a worse one", "success", "at best"],
        rows,
        NOTES,
    )


def trial(rates: tuple[float, ...], seed: int, tuning: Tuning) -> tuple[int, float]:
    """How often the best arm was first at the end, and the mean chance of the first one."""
    ranker = Ranker([str(n) for n in range(len(rates))], seed=seed, tuning=tuning)
    draw, best = random.Random(seed * 7919 + 1), str(rates.index(max(rates)))
    n_best, total = 0, 0.0
    for turn in range(N_ROUNDS):
        first = ranker.rank({"where": "here"})[0].arm
        chance = rates[int(first)]
        ranker.record(first, {"where": "here"}, success=draw.random() < chance)
        n_best += turn >= N_ROUNDS - N_LAST and first == best
        total += chance
    return n_best, total / N_ROUNDS


if __name__ == "__main__":
    main()
