"""A run that is stopped, by a person, by the system or by force: what ends, what stays, what is said."""

from __future__ import annotations

import json
import os
import pty
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


ON_A_TERMINAL = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
terminal = os.open(sys.argv[1], os.O_RDWR)
for number in range(3):
    os.dup2(terminal, number)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""A program that makes a terminal its session's own, and its standard streams, and becomes another program."""


@contextmanager
def running(path: Path, env: dict[str, str], *options: str) -> Iterator[subprocess.Popen[str]]:
    """The run of a workflow, in a session of its own, once its cell has logged `started`."""
    command = [sys.executable, "-m", "orchestrator", str(path), *options]
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
@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
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
    shown = orchestrate("show").stdout.splitlines()
    assert [line for line in shown if line.startswith("✗ job  written · interrupted")]
    assert shown[-1].startswith("interrupted · ")


def test_interrupted_run_prints_its_one_json_object(clean_env: dict[str, str], workflow: Write) -> None:
    with running(workflow("answer['content'] = 'half'", BUSY), clean_env, "--json") as run:
        run.send_signal(signal.SIGTERM)
        out, err = run.communicate(timeout=30)
    result = json.loads(out)
    keys = ["status", "answer", "run", "strategy", "checks", "usage", "attempts", "needs"]
    assert list(result) == keys
    assert (result["status"], result["answer"]) == ("interrupted", "half")
    assert result["usage"]["seconds"] > 0
    assert f"orchestrate show {result['run']}\n" in err
    assert run.returncode == 143


@pytest.mark.skipif(sys.platform != "linux", reason="a terminal becomes the session's own by being opened")
def test_closed_terminal_ends_the_run_and_its_record(
    clean_env: dict[str, str], workflow: Write, orchestrate: Orchestrate
) -> None:
    ours, theirs = pty.openpty()
    words = [
        sys.executable,
        "-c",
        ON_A_TERMINAL,
        os.ttyname(theirs),
        "-m",
        "orchestrator",
        str(workflow(BUSY)),
    ]
    run = subprocess.Popen(words, env=clean_env, start_new_session=True)
    seen = b""
    while b"started" not in seen:
        seen += os.read(ours, 65536)
    os.close(theirs)
    below = descendants(run.pid)
    assert below
    os.close(ours)
    assert run.wait(timeout=30) == 129
    assert [pid for pid in below if alive(pid)] == []
    assert [one["status"] for one in json.loads(orchestrate("status", "--json").stdout)] == ["interrupted"]


def test_run_that_was_told_to_outlive_its_terminal_does(
    clean_env: dict[str, str], workflow: Write, workspace: Path
) -> None:
    go = workspace / "go"
    wait = f"import time\nfrom pathlib import Path\nlog('started')\nwhile not Path({str(go)!r}).exists(): time.sleep(0.01)\nFINAL(1)"
    before = signal.signal(
        signal.SIGHUP, signal.SIG_IGN
    )  # as `nohup` does; programs that are started inherit it
    try:
        with running(workflow(wait, permissions={"read": ["go"]}), clean_env) as run:
            run.send_signal(signal.SIGHUP)
            go.touch()
            assert run.communicate(timeout=30)[0] == "1\n"
            assert run.returncode == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_run_whose_stderr_is_gone_still_answers_and_closes_its_record(
    clean_env: dict[str, str], workflow: Write, orchestrate: Orchestrate
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "orchestrator", str(workflow("log('x')\nFINAL(skills.adder(1, 2))"))]
    done = subprocess.run(command, env=clean_env, stdout=subprocess.PIPE, stderr=writing, timeout=60)
    os.close(writing)
    assert (done.stdout, done.returncode) == (b"3\n", 0)
    assert [one["status"] for one in json.loads(orchestrate("status", "--json").stdout)] == ["answered"]


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
