"""What a run over Ray nodes costs beside one on this machine alone. Prints one table.

    python benchmarks/cluster.py [plain] [start] [trees] [calls] [processors] [death] [context] [cable]

Nodes are network namespaces of this machine, with token authentication (`tests/ray_nodes.py`): distances between machines cost nothing
here, and all nodes share its processors. Runs are real ones of the command line; times are taken in their cells, so that
the start of a run and of its hosts does not count but where it is named. Needs root and the extra `ray`.
`plain` puts the trees beside the same ones in Ray itself (`plain_ray.py`), with what memory each takes; `start` tells how long
a run takes from its command to its first call.

Aims: a tree of 1,000 leaves of 20 ms at depth 3 in 1.5 s, warm; a skill call in 5 ms; 60 calls that compute for 1 s on two
nodes of one processor each in near half the time of one; a node that is killed, or behind a cut cable, costs no call; 1 GB of context is copied once
a node.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from beside import Watch, held, plain
from report import report

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cluster_runs import workers
from tests.ray_nodes import Nodes, ray_nodes, why_not  # found by the line above

PARTS = ("plain", "start", "trees", "calls", "processors", "death", "context", "cable")
N_ROUNDS = 7
N_SLOW_ROUNDS = 3
GIGABYTE = 1_000_000_000

MANIFEST = """
schema: orchestrate.skill/1
functions:
  nap: {description: Sleep., entry: {python: "skill.py:nap"}, effects: none, idempotent: true}
  tree: {description: Ten times ten., entry: {python: "skill.py:tree"}, effects: none, idempotent: true}
  compute: {description: Compute., entry: {python: "skill.py:compute"}, effects: none, idempotent: true}
  peek: {description: Look., entry: {python: "skill.py:peek"}, effects: none, idempotent: true}
default: nap
"""
CODE = """
import os, time
def nap(n=0, s=0.0):
    time.sleep(s)
    return "at " + os.getcwd()
def tree(ctx, depth, path="r"):
    if depth == 1:
        return [len(ctx.skills.bench.nap.map([{"n": i, "s": 0.02} for i in range(10)]))]
    return sum(ctx.skills.bench.tree.map([{"depth": depth - 1, "path": f"{path}.{i}"} for i in range(10)]), [])
def compute(n):
    ends_at = time.thread_time() + 1
    while time.thread_time() < ends_at: pass
    return "at " + os.getcwd()
def peek(text, at):
    return [text[at : at + 10], "at " + os.getcwd()]
"""

TREES = """
import time
took = []
for _ in range(N_TREES):
    began = time.monotonic()
    parts = skills.bench.tree.map([{"depth": 2, "path": str(i)} for i in range(10)])
    assert sum(map(sum, parts)) == 1000
    took.append(time.monotonic() - began)
FINAL(took)
"""
START = """
import time
skills.bench.nap(n=0)
FINAL(time.monotonic())
"""
CALLS = """
import time
skills.bench.nap(n=0)
took = []
for n in range(500):
    began = time.monotonic()
    skills.bench.nap(n=n)
    took.append(time.monotonic() - began)
FINAL(took)
"""
PROCESSORS = """
import time
skills.bench.nap.map([{"n": n, "s": 0.3} for n in range(4)])
began = time.monotonic()
places = skills.bench.compute.map([{"n": n} for n in range(60)])
FINAL([time.monotonic() - began, len(set(place.partition("/workers/")[0] for place in places))])
"""
DEATH = """
import time
began = time.monotonic()
places = skills.bench.nap.map([{"n": n, "s": 0.5} for n in range(120)])
FINAL([time.monotonic() - began, sum(type(place) is str for place in places)])
"""
CONTEXT = """
import time
(text,) = context.values()
took = []
for _ in range(2):
    began = time.monotonic()
    found = skills.bench.peek.map([{"text": text, "at": 50_000_000 * i} for i in range(16)])
    took.append(time.monotonic() - began)
