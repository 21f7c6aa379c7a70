"""The review measured: a year of records in one pass, what it finds of planted changes, how seldom it cries wolf.

python benchmarks/review.py [long] [found] [quiet] [--records 1000000] [--seeds 1000]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from report import report

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from seeded_record import END, SKILLS, WORKFLOWS, World, records

from orchestrator.memory.reviewing.proposing import Known, KnownSkill, KnownWorkflow
from orchestrator.memory.reviewing.review import review
from orchestrator.memory.reviewing.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.memory.reviewing.review import Review

WEEK = Window(END - timedelta(days=7), END)
KNOWN = Known(
    {name: KnownSkill("5" * 64, date(2026, 1, 1)) for name in SKILLS},
    {name: KnownWorkflow("f" * 64, {"tokens": 2_000_000, "iterations": 30}) for name in WORKFLOWS},
)
SIZES = (100, 300, 1000)
"""Runs in both weeks together; each makes about nine calls."""

QUIET_SIZES = (60, 120, 240)
"""The same where nothing is planted, in turns."""

PLANTED: tuple[tuple[str, World, tuple[str, str]], ...] = (
    *(
        (f"a skill's success falls from 0.90 to {to:.2f}", World(planted={"skill:skill-1": to}), ("skill:skill-1", "success"))
        for to in (0.80, 0.75, 0.70, 0.60)
    ),
    (
        "a skill's new version does 0.65, the old one 0.90",
        World(planted={"skill:skill-1": 0.65}, versions={"skill-1": "ef" * 32}),
        ("skill:skill-1", "version"),
    ),
    ("a skill takes twice as long", World(slower={"skill:skill-1": 2.0}), ("skill:skill-1", "time")),
    ("a workflow costs twice as much", World(dearer={"digest": 2.0}), ("workflow:digest", "cost")),
    ("a skill succeeds in 0.25", World(rates={"skill:skill-1": 0.25}), ("skill:skill-1", "deny")),
    ("0.30 of a workflow's runs end at its tokens", World(overruns={"digest": 0.3}), ("workflow:digest", "budget")),
    (
        "another strategy, first in 0.2 of runs, does 0.95 where the usual does 0.55",
        World(rates={"strategy:triage/rlm": 0.55, "strategy:triage/direct": 0.95}),
        ("strategy:triage/direct", "prefer"),
    ),
    ("a strategy succeeds in 0.20", World(rates={"strategy:report/learned:1a2b3c4d": 0.2}), ("strategy:report/learned:1a2b3c4d", "drop")),
)  # fmt: skip

QUIET: tuple[tuple[str, World], ...] = (
    ("calls of a run hang together by 0.3", World()),
    ("by 0.8", World(likeness=0.8)),
    ("not at all", World(likeness=0.0)),
    ("by 0.3, success 0.7 everywhere", World(usual=0.7)),
    ("by 0.3, and the network is down for 0.15 of calls in the last week", World(outage=0.15)),
)


def main() -> None:
    """Measure what is asked for, all of it by default; a table each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=["long", "found", "quiet", []], default=[])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=1000)
    asked = parser.parse_args()
    for name, measure in (
        ("long", lambda: long(asked.records)),
        ("quiet", lambda: quiet(asked.seeds)),
        ("found", lambda: found(max(1, asked.seeds // 10))),
    ):
        if not asked.what or name in asked.what:
            measure()


def long(n_records: int) -> None:
    """The whole command over a year of records, in processes of their own."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "memory", "usage.jsonl")
        record.parent.mkdir()
        with record.open("wb") as file:
            file.writelines(records(World(days=182), 1, n_records, datetime.now(UTC)))
        for since, what in (
            ("26w", "half a year beside the half before, so all of them"),
            ("7d", "the last week"),
        ):
            walls, cpus, peaks = zip(*(_timed(folder, since) for _ in range(3)), strict=True)
            rows.append([what, _three(walls), _three(cpus), max(peaks)])
        size = record.stat().st_size / 1e6
    report(
        f"A review of {n_records:,} records ({size:,.0f} MB)",
        ["window", "s", "of the processor, s", "peak MB"],
        rows,
    )


def _three(values: Sequence[float]) -> str:
    """The median of three, with minimum and maximum."""
    low, middle, high = sorted(values)
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"


def _timed(workspace: str, since: str) -> tuple[float, float, float]:
    """Seconds, seconds of the processor and the most memory of one review."""
    command = [
        sys.executable,
        "-m",
        "orchestrator",
        "review",
        "--json",
        "--since",
        since,
        "--workspace",
        workspace,
    ]
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, code, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(code)
    assert child.returncode == 0
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024  # kB on Linux


def quiet(n_seeds: int) -> None:
    """How often a review says something where nothing has changed."""
    rows = []
    for what, world in QUIET:
        loud = proposing = 0
        for seed in range(n_seeds):
            made = _review(replace(world, n_runs=QUIET_SIZES[seed % 3]), seed)
            loud += bool(made.findings)
            proposing += bool(made.proposals)
        rows.append([what, n_seeds, f"{proposing / n_seeds:.1%}", f"{loud / n_seeds:.1%}"])
        print(*rows[-1], sep="; ", file=sys.stderr, flush=True)  # a table comes when all is done
    columns = ["nothing changed; calls of a run ...", "reviews", "propose something", "say something"]
    report(
        "Reviews of records without a change",
        columns,
        rows,
        f"Of {', '.join(map(str, QUIET_SIZES))} runs in turns.",
    )


def found(n_seeds: int) -> None:
    """How often a planted change is found, by the number of runs."""
    rows = []
    for what, world, wanted in PLANTED:
        hits: Counter[int] = Counter()
        for n_runs in SIZES:
            for seed in range(n_seeds):
                hits[n_runs] += wanted in set(_said(_review(replace(world, n_runs=n_runs), seed)))
        rows.append([what, *(f"{hits[n_runs] / n_seeds:.0%}" for n_runs in SIZES)])
        print(*rows[-1], sep="; ", file=sys.stderr, flush=True)
    columns = ["planted", *(f"{n:,} runs" for n in SIZES)]
    notes = f"{n_seeds} seeds each. Runs in both weeks together; each skill is called in a sixth of them, each workflow is a fourth."
    report("Planted changes that a review finds", columns, rows, notes)


def _review(world: World, seed: int) -> Review:
    return review(records(world, seed), WEEK, KNOWN)


def _said(made: Review) -> Iterator[tuple[str, str]]:
    yield from ((one.subject, one.kind) for one in made.findings)
    yield from ((one.subject, one.action) for one in made.proposals)


if __name__ == "__main__":
    main()
