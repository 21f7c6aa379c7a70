"""What holds of a run holds of one over two Ray nodes: rights, budgets, stops, records, approvals, resume."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from orchestrator import UsageStore
from tests.cluster_runs import (
    CODE,
    MANIFEST,
    NAPS,
    ON_NODES,
    calls,
    ended,
    orchestrate,
    records,
    run,
    skill,
    until,
    workers,
    workflow,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ray_nodes import Nodes

pytestmark = ON_NODES

ASK = """
schema: orchestrate.skill/1
functions:
  ask: {description: Ask., entry: {python: "skill.py:ask"}, effects: none, idempotent: true}
  write:
    description: Write a file.
    entry: {python: "skill.py:write"}
    effects: write
    idempotent: true
default: ask
permissions: {write: ["out/**"]}
"""
ASKS = """
import os
def ask(ctx, n=0):
    return ctx.llm_query(f"XYZZY {n}")
def write(path=""):
    with open(path, "w") as file:
        file.write(path)
    return os.getppid()
"""
MODEL = """
import json, sys
with open({log!r}, "a") as file:
    file.write("x\\n")
cell = {cell!r}
text = f"```repl\\n{{cell}}\\n```" if cell and "XYZZY" not in sys.stdin.read() else "said"
print(json.dumps({{"text": text, "in": 10, "out": 5, "usd": 0.25}}))
"""


@pytest.fixture
def both(nodes: Nodes) -> Iterator[Nodes]:
    """The two nodes; no worker is left on them."""
    yield nodes
    until(lambda: not workers(nodes), 10)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    skill(tmp_path, "nap", MANIFEST, CODE)
    skill(tmp_path, "ask", ASK, ASKS)
    return tmp_path


def _model(place: Path, cell: str = "", more: str = "") -> None:
    """A program as the model, which tells tokens and a price, and leaves a line for each request."""
    (place / "model.py").write_text(MODEL.format(log=str(place / "requests"), cell=cell))
    (place / "orchestrate.toml").write_text(
        f"{more}[commands.m]\nargv = {json.dumps([sys.executable, str(place / 'model.py')])}\nmax_tokens = 20\n"
        'output = {field = "text", tokens_in = "in", tokens_out = "out", usd = "usd"}\n'
    )


def test_nodes_that_share_files_run_what_writes_and_hold_its_rights(both: Nodes, place: Path) -> None:
    child = (
        'import os\nopen(f"out/{context}", "w").close()\n'
        'try: open("skills/nap/skill.py", "a")\nexcept OSError as error: FINAL([os.getppid(), type(error).__name__])'
    )
    _model(place, child, "[executor]\nshared = true\n")
    cell = """
import os
wrote = skills.ask.write.map([{"path": f"out/{n}.txt"} for n in range(6)])
refused = [repr(skills.ask.write.map([{"path": path}])[0]) for path in ("w.md", "skills/nap/skill.py")]
children = rlm_query_batched([f"Write {n}." for n in range(4)], contexts=[f"child-{n}" for n in range(4)])
FINAL([os.getppid(), wrote, refused, children])
"""
    rights = 'permissions: {write: ["out/**"]}\n'
    done = ended(
        run(
            both,
            workflow(place, cell, rights, skills="[ask, nap]"),
            f"ray:{both.address}",
            "--model",
            "command:m",
        )
    )
    here, wrote, refused, children = done["answer"]
    assert len(set(wrote)) == 2  # zygotes: one a node
    assert here not in wrote
    assert {why for _, why in children} == {"PermissionError"}
    assert {zygote for zygote, _ in children} <= set(wrote)
    assert all("PermissionError" in one for one in refused)
    assert sorted(path.name for path in (place / "out").iterdir()) == [
        *(f"{n}.txt" for n in range(6)),
        *(f"child-{n}" for n in range(4)),
    ]


@pytest.mark.parametrize("bound", ["calls: 10", "tokens: 150"])
def test_a_budget_is_kept_to_the_call_by_skills_and_children_on_all_nodes(
    both: Nodes, place: Path, bound: str
) -> None:
    _model(place, "FINAL(llm_query('XYZZY'))")
    cell = """
from concurrent.futures import ThreadPoolExecutor
def safe(one):
    try: return one()
    except Exception as error: return type(error).__name__
with ThreadPoolExecutor(2) as pool:
    asked = pool.submit(safe, lambda: skills.ask.map([{"n": n} for n in range(12)]))
    grown = pool.submit(safe, lambda: rlm_query_batched([f"Grow {n}." for n in range(12)]))