FINAL([took, len({place.partition("/workers/")[0] for _, place in found})])
"""


def main() -> None:
    """Measure and print."""
    if why := why_not():
        sys.exit(why)
    parts = sys.argv[1:] or PARTS
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory(prefix="orchestrate-") as folder:
        place = _workspace(Path(folder))
        if {"plain", "start"} & set(parts):
            with ray_nodes(2) as nodes:
                rows += _beside(nodes, place, parts)
        for n_nodes in (2, 3):
            if {"trees", "calls", "death", "context"} & set(parts):
                with ray_nodes(n_nodes) as nodes:
                    rows += _over(nodes, n_nodes, place, parts)
        if "cable" in parts:
            with ray_nodes(2) as nodes:
                rows.append(_cable(nodes, place))
        for n_nodes in (1, 2):
            if "processors" in parts:
                with ray_nodes(n_nodes, n_processors=1, pinned=True) as nodes:
                    took_s, n_used = _answer(nodes, place, PROCESSORS, concurrency=4)
                    rows.append(
                        [
                            f"60 calls of 1 s of computing, {n_nodes} nodes",
                            f"{took_s:.1f} s",
                            f"on {n_used} nodes",
                        ]
                    )
    report("A run over Ray nodes", ["what", "time", "what else"], rows)


def _over(nodes: Nodes, n_nodes: int, place: Path, parts: Any) -> list[list[Any]]:
    rows = []
    executors = {
        f"{n_nodes} nodes": f"ray:{nodes.address}",
        **({"this machine": "local"} if n_nodes == 2 else {}),
    }
    for name, executor in executors.items():
        if "trees" in parts:
            cold, *warm = _answer(nodes, place, _trees(N_ROUNDS + 1), executor=executor)
            rows.append([f"tree of 1,000 leaves, {name}", _spread(warm, "s", 1), f"first {cold:.2f} s"])
        if "calls" in parts and n_nodes == 2:
            rows.append(
                [
                    f"skill call, {name}",
                    _spread(_answer(nodes, place, CALLS, executor=executor), "ms", 1000),
                    "",
                ]
            )
    if "context" in parts and n_nodes == 2:
        rows.append(_context(nodes, place))
    if "death" in parts:
        rows.append(_death(nodes, n_nodes, place))
    print(*rows, sep="\n", file=sys.stderr)
    return rows


def _beside(nodes: Nodes, place: Path, parts: Any) -> list[list[Any]]:
    """Ray's own ways last: processes that it made for them stay a while."""
    executors = {"this machine": "local", "2 nodes": f"ray:{nodes.address}"}
    rows: list[list[Any]] = [["2 nodes that do nothing", "", str(held(nodes))]]
    if "start" in parts:
        rows += [
            [f"start to first call, {name}", *_starts(nodes, place, one)] for name, one in executors.items()
        ]
    if "plain" in parts:
        for name, executor in executors.items():
            _, *warm = _answer(nodes, place, _trees(N_ROUNDS + 1), executor=executor)
            with Watch(nodes) as watch:
                _answer(nodes, place, _trees(2), executor=executor)
            rows.append([f"tree of 1,000 leaves, {name}", _spread(warm, "s", 1), f"{watch.most} more"])
        for form, name, n in (
            ("actors", "actors that sleep", N_ROUNDS),
            ("tasks", "blocking tasks", N_SLOW_ROUNDS),
            ("light", "blocking tasks, 64 at once", N_SLOW_ROUNDS),
        ):
            with Watch(nodes) as watch:
                plain(nodes, form, 2)
            trees = plain(nodes, form, n + 1)
            took = _spread(trees[1:], "s", 1) if len(trees) == n + 1 else "over 120 s, ended"
            first = f", first {trees[0]:.2f} s" if trees else ""
            rows.append([f"the same in plain Ray, {name}", took, f"{watch.most} more{first}"])
    print(*rows, sep="\n", file=sys.stderr)
    return rows


def _starts(nodes: Nodes, place: Path, executor: str) -> list[str]:
    first, whole = [], []
    _answer(nodes, place, START, executor=executor)
    for _ in range(N_ROUNDS):
        began = time.monotonic()
        first.append(_answer(nodes, place, START, executor=executor) - began)
        whole.append(time.monotonic() - began)
    return [_spread(first, "s", 1), f"whole run {_spread(whole, 's', 1)}"]


def _trees(n: int) -> str:
    """A cell that answers what each of so many trees took."""
    return TREES.replace("N_TREES", str(n))


