"""Runs of the command line on the nodes of `tests.ray_nodes`, and what tests ask of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.ray_nodes import why_not

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ray_nodes import Nodes

ON_NODES = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(why := why_not()), reason=why),
]
"""Marks of modules whose tests are on nodes."""

MANIFEST = """
schema: orchestrate.skill/1
functions:
  nap:
    description: Sleep, and say where.
    entry: {python: "skill.py:nap"}
    input: {type: object, properties: {n: {type: integer}, s: {type: number, default: 0.02}}}
    effects: none
    idempotent: true
  post:
    description: Change the world, slowly.
    entry: {python: "skill.py:nap"}
    input: {type: object, properties: {n: {type: integer}, s: {type: number}}}
    effects: write
default: nap
"""
CODE = """
import os, time
def nap(n=0, s=0.02):
    open(os.environ["HOME"] + f"/begun-{s}", "w").close()
    time.sleep(s)
    return [n, "at " + os.getcwd()]
"""
NAPS = 'FINAL(skills.nap.map([{{"n": i, "s": {s}}} for i in range({n})]))'


def skill(place: Path, name: str, manifest: str, code: str) -> None:
    """Make a skill of a workspace."""
    folder = place / "skills" / name
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(
        f"---\nname: {name}\ndescription: Does {name}. Use when testing.\n---\nX.\n"
    )
    (folder / "manifest.yaml").write_text(manifest)
    (folder / "skill.py").write_text(code)


def workflow(place: Path, cell: str, more: str = "", *, skills: str = "[nap]", name: str = "w") -> Path:
    """Make a workflow of one cell; `more` are lines of its frontmatter."""
    path = place / f"{name}.md"
    path.write_text(f"---\nname: {name}\nskills: {skills}\n{more}---\n# W\n```repl\n{cell}\n```\n")
    return path


def orchestrate(nodes: Nodes, *words: str, node: int = 0, **more: str) -> subprocess.Popen[str]:
    """The command line, begun on a node with these variables more."""
    argv = [sys.executable, "-m", "orchestrator", *words]
    return subprocess.Popen(
        nodes.inside(argv, node), env={**nodes.variables, **more}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(
    nodes: Nodes, workflow: Path, executor: str, *words: str, node: int = 0, **more: str
) -> subprocess.Popen[str]:
    """A run, begun on a node."""
    words = (str(workflow), "--yes", "--json", "--executor", executor, *words)
    return orchestrate(nodes, *words, node=node, **more)


def ended(running: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
    """What it printed, once it has ended with this code."""
    out, err = running.communicate(timeout=120)
    assert running.returncode == code, err
    done: dict[str, Any] = json.loads(out)
    return done


def records(place: Path) -> list[dict[str, Any]]:
    """The usage records of a workspace."""
    lines = [
        line for path in place.glob("memory/usage.jsonl") for line in path.read_text().splitlines() if line
    ]
    return [json.loads(line) for line in lines]


def calls(place: Path, run: str = "*") -> Counter[str]:
    """How the skill calls on record ended."""
    return Counter(one["outcome"] for one in records(place) if one.get("skill") and run in ("*", one["run"]))


def workers(nodes: Nodes, *which: int) -> list[int]:
    """Zygotes and workers of runs on these nodes; on all of them where none is named."""
    return _of(nodes, b"zygote.py", *which)


def hosts(nodes: Nodes, *which: int) -> list[int]:
    """The processes of hosts on these nodes; on all of them where none is named."""
    return _of(nodes, b"ray::Host", *which)


def _of(nodes: Nodes, word: bytes, *which: int) -> list[int]:
    found = []
    for node in which or range(len(nodes.namespaces)):
        for pid in nodes.pids(node):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if word in file.read():
                        found.append(pid)
            except OSError:
                continue
    return found


def until(holds: Callable[[], bool], within_s: float) -> None:
    """Wait for a condition."""
    ends_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends_at, "it did not come to that in time"
        time.sleep(0.05)
