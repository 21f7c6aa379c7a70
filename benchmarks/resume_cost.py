"""What the journal costs while a run goes on, and how soon a long one that was killed is where it was."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import Timing, report, summarised, users_environment

from orchestrator.runs.journal import Journal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from crash.cases import Case
from crash.keeper import Order, lived
from crash.places import Place, placed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

N_EVENTS = 10_000
N_RESUMES = 5
N_CELLS = 20
N_LEFT = 30
"""So many events before its end the long run is killed."""

CALLED = """
for n in range({n}):
    total += skills.maths(n=n)["n"]
"""
ASKED = """
for first in range(0, {n}, 100):
    total += sum(map(len, llm_query_batched([f"{{first + n}}?" for n in range(min(100, {n} - first))])))
"""
HEAD = f"skills: [maths]\nbudget: {{calls: {N_EVENTS}, concurrency: 50}}"

NOTES = f"""An event is written with `os.write`; a cell of 20 calls has 42 events and one sync. The long runs have {N_CELLS} cells and are killed {N_LEFT} events before their end; the copy is then resumed {N_RESUMES} times, each time from the same state. Beyond: the whole of `orchestrate resume`, less the same command for a run of one cell that was killed at its end, and less the time that the cells take by themselves where each call is answered at once by a Python function. Of asked models the server answers at once."""


@dataclass(frozen=True, slots=True)
class Long:
    """A long run that was killed near its end."""

    n_events: int
    took_s: float
    resume: Timing
    own_s: float


def main() -> None:
    """Measure in workspaces of their own and print one table."""
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        rows += appends(Path(folder))
    short = resumed(case("short", CALLED, n_calls=2, n_cells=1))
    rows.append(("`resume` of a run of one cell, killed before its end, ms", short.resume.ms, ""))
    for what, cell, n_each in (("skill calls", CALLED, 2), ("questions to a model", ASKED, 3)):
        long = resumed(case("long", cell, n_calls=N_EVENTS // n_each // N_CELLS, n_cells=N_CELLS))
        beyond_s = long.resume.median_s - short.resume.median_s - long.own_s
        rows += [
            (f"{what}: a run of {long.n_events:,} events, s", long.took_s, ""),
            (f"{what}: `resume`, ms", long.resume.ms, ""),
            (f"{what}: the cells by themselves, ms", long.own_s * 1e3, ""),
            (f"{what}: beyond, s", beyond_s, "2"),
        ]
    report("What a journal costs", ["what", "median (min-max)", "aim"], rows, NOTES)


def appends(folder: Path) -> Iterator[tuple[object, ...]]:
    """An event, without and with its share of the sync at its cell's end, in ms."""
    fields: dict[str, Any] = {"kind": "skill", "name": "maths.double", "arguments": {"n": 7}, "depth": 1}
    with Journal(folder, "bench") as journal:
        single = summarised([_spent(_call, journal, n, fields) / 2 for n in range(2_000)])
        cells = summarised([_spent(_cell, journal, 10_000 + 20 * n, fields) / 42 for n in range(200)])
    yield "an event, ms", single.ms, "0.3"
    yield "an event with its share of its cell's sync, ms", cells.ms, "0.3"


def _cell(journal: Journal, first: int, fields: dict[str, Any]) -> None:
    journal.append("cell_started", "0", cell=first, source="skills.maths(n=7)")
    for n in range(first, first + 20):
        _call(journal, n, fields)
    journal.append("cell_finished", "0", cell=first, output="(no output)", error=None, answered=False)
    journal.sync()


def _call(journal: Journal, n: int, fields: dict[str, Any]) -> None:
    journal.append("call_started", f"0.{n}", parent="0", **fields)
    journal.append("call_finished", f"0.{n}", outcome="ok", value={"n": 14}, error=None, duration_s=0.001)


def _spent(action: Callable[..., None], *arguments: Any) -> float:
    began = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - began


def case(name: str, cell: str, *, n_calls: int, n_cells: int) -> Case:
    """A workflow of so many equal cells."""
    cells = ["total = 0", *([cell.format(n=n_calls)] * n_cells), "FINAL(total)"]
    return Case(name, cells, HEAD, model="default", latency_s=0.0)


def resumed(long: Case) -> Long:
    """Run a case to its end, then again to shortly before it, and go on from there several times."""
    with tempfile.TemporaryDirectory() as folder:
        with placed(long, Path(folder, "whole")) as place:
            whole = _lived(place, [*long.words, "--yes", "--strategy", "written"])
            n_events = _n_events(place)
        n_left = min(N_LEFT, n_events // 2)
        with placed(long, Path(folder, "killed")) as place:
            words = [str(n_events - n_left), "after", "all", *long.words, "--yes", "--strategy", "written"]
            _lived(place, words, "crash.runner", code=-9)
            durations = [_resumed(place, json.loads(whole[0])["answer"]) for _ in range(N_RESUMES + 1)][1:]
        return Long(n_events, whole[1], summarised(durations), _own_s(long))


def _lived(place: Place, words: list[str], module: str = "orchestrator", code: int = 0) -> tuple[str, float]:
    order = Order(place.command(words, [module]), str(place.root), place.env, str(place.runs))
    life = lived(order)
    assert life.code == code, life.stderr
    return life.stdout, life.ran_s


def _resumed(place: Place, answer: Any) -> float:
    """How long it takes to go on with a run; it is as before afterwards."""
    (run,) = place.runs.iterdir()
    kept = place.root.parent / "kept"
    shutil.copytree(run, kept)
    command = place.command(["resume", run.name, "--workspace", ".", "--json"])
    began = time.perf_counter()
    done = subprocess.run(command, cwd=place.root, env=place.env, capture_output=True, check=True)
    took_s = time.perf_counter() - began
    assert json.loads(done.stdout)["answer"] == answer
    shutil.rmtree(run)
    kept.rename(run)
    return took_s


def _n_events(place: Place) -> int:
    (journal,) = place.runs.glob("*/journal.jsonl")
    return journal.read_bytes().count(b"\n")


STUB = """
import time

class Skills:
    def maths(self, n):
        return {"n": 2 * n}

skills = Skills()

def llm_query_batched(prompts):
    return [f"re: {prompt[:60]}" for prompt in prompts]

def FINAL(value):
    pass

began = time.perf_counter()
exec(CELLS)
print(time.perf_counter() - began)
"""


def _own_s(long: Case) -> float:
    """How long the cells take where every call is answered at once."""
    code = STUB.replace("CELLS", repr("\n".join(long.cells)))
    done = subprocess.run(
        [sys.executable, "-c", code], env=users_environment(), capture_output=True, check=True
    )
    return float(done.stdout)


if __name__ == "__main__":
    main()
