"""The commands by which a run is left, looked at, stopped and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interfaces.conftest import Orchestrate, Write

WAITING = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.02)\nFINAL('went on')"
READS = {"read": ["go"]}


def status(orchestrate: Orchestrate, run: str) -> dict[str, object]:
    shown: dict[str, object] = json.loads(orchestrate("status", run, "--json").stdout)
    return shown


def until(orchestrate: Orchestrate, run: str, wanted: str) -> dict[str, object]:
    end = time.monotonic() + 30
    while (shown := status(orchestrate, run))["status"] != wanted:
        assert time.monotonic() < end, shown
        time.sleep(0.05)
    return shown


def process_of(folder: Path) -> int:
    first = (folder / "journal.jsonl").read_text().splitlines()[0]
    pid: int = json.loads(first)["process"]["pid"]
    return pid


@pytest.fixture
def detached(orchestrate: Orchestrate, workflow: Write, workspace: Path) -> str:
    """A run that goes on apart from this process until there is a file named `go`."""
    done = orchestrate(str(workflow(WAITING, permissions=READS)), "--detach", "--json")
    assert done.returncode == 0, done.stderr
    begun = json.loads(done.stdout)
    assert begun["status"] == "running"
    return str(begun["run"])


def test_a_detached_run_outlives_its_caller_and_status_has_its_result(
    orchestrate: Orchestrate, detached: str, workspace: Path
) -> None:
    assert status(orchestrate, detached)["status"] == "running"
    (workspace / "go").touch()
    ended = until(orchestrate, detached, "answered")
    assert (ended["answer"], ended["exit_code"]) == ("went on", 0)


def test_a_stopped_run_is_gone_on_with(orchestrate: Orchestrate, detached: str, workspace: Path) -> None:
    refused = orchestrate("resume", detached)
    assert refused.returncode == 2
    assert "is going on in another process" in refused.stderr
    stopped = orchestrate("stop", detached)
    assert (stopped.returncode, stopped.stderr) == (
        0, f"stopped {detached}\n  orchestrate resume {detached}\n"
    )  # fmt: skip
    assert status(orchestrate, detached)["status"] == "interrupted"
    assert f"nothing to stop: `{detached}` is interrupted" in orchestrate("stop", detached).stderr
    (workspace / "go").touch()
    gone_on = orchestrate("resume", detached)
    assert (gone_on.stdout, gone_on.returncode) == ("went on\n", 0)


def test_a_killed_run_holds_no_lock_and_is_gone_on_with(
    orchestrate: Orchestrate, detached: str, workspace: Path
) -> None:
    os.kill(process_of(workspace / "memory/runs" / detached), signal.SIGKILL)
    until(orchestrate, detached, "crashed")
    (workspace / "go").touch()
    gone_on = orchestrate("resume", detached, "--json")
    assert (json.loads(gone_on.stdout)["answer"], gone_on.returncode) == ("went on", 0)
    again = orchestrate("resume", detached)
    assert (again.stdout, again.returncode) == ("went on\n", 0)
    assert "has ended; this is its recorded result" in again.stderr


def test_a_run_of_another_machine_is_not_stopped_from_here(
    detached: str, workspace: Path, clean_env: dict[str, str]
) -> None:
    pid = process_of(workspace / "memory/runs" / detached)
    stop = [sys.executable, "-m", "orchestrator", "stop", detached, "--workspace", str(workspace)]
    elsewhere = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"]
    if subprocess.run([*elsewhere, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no machine of another name can be had here")
    stopped = subprocess.run([*elsewhere, *stop], capture_output=True, text=True, check=False, env=clean_env)
    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert f"goes on on `{os.uname().nodename}`, which has this workspace too" in stopped.stderr
    os.kill(pid, 0)  # it is there
    (workspace / "go").touch()


def test_all_runs_are_stopped_at_once(orchestrate: Orchestrate, detached: str) -> None:
    assert json.loads(orchestrate("stop", "--all", "--json").stdout) == {"stopped": [detached], "running": []}
    assert "nothing to stop" in orchestrate("stop", "--all").stderr
    assert orchestrate("stop").returncode == 2


def test_a_workflow_that_cannot_run_is_refused_before_it_is_left_alone(
    orchestrate: Orchestrate, workflow: Write
) -> None:
    done = orchestrate(str(workflow("FINAL(1)", skills=["nothing-like-it"])), "--detach")
    assert (done.returncode, done.stdout) == (2, "")


def test_an_approval_is_a_need_and_a_person_gives_it_later(orchestrate: Orchestrate, workflow: Write) -> None:
    done = orchestrate(str(workflow("FINAL(approve('Send it?'))")), "--json")
    assert done.returncode == 3
    envelope = json.loads(done.stdout)
    (need,) = envelope["needs"]
    assert (envelope["status"], need["kind"], need["prompt"]) == ("suspended", "approval", "Send it?")
    assert status(orchestrate, envelope["run"])["needs"] == [need]
    wrong = orchestrate("resume", envelope["run"], "--approve", "00000000")
    assert (wrong.returncode, need["id"] in wrong.stderr) == (2, True)
    within = orchestrate("resume", envelope["run"], "--approve", need["id"], env={"ORCHESTRATE_RUN": "1"})
    assert (within.returncode, "from within a run" in within.stderr) == (5, True)
    assert orchestrate("resume", envelope["run"], "--approve", need["id"]).stdout == "true\n"


def test_a_host_answers_as_the_model_through_the_shell(orchestrate: Orchestrate, workflow: Write) -> None:
    done = orchestrate(str(workflow("FINAL(llm_query_batched(['a', 'b']))")), "--model", "host", "--json")
    assert done.returncode == 3
    envelope = json.loads(done.stdout)
    answers = {need["id"]: need["messages"][-1]["content"].upper() for need in envelope["needs"]}
    resumed = orchestrate("resume", envelope["run"], "--answers", "-", "--json", stdin=json.dumps(answers))
    assert json.loads(resumed.stdout)["answer"] == ["A", "B"]


def test_a_replay_says_whether_a_run_comes_out_the_same(
    orchestrate: Orchestrate, workflow: Write, workspace: Path
) -> None:
    run = json.loads(orchestrate(str(workflow("print('seen')\nFINAL(1)")), "--json").stdout)["run"]
    same = orchestrate("replay", run)
    assert same.returncode == 0
    assert "it came out the same" in same.stderr
    assert "seen" in same.stdout
    journal = workspace / "memory/runs" / run / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"output": "seen', '"output": "unseen'))
    other = orchestrate("replay", run, "--json")
    assert other.returncode == 1
    assert json.loads(other.stdout)["same"] is False
