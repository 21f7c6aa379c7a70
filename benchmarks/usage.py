"""The usage store under load: what kills lose, whether history costs, what publishing costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import report, summarised, timed

from orchestrator.memory.usage import UsageStore

N_RECORDS = 10_000
N_PROCESSES = 8
FIELDS = {
    "run": "20260131-120000-abcd", "parent": "0", "depth": 1, "version": "0" * 64, "workflow": "audit", "outcome": "ok",
    "duration_s": 0.125, "tokens_in": 1200, "tokens_out": 90, "usd": 0.0031, "situation": {"n_items": 12, "depth": 1},
}  # fmt: skip


def main() -> None:
    """Measure everything, then print one table."""
    if sys.argv[1:2] == ["write"]:
        write(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            *under_kills(Path(folder, "kills")),
            *history(Path(folder, "history")),
            *folding(Path(folder, "fold")),
        ]
    report("Usage store", ["what", "value"], rows, "Times are medians with minimum and maximum in brackets.")


def write(workspace: Path, name: str, n_records: int) -> None:
    """Record, and tell each record that was accepted; what this process prints is what it acknowledged."""
    store = UsageStore(workspace)
    for n in range(n_records):
        store.record(call=f"{name}.{n}", skill=f"skill-{n % 40}", **FIELDS)
        os.write(1, f"{name}.{n}\n".encode())


def under_kills(workspace: Path) -> list[list[object]]:
    """Eight processes, each killed once on its way and begun anew, until 10,000 records are acknowledged."""
    workspace.mkdir()
    began = time.perf_counter()
    acknowledged: set[str] = set()
    n_rounds, n_killed = 0, 0
    share = N_RECORDS // N_PROCESSES
    names = {f"w{n}": share for n in range(N_PROCESSES)}
    while names:
        outputs = {name: workspace / f"{name}-{n_rounds}.out" for name in names}
        writers = {
            name: start(workspace, f"{name}-{n_rounds}", names[name], out) for name, out in outputs.items()
        }
        if n_rounds == 0:
            for n, name in enumerate(writers):
                n_killed += killed_after(writers[name], outputs[name], 100 + 100 * n)
        for name, writer in writers.items():
            writer.wait()
            told = outputs[name].read_text().splitlines()
            acknowledged.update(told)
            names[name] -= len(told)
        names = {name: left for name, left in names.items() if left > 0}
        n_rounds += 1
    took_s = time.perf_counter() - began
    lines = [
        json.loads(line) for line in (workspace / "memory" / "usage.jsonl").read_bytes().splitlines() if line
    ]
    kept = {line["call"] for line in lines}
    tallies = UsageStore(workspace).tallies()
    return [
        [
            f"records acknowledged, {N_PROCESSES} processes, {n_killed} killed on the way",
            f"{len(acknowledged):,}",
        ],
        ["of these lost", len(acknowledged - kept)],
        ["written twice", len(lines) - len(kept)],
        ["in the tallies but not in the record, or the other way", abs(tallies.n_records - len(kept))],
        ["wall time with starts of processes, s", took_s],
    ]


def start(workspace: Path, name: str, n_records: int, out: Path) -> subprocess.Popen[bytes]:
    """A writer whose acknowledgements go to a file."""
    with out.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, __file__, "write", workspace, name, str(n_records)], stdout=file
        )


def killed_after(writer: subprocess.Popen[bytes], out: Path, n_lines: int) -> bool:
    """Kill -9 a writer as soon as it has acknowledged so many records; False = it was done before."""
    while out.read_bytes().count(b"\n") < n_lines and writer.poll() is None:
        time.sleep(0.001)
    writer.kill()
    return writer.wait() == -signal.SIGKILL


def history(workspace: Path) -> list[list[object]]:
    """Cost of a record around the 100th and around the 10,000th, measured in turns against drift."""
    young, old = UsageStore(workspace / "young"), UsageStore(workspace / "old")
    for n in range(N_RECORDS - 100):
        old.record(call=str(n), skill=f"skill-{n % 40}", **FIELDS)
    old.tallies()
    durations: dict[str, list[float]] = {"young": [], "old": []}
    for n in range(200):
        for name, store in (("young", young), ("old", old)):
            began = time.perf_counter()
            store.record(call=str(n), skill="skill-1", **FIELDS)
            durations[name].append(time.perf_counter() - began)
    first, last = summarised(durations["young"]), summarised(durations["old"])
    return [
        ["a record around the 100th, µs", first.us],
        ["a record around the 10,000th, µs", last.us],
        ["ratio of the medians (aim < 1.5)", last.median_s / first.median_s],
    ]


def folding(workspace: Path) -> list[list[object]]:
    """Cost of publishing what is new after a history of 10,000 records of 40 skills."""
    store = UsageStore(workspace)

    def add_and_fold(n_records: int) -> float:
        for n in range(n_records):
            store.record(call=str(n), skill=f"skill-{n % 40}", **FIELDS)
        began = time.perf_counter()
        store.tallies()
        return time.perf_counter() - began

    first_s = add_and_fold(N_RECORDS)
    one = summarised([add_and_fold(1) for _ in range(20)])
    some = summarised([add_and_fold(200) for _ in range(10)])
    return [
        ["publish the first 10,000 records (with the import of tinydb), ms", first_s * 1e3],
        ["publish 1 new record after 10,000, ms", one.ms],
        ["publish 200 new records, ms", some.ms],
        ["tallies with nothing new, ms", timed(store.tallies).ms],
        ["count everything anew, ms", timed(store.rebuild, n=3, warm_up=0).ms],
        ["size of the record, kB", store.workspace.usage_log.stat().st_size / 1e3],
        ["size of `skill-usage.json`, kB", store.workspace.usage_summary.stat().st_size / 1e3],
    ]


if __name__ == "__main__":
    main()
