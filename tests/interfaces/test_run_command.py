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


def test_text_is_printed_as_it_is_and_all_else_goes_to_stderr(
    orchestrate: Orchestrate, workflow: Write
) -> None:
    done = orchestrate(str(workflow("print('seen')", "FINAL('two\\nlines é')")))
    assert (done.stdout, done.returncode) == ("two\nlines é\n", 0)
    assert done.stderr.startswith("run ")
    assert "answered by `written`" in done.stderr
    assert "orchestrate show " in done.stderr


def test_other_values_are_printed_as_json(orchestrate: Orchestrate, workflow: Write) -> None:
    done = orchestrate("run", str(workflow("FINAL({'sum': skills.adder(1, 2), 'none': None})")))
    assert (json.loads(done.stdout), done.returncode) == ({"sum": 3, "none": None}, 0)
    assert done.stdout == '{\n  "sum": 3,\n  "none": null\n}\n'


def test_json_is_one_object_of_the_agreed_shape(orchestrate: Orchestrate, workflow: Write) -> None:
    path = workflow("FINAL([1])", checks=[{"name": "one", "expr": "answer == [1]"}])
    done = orchestrate("--json", str(path))
    result = json.loads(done.stdout)
    seconds = result["usage"].pop("seconds")
    attempt_seconds = result["attempts"][0]["usage"].pop("seconds")
    assert 0 < attempt_seconds <= seconds
    run = result.pop("run")
    checks = [{"name": "one", "passed": True, "message": ""}]
    usage = {"calls": 0, "tokens": 0, "usd": 0.0}
    assert result == {
        "status": "answered",
        "answer": [1],
        "strategy": "written",
        "checks": checks,
        "usage": usage,
        "attempts": [{"strategy": "written", "outcome": "ok", "checks": checks, "usage": usage}],
        "needs": [],
    }
    assert done.returncode == 0
    assert run in done.stderr


def test_failed_check_is_named_and_the_answer_still_printed(
    orchestrate: Orchestrate, workflow: Write
) -> None:
    done = orchestrate(str(workflow("FINAL(1)", checks=[{"name": "is two", "expr": "answer == 2"}])))
    assert (done.stdout, done.returncode) == ("1\n", 1)
    assert "✗ check `is two` failed: " in done.stderr
    assert "`written` failed its checks, failed · the answer of `written`: 0 of 1 check passed" in done.stderr


def test_no_answer_says_why(orchestrate: Orchestrate, workflow: Write) -> None:
    done = orchestrate(str(workflow("1/0")))
    assert (done.stdout, done.returncode) == ("", 1)
    assert "error: no cell gave an answer: ZeroDivisionError: division by zero" in done.stderr


def test_exhausted_budget_prints_what_there_is_and_exits_4(orchestrate: Orchestrate, workflow: Write) -> None:
    path = workflow("answer['content'] = 'half'", "while True: pass")
    done = orchestrate(str(path), "--budget", "seconds=1")
    assert (done.stdout, done.returncode) == ("half\n", 4)
    assert "`seconds`" in done.stderr


def test_inputs_are_read_by_their_declared_type(orchestrate: Orchestrate, workflow: Write) -> None:
    properties = {"days": {"type": "integer"}, "word": {"type": "string"}, "more": {"type": "array"}}
    path = workflow("FINAL(inputs)", inputs={"type": "object", "properties": properties})
    expected = {"days": 7, "word": "7", "more": [1]}
    done = orchestrate("--input", "days=7", "word=7", "more=[1]", str(path))
    assert json.loads(done.stdout) == expected
    done = orchestrate(
        str(path), "--input", "days=7", "--input", "word=7", "--input-json", "-", stdin='{"more": [1]}'
    )
    assert json.loads(done.stdout) == expected


