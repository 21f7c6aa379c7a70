"""The real command, run as a person runs it: in a process of its own, with a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from watching import Watcher

from orchestrator import load_skills
from orchestrator.runs.trusting import trust
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def clean_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a person who has nothing of ours and a terminal of 80 columns."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), "COLUMNS": "80", "TERM": "xterm-256color"}


@pytest.fixture
def orchestrate(clean_env: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command in `tmp_path` and gives what it printed and its exit code."""

    def run(
        *words: str, cwd: Path | None = None, stdin: str = "", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *words],
            cwd=cwd or tmp_path,
            input=stdin,
            env={**clean_env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with one skill that is trusted, `adder`, whose `add(a, b)` adds and whose `fail()` fails."""
    skill = tmp_path / "skills" / "adder"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: adder\ndescription: Adds numbers.\n---\n# Adder\n")
    (skill / "manifest.yaml").write_text(MANIFEST)
    (skill / "code.py").write_text(CODE)
    trust(Workspace(tmp_path), load_skills(skill), "person")
    shutil.rmtree(tmp_path / "memory")  # the texts that were trusted may go; nothing ran here yet
    return tmp_path


@pytest.fixture
def workflow(workspace: Path) -> Callable[..., Path]:
    """Writes a workflow of the given cells into the workspace, with the given frontmatter, and gives its path."""

    def write(*cells: str, name: str = "job", **frontmatter: object) -> Path:
        head = {"name": name, "description": "A test.", **frontmatter}
        blocks = "\n\n".join(f"```repl\n{cell}\n```" for cell in cells)
        lines = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items())
        path = workspace / f"{name}.md"
        path.write_text(f"---\n{lines}\n---\n# Job\n\nDo it.\n\n{blocks}\n")
        return path

    return write


@pytest.fixture
def watch(clean_env: dict[str, str], workspace: Path) -> Iterator[Callable[..., Watcher]]:
    """Starts watchers in the workspace, and ends those that are still there."""
    started: list[Watcher] = []

    def start(*words: str, start: list[str] | None = None) -> Watcher:
        started.append(Watcher(list(words), workspace, clean_env, start))
        return started[-1]

    yield start
    for one in started:
        one.close()


MANIFEST = """\
schema: orchestrate.skill/1
functions:
  add:
    description: Adds two numbers.
    entry: {python: "code.py:add"}
    input: {type: object, required: [a, b], properties: {a: {type: number}, b: {type: number}}}
    output: {type: number}
    effects: none
    idempotent: true
  fail:
    description: Fails.
    entry: {python: "code.py:fail"}
    effects: none
default: add
examples:
  - {input: {a: 1, b: 2}, output: 3}
  - {input: {a: 1, b: 1}, output: 3}
"""

CODE = """\
def add(a: float, b: float) -> float:
    return a + b


def fail() -> None:
    raise ValueError("never \\x1b[31m works")
"""
