"""What a host waits for at each use of a skill: `orchestrate record`, alone and as the plugin's hook."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from report import ROOT, report, timed, users_environment

N = 40
EVENT = {
    "hook_event_name": "PostToolUse",
    "tool_name": "Skill",
    "tool_input": {"skill": "summarize", "args": "some text"},
    "tool_response": {"success": True, "commandName": "summarize"},
    "duration_ms": 6,
}


def main() -> None:
    """Measure with a copy of the plugin under a path with spaces, then print one table."""
    with tempfile.TemporaryDirectory(prefix="hook ") as work:
        rows = measured(Path(work))
    report(
        "A hook of the host",
        ["what", "median (min-max) ms", "aim, ms"],
        rows,
        "Medians, with minimum and maximum in brackets. The hook is the shell command of hooks/hooks.json, run by `sh -c`; "
        "its time has the shell, the launcher, the start of the command and the record.",
    )


def measured(work: Path) -> list[list[object]]:
    """The rows of the table."""
    workspace = work / "work space"
    (workspace / "skills").mkdir(parents=True)
    plugin = work / "plugin"
    for name in ("bin", ".claude-plugin", "hooks"):
        shutil.copytree(ROOT / name, plugin / name)
    event = json.dumps({**EVENT, "cwd": str(workspace)}).encode()
    command = Path(sys.executable).with_name("orchestrate")
    on_path, by_python = work / "command", work / "python"
    link(on_path, orchestrate=command, python3=Path("/usr/bin/python3"))
    link(by_python, python3=Path(sys.executable))
    no_package = work / "neither"
    link(no_package, python3=Path("/usr/bin/python3"))

    def run(*argv: str, path: Path, code: int = 0) -> str:
        env = {**users_environment(), "PATH": f"{path}{os.pathsep}/usr/bin{os.pathsep}/bin"}

        def once() -> None:
            done = subprocess.run(argv, input=event, env=env, cwd=workspace, capture_output=True)
            assert done.returncode == code, done.stderr

        return timed(once, n=N, warm_up=3).ms

    hook = json.loads((plugin / "hooks" / "hooks.json").read_text())["hooks"]["PostToolUse"][0]["hooks"][0]
    line = hook["command"].replace("${CLAUDE_PLUGIN_ROOT}", str(plugin))
    rows: list[list[object]] = [
        ["`python -c pass`", run(sys.executable, "-c", "pass", path=on_path), ""],
        ["`orchestrate record`", run(str(command), "record", path=on_path), ""],
        ["the hook, the command on PATH", run("sh", "-c", line, path=on_path), 150],
        ["the hook, the package in `python3`", run("sh", "-c", line, path=by_python), 150],
    ]
    n_recorded = (workspace / "memory" / "usage.jsonl").read_bytes().count(b"\n")
    assert n_recorded == 3 * (N + 3), n_recorded
    rows.append(["the hook, nothing installed", run("sh", "-c", line, path=no_package), 150])
    return rows


def link(folder: Path, **programs: Path) -> None:
    """A folder for PATH with these programs; Python finds its own packages by a small script and not by a link."""
    folder.mkdir()
    for name, program in programs.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.quote(str(program))} "$@"\n')
        (folder / name).chmod(0o755)
    if "orchestrate" in programs:
        (folder / "orchestrate").unlink()
        shutil.copy2(programs["orchestrate"], folder / "orchestrate")


if __name__ == "__main__":
    main()