asked.result(), grown.result()
llm_query("XYZZY")
"""
    budget = f"budget: {{{bound}, depth: 3, concurrency: 8}}\n"
    done = ended(
        run(
            both, workflow(place, cell, budget, skills="[ask]"), f"ray:{both.address}", "--model", "command:m"
        ),
        4,
    )
    n_made = len((place / "requests").read_text().splitlines())
    assert done["status"] == "budget"
    assert 0 < n_made <= 10
    if bound.startswith("calls"):
        assert n_made == 10
    usage = done["usage"]
    assert (usage["calls"], usage["tokens"], usage["usd"]) == (n_made, 15 * n_made, 0.25 * n_made)
    shown = ended(orchestrate(both, "show", done["run"], "--workspace", str(place), "--json"))
    assert {**shown["spent"], "seconds": 0} == {**usage, "seconds": 0}  # from the journal
    for level in (0, 1):  # a record tells of all below it
        told = [one for one in records(place) if one["depth"] == level]
        assert sum(one["tokens_in"] or 0 for one in told) == 10 * n_made
        assert sum(one["usd"] or 0 for one in told) == 0.25 * n_made


@pytest.mark.parametrize("which", ["run", "all"])
def test_stop_reaches_every_node_within_two_seconds(both: Nodes, place: Path, which: str) -> None:
    running = run(both, workflow(place, NAPS.format(n=16, s=60)), f"ray:{both.address}")
    until(lambda: all(len(workers(both, node)) > 2 for node in (0, 1)), 60)
    (folder,) = (place / "memory" / "runs").iterdir()
    words = [folder.name] if which == "run" else ["--all"]
    n_workers = len(workers(both))
    stopping = orchestrate(both, "stop", *words, "--workspace", str(place))
    until(lambda: len(workers(both)) < n_workers, 60)  # it has begun: the command takes its time to start
    began = time.monotonic()
    until(lambda: not workers(both), 10)
    took_s = time.monotonic() - began
    stopping.communicate(timeout=30)
    assert (stopping.returncode, running.wait(timeout=30)) == (0, 143)
    running.communicate()
    assert took_s < 2


def test_several_owners_on_both_nodes_leave_one_whole_record(both: Nodes, place: Path) -> None:
    paths = [workflow(place, NAPS.format(n=25, s=0.01), name=f"w{n}") for n in range(4)]
    begun = [run(both, path, f"ray:{both.address}", node=n % 2) for n, path in enumerate(paths)]
    done = [ended(one) for one in begun]
    assert all([n for n, _ in one["answer"]] == list(range(25)) for one in done)
    lines = (place / "memory" / "usage.jsonl").read_text().splitlines()
    kept = [json.loads(line) for line in lines]
    assert Counter(one["run"] for one in kept if one.get("skill")) == {one["run"]: 25 for one in done}
    assert len({(one["run"], one["call"]) for one in kept}) == len(kept)
    summary = place / "skill-usage.json"
    published = json.loads(summary.read_text())
    UsageStore(place).rebuild()
    assert published == json.loads(summary.read_text())
    assert published["skills"]


def test_a_run_goes_on_from_another_node_over_the_same_cluster(both: Nodes, place: Path) -> None:
    running = run(both, workflow(place, NAPS.format(n=40, s=0.3)), f"ray:{both.address}")
    until(lambda: calls(place)["ok"] > 4, 60)
    running.kill()
    running.communicate()
    (folder,) = (place / "memory" / "runs").iterdir()
    done = ended(orchestrate(both, "resume", folder.name, "--workspace", str(place), "--json", node=1))
    assert [n for n, _ in done["answer"]] == list(range(40))
    assert all("/nodes/" in where for _, where in done["answer"])
    # Killed between the journal's line of a call and that of the usage record, an owner leaves out the latter.
    assert calls(place) in (Counter(ok=40), Counter(ok=39))


def test_calls_that_wait_for_a_person_are_made_on_the_nodes_once_approved(both: Nodes, place: Path) -> None:
    path = workflow(place, NAPS.format(n=4, s=0.01), 'approvals: ["skill:nap"]\n')
    waiting = ended(run(both, path, f"ray:{both.address}"), 3)
    assert [need["kind"] for need in waiting["needs"]] == ["approval"] * 4
    approved = [word for need in waiting["needs"] for word in ("--approve", need["id"])]
    done = ended(
        orchestrate(both, "resume", waiting["run"], "--workspace", str(place), "--json", *approved, node=1)
    )
    assert [n for n, _ in done["answer"]] == list(range(4))
    assert all("/nodes/" in where for _, where in done["answer"])


def test_a_wrong_token_is_an_error_that_says_what_to_do(nodes: Nodes, place: Path) -> None:
    path = workflow(place, NAPS.format(n=1, s=0.01))
    refused = run(nodes, path, f"ray:{nodes.address}", RAY_AUTH_TOKEN="f" * 64)
    out, err = refused.communicate(timeout=60)
    assert (refused.returncode, out) == (69, "")
    assert f"error: no Ray cluster answers at `{nodes.address}`: " in err
    assert "the head's token in ~/.ray/auth_token and RAY_AUTH_MODE=token" in err
