"""What a request to a model costs the owner of a run over Ray nodes: where it leaves from the owner, and from the nodes.

    python benchmarks/cluster_models.py

Processor time of the owner's process for each of 1,000 requests: the difference of runs with 1,200 and with 200, so that
what a run costs at its start does not count. Two nodes, as network namespaces of this machine (`tests/ray_nodes.py`); the
server of the model is a process on the first, with a latency of 50 ms. Needs root and the extra `ray`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from report import report

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.ray_nodes import Nodes, ray_nodes, why_not  # found by the line above

if TYPE_CHECKING:
    from collections.abc import Iterator

N_FEW, N_MANY = 200, 1200
N_ROUNDS = 3
MODELS = {"OpenAI's protocol": "openai/m", "through litellm": "litellm:openai/m"}


def main() -> None:
    """Measure and print."""
    if why := why_not():
        sys.exit(why)
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="orchestrate-") as folder,
        ray_nodes(2) as nodes,
        _server(nodes) as url,
    ):
        for said, model in MODELS.items():
            for executor, models in (("local", "owner"), ("ray", "owner"), ("ray", "nodes")):
                _configure(Path(folder), url, model, models)
                where = "this machine alone" if executor == "local" else f"2 nodes, asked from the {models}"
                rows.append([f"{said}, {where}", *_measured(nodes, Path(folder), executor)])
                print(rows[-1], file=sys.stderr)
    report(
        "Requests to a model over Ray nodes", ["what", "owner's time a request", "requests a second"], rows
    )


def _measured(nodes: Nodes, place: Path, executor: str) -> tuple[str, str]:
    costs_ms, rates = [], []
    for _ in range(N_ROUNDS):
        (few_s, _), (many_s, took_s) = (_run(nodes, place, executor, n) for n in (N_FEW, N_MANY))
        costs_ms.append((many_s - few_s) / (N_MANY - N_FEW) * 1000)
        rates.append(N_MANY / took_s)
    return _spread(costs_ms, "ms", 2), _spread(rates, "", 0)


def _run(nodes: Nodes, place: Path, executor: str, n: int) -> tuple[float, float]:
    """Processor time of the owner, and how long the requests took, in seconds."""
    cell = (
        "import time\nllm_query_batched(['warm'] * 64)\nbegan = time.monotonic()\n"
        f"got = llm_query_batched([f'q{{n}}' for n in range({n})])\n"
        "FINAL([all(type(one) is str for one in got), time.monotonic() - began])"
    )
    workflow = place / "w.md"
    budget = "budget: {calls: 5000, tokens: 90000000, concurrency: 64, seconds: 600}\n"
    workflow.write_text(f"---\nname: asks\n{budget}cell_timeout_s: 500\n---\n# Ask\n```repl\n{cell}\n```\n")
    argv = [
        sys.executable, "-m", "orchestrator", str(workflow), "--yes", "--json",
        "--executor", f"ray:{nodes.address}" if executor == "ray" else "local",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        running = subprocess.Popen(
            nodes.inside(argv), env={**nodes.variables, "MODEL_KEY": "test-key"}, stdout=out, stderr=err,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip
        spent_s = _spent_s(running)
        out.seek(0)
        err.seek(0)
        if running.returncode:
            sys.exit(f"a run ended with code {running.returncode}:\n{err.read().decode()[-3000:]}")
        is_whole, took_s = json.loads(out.read())["answer"]
    if not is_whole:
        sys.exit("a request failed")
    return spent_s, took_s


def _spent_s(running: subprocess.Popen[bytes]) -> float:
    """Processor time of a process alone, without its children, as it was last seen before its end."""
    spent, ticks = 0.0, os.sysconf("SC_CLK_TCK")
    while running.poll() is None:
        try:
            fields = Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        spent = max(spent, (int(fields[11]) + int(fields[12])) / ticks)
        time.sleep(0.02)
    return spent


@contextmanager
def _server(nodes: Nodes) -> Iterator[str]:
    address = nodes.address.rpartition(":")[0]
    tools = Path(__file__).parents[1] / "tools"
    argv = [
        sys.executable,
        str(tools / "model_server.py"),
        "--host",
        address,
        "--latency",
        "0.05",
        "--policy",
        "echo",
    ]
    with subprocess.Popen(
        nodes.inside(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def _configure(place: Path, url: str, model: str, models: str) -> None:
    (place / "skills").mkdir(exist_ok=True)
    (place / "orchestrate.toml").write_text(
        f'[models.default]\nmodel = "{model}"\napi_base = "{url}/v1"\nkey_env = "MODEL_KEY"\nusd_in = 0\nusd_out = 0\n'
        f'[executor]\nmodels = "{models}"\n'
    )


def _spread(values: list[float], unit: str, digits: int) -> str:
    low, middle, high = (
        f"{one:,.{digits}f}" for one in (min(values), statistics.median(values), max(values))
    )
    return f"{middle} {unit} ({low}-{high})".replace("  ", " ")


if __name__ == "__main__":
    main()
