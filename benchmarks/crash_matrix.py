"""Whether runs that are killed everywhere, and resumed until they have ended, come to what they come to undisturbed.

`python benchmarks/crash_matrix.py [--case NAME ...] [--every N] [--instants N]`. The whole takes about 45 minutes on two
cores; `--every 10 --instants 10` a tenth of that. A trial is one run in a workspace of its own; its kills come as planned,
and whoever it asks looks at the world before answering. What did not hold is told on stderr as it is found.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from report import report

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from crash import plans
from crash.cases import CASES
from crash.places import placed
from crash.trial import play
from crash.verdict import judge, unsound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crash.cases import Case
    from crash.plans import Plan
    from crash.trial import Played
    from crash.verdict import Verdict

N_AT_ONCE = 2
SEED = 20260731
COLUMNS = [
    "workflow, killed", "trials", "kills", "ended", "equal", "exactly once", "asked in doubt", "repeated", "beyond in flight",
    "counted", "whole", "diverged",
]  # fmt: skip
NOTES = """kills: those that came before the run had ended. ended: by itself, with an answer or without, and without being resumed for the want of a worker. equal: answer and exit code are those of the run that nobody disturbed. exactly once: the ledger has each effect once; where a worker was killed, none twice: a cell whose worker is killed is run once more, and costs only itself when that one is killed too. asked in doubt: calls of functions that write, begun and not ended, over all trials. repeated: requests that the model saw more often than in the undisturbed run; beyond in flight: those of them of which none was in flight at a kill. counted: `usage.calls` is the number of requests on record, which is what the model saw and at most what was in flight beside. whole: the journal has no gap, `orchestrate show` reads it, no process was left. diverged: events that say that a cell did something else than before."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of the matrix is done."""

    every: int
    n_instants: int


def main() -> None:
    """Do the matrix and print one table; exit 1 where something did not hold."""
    parser = argparse.ArgumentParser(description="Kill runs everywhere and resume them.")
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--every", type=int, default=1, help="kill beside every nth event (1)")
    parser.add_argument("--instants", type=int, default=100, help="so many random instants (100)")
    args = parser.parse_args()
    extent = Extent(args.every, args.instants)
    rows, n_faults = [], 0
    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        for name in args.case:
            undisturbed = ran(CASES[name])
            n_faults += told(name, "undisturbed", unsound(undisturbed))
            for mode, planned in matrix(undisturbed, extent):
                verdicts = list(pool.map(partial(tried, CASES[name], undisturbed), planned))
                n_faults += sum(told(name, named(one.kills), one.faults) for one in verdicts)
                rows.append([f"{name}, {mode}", *summed(verdicts)])
    report("Runs that are killed", COLUMNS, rows, NOTES)
    sys.exit(n_faults > 0)


def matrix(undisturbed: Played, extent: Extent) -> Iterator[tuple[str, Iterable[Plan]]]:
    """The modes of killing, each with its trials."""
    chance = random.Random(SEED)
    every, n = extent.every, extent.n_instants
    yield "after each event, alone", plans.at_events(undisturbed, "after", "alone", every)
    yield "after each event, with its workers", plans.at_events(undisturbed, "after", "all", every)
    yield "before each event, with its workers", plans.at_events(undisturbed, "before", "all", every)
    yield "in the middle of each event", plans.at_events(undisturbed, "torn", "all", every)
    yield "at random instants", plans.at_instants(undisturbed, n, chance)
    yield "three times", plans.in_a_row(undisturbed, n // 3, chance)
    yield "one worker, at random instants", plans.of_workers(undisturbed, n // 3, chance)


def ran(case: Case, plan: Plan = ()) -> Played:
    """A case run in a workspace of its own."""
    with tempfile.TemporaryDirectory() as folder, placed(case, Path(folder, "work")) as place:
        return play(place, plan)


def tried(case: Case, undisturbed: Played, plan: Plan) -> Verdict:
    """One trial."""
    return judge(plan, ran(case, plan), undisturbed)


def named(plan: Plan) -> str:
    """The kills of a trial, for a person to read."""
    return ", then ".join(map(str, plan))


def summed(verdicts: list[Verdict]) -> list[object]:
    """The columns of one mode."""
    return [
        len(verdicts),
        sum(one.n_kills for one in verdicts),
        sum(one.is_ended for one in verdicts),
        sum(one.is_equal for one in verdicts),
        sum(one.is_once for one in verdicts),
        sum(one.n_asked for one in verdicts),
        sum(one.n_repeated for one in verdicts),
        sum(one.n_beyond for one in verdicts),
        sum(one.is_counted for one in verdicts),
        sum(one.is_whole for one in verdicts),
        sum(one.n_diverged for one in verdicts),
    ]


def told(name: str, what: str, faults: list[str]) -> int:
    """1 where there are faults, which are told."""
    for fault in faults:
        print(f"{name}, {what}: {fault}", file=sys.stderr, flush=True)
    return bool(faults)


if __name__ == "__main__":
    main()
