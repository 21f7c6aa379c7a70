"""What a call costs the owner of a run over Ray nodes: a skill call, and a request to a model from the owner or the nodes.

    python benchmarks/cluster_owner.py [calls] [requests]

Processor time of the owner's process for each of 1,000 calls at a concurrency of 64: the difference of runs with 1,200 and with
200, so that what a run costs at its start does not count. Two nodes, as network namespaces of this machine
(`tests/ray_nodes.py`); the server of the model is a process on the first, with a latency of 50 ms. Needs root and the extra `ray`.
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
MODELS = {"request in OpenAI's protocol": "openai/m", "request through litellm": "litellm:openai/m"}

MANIFEST = """
schema: orchestrate.skill/1
functions:
  echo: {description: Give back., entry: {python: "skill.py:echo"}, effects: none, idempotent: true}
"""
CALLS = 'skills.bench.map([{{"n": n}} for n in range({n})])'
REQUESTS = "llm_query_batched([f'q{{n}}' for n in range({n})])"


def main() -> None:
    """Measure and print."""
    if why := why_not():
        sys.exit(why)
    rows = []
    with tempfile.TemporaryDirectory(prefix="orchestrate-") as folder, ray_nodes(2) as nodes:
        place = _workspace(Path(folder))
        if "calls" in (sys.argv[1:] or ["calls"]):
            rows += (
                [f"skill call, {_where(executor)}", *_measured(nodes, place, executor, CALLS)]
                for executor in ("local", "ray")
            )
        if "requests" in (sys.argv[1:] or ["requests"]):
            rows += _requests(nodes, place)
    report("What the owner of a run spends", ["what", "owner's time a call", "calls a second"], rows)


def _requests(nodes: Nodes, place: Path) -> Iterator[list[str]]:
    with _server(nodes) as url:
        for said, model in MODELS.items():
            for executor, models in (("local", "owner"), ("ray", "owner"), ("ray", "nodes")):
                _configure(place, url, model, models)
                asked = "" if executor == "local" else f", asked from the {models}"
                yield [f"{said}, {_where(executor)}{asked}", *_measured(nodes, place, executor, REQUESTS)]


def _where(executor: str) -> str:
    return "this machine alone" if executor == "local" else "2 nodes"


def _measured(nodes: Nodes, place: Path, executor: str, calls: str) -> tuple[str, str]:
    costs_ms, rates = [], []
    for _ in range(N_ROUNDS):
        (few_s, _), (many_s, took_s) = (_run(nodes, place, executor, calls, n) for n in (N_FEW, N_MANY))
        costs_ms.append((many_s - few_s) / (N_MANY - N_FEW) * 1000)
        rates.append(N_MANY / took_s)
    return _spread(costs_ms, " ms", 2), _spread(rates, "", 0)


def _run(nodes: Nodes, place: Path, executor: str, calls: str, n: int) -> tuple[float, float]:
    """Processor time of the owner, and how long the calls took, in seconds."""
    cell = (
        f"import time\n{calls.format(n=64)}\nbegan = time.monotonic()\ngot = {calls.format(n=n)}\n"
        "FINAL([all(type(one) in (str, int) for one in got), time.monotonic() - began])"
    )
    workflow = place / "w.md"
    budget = "budget: {calls: 5000, tokens: 90000000, concurrency: 64, seconds: 600}\n"
    workflow.write_text(
        f"---\nname: costs\nskills: [bench]\n{budget}cell_timeout_s: 500\n---\n# Call\n```repl\n{cell}\n```\n"
    )
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
        sys.exit("a call failed")
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
    server = Path(__file__).parents[1] / "tools" / "model_server.py"
    argv = [sys.executable, str(server), "--host", address, "--latency", "0.05", "--policy", "echo"]
    with subprocess.Popen(
        nodes.inside(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline().strip()
        finally:
            running.kill()


def _workspace(root: Path) -> Path:
    skill = root / "skills" / "bench"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: bench\ndescription: Gives back. Use when measuring.\n---\n")
    (skill / "manifest.yaml").write_text(MANIFEST)
    (skill / "skill.py").write_text("def echo(n=0):\n    return n\n")
    return root


def _configure(place: Path, url: str, model: str, models: str) -> None:
    (place / "orchestrate.toml").write_text(
        f'[models.default]\nmodel = "{model}"\napi_base = "{url}/v1"\nkey_env = "MODEL_KEY"\nusd_in = 0\nusd_out = 0\n'
        f'[executor]\nmodels = "{models}"\n'
    )


def _spread(values: list[float], unit: str, digits: int) -> str:
    low, middle, high = (
        f"{one:,.{digits}f}" for one in (min(values), statistics.median(values), max(values))
    )
    return f"{middle}{unit} ({low}-{high})"


if __name__ == "__main__":
    main()
