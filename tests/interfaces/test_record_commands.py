"""What `show`, `status` and `usage` say of runs that were."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Orchestrate = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., Path]


@pytest.fixture
def run(orchestrate: Orchestrate, workflow: Write) -> str:
    """The id of a run with a failed call, an answer and a check."""
    path = workflow(
        "try:\n    skills.adder.fail()\nexcept SkillError as error:\n    print('caught', type(error).__name__)",
        "FINAL(skills.adder(1, 2))",
        checks=[{"name": "is three", "expr": "answer == 3"}],
    )
    result = json.loads(orchestrate(str(path), "--json").stdout)
    assert result["status"] == "answered"
    run: str = result["run"]
    return run


def test_show_draws_cells_observations_calls_and_checks(run: str, orchestrate: Orchestrate) -> None:
    done = orchestrate("show", run)
    assert (done.stderr, done.returncode) == ("", 0)
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"run {run} · job · environment ")
    assert lines[1].startswith(
        "  workers reach only granted files" if sys.platform == "linux" else "  limits "
    )
    assert "│        print('caught', type(error).__name__)" in lines
    assert "│    > caught SkillError" in lines
    assert any(line.startswith("│  ├─ ✗ adder.fail()  error") for line in lines)
    assert any(line.startswith("│  ├─ ✓ adder.add(a=1, b=2)") for line in lines)
    assert "├─ ✓ check: is three" in lines
    assert lines[-1].startswith("answered · ")
    assert max(map(len, lines)) <= 80


def test_show_finds_a_run_by_part_of_its_id_or_takes_the_newest(run: str, orchestrate: Orchestrate) -> None:
    whole = orchestrate("show", run).stdout
    assert [
        orchestrate("show", run[:-2]).stdout,
        orchestrate("show", run[-5:]).stdout,
        orchestrate("show").stdout,
    ] == [whole] * 3
    wrong = orchestrate("show", run[:-1] + "?")
    assert wrong.returncode == 2
    assert f"did you mean `{run}`?" in wrong.stderr


def test_record_names_the_whole_path_of_its_workflow(orchestrate: Orchestrate, workflow: Write) -> None:
    path = workflow("FINAL(1)")
    run = json.loads(orchestrate(path.name, "--json").stdout)["run"]
    journal = path.parent / "memory" / "runs" / run / "journal.jsonl"
    assert json.loads(journal.read_text().splitlines()[0])["path"] == str(path)


def test_show_as_json_holds_the_whole_tree(run: str, orchestrate: Orchestrate) -> None:
    tree = json.loads(orchestrate("show", "--json").stdout)
    assert (tree["run"], tree["workflow"], tree["status"]) == (run, "job", "answered")
    root = tree["root"]
    assert [cell["number"] for cell in root["cells"]] == [1, 2]
    assert [(call["name"], call["outcome"], call["during_cell"]) for call in root["children"]] == [
        ("adder.fail", "error", 0),
        ("adder.add", "ok", 1),
    ]
    assert root["children"][1]["value"] == 3
    assert root["checks"] == [{"name": "is three", "passed": True, "message": ""}]


def test_status_lists_runs_newest_first(run: str, orchestrate: Orchestrate, workflow: Write) -> None:
    second = json.loads(orchestrate(str(workflow("1/0", name="broken")), "--json").stdout)["run"]
    listed = json.loads(orchestrate("status", "--json").stdout)
    assert [(one["run"], one["workflow"], one["status"]) for one in listed] == [
        (second, "broken", "failed"),
        (run, "job", "answered"),
    ]
    assert [set(one) for one in listed] == [{"run", "workflow", "status", "started", "usage"}] * 2
    assert set(listed[0]["usage"]) == {"calls", "tokens", "usd", "seconds"}
    lines = orchestrate("status").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["RUN", second, run]
    assert max(map(len, lines)) <= 80
    assert json.loads(orchestrate("status", second, "--json").stdout) == listed[0]
    assert "no cell gave an answer" in orchestrate("status", second).stdout


def test_usage_counts_by_skill_workflow_and_strategy(run: str, orchestrate: Orchestrate) -> None:
    tallies = json.loads(orchestrate("usage", "--json").stdout)
    assert {name: tally["calls"] for name, tally in tallies["skills"].items()} == {"adder": 2}
    assert (tallies["skills"]["adder"]["ok"], tallies["skills"]["adder"]["failed"]) == (1, 1)
    assert (list(tallies["workflows"]), list(tallies["strategies"])) == (["job"], ["written"])
    lines = orchestrate("usage").stdout.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith(("SKILL", "WORKFLOW", "STRATEGY"))] == [
        ["SKILL", "CALLS"],
        ["WORKFLOW", "CALLS"],
        ["STRATEGY", "CALLS"],
    ]
    assert max(map(len, lines)) <= 80


def test_where_nothing_ran_there_is_nothing_to_show(orchestrate: Orchestrate) -> None:
    assert orchestrate("status", "--json").stdout == "[]\n"
    for command in ("status", "usage"):
        done = orchestrate(command)
        assert (done.stdout, done.returncode) == ("", 0)
        assert "hint: `orchestrate WORKFLOW`" in done.stderr
    done = orchestrate("show")
    assert (done.stdout, done.returncode) == ("", 2)


def test_changed_journal_is_named_with_its_line(run: str, orchestrate: Orchestrate, tmp_path: Path) -> None:
    journal = tmp_path / "memory" / "runs" / run / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([*lines[:2], "no event\n", *lines[2:]]))
    done = orchestrate("show", run)
    assert done.returncode == 2
    assert f"{journal}:3" in done.stderr
    assert orchestrate("status").returncode == 0


def test_crashed_run_took_the_time_that_its_record_spans(
    run: str, orchestrate: Orchestrate, workspace: Path
) -> None:
    journal = workspace / "memory" / "runs" / run / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()[:3]]
    for event, at in zip(events, ("04:05.0", "04:06.0", "04:07.5"), strict=True):
        event["at"] = f"2026-01-02T03:{at}00000Z"
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))
    [listed] = json.loads(orchestrate("status", "--json").stdout)
    assert (listed["status"], listed["usage"]["seconds"]) == ("crashed", 2.5)
    assert orchestrate("show").stdout.splitlines()[-1] == "crashed · 2.5 s"
