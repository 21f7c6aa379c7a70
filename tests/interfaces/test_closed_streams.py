"""Streams that are closed, full or that nobody reads: what goes to stderr may be lost, a run and its answer may not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Orchestrate = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., Path]

RUN = f'"{sys.executable}" -m orchestrator'
CELLS = ("log('on')", "FINAL('kept')")


def in_a_shell(line: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], env=env, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("end", ["2>&-", "2>/dev/full", "2>&- <&-"])
@pytest.mark.parametrize("odd", [[], ["nobody"]], ids=["", "with a warning"])
def test_run_answers_where_nothing_takes_its_stderr(
    end: str, odd: list[str], clean_env: dict[str, str], workflow: Write, orchestrate: Orchestrate
) -> None:
    path = workflow(*CELLS, approvals=odd)
    done = in_a_shell(f"{RUN} {path.name} {end}", clean_env, path.parent)
    assert (done.stdout, done.stderr, done.returncode) == ("kept\n", "", 0)
    assert [run["status"] for run in json.loads(orchestrate("status", "--json").stdout)] == ["answered"]


def test_run_answers_when_the_reader_of_its_stderr_is_gone(
    clean_env: dict[str, str], workflow: Write, orchestrate: Orchestrate
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "orchestrator", str(workflow(*CELLS))]
    done = subprocess.run(command, env=clean_env, stdout=subprocess.PIPE, stderr=writing, timeout=60)
    os.close(writing)
    assert (done.stdout, done.returncode) == (b"kept\n", 0)
    assert [run["status"] for run in json.loads(orchestrate("status", "--json").stdout)] == ["answered"]


@pytest.mark.parametrize("words", ["job.md", "--help", "status", "skills", "no-such-file.md"])
def test_closed_stdout_is_an_error_before_anything_is_done(
    words: str, clean_env: dict[str, str], workflow: Write, workspace: Path
) -> None:
    workflow(*CELLS)
    done = in_a_shell(f"{RUN} {words} >&-", clean_env, workspace)
    assert done.stderr.splitlines()[0] == "error: stdout is closed, so there is nowhere to print to"
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    assert not (workspace / "memory").exists()