def test_all_wrong_inputs_are_named_at_once(orchestrate: Orchestrate, workflow: Write) -> None:
    path = workflow(
        "FINAL(1)", inputs={"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["x"]}
    )
    done = orchestrate(str(path), "--input", "days=soon", "dayz=1")
    assert (done.stdout, done.returncode) == ("", 2)
    assert "did you mean `days`?" in done.stderr
    assert "soon" in done.stderr
    assert "`$.x`" in done.stderr


def test_dry_run_runs_and_writes_nothing(orchestrate: Orchestrate, workflow: Write, workspace: Path) -> None:
    path = workflow("open('out/ran', 'w')", inputs={"word": "string"}, skills=["adder"])
    before = sorted(workspace.rglob("*"))
    done = orchestrate(str(path), "--dry-run", "--json", "--input", "word=a")
    plan = json.loads(done.stdout)
    assert (plan["workflow"], plan["skills"], plan["inputs"]) == ("job", ["adder"], {"word": "a"})
    shown = orchestrate(str(path), "--dry-run", "--input", "word=a")
    assert "strategies   written\n" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert [
        found
        for found in sorted(workspace.rglob("*"))
        if found not in before and "cache" not in found.parts[-3:]
    ] in ([], [workspace / "memory"])


def test_nothing_is_coloured_off_a_terminal(orchestrate: Orchestrate, workflow: Write) -> None:
    done = orchestrate(str(workflow("print('\\x1b[31m')\nskills.adder.fail()", "FINAL('x')")))
    assert "\x1b" not in done.stdout + done.stderr
    assert "✗ adder.fail()" in done.stderr


def test_a_thousand_calls_are_a_few_lines(orchestrate: Orchestrate, workflow: Write) -> None:
    path = workflow(
        "FINAL(len(skills.adder.map([{'a': n, 'b': 1} for n in range(1000)])))", budget={"calls": 2000}
    )
    done = orchestrate(str(path))
    assert done.stdout == "1000\n"
    assert "… 990 more calls of adder.add" in done.stderr
    assert len(done.stderr.splitlines()) < 30


@pytest.mark.parametrize(
    "content", [None, b"\x00\xff\xfe", b"---\nname: x\n", b"---\nname: x\ninputs: {type: 7}\n---\n"]
)
def test_files_that_cannot_run_exit_2_with_their_name(
    orchestrate: Orchestrate, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "bad.md"
    path.mkdir() if content is None else path.write_bytes(content)
    done = orchestrate("bad.md")
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr.startswith("error: bad.md:")


def test_unknown_environment_strategy_and_limit_are_usage_errors(
    orchestrate: Orchestrate, workflow: Write
) -> None:
    path = str(workflow("FINAL(1)"))
    for words in (["--environment", "docekr"], ["--strategy", "writen"], ["--budget", "secs=1"]):
        done = orchestrate(path, *words)
        assert (done.stdout, done.returncode) == ("", 2), words
        assert "\nhint: " in done.stderr, words


def test_workflow_without_cells_needs_a_model(orchestrate: Orchestrate, workflow: Write) -> None:
    done = orchestrate(str(workflow()))
    assert (done.stdout, done.returncode) == ("", 69)
    assert "no model" in done.stderr


def test_workspace_that_cannot_be_written_exits_2(
    orchestrate: Orchestrate, workflow: Write, workspace: Path
) -> None:
    path = workflow("FINAL(1)")
    (workspace / "memory").write_text("a file where the folder should be")
    done = orchestrate(str(path))
    assert (done.stdout, done.returncode) == ("", 2)
    assert str(workspace / "memory") in done.stderr
    assert "hint: " in done.stderr


def test_two_runs_at_once_in_one_workspace_both_answer(clean_env: dict[str, str], workflow: Write) -> None:
    path = workflow("FINAL(skills.adder(20, 22))")
    command = [sys.executable, "-m", "orchestrator", str(path)]
    runs = [
        subprocess.Popen(command, env=clean_env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(3)
    ]
    assert [(run.communicate(timeout=60)[0], run.returncode) for run in runs] == [(b"42\n", 0)] * 3


def test_reader_that_goes_away_ends_it_in_silence(clean_env: dict[str, str], workspace: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "orchestrator", "skills"]
    done = subprocess.run(
        command, env=clean_env, cwd=workspace, stdout=writing, stderr=subprocess.PIPE, timeout=60
    )
    os.close(writing)
    assert (done.stderr, done.returncode) == (b"", 141)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_answer_that_cannot_be_written_is_an_error(clean_env: dict[str, str], workflow: Write) -> None:
    command = [sys.executable, "-m", "orchestrator", str(workflow("FINAL('lost')"))]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, env=clean_env, stdout=full, stderr=subprocess.PIPE, timeout=60, text=True
        )
    assert done.returncode == 1
    assert "error: the answer could not be written to stdout: No space left on device" in done.stderr


def test_stream_that_cannot_hold_a_character_gets_its_escape(
    orchestrate: Orchestrate, workflow: Write
) -> None:
    done = orchestrate(str(workflow("FINAL('日本')")), env={"PYTHONIOENCODING": "ascii"})
    assert (done.stdout, done.returncode) == ("\\u65e5\\u672c\n", 0)


def test_cells_that_failed_are_named_though_a_later_one_answered(
    orchestrate: Orchestrate, workflow: Write
) -> None:
    path = workflow("1 / 0", "x = 1", "FINAL(x)")
    done = orchestrate(path)
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert "answered by `written` · 1 of 3 cells failed (1) · 0 skill calls" in done.stderr


def test_ending_names_the_cells_that_failed(orchestrate: Orchestrate, workflow: Write) -> None:
    done = orchestrate(str(workflow("1/0", "skills.adder.fail()", "FINAL(skills.adder(1, 2))")))
    assert done.returncode == 0
    assert "\nanswered by `written` · 2 of 3 cells failed (1, 2) · 2 skill calls (1 failed) · " in done.stderr


def test_run_says_that_its_workspace_is_new(
    orchestrate: Orchestrate, workflow: Write, workspace: Path
) -> None:
    new = workspace / "new"
    done = orchestrate(str(workflow("FINAL(1)")), "--workspace", str(new))
    assert (done.stdout, done.returncode) == ("1\n", 0)
    assert done.stderr.startswith(f"warning: there is no folder `{new}` yet: it is made when the run writes")
    assert (new / "memory").is_dir()


def test_header_says_all_of_what_the_environment_covers(orchestrate: Orchestrate, workflow: Write) -> None:
    done = orchestrate(str(workflow("FINAL(1)")), "--environment", "process")
    assert done.stderr.splitlines()[1:4] == [
        "  limits memory and time, passes on no keys; keeps workers from no file and no",
        "  network",
        "  … cell 1",
    ]
