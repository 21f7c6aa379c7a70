"""A run over two Ray nodes, each in a network namespace of this machine."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster_runs import CODE, MANIFEST, NAPS, ON_NODES, skill
from tests.cluster_runs import calls as _calls
from tests.cluster_runs import ended as _finished
from tests.cluster_runs import run as _run
from tests.cluster_runs import until as _until
from tests.cluster_runs import workers as _workers
from tests.cluster_runs import workflow as _workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.ray_nodes import Nodes

pytestmark = ON_NODES

SERVER = """
import json, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
address, log, latency_s = sys.argv[1], open(sys.argv[2], "a"), float(sys.argv[3])
class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        log.write(json.dumps({"from": self.client_address[0], "key": self.headers["Authorization"]}) + chr(10))
        log.flush()
        time.sleep(latency_s)
        body = json.dumps({"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}],
                           "usage": {"prompt_tokens": 1, "completion_tokens": 1}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer((address, 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""
KEY = "sk-0123456789-of-a-test"


@pytest.fixture
def both(nodes: Nodes) -> Iterator[Nodes]:
    """The two nodes; a second one that was killed joins again."""
    if 1 not in nodes.processes:
        nodes.start(1)
    yield nodes
    _until(lambda: not _workers(nodes), 10)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    skill(tmp_path, "nap", MANIFEST, CODE)
    return tmp_path


def test_calls_are_spread_and_accounts_are_as_on_one_machine(both: Nodes, place: Path) -> None:
    workflow = _workflow(place, NAPS.format(n=40, s=0.05))
    spread = _finished(_run(both, workflow, executor=f"ray:{both.address}"))
    alone = _finished(_run(both, workflow, executor="local"))
    places = {where for _, where in spread["answer"]}
    assert [n for n, _ in spread["answer"]] == [n for n, _ in alone["answer"]] == list(range(40))
    assert len({where.partition("/workers/")[0] for where in places}) == 2
    assert _calls(place, spread["run"]) == _calls(place, alone["run"]) == Counter(ok=40)
    on = Counter(child["node"] for child in _shown(place, spread["run"])["root"]["children"])
    assert (len(on), on.total()) == (2, 40)
    assert all(len(name.rpartition("/")[2]) == 6 for name in on)
    assert {child["node"] for child in _shown(place, alone["run"])["root"]["children"]} == {None}
    said = _show(place, spread["run"])
    nodes = ", ".join(f"{n} calls on {name}" for name, n in sorted(on.items()))
    assert f"environment confined · executor ray:{both.address}" in said
    assert f"\nnodes: {nodes}\n" in said


def test_recursive_children_have_their_cells_on_the_nodes(both: Nodes, place: Path) -> None:
    model = place / "model.py"
    model.write_text("print('```repl\\nimport os\\nFINAL(\"at \" + os.getcwd())\\n```')\n")
    (place / "orchestrate.toml").write_text(
        f"[commands.m]\nargv = {json.dumps([sys.executable, str(model)])}\n"
    )
    cell = 'import os\nFINAL([os.getcwd(), *map(str, rlm_query_batched([f"Where? {i}" for i in range(6)]))])'
    workflow = _workflow(place, cell)
    mine, *theirs = _finished(_run(both, workflow, f"ray:{both.address}", "--model", "command:m"))["answer"]
    assert mine == str(place)
    assert len({where.partition("/workers/")[0] for where in theirs if "/nodes/" in where}) == 2
    assert all("/nodes/" in where for where in theirs)


def test_requests_to_models_leave_from_the_nodes_with_a_key_that_is_nowhere_else(
    both: Nodes, place: Path
) -> None:
    with _model_server(both, place) as (url, seen):
        _configure(place, url)
        cell = 'FINAL(llm_query_batched([f"q{n}" for n in range(24)]))'
        done = _finished(_run(both, _workflow(place, cell), f"ray:{both.address}", MODEL_KEY=KEY))
        asked = seen()
    assert (done["answer"], done["usage"]["calls"]) == (["ok"] * 24, 24)
    hosts = {f"{both.address.rpartition('.')[0]}.{10 + node}" for node in (0, 1)}
    assert {one["from"] for one in asked} == hosts
    assert {one["key"] for one in asked} == {f"Bearer {KEY}"}
    kept = [path for folder in (both.folder, place) for path in folder.rglob("*") if path.is_file()]
    assert [path for path in kept if KEY.encode() in path.read_bytes()] == []


def test_models_are_asked_by_the_owner_where_the_settings_say_so(both: Nodes, place: Path) -> None:
    with _model_server(both, place) as (url, seen):
        _configure(place, url, "owner")
        cell = 'FINAL(llm_query_batched([f"q{n}" for n in range(8)]))'
        done = _finished(_run(both, _workflow(place, cell), f"ray:{both.address}", MODEL_KEY=KEY))
        asked = seen()
    assert (done["answer"], len(asked)) == (["ok"] * 8, 8)
    assert {one["from"] for one in asked} == {both.address.rpartition(":")[0]}


def test_a_model_that_only_the_owner_can_reach_is_asked_from_there_once_for_each_question(
    both: Nodes, place: Path
) -> None:
    with _model_server(both, place, address="192.0.2.1") as (url, seen):
        _configure(place, url)
        cell = 'FINAL(llm_query_batched([f"q{n}" for n in range(12)]))'
        done = _finished(_run(both, _workflow(place, cell), f"ray:{both.address}", MODEL_KEY=KEY))
        asked = seen()
    assert (done["answer"], done["usage"]["calls"], len(asked)) == (["ok"] * 12, 12, 12)


def test_requests_under_way_on_a_node_that_dies_are_made_again_and_all_are_paid(
    both: Nodes, place: Path
) -> None:
    with _model_server(both, place, latency_s=1.0) as (url, seen):
        _configure(place, url)
        cell = 'FINAL(llm_query_batched([f"q{n}" for n in range(48)]))'
        running = _run(both, _workflow(place, cell), f"ray:{both.address}", MODEL_KEY=KEY)
        theirs = f"{both.address.rpartition('.')[0]}.11"
        _until(lambda: sum(one["from"] == theirs for one in seen()) >= 4, 60)
        both.kill(1)
        done = _finished(running)
        n_asked = len(seen())
    assert done["answer"] == ["ok"] * 48
    # Of those that were under way nobody knows which had reached the server: they are paid for all the same.
    assert 48 < n_asked <= done["usage"]["calls"] <= 48 + 16


def test_a_budget_holds_where_the_nodes_ask(both: Nodes, place: Path) -> None:
    with _model_server(both, place) as (url, seen):
        _configure(place, url)
        cell = 'got = llm_query_batched([f"q{n}" for n in range(40)])\nFINAL(sum(one == "ok" for one in got))'
        workflow = _workflow(place, cell, "budget: {calls: 25}\n")
        done = _finished(_run(both, workflow, f"ray:{both.address}", MODEL_KEY=KEY))
        n_asked = len(seen())
    assert (done["answer"], done["usage"]["calls"], n_asked) == (25, 25, 25)


def test_a_node_that_dies_costs_no_call(both: Nodes, place: Path) -> None:
    running = _run(both, _workflow(place, NAPS.format(n=60, s=0.3)), executor=f"ray:{both.address}")
    _until(lambda: len(_workers(both, 1)) > 2 and sum(_calls(place).values()) > 5, 60)
    both.kill(1)
    done = _finished(running)
    assert (done["status"], [n for n, _ in done["answer"]]) == ("answered", list(range(60)))
    assert _calls(place) == Counter(ok=60)


def test_a_write_that_was_under_way_on_a_node_that_dies_is_in_doubt(both: Nodes, place: Path) -> None:
    cell = 'FINAL(skills.nap.post.map([{"n": i, "s": 5} for i in range(4)]))'
    running = _run(both, _workflow(place, cell), executor=f"ray:{both.address}")
    begun = ".cache/orchestrate/nodes/*/workers/*/scratch/begun-5"
    _until(lambda: len(list(both.folder.glob(begun))) == 4, 60)
    both.kill(1)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 3, err
    assert {need["kind"] for need in json.loads(out)["needs"]} == {"in_doubt"}


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_stopping_a_run_reaches_every_node_at_once(both: Nodes, place: Path, signum: signal.Signals) -> None:
    running = _run(both, _workflow(place, NAPS.format(n=16, s=60)), executor=f"ray:{both.address}")
    _until(lambda: all(len(_workers(both, node)) > 2 for node in (0, 1)), 60)
    running.send_signal(signum)
    began = time.monotonic()
    _until(lambda: not _workers(both), 10)
    took_s = time.monotonic() - began
    running.communicate(timeout=30)
    assert (running.returncode, took_s < 2) == (128 + signum, True), took_s


def test_a_killed_owner_leaves_no_worker_and_can_go_on_without_the_cluster(both: Nodes, place: Path) -> None:
    running = _run(both, _workflow(place, NAPS.format(n=24, s=0.5)), executor=f"ray:{both.address}")
    _until(lambda: all(len(_workers(both, node)) > 2 for node in (0, 1)), 60)
    _until(lambda: _calls(place)["ok"] > 0, 60)
    running.kill()
    running.communicate()
    _until(lambda: not _workers(both), 10)
    (run,) = (place / "memory" / "runs").iterdir()
    argv = [
        sys.executable,
        "-m",
        "orchestrator",
        "resume",
        run.name,
        "--workspace",
        str(place),
        "--executor",
        "local",
        "--json",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, env=both.variables, check=False, timeout=60)
    assert [n for n, _ in json.loads(done.stdout)["answer"]] == list(range(24)), done.stderr


@contextlib.contextmanager
def _model_server(
    nodes: Nodes, place: Path, *, address: str = "", latency_s: float = 0.0
) -> Iterator[tuple[str, Callable[[], list[dict[str, Any]]]]]:
    """The address of a server on the first node, there under an address of its own if one is given; and what it saw."""
    log = place / "asked"
    log.touch()
    script = place / "server.py"
    script.write_text(SERVER)
    if address:
        subprocess.run(nodes.inside(["ip", "addr", "add", f"{address}/32", "dev", "lo"]), check=True)
    address = address or nodes.address.rpartition(":")[0]
    argv = nodes.inside([sys.executable, str(script), address, str(log), str(latency_s)])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        try:
            yield (
                f"http://{address}:{port}/v1",
                lambda: [json.loads(line) for line in log.read_text().splitlines()],
            )
        finally:
            server.kill()
            log.unlink()


def _configure(place: Path, url: str, models: str = "nodes") -> None:
    model = f'model = "openai/m"\napi_base = "{url}"\nkey_env = "MODEL_KEY"\nusd_in = 0\nusd_out = 0\n'
    (place / "orchestrate.toml").write_text(f'[models.default]\n{model}[executor]\nmodels = "{models}"\n')


def _show(place: Path, run: str, *words: str) -> str:
    argv = [sys.executable, "-m", "orchestrator", "show", run, "--workspace", str(place), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _shown(place: Path, run: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(_show(place, run, "--json"))
    return shown
