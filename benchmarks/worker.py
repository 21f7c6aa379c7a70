"""What a worker costs: its start, a cell, a call from a cell, a large context. Prints one table.

    python benchmarks/worker.py [ROUNDS]

Medians, and the best of the rounds in brackets. Ratios travel between machines; milliseconds do not.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import report

from orchestrator.environments.confined import Confined
from orchestrator.environments.process import Process
from orchestrator.environments.session import FunctionCall, Session, TextFile
from orchestrator.values import Cell, Grants, WorkerSpec

LONG_S = 600.0
TEXT_BYTES = 100_000_000
N_CALLS = 1000


def main() -> None:
    """Measure and print."""
    n_rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    folder = Path(tempfile.mkdtemp())
    try:
        rows = [("python -I -c pass", *python_times(n_rounds))]
        rows += [("confined, cold (new zygote)", *cold_times(folder, max(3, n_rounds // 3)))]
        rows += asyncio.run(measured(folder, n_rounds))
    finally:
        shutil.rmtree(folder)
    base = rows[0][1]
    table = [(name, median, best, f"{median / base:.2f}") for name, median, best in rows]
    report("A worker", ["what", "median ms", "best ms", "of starting Python"], table)


def python_times(n_rounds: int) -> tuple[float, float]:
    """Starting Python alone: what every start is compared with."""
    return summary(
        [
            timed(lambda: subprocess.run([sys.executable, "-I", "-c", "pass"], check=True))
            for _ in range(n_rounds)
        ]
    )


def cold_times(folder: Path, n_rounds: int) -> tuple[float, float]:
    """First worker of a fresh process, without the time that process took to import us."""
    program = (
        "import asyncio, sys, time\nfrom pathlib import Path\nfrom orchestrator.environments.confined import Confined\n"
        "from orchestrator.values import WorkerSpec\nfolder = Path(sys.argv[1])\n"
        "async def main():\n"
        "    began = time.perf_counter()\n"
        "    session = await Confined().start(WorkerSpec(scratch=folder, cwd=folder))\n"
        "    print(time.perf_counter() - began)\n"
        "    await session.close()\n"
        "asyncio.run(main())\n"
    )
    argv = [sys.executable, "-c", program, str(folder)]
    here = Path(__file__).parents[1]
    runs = [
        subprocess.run(argv, capture_output=True, text=True, check=True, cwd=here) for _ in range(n_rounds)
    ]
    return summary([float(run.stdout) for run in runs])


async def measured(folder: Path, n_rounds: int) -> list[tuple[str, float, float]]:
    """Rows of what is measured inside one warm process."""
    rows = []
    Confined.warm()
    await asyncio.sleep(2)  # it has imported all that it is going to
    for environment in (Confined(), Process()):
        starts = [await start_time(environment, folder) for _ in range(n_rounds + 1)][1:]
        rows.append((f"{environment.name}, warm start", *summary(starts)))
    session = await Confined().start(WorkerSpec(scratch=folder, cwd=folder))
    cells = [await cell_time(session, number, "x = 1") for number in range(1, 201)]
    rows.append(("cell round trip", *summary(cells)))
    calls = [
        await cell_time(session, number, f"for _ in range({N_CALLS}): llm_query('q')") for number in range(5)
    ]
    rows.append(("call round trip from a cell", *summary([one / N_CALLS for one in calls])))
    await session.close()
    return [*rows, await function_row(folder), *await text_rows(folder)]


async def function_row(folder: Path) -> tuple[str, float, float]:
    """Row of a function in a worker that has loaded it."""
    file = folder / "code.py"
    file.write_text("def go(n):\n    return n\n")
    session = await Confined().start(WorkerSpec(scratch=folder, cwd=folder, grants=Grants(read=(folder,))))
    calls = []
    for number in range(201):
        began = time.perf_counter()
        await session.function(FunctionCall(file, "go", {"n": number}, folder), answered, LONG_S)
        calls.append(time.perf_counter() - began)
    await session.close()
    return ("warm call of a function", *summary(calls[1:]))


async def text_rows(folder: Path) -> list[tuple[str, float, float]]:
    """Rows of a 100 MB text: reading the file, and having it as a `context`."""
    path = folder / "text"
    path.write_bytes(b"some words of a line of text\n" * (TEXT_BYTES // 29))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    text = TextFile(path, path.stat().st_size, sha256)
    reads, loads, uses, grown = [], [], [], 0
    for _ in range(3):
        reads.append(timed(lambda: path.read_text()))
        session = await Confined().start(WorkerSpec(scratch=folder, cwd=folder, blobs=folder))
        before = resident_bytes(session.pid)
        began = time.perf_counter()
        await session.init(variables={"context": text})
        loads.append(time.perf_counter() - began)
        uses.append(await cell_time(session, 1, "context.count('words'), len(context)"))
        grown = resident_bytes(session.pid) - before
        await session.close()
    return [
        ("100 MB: Path.read_text", *summary(reads)),
        ("100 MB: as the context of a worker", *summary(loads)),
        (f"100 MB: count a word in it; {grown / TEXT_BYTES:.2f} times that resident", *summary(uses)),
    ]


async def start_time(environment: Confined | Process, folder: Path) -> float:
    """Seconds until a worker says hello."""
    began = time.perf_counter()
    session = await environment.start(WorkerSpec(scratch=folder, cwd=folder))
    took_s = time.perf_counter() - began
    await session.close()
    return took_s


async def cell_time(session: Session, number: int, source: str) -> float:
    """Seconds that a cell takes, there and back."""
    began = time.perf_counter()
    done = await session.cell(Cell(number, source), answered, LONG_S)
    took_s = time.perf_counter() - began
    assert done.failure is None, done.failure
    return took_s


async def answered(fn: str, _: dict[str, object]) -> str:
    """The shortest reply there is."""
    return fn


def resident_bytes(pid: int) -> int:
    """Memory of a process, with what it maps."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def timed(work) -> float:
    """Seconds that the work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def summary(seconds: list[float]) -> tuple[float, float]:
    """Median and best, in milliseconds."""
    return statistics.median(seconds) * 1000, min(seconds) * 1000


if __name__ == "__main__":
    main()
