"""Runs in which a model writes the cells, beside the reference and others, over one loopback server of 50 ms.

`python benchmarks/models.py [FOLDER]`: FOLDER is the environment of the others that `peers/set_up.sh FOLDER` made; without
it our side alone is measured. How each number is meant stands in its row.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_policy import LATENCY_S, N_CHILDREN, N_STEPS
from report import Timing, report, summarised, users_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
N = 7
TREE_LEVELS = 4  # root, 4, 16, and 64 leaves: each waits for the one below
TOKEN_BUDGET = 15_000  # of about 40 x 1,000


def main() -> None:
    """Measure in a workspace of its own and print the tables."""
    peers = Path(sys.argv[1]) / "bin" / "python" if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as folder, _server() as url:
        os.environ |= {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "test-key"}
        workspace = Path(folder)
        (workspace / "w.md").write_text("# Work\n\nDo it.\n")
        theirs = _Peers(peers, url)
        floor = ("a bare client's request beyond model time, ms", _beyond(_floor(url), 20), "", "")
        rows = [*_starts(workspace, url, theirs), floor, *_warm(workspace, theirs)]
        report(
            "A model writes the cells",
            ["what", "ours, median (min-max)", "reference rlms 0.1.3", "aim"],
            rows,
        )
        if peers is not None:
            report(
                "Beside others",
                ["what", "first request of a process, s", "one turn when warm, s"],
                _others(url, theirs),
            )
        report("What has to hold", ["what", "ours", "reference rlms 0.1.3"], _holds(workspace, url, theirs))


def _floor(url: str) -> Timing:
    """A bare client, one request after the other: what the server and the wire cost by themselves."""
    import aiohttp

    async def asked() -> float:
        body = json.dumps({"model": "one", "messages": [{"role": "user", "content": "q"}], "max_tokens": 9})
        async with aiohttp.ClientSession() as session:

            async def one() -> None:
                async with session.post(f"{url}/v1/chat/completions", data=body) as response:
                    json.loads(await response.read())

            await one()
            began = time.perf_counter()
            for _ in range(20):
                await one()
            return time.perf_counter() - began

    return summarised([asyncio.run(asked()) for _ in range(5)])


def _starts(workspace: Path, url: str, theirs: _Peers) -> Iterator[tuple[str, str, str, str]]:
    orchestrate = str(Path(sys.executable).with_name("orchestrate"))
    ours = summarised(
        [
            _first_request([orchestrate, "w.md", "--model", "openai/one"], workspace, url)
            for _ in range(N + 1)
        ][1:]
    )
    other = theirs.first("reference.py", url, "first")
    yield "process start to first model request, s", _seconds(ours), _seconds(other), "0.40"


def _warm(workspace: Path, theirs: _Peers) -> Iterator[tuple[str, str, str, str]]:
    one = _timed(workspace, "one", N)
    one_other = theirs.times("one")
    yield "one-turn run, warm process, s", _seconds(one), _seconds(one_other), "0.05 + 0.03"
    steps, other = _timed(workspace, "steps", 5), theirs.times("steps")
    yield (
        f"a step beyond model time, ms ({N_STEPS} turns less one turn)",
        _beyond(_less(steps, one), N_STEPS - 1),
        _beyond(_less(other, one_other), N_STEPS - 1),
        "2",
    )
    mine, other = _inner(workspace, "sequential", 3), theirs.times("sequential")
    yield (
        "a sub-call beyond model time, one after the other, ms",
        _beyond(mine, 20),
        _beyond(other, 20),
        "1.5",
    )
    mine, other = _inner(workspace, "batch100", 5, concurrency=100), theirs.times("batch100")
    yield "100 in a batch, each beyond model time, ms", _beyond(mine, 100, 1), _beyond(other, 100, 1), "1.5"
    mine, other = _inner(workspace, "batch1000", 5, concurrency=100), theirs.times("batch1000")
    yield "1,000 batched sub-calls, concurrency 100, s (ideal 0.5)", _seconds(mine), _seconds(other), "0.75"
    mine, other = _inner(workspace, "children", 5, concurrency=N_CHILDREN), theirs.times("children")
    yield (
        f"{N_CHILDREN} one-turn children, concurrency {N_CHILDREN}, s (ideal 0.05)",
        _seconds(mine),
        _seconds(other),
        "0.25",
    )
    mine, other = _inner(workspace, "tree", 5, concurrency=100), theirs.times("tree")
    ideal_s = (TREE_LEVELS - 1) * LATENCY_S
    row = f"tree 4 x 4 x 4, below the root's own turn, s (ideal {ideal_s:.2f})"
    yield row, _seconds(mine), _seconds(other), f"{2 * ideal_s:.2f}"


def _holds(workspace: Path, url: str, theirs: _Peers) -> Iterator[tuple[str, str, str]]:
    _post(url)
    result = _run(workspace, "tokens", tokens=TOKEN_BUDGET)
    spent = _stats(url)
    said = f"{_over(spent, TOKEN_BUDGET)}; {result.answer} of 40 made, the rest say `budget`"
    _post(url)
    answer = theirs.json("tokens")
    other = "" if answer is None else f"{_over(_stats(url), TOKEN_BUDGET)}; {answer}"
    yield f"a budget of {TOKEN_BUDGET:,} tokens, 40 sub-calls of about 1,000 asked at once", said, other
    for name, model in (("tree", "tree"), ("batch of 1,000", "batch1000")):
        yield f"requests reported / seen by the server, {name}", _counted(workspace, url, model), ""
    with _server("--fail-every", "7") as failing:
        os.environ["OPENAI_BASE_URL"] = f"{failing}/v1"
        yield "the same, every 7th request failing, tree", _counted(workspace, failing, "tree"), ""
    os.environ["OPENAI_BASE_URL"] = f"{url}/v1"
    clean = asyncio.run(_side_by_side(workspace))
    answer = theirs.json("prints")
    other = "" if answer is None else f"{answer['clean']} of {answer['of']}"
    yield "8 runs in one process at once: cells with exactly their own output", f"{clean} of 8", other
    sizes = [_prompt_bytes(workspace, n) for n in (8_000, 1_000_000, 100_000_000)]
    yield (
        "root prompt, bytes, context of 8 thousand, 1 million, 100 million characters",
        ", ".join(f"{n:,}" for n in sizes),
        "",
    )
    yield "peak memory of the orchestrator, MB", _memory(workspace), ""


def _others(url: str, theirs: _Peers) -> Iterator[tuple[str, str, str]]:
    for name in ("dspy", "smolagents", "pydantic-ai"):
        first = theirs.first("others.py", url, name, "first")
        warm = theirs.others(name)
        yield name, _seconds(first), _seconds(warm)


class _Peers:
    """The other side; everything is None where there is no environment of it."""

    def __init__(self, python: Path | None, url: str) -> None:
        self._python, self._url = python, url

    def times(self, what: str) -> Timing | None:
        value = self.json(what)
        return summarised(value) if isinstance(value, list) else None

    def others(self, name: str) -> Timing | None:
        value = self._ran("others.py", self._url, name, "one")
        return summarised(value) if isinstance(value, list) else None

    def json(self, what: str) -> Any:
        return self._ran("reference.py", self._url, what)

    def first(self, script: str, url: str, *words: str) -> Timing | None:
        if self._python is None:
            return None
        command = [str(self._python), str(HERE / "peers" / script), url, *words]
        return summarised([_first_request(command, HERE, url) for _ in range(N + 1)][1:])

    def _ran(self, script: str, *words: str) -> Any:
        if self._python is None:
            return None
        command = [str(self._python), str(HERE / "peers" / script), *words]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=300, env=users_environment(), check=False
        )
        if done.returncode:
            sys.stderr.write(done.stderr[-2000:])
            return None
        value = json.loads(done.stdout.splitlines()[-1])
        if isinstance(value, dict) and "error" in value:
            sys.stderr.write(f"{words}: {value['error']}\n")
            return None
        return value


def _run(workspace: Path, model: str, **budget: Any) -> Any:
    import orchestrator

    limits = {"calls": 5000, **budget}
    result = orchestrator.run(workspace / "w.md", model=f"openai/{model}", workspace=workspace, budget=limits)
    assert result.status == "answered", result
    return result


def _timed(workspace: Path, model: str, n: int) -> Timing:
    def once() -> float:
        began = time.perf_counter()
        _run(workspace, model)
        return time.perf_counter() - began

    return summarised([once() for _ in range(n + 2)][2:])


def _inner(workspace: Path, model: str, n: int, **budget: Any) -> Timing:
    """What the cell itself measured."""
    return summarised([float(_run(workspace, model, **budget).answer) for _ in range(n + 1)][1:])


def _counted(workspace: Path, url: str, model: str) -> str:
    _post(url)
    result = _run(workspace, model, concurrency=100)
    stats = _stats(url)
    tokens = stats["tokens_in"] + stats["tokens_out"]
    return f"{result.usage.calls:,} / {stats['requests']:,}; tokens {result.usage.tokens:,} / {tokens:,}"


async def _side_by_side(workspace: Path) -> int:
    """Of 8 runs at once: how many cells showed exactly what they printed."""
    import orchestrator

    path = workspace / "prints.md"
    path.write_text("---\nname: prints\ninputs: {context: string}\n---\nPrint it.\n")
    runs = [
        orchestrator.arun(path, model="openai/prints", workspace=workspace, inputs={"context": f"run-{n}"})
        for n in range(8)
    ]
    results = await asyncio.gather(*runs)
    shown = []
    for result in results:
        journal = workspace / "memory" / "runs" / result.run / "journal.jsonl"
        events = [json.loads(line) for line in journal.read_text().splitlines()]
        shown.append(next(event["output"] for event in events if event["event"] == "cell_finished"))
    return sum(output == "\n".join(f"run-{n} {line}" for line in range(6)) for n, output in enumerate(shown))


def _prompt_bytes(workspace: Path, n_chars: int) -> int:
    (workspace / "big.txt").write_text("0123456789" * (n_chars // 10))
    path = workspace / "big.md"
    path.write_text("---\nname: big\ncontext: [big.txt]\n---\nLook at it.\n")
    import orchestrator

    result = orchestrator.run(path, model="openai/one", workspace=workspace)
    journal = workspace / "memory" / "runs" / result.run / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    first = next(event for event in events if event["event"] == "iteration")
    (workspace / "big.txt").unlink()
    return sum(len(message["content"].encode()) for message in first["messages"])


def _memory(workspace: Path) -> str:
    """Of a process of its own that runs one turn: its peak, without its workers."""
    code = (
        "import orchestrator\n"
        f"orchestrator.run({str(workspace / 'w.md')!r}, model='openai/one', workspace={str(workspace)!r})\n"
        # Not ru_maxrss: a process inherits that from the one that started it.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    peaks = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    return f"{statistics.median(peaks) / 1024:.0f} (aim 60)"


def _first_request(command: list[str], cwd: Path, url: str) -> float:
    """Seconds from the start of a process to the arrival of its first request."""
    _post(url)
    began = time.monotonic()
    subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **users_environment()},
        capture_output=True,
        timeout=120,
        check=False,
    )
    arrivals: list[float] = _stats(url)["arrivals"]
    return arrivals[0] - began if arrivals else float("nan")


@contextmanager
def _server(*options: str) -> Iterator[str]:
    command = [sys.executable, str(HERE / "model_policy.py"), "--serve", *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def _stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/stats") as response:
        stats: dict[str, Any] = json.load(response)
    return stats


def _post(url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{url}/reset", method="POST", data=b"")).close()


def _over(stats: dict[str, Any], budget: int) -> str:
    spent = stats["tokens_in"] + stats["tokens_out"]
    return f"{spent:,} tokens, {max(0, spent - budget):,} over ({spent / budget:.1f}x)"


def _less(timing: Timing | None, other: Timing | None) -> Timing | None:
    """What is left of one without the median of the other."""
    if timing is None or other is None:
        return None
    median, low, high = (value - other.median_s for value in (timing.median_s, timing.min_s, timing.max_s))
    return Timing(median, low, high, timing.n)


def _seconds(timing: Timing | None) -> str:
    return "" if timing is None else f"{timing.median_s:.3f} ({timing.min_s:.3f}-{timing.max_s:.3f})"


def _beyond(timing: Timing | None, n: int, n_waits: int | None = None) -> str:
    """Milliseconds for each of n, beyond the time that the model took: one wait for each unless told otherwise."""
    if timing is None:
        return ""
    waited_s = LATENCY_S * (n if n_waits is None else n_waits)
    each = [(value - waited_s) / n * 1000 for value in (timing.median_s, timing.min_s, timing.max_s)]
    return f"{each[0]:.2f} ({each[1]:.2f}-{each[2]:.2f})"


if __name__ == "__main__":
    main()
