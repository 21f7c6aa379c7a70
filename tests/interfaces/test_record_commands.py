"""What `show`, `status` and `usage` say of runs that were."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import app
from orchestrator.interfaces.outcome import say_ending
from orchestrator.runs.journal import Event
from orchestrator.runs.tree import Tree
from orchestrator.values import RunResult, Usage

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
    one = json.loads(orchestrate("status", second, "--json").stdout)
    assert listed[0].items() <= one.items()
    assert (one["exit_code"], one["answer"], one["needs"]) == (1, None, [])
    assert "no cell gave an answer" in orchestrate("status", second).stdout


def test_usage_counts_by_skill_workflow_and_strategy(run: str, orchestrate: Orchestrate) -> None:
    tallies = json.loads(orchestrate("usage", "--json").stdout)
    assert {name: tally["calls"] for name, tally in tallies["skills"].items()} == {"adder": 2}
    assert (tallies["skills"]["adder"]["ok"], tallies["skills"]["adder"]["failed"]) == (1, 1)
    assert (list(tallies["workflows"]), list(tallies["strategies"])) == (["job"], ["written"])
    lines = orchestrate("usage").stdout.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith(("SKILL", "WORKFLOW", "STRATEGY"))] == [
        ["SKILL", "CALLS"],
        ["WORKFLOW", "ATTEMPTS"],
        ["STRATEGY", "ATTEMPTS"],
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


@pytest.fixture
def modelled(orchestrate: Orchestrate, workflow: Write, workspace: Path) -> subprocess.CompletedProcess[str]:
    """A run whose own cell fails its check, so that a model answers: after a malformed turn, with 20 sub-calls."""
    replies = [
        {"role": "root", "match": "Do it", "reply": "I think \x1b[31mfirst."},
        {
            "role": "root",
            "reply": "I ask.\n```repl\nsaid = llm_query_batched(['q'] * 20)\nFINAL(len([s for s in said if s]))\n```",
        },
        {"role": "sub", "reply": "well\x07", "times": 0},
    ]
    (workspace / "script.json").write_text(json.dumps({"replies": replies}))
    path = workflow(
        "FINAL(0)", checks=[{"name": "is twelve", "expr": "answer == 12"}], budget={"calls": 14, "depth": 1}
    )
    return orchestrate(str(path), "--model", "recorded:script.json")


def test_run_of_a_model_is_told_in_a_line_a_turn_and_counts(
    modelled: subprocess.CompletedProcess[str],
) -> None:
    assert (modelled.stdout, modelled.returncode) == ("12\n", 0)
    lines = [re.sub(r"  [\d.]+ m?s$|[\d,]+ in, .*", "", line) for line in modelled.stderr.splitlines()[2:-2]]
    lines = [line for line in lines if "llm_query(" not in line]
    assert lines.pop() == "`rlm` now first for `job`: 1/1, was 2nd"
    assert lines.pop().startswith("no program was learned for `job`: ")
    assert [line.strip() for line in lines[:-1]] == [
        "… cell 1",
        "✓ cell 1",
        "✗ check: is twelve: `answer == 12` is False",
        "attempt 2: rlm",
        "✗ turn 1: it has no code block · recorded:script.json ·",
        "● turn 2 · recorded:script.json ·",
        "… cell 1",
        "… 2 more calls of llm_query",
        "… 5 more calls of llm_query (budget)",
        "✓ cell 1",
        "✓ check: is twelve",
    ]
    assert lines[-1].startswith("`written` failed its checks, answered by `rlm` · 1 of 1 check passed · ")
    assert " · 14 model requests · " in lines[-1]
    assert "$" not in lines[-1]
    assert "\x1b" not in modelled.stderr


def test_show_draws_turns_and_what_models_were_asked(
    modelled: subprocess.CompletedProcess[str], orchestrate: Orchestrate
) -> None:
    done = orchestrate("show")
    lines = done.stdout.splitlines()
    assert any(line.startswith("├─ ✗ turn 1: it has no code block · recorded:script.json") for line in lines)
    assert "│    I think \\x1b[31mfirst." in lines
    assert '│  │    > "well\\x07"' in lines
    assert "│  ├─ ○ llm_query: 5 more calls, all budget" in lines
    assert lines[-1].startswith("answered · written: error · rlm: ok · 14 model requests · ")
    assert max(map(len, lines)) <= 80
    tree = json.loads(orchestrate("show", "--json").stdout)
    assert tree["spent"]["calls"] == tree["root"]["calls"] == 14
    assert [(turn["attempt"], turn["strategy"], turn["problem"]) for turn in tree["root"]["turns"]] == [
        (0, "written", ""),
        (1, "rlm", "it has no code block"),
        (1, "rlm", ""),
    ]
    assert tree["root"]["turns"][1]["messages"][0]["role"] == "system"
    assert [cell["turn"] for cell in tree["root"]["cells"]] == [0, 2]
    first = tree["root"]["children"][0]
    assert (first["kind"], first["calls"], first["tokens"]) == (
        "llm",
        1,
        first["tokens_in"] + first["tokens_out"],
    )


def test_export_writes_the_log_to_stdout_or_a_file(
    modelled: subprocess.CompletedProcess[str], orchestrate: Orchestrate, workspace: Path
) -> None:
    shown = orchestrate("export", "latest", "--format", "rlm")
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [line["type"] for line in lines] == ["metadata", "iteration", "iteration", "iteration"]
    assert [line["final_answer"] for line in lines[1:]] == [None, None, "12"]
    (workspace / "log.jsonl").write_text("old")
    done = orchestrate("export", "--out", "log.jsonl")
    assert (done.stdout, done.returncode) == ("", 0)
    assert (workspace / "log.jsonl").read_text() == shown.stdout
    assert [path.name for path in workspace.glob(".*.part")] == []
    wrong = orchestrate("export", "--format", "rml")
    assert wrong.returncode == 2
    assert wrong.stderr == ("error: no format named `rml` (1 known: rlm)\nhint: did you mean `rlm`?\n")
    nowhere = orchestrate("export", "--out", "no/folder/log.jsonl")
    assert nowhere.returncode == 2
    assert "can't write `--out no/folder/log.jsonl`" in nowhere.stderr


def test_crashed_run_says_what_its_finished_calls_spent(
    modelled: subprocess.CompletedProcess[str], orchestrate: Orchestrate, workspace: Path
) -> None:
    [folder] = (workspace / "memory" / "runs").iterdir()
    lines = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
    (folder / "journal.jsonl").write_text("".join(lines[:-2]))
    assert " · 14 model requests · " in orchestrate("show").stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("model", "usd", "said"),
    [
        ("openai/nobody-knows-this", 0.0, ["2 model requests", "30 tokens", "price unknown"]),
        (
            "openai/nobody-knows-this",
            0.5,
            ["2 model requests", "30 tokens", "$0.5000"],
        ),  # the endpoint said it
        ("ollama/mine", 0.0, ["2 model requests", "30 tokens"]),
        ("recorded:script.json", 0.0, ["2 model requests", "30 tokens"]),
    ],
)
def test_ending_never_calls_an_unknown_price_nothing(
    model: str,
    usd: float,
    said: list[str],
    workflow: Write,
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    planned = app.plan(app.RunRequest(workflow("FINAL(1)"), workspace=workspace))
    tree = Tree()
    tree.add(Event(0, "", "r", "0", "call_started", {"kind": "root", "name": "job"}))
    tree.add(Event(1, "", "r", "0", "iteration", {"strategy": "rlm", "iteration": 1, "model": model}))
    reply = {"calls": 2, "tokens_in": 20, "tokens_out": 10, "usd": usd, "model": model, "text": ""}
    tree.add(Event(2, "", "r", "0", "reply", reply))
    say_ending(RunResult("answered", 1, "r", "rlm", usage=Usage(2, 30, usd, 1.0)), tree, planned)
    assert capsys.readouterr().err.splitlines()[0] == " · ".join(["answered by `rlm`", *said, "1.0 s"])


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