def _death(nodes: Nodes, n_nodes: int, place: Path) -> list[Any]:
    """A node is killed once the run has begun on it."""
    running = _run(nodes, place, DEATH, "", 16)
    usage = place / "memory" / "usage.jsonl"
    n_before = _n_lines(usage)
    while _n_lines(usage) < n_before + 20:
        time.sleep(0.05)
    nodes.kill(n_nodes - 1)
    took_s, n_answered = _of(running)
    n_ended = _n_lines(usage) - n_before
    return [
        f"120 calls of 0.5 s, 1 of {n_nodes} nodes killed",
        f"{took_s:.1f} s",
        f"{n_answered} answered, {n_ended - 1} calls on record",
    ]


def _cable(nodes: Nodes, place: Path) -> list[Any]:
    """The cable of the second node is cut once the run has begun on it; and not mended."""
    running = _run(nodes, place, DEATH, "", 16)
    usage = place / "memory" / "usage.jsonl"
    n_before = _n_lines(usage)
    while _n_lines(usage) < n_before + 20:
        time.sleep(0.05)
    nodes.cut(1)
    began = time.monotonic()
    took_s, n_answered = _of(running)
    while workers(nodes, 1) and time.monotonic() < began + 300:
        time.sleep(0.2)
    left_s = time.monotonic() - began
    return [
        "120 calls of 0.5 s, the cable to 1 of 2 nodes cut",
        f"{took_s:.1f} s",
        f"{n_answered} answered; no worker there {left_s:.0f} s after the cut",
    ]


def _context(nodes: Nodes, place: Path) -> list[Any]:
    big = place / "big.txt"
    with big.open("w") as file:
        for _ in range(GIGABYTE // 1_000_000):
            file.write("abcdefghi\n" * 100_000)
    before = _n_sent(nodes)
    (first, again), n_used = _answer(nodes, place, CONTEXT, extra="context: [big.txt]\n")
    over = (_n_sent(nodes) - before) / GIGABYTE
    big.unlink()
    return [
        "1 GB of context, 16 calls on 2 nodes",
        f"{first:.1f} s, again {again:.2f} s",
        f"on {n_used} nodes; {over:.2f} GB went between them",
    ]


def _n_sent(nodes: Nodes) -> int:
    """Bytes that have gone from the first node to the second."""
    argv = nodes.inside(["cat", "/sys/class/net/to1/statistics/tx_bytes"])
    return int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def _answer(
    nodes: Nodes, place: Path, cell: str, *, executor: str = "", extra: str = "", concurrency: int = 64
) -> Any:
    return _of(_run(nodes, place, cell, extra, concurrency, executor))


def _run(
    nodes: Nodes, place: Path, cell: str, extra: str, concurrency: int, executor: str = ""
) -> subprocess.Popen[str]:
    workflow = place / "w.md"
    budget = f"budget: {{depth: 5, concurrency: {concurrency}, seconds: 900}}\ncell_timeout_s: 600\n"
    workflow.write_text(f"---\nname: bench\nskills: [bench]\n{budget}{extra}---\n# Bench\n```repl{cell}```\n")
    argv = [
        sys.executable,
        "-m",
        "orchestrator",
        str(workflow),
        "--yes",
        "--json",
        "--executor",
        executor or f"ray:{nodes.address}",
    ]
    return subprocess.Popen(
        nodes.inside(argv), env=nodes.variables, cwd=Path(__file__).parents[1], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _of(running: subprocess.Popen[str]) -> Any:
    out, err = running.communicate()
    if running.returncode:
        sys.exit(f"a run ended with code {running.returncode}:\n{err[-3000:]}")
    return json.loads(out)["answer"]


def _n_lines(path: Path) -> int:
    return sum(bool(line.strip()) for line in path.read_text().splitlines()) if path.exists() else 0


def _spread(values: list[float], unit: str, factor: float) -> str:
    middle, least, most = (factor * one for one in (statistics.median(values), min(values), max(values)))
    return f"{middle:.2f} {unit} ({least:.2f}-{most:.2f})"


def _workspace(folder: Path) -> Path:
    skill = folder / "skills" / "bench"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text(
        "---\nname: bench\ndescription: For measuring. Use when measuring.\n---\nB.\n"
    )
    (skill / "manifest.yaml").write_text(MANIFEST)
    (skill / "skill.py").write_text(CODE)
    return folder


if __name__ == "__main__":
    main()
