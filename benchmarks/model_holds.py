"""What has to hold of runs in which a model writes the cells: budgets, counts, outputs, sizes; beside the reference.

`python benchmarks/model_holds.py [FOLDER]`, as `models.py`. A request counts when the server of the benchmark saw it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_sides import Peers, ran, served
from report import report, users_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model_sides import Server

TOKEN_BUDGET = 15_000  # the reference's stands in its script
N_SUB_CALLS = 40
N_RUNS = 8
N_CONTEXTS = (8_000, 1_000_000, 100_000_000)
EVERY = 7
N_PROCESSES = 5

REFERENCE = "reference.py"
PRINTS = "---\nname: prints\ninputs: {context: string}\n---\nPrint it.\n"
BIG = "---\nname: big\ncontext: [big.txt]\n---\nLook at it.\n"
NOTES = """The reference reports what its result says of usage; its children have handlers of their own, which are not added up. With failing requests its client tries again by itself. The server counts tokens only in replies that succeeded."""


def main() -> None:
    """Measure in a workspace of its own and print the table."""
    with tempfile.TemporaryDirectory() as folder, served() as server:
        workspace = Path(folder)
        (workspace / "w.md").write_text("# Work\n\nDo it.\n")
        (workspace / "prints.md").write_text(PRINTS)
        (workspace / "big.md").write_text(BIG)
        environment = sys.argv[1] if len(sys.argv) > 1 else None
        rows = [*_holds(workspace, server, environment)]
        report("What has to hold", ["what", "ours", "reference rlms 0.1.3"], rows, NOTES)


def _holds(workspace: Path, server: Server, folder: str | None) -> Iterator[tuple[str, str, str]]:
    peers = Peers(folder, server)
    row = f"a budget of {TOKEN_BUDGET:,} tokens, {N_SUB_CALLS} sub-calls of about 1,000 asked at once"
    yield row, _our_budget(workspace, server), _their_budget(server, peers)
    for name, model in (("tree", "tree"), ("batch of 1,000", "batch1000")):
        row = f"requests reported / seen by the server, {name}"
        yield row, _our_count(workspace, server, model), _their_count(server, peers, model)
    with served("--fail-every", str(EVERY)) as failing:
        row = f"the same, every {EVERY}th request failing with 500, tree"
        ours = _our_count(workspace, failing, "tree")
        yield row, ours, _their_count(failing, Peers(folder, failing), "tree")
    server.use()
    row = f"{N_RUNS} runs in one process at once: cells with exactly their own output"
    clean, theirs = asyncio.run(_side_by_side(workspace)), peers.value(REFERENCE, "prints")
    yield row, f"{clean} of {N_RUNS}", "" if theirs is None else f"{theirs['clean']} of {theirs['of']}"
    row = "root prompt on the wire, bytes, context of 8 thousand, 1 million, 100 million characters"
    ours = _sizes([_our_prompt(workspace, server, n) for n in N_CONTEXTS])
    yield row, ours, _sizes([_their_prompt(server, peers, n) for n in N_CONTEXTS])
    yield "peak memory of the orchestrator in a one-turn run, MB (aim 60)", _our_memory(workspace), ""


def _our_budget(workspace: Path, server: Server) -> str:
    server.reset()
    answer = json.loads(ran(workspace, "tokens", tokens=TOKEN_BUDGET).answer)
    rest = ", ".join(f"`{said}`" for said in answer["rest"])
    return f"{_over(server)}; {answer['made']} of {N_SUB_CALLS} made, the rest say {rest}"


def _their_budget(server: Server, peers: Peers) -> str:
    server.reset()
    answer = peers.value(REFERENCE, "tokens")
    return "" if answer is None else f"{_over(server)}; {_said(answer)}"


def _said(answer: dict[str, Any]) -> str:
    if "ended" in answer:
        return f"all {N_SUB_CALLS} made, then it raised `{answer['ended']}`"
    return f"{answer['made']} of {N_SUB_CALLS} made, the rest say {answer['rest']}"


def _over(server: Server) -> str:
    stats = server.stats()
    spent = stats["tokens_in"] + stats["tokens_out"]
    over = max(0, spent - TOKEN_BUDGET)
    return f"{spent:,} tokens, {over:,} over ({spent / TOKEN_BUDGET:.1f}x)"


def _our_count(workspace: Path, server: Server, model: str) -> str:
    server.reset()
    result = ran(workspace, model, concurrency=100)
    stats = server.stats()
    tokens = stats["tokens_in"] + stats["tokens_out"]
    return f"{result.usage.calls:,} / {stats['requests']:,}; tokens {result.usage.tokens:,} / {tokens:,}"


def _their_count(server: Server, peers: Peers, model: str) -> str:
    server.reset()
    answer = peers.value(REFERENCE, f"counted-{model}")
    if answer is None:
        return ""
    stats = server.stats()
    tokens = stats["tokens_in"] + stats["tokens_out"]
    return f"{answer['requests']:,} / {stats['requests']:,}; tokens {answer['tokens']:,} / {tokens:,}"


async def _side_by_side(workspace: Path) -> int:
    """Of runs at once: how many cells showed exactly what they printed."""
    import orchestrator

    runs = [
        orchestrator.arun(
            workspace / "prints.md",
            model="openai/prints",
            workspace=workspace,
            inputs={"context": f"run-{n}"},
        )
        for n in range(N_RUNS)
    ]
    results = await asyncio.gather(*runs)
    shown = []
    for result in results:
        journal = workspace / "memory" / "runs" / result.run / "journal.jsonl"
        events = [json.loads(line) for line in journal.read_text().splitlines()]
        shown.append([event["output"] for event in events if event["event"] == "cell_finished"])
    return sum(outputs == ["\n".join(f"run-{n} {m}" for m in range(6))] for n, outputs in enumerate(shown))


def _our_prompt(workspace: Path, server: Server, n_chars: int) -> int:
    import orchestrator

    big = workspace / "big.txt"
    big.write_text("0123456789" * (n_chars // 10))
    server.reset()
    result = orchestrator.run(workspace / "big.md", model="openai/bytes", workspace=workspace)
    assert result.status == "answered", result
    big.unlink()
    return _n_bytes(server)


def _their_prompt(server: Server, peers: Peers, n_chars: int) -> int | None:
    server.reset()
    return None if peers.value(REFERENCE, f"prompted-{n_chars}") is None else _n_bytes(server)


def _n_bytes(server: Server) -> int:
    """Of the one prompt that was sent: the server counts its bytes as tokens for this model."""
    stats = server.stats()
    assert stats["requests"] == 1, stats
    n_bytes: int = stats["tokens_in"]
    return n_bytes


def _sizes(sizes: list[int | None]) -> str:
    known = [size for size in sizes if size is not None]
    if not known:
        return ""
    return f"{', '.join(f'{n:,}' for n in known)} ({(max(known) / min(known) - 1) * 100:.2f} % apart)"


def _our_memory(workspace: Path) -> str:
    """Of processes of their own that run one turn: their peak, without their workers."""
    code = (
        "import orchestrator\n"
        f"orchestrator.run({str(workspace / 'w.md')!r}, model='openai/one', workspace={str(workspace)!r})\n"
        # Not ru_maxrss: a process inherits that from the one that started it.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    peaks_mb = [
        float(
            subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                check=True,
                env=users_environment(),
            ).stdout
        )
        / 1024
        for _ in range(N_PROCESSES)
    ]
    return f"{statistics.median(peaks_mb):.0f} ({min(peaks_mb):.0f}-{max(peaks_mb):.0f})"


if __name__ == "__main__":
    main()
