"""A run that is stopped, by a person, by the system or by force: what ends, what stays, what is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Orchestrate = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., Path]

BUSY = "import time\nprint('on')\nlog('started')\nwhile True:\n    time.sleep(0.01)"
STUBBORN = "log('started')\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass"


@contextmanager
def running(path: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The run of a workflow, in a session of its own, once its cell has logged `started`."""
    command = [sys.executable, "-m", "orchestrator", str(path)]
    with subprocess.Popen(
        command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as run:
        try:
            assert run.stderr is not None
            for line in run.stderr:
                if "started" in line:
                    break
            yield run
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)


def descendants(pid: int) -> set[int]:
    """Processes below `pid`, at any depth (Linux)."""
    children: dict[int, set[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, set()).add(int(entry.name))
    found, waiting = set(), [pid]
    while waiting:
        new = children.get(waiting.pop(), set())
        found |= new
        waiting += new
    return found


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="descendants are read from /proc")
@pytest.mark.parametrize("cell", [BUSY, STUBBORN], ids=["sleeping", "stubborn"])
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_every_process_and_says_how_to_look(
    cell: str,
    signum: signal.Signals,
    code: int,
    clean_env: dict[str, str],
    workflow: Write,
    orchestrate: Orchestrate,
) -> None:
    with running(workflow(cell), clean_env) as run:
        below = descendants(run.pid)
        assert below
        run.send_signal(signum)
        out, err = run.communicate(timeout=30)
        assert (out, run.returncode) == ("", code)
        assert "interrupted\n  orchestrate show " in err
        assert [pid for pid in below if alive(pid)] == []
    listed = json.loads(orchestrate("status", "--json").stdout)
    assert [run_["status"] for run_ in listed] == ["interrupted"]


def test_status_tells_running_from_killed(
    clean_env: dict[str, str], workflow: Write, orchestrate: Orchestrate
) -> None:
    with running(workflow(BUSY), clean_env) as run:
        assert [one["status"] for one in json.loads(orchestrate("status", "--json").stdout)] == ["running"]
        assert "running" in orchestrate("status").stdout
        run.kill()
        run.communicate(timeout=30)
    assert [one["status"] for one in json.loads(orchestrate("status", "--json").stdout)] == ["crashed"]
    shown = orchestrate("show")
    assert shown.returncode == 0
    assert "crashed" in shown.stdout
    assert "… cell 1  not finished" in shown.stdout
