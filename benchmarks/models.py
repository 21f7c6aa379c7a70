"""How long runs take in which a model writes the cells, beside the reference and others, over one server of 50 ms.

`python benchmarks/models.py [FOLDER]`: FOLDER is the environment of the others that `peers/set_up.sh FOLDER` made; without
it our side alone is measured. How each number is meant stands in its row.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_policy import LATENCY_S, N_CHILDREN, N_STEPS
from model_sides import Peers, ran, served
from report import Timing, report, summarised

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model_sides import Server

N = 7
N_SLOW = 5
N_SEQUENTIAL = 20
N_WIDE = 100
N_NARROW = 16  # what the reference's batches are fixed to
TREE_LEVELS = 3  # below the root's own turn: 4, 16, and 64 leaves; each waits for the one below

REFERENCE = "reference.py"
OTHERS = "others.py"
NOTES = """All that is beyond model time has the server's and the wire's part in it, which is what the bare client takes. Our runs are durable: each turn is synced to disk. The reference fixes 16 requests at once for a batch and offers no setting; the rows of 100 at once widen it by hand, which makes the 1,000 slower: its HTTP client looks through all its connections for each request."""
OTHERS_NOTES = """A turn is a cell in dspy's recursive model (its `LocalInterpreter`, a bare process; its default needs Deno) and in smolagents' code agent (its interpreter, in the same process); in pydantic-ai it is a reply that a validator turns down, without any code."""


def main() -> None:
    """Measure in a workspace of its own and print the tables."""
    with tempfile.TemporaryDirectory() as folder, served() as server:
        workspace = Path(folder)
        (workspace / "w.md").write_text("# Work\n\nDo it.\n")
        peers = Peers(sys.argv[1] if len(sys.argv) > 1 else None, server)
        rows = [*_turns(workspace, server, peers), *_calls(workspace, peers)]
        columns = ["what", "ours, median (min-max)", "reference rlms 0.1.3", "aim"]
        report("A model writes the cells", columns, rows, NOTES)
        if peers.is_there:
            columns = ["what", "first request of a process, s", "one turn when warm, s", "a step, ms"]
            report("Beside others", columns, list(_others(peers)), OTHERS_NOTES)


def _turns(workspace: Path, server: Server, peers: Peers) -> Iterator[tuple[str, str, str, str]]:
    command = [str(Path(sys.executable).with_name("orchestrate")), "w.md", "--model", "openai/one"]
    ours, other = server.first_requests(command, workspace, N), peers.first(REFERENCE, "first", n=N)
    yield "process start to first model request, s", _seconds(ours), _seconds(other), "0.40"
    floor = _beyond(_floor(server.url), N_SEQUENTIAL)
    yield "a bare client's request beyond model time, ms", floor, "", ""
    one, one_other = _whole(workspace, "one"), peers.times(REFERENCE, "one")
    yield "one-turn run, warm process, s", _seconds(one), _seconds(one_other), "0.05 + 0.03"
    steps, other = _whole(workspace, "steps"), peers.times(REFERENCE, "steps")
    row = f"a step beyond model time, ms ({N_STEPS} turns less one turn)"
    yield row, _step(steps, one), _step(other, one_other), "2"


def _calls(workspace: Path, peers: Peers) -> Iterator[tuple[str, str, str, str]]:
    ours, other = _inner(workspace, "sequential"), peers.times(REFERENCE, "sequential")
    row = "a sub-call beyond model time, one after the other, ms"
    yield row, _beyond(ours, N_SEQUENTIAL), _beyond(other, N_SEQUENTIAL), "1.5"
    ours = _inner(workspace, "batch100", concurrency=N_WIDE)
    other = peers.times(REFERENCE, "batch100")
    yield "100 in a batch, each beyond model time, ms", _beyond(ours, 100, 1), _beyond(other, 100, 1), "1.5"
    ours = _inner(workspace, "batch1000", concurrency=N_WIDE)
    other = peers.times(REFERENCE, "batch1000")
    yield "1,000 batched sub-calls, 100 at once, s (ideal 0.50)", _seconds(ours), _seconds(other), "0.75"
    ours = _inner(workspace, "batch1000", concurrency=N_NARROW)
    other = peers.times(REFERENCE, "batch1000-as-shipped")
    yield "1,000 batched sub-calls, 16 at once, s (ideal 3.15)", _seconds(ours), _seconds(other), ""
    ours = _inner(workspace, "children", concurrency=N_CHILDREN)
    row = f"{N_CHILDREN} one-turn children, all at once, s (ideal 0.05)"
    yield row, _seconds(ours), _seconds(peers.times(REFERENCE, "children")), "0.25"
    ours = _inner(workspace, "tree", concurrency=N_WIDE)
    ideal_s = TREE_LEVELS * LATENCY_S
    row = f"tree 4 x 4 x 4, below the root's own turn, s (ideal {ideal_s:.2f})"
    yield row, _seconds(ours), _seconds(peers.times(REFERENCE, "tree")), f"{2 * ideal_s:.2f}"


def _others(peers: Peers) -> Iterator[tuple[str, str, str, str]]:
    for name in ("dspy", "smolagents", "pydantic-ai"):
        one = peers.times(OTHERS, name, "one")
        steps = _step(peers.times(OTHERS, name, "steps"), one)
        yield name, _seconds(peers.first(OTHERS, name, "first", n=N)), _seconds(one), steps


def _floor(url: str) -> Timing:
    """A bare client, one request after the other: what the server and the wire cost by themselves."""
    import aiohttp

    async def asked() -> float:
        body = json.dumps({"model": "one", "messages": [{"role": "user", "content": "q"}], "max_tokens": 9})
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer test-key"}) as session:

            async def one() -> None:
                async with session.post(f"{url}/v1/chat/completions", data=body) as response:
                    json.loads(await response.read())

            await one()
            began = time.perf_counter()
            for _ in range(N_SEQUENTIAL):
                await one()
            return time.perf_counter() - began

    return summarised([asyncio.run(asked()) for _ in range(N_SLOW)])


def _whole(workspace: Path, model: str) -> Timing:
    """Whole runs, one after the other in this process."""

    def once() -> float:
        began = time.perf_counter()
        ran(workspace, model)
        return time.perf_counter() - began

    return summarised([once() for _ in range(N + 2)][2:])


def _inner(workspace: Path, model: str, **budget: Any) -> Timing:
    """What the cell of a run measured itself."""
    return summarised([float(ran(workspace, model, **budget).answer) for _ in range(N_SLOW + 1)][1:])


def _step(steps: Timing | None, one: Timing | None) -> str:
    """What one more turn takes beyond model time: a run of many turns without the median of a run of one."""
    if steps is None or one is None:
        return ""
    more = [value - one.median_s for value in (steps.median_s, steps.min_s, steps.max_s)]
    return _beyond(Timing(*more, steps.n), N_STEPS - 1)


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
