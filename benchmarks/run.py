"""What a run costs beyond its own work: starting, a cell, a skill call."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from report import Timing, report, summarised, timed, users_environment

N_STARTS = 15
N_CALLS = 300
ENVIRONMENT = users_environment()

SKILL = """---
name: echo
description: Gives back what it is given.
---
# Echo
"""
CODE = "def echo(n: int) -> dict:\n    return {'n': n}\n"
MANIFEST = """schema: orchestrate.skill/1
functions:
  echo:
    entry: {python: "skill.py:echo"}
    input: {type: object, required: [n], properties: {n: {type: integer}}, additionalProperties: false}
    output: {type: object, required: [n], properties: {n: {type: integer}}}
    effects: none
    idempotent: true
"""
CALLS = f"""---
name: calls
skills: [echo]
---
```repl
import time
skills.echo(n=0)
spent = []
for n in range({N_CALLS}):
    began = time.perf_counter()
    skills.echo(n=n)
    spent.append(time.perf_counter() - began)
FINAL(spent)
```
"""


def main() -> None:
    """Measure in a workspace of its own and print one table."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        _write(workspace)
        orchestrate = str(Path(sys.executable).with_name("orchestrate"))
        python = _timed_command([sys.executable, "-c", "pass"], workspace)
        rows = [
            ("`python -c pass`", python.ms, ""),
            _row(
                "`orchestrate --help`", _timed_command([orchestrate, "--help"], workspace), python, "2x + 60"
            ),
            _row("one written cell", _timed_command([orchestrate, "one.md"], workspace), python, "+ 350"),
            ("a cell", _cells(orchestrate, workspace).ms, "1"),
            ("a warm Python skill call", _calls(orchestrate, workspace).ms, "1"),
        ]
    report("What a run costs beyond its own work", ["what", "median (min-max) ms", "aim, ms"], rows)


def _row(name: str, timing: Timing, python: Timing, aim: str) -> tuple[str, str, str]:
    beyond = (timing.median_s - python.median_s) * 1000
    return name, f"{timing.ms}, {beyond:+.0f} to Python", aim


def _timed_command(command: list[str], cwd: Path) -> Timing:
    return timed(
        lambda: subprocess.run(command, cwd=cwd, env=ENVIRONMENT, check=True, capture_output=True),
        N_STARTS,
        warm_up=2,
    )


def _cells(orchestrate: str, workspace: Path) -> Timing:
    """How long a cell takes that does nothing, as the journal says."""
    subprocess.run([orchestrate, "cells.md"], cwd=workspace, env=ENVIRONMENT, check=True, capture_output=True)
    journal = max((workspace / "memory" / "runs").iterdir()) / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    return summarised([event["duration_s"] for event in events if event["event"] == "cell_finished"][1:])


def _calls(orchestrate: str, workspace: Path) -> Timing:
    """How long a call takes, as the cell that makes it sees it."""
    done = subprocess.run(
        [orchestrate, "calls.md"], cwd=workspace, env=ENVIRONMENT, check=True, capture_output=True, text=True
    )
    return summarised(json.loads(done.stdout))


def _write(workspace: Path) -> None:
    skill = workspace / "skills" / "echo"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text(SKILL)
    (skill / "skill.py").write_text(CODE)
    (skill / "manifest.yaml").write_text(MANIFEST)
    (workspace / "one.md").write_text("# One\n\n```repl\nFINAL(1)\n```\n")
    (workspace / "cells.md").write_text(
        "# Cells\n\n" + "```repl\npass\n```\n\n" * 200 + "```repl\nFINAL(1)\n```\n"
    )
    (workspace / "calls.md").write_text(CALLS)


if __name__ == "__main__":
    main()
