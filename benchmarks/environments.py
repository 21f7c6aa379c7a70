"""What each environment costs beside `process`: the start of a worker, its end, and a cell. Prints one table.

    python benchmarks/environments.py [ROUNDS]

Rounds alternate between the environments, so that a busy moment of the machine falls on all. Medians, with the least
and the most in brackets. Aim: `confined` starts less than 15 ms later than `process`, and a cell costs nothing more.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import report

from orchestrator.app import environment_factory
from orchestrator.environments.trial import tried
from orchestrator.values import Cell, WorkerSpec

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import environment_services  # found by the line above

if TYPE_CHECKING:
    from orchestrator.environments.environment import Environment

NAMES = ("process", "confined", "bubblewrap", "docker", "podman", "ssh:127.0.0.1")
N_CELLS = 50


def main() -> None:
    """Measure and print."""
    n_rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    folder = Path(tempfile.mkdtemp(prefix="orchestrate-"))
    try:
        with ExitStack() as services:
            environments, missing = _found(folder, services)
            times = asyncio.run(_measured(environments, folder, n_rounds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows: list[list[Any]] = [_row(name, times) for name in environments]
    rows += [[name, f"not here: {reason}", "", "", "", ""] for name, reason in missing.items()]
    head = ["environment", "start, ms", "beside `process`", "end, ms", "a cell, ms", "beside `process`"]
    report(f"Environments, {n_rounds} rounds of {N_CELLS} cells", head, rows)


def _found(folder: Path, services: ExitStack) -> tuple[dict[str, Environment], dict[str, str]]:
    found: dict[str, Environment] = {}
    missing: dict[str, str] = {}
    for name in NAMES:
        kind = name.partition(":")[0]
        settings = {}
        try:
            if kind in environment_services.SERVICES:
                (folder / kind).mkdir()
                settings[kind] = services.enter_context(environment_services.SERVICES[kind](folder / kind))
        except environment_services.Missing as error:
            missing[name] = str(error)[:80]
            continue
        environment = environment_factory(name, settings)()
        reason = tried(environment)
        if reason:
            missing[name] = " ".join(reason.split())[:80]
        else:
            found[name] = environment
    return found, missing


async def _measured(
    environments: dict[str, Environment], folder: Path, n_rounds: int
) -> dict[tuple[str, str], list[float]]:
    """Milliseconds by environment and what was measured."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(n_rounds):
        for name, environment in environments.items():
            scratch = folder / f"{number}-{name.partition(':')[0]}"
            scratch.mkdir()
            began = time.perf_counter()
            session = await environment.start(WorkerSpec(scratch=scratch, cwd=scratch))
            await session.init(variables={})
            times[name, "start"].append(_ms_since(began))
            cells = []
            for cell in range(N_CELLS):
                began = time.perf_counter()
                await session.cell(Cell(cell + 1, "1 + 1"), _no_calls, 60)
                cells.append(_ms_since(began))
            times[name, "cell"].append(statistics.median(cells))
            began = time.perf_counter()
            await session.close()
            times[name, "end"].append(_ms_since(began))
    return times


async def _no_calls(fn: str, _: dict[str, Any]) -> Any:
    raise AssertionError(fn)


def _row(name: str, times: dict[tuple[str, str], list[float]]) -> list[Any]:
    more = {
        what: statistics.median(times[name, what]) - statistics.median(times["process", what])
        for what in ("start", "cell")
    }
    return [
        f"`{name.partition(':')[0]}`",
        _spread(times[name, "start"]), f"{more['start']:+.1f}",
        _spread(times[name, "end"]),
        _spread(times[name, "cell"], 2), f"{more['cell']:+.2f}",
    ]  # fmt: skip


def _spread(values: list[float], n_digits: int = 1) -> str:
    low, middle, high = (
        f"{one:.{n_digits}f}" for one in (min(values), statistics.median(values), max(values))
    )
    return f"{middle} ({low} to {high})"


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
