from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Orchestrate = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., Path]


def test_list_names_each_skill_and_what_it_takes(orchestrate: Orchestrate, workspace: Path) -> None:
    (workspace / ".claude/skills/poet").mkdir(parents=True)
    (workspace / ".claude/skills/poet/SKILL.md").write_text(
        "---\nname: poet\ndescription: Writes \x1b[5mverse.\n---\n"
    )
    done = orchestrate("skills")
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["SKILL", "FROM", "TRUST", "CALLS", "DESCRIPTION"]
    assert ["adder", "workspace", "trusted", "2", "functions", "Adds"] in [row[:6] for row in rows]
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    listed = {one["name"]: one for one in json.loads(orchestrate("skills", "--json").stdout)}
    assert listed["adder"]["path"] == str(workspace / "skills" / "adder")
    assert listed["adder"]["functions"]["add"]["signature"] == "add(a, b)"
    assert "poet" in listed


def test_show_says_how_to_call_a_skill(orchestrate: Orchestrate, workspace: Path) -> None:
    shown = orchestrate("skills", "show", "adder")
    assert "  skills.adder.add(a, b) (default)\n" in shown.stdout
    wrong = orchestrate("skills", "show", "addr")
    assert wrong.returncode == 2
    assert "no skill named `addr`" in wrong.stderr
    assert "did you mean `adder`?" in wrong.stderr


def test_examples_are_run_and_a_wrong_one_fails(orchestrate: Orchestrate, workspace: Path) -> None:
    done = orchestrate("skills", "test", "adder")
    lines = done.stdout.splitlines()
    assert lines[0] == '✓ adder.add {"a": 1, "b": 2}'
    assert lines[1] == '✗ adder.add {"a": 1, "b": 1}'
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "2 examples, 1 failed")
    results = json.loads(orchestrate("skills", "test", "adder", "--json").stdout)
    assert [(one["skill"], one["function"], one["passed"]) for one in results] == [
        ("adder", "add", True),
        ("adder", "add", False),
    ]


def test_check_prints_every_problem_of_every_file(
    orchestrate: Orchestrate, workflow: Write, workspace: Path
) -> None:
    workflow("FINAL(1)", name="good", skills=["extract"])
    workflow("FINAL(1)", name="bad", skills=["addr"], budgte={"calls": 1})
    manifest = workspace / "skills/adder/manifest.yaml"
    manifest.write_text(manifest.read_text().replace("code.py:fail", "gone.py:fail"))
    done = orchestrate("check", "good.md", "bad.md", "skills/adder", "none.md")
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert "good.md: ok" in lines
    assert any(line.startswith("bad.md:4: no skill named `addr`") for line in lines)
    assert any("did you mean `adder`?" in line for line in lines)
    assert any(line.startswith("bad.md:5: ") and "budgte" in line for line in lines)
    assert any("gone.py" in line for line in lines)
    assert any(line.startswith("none.md: ") for line in lines)
    assert done.stderr.splitlines()[-1].endswith("errors, 1 warning")


def test_check_and_run_refuse_the_same_with_the_same_words(
    orchestrate: Orchestrate, workflow: Write, workspace: Path
) -> None:
    manifest = workspace / "skills/adder/manifest.yaml"
    manifest.write_text(manifest.read_text().replace("code.py:fail", "gone.py:fail"))
    checks = [{"skill": "nobody"}]
    workflow("FINAL(1)", skills=["adder"], strategies=["writen"], checks=checks, approvals=["adder"])
    told = orchestrate("check", "job.md").stdout.splitlines()
    assert [line.partition(" (")[0] for line in told if not line.startswith("hint: ")] == [
        "job.md:5: no strategy named `writen`",
        "job.md:6: no skill named `nobody`",
        "job.md:7: warning: `adder` fits no call, so nothing waits for a person",
        f"{manifest}:12: function `fail`: the entry `gone.py` does not exist",
    ]
    refused = orchestrate("job.md")
    assert refused.returncode == orchestrate("check", "job.md").returncode == 2
    assert [line.removeprefix("error: ") for line in refused.stderr.splitlines()] == told


def test_check_looks_for_skills_in_the_workspace_that_is_named(
    orchestrate: Orchestrate, workflow: Write, workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("elsewhere") / "job.md"
    workflow("FINAL(1)", skills=["adder"]).rename(path)
    assert orchestrate("check", str(path), cwd=path.parent).returncode == 2
    assert orchestrate("check", str(path), "--workspace", str(workspace), cwd=path.parent).returncode == 0


def test_strict_check_fails_on_warnings(orchestrate: Orchestrate, workflow: Write) -> None:
    workflow("FINAL(1)", name="odd", budgte={})
    assert orchestrate("check", "odd.md").returncode == 0
    assert orchestrate("check", "odd.md", "--strict").returncode == 2
    assert orchestrate("odd.md", "--strict").returncode == 2
    workflow("FINAL(1)", name="open", approvals=["everything"])
    checked = orchestrate("check", "open.md")
    assert (checked.returncode, checked.stdout[:19]) == (0, "open.md:4: warning:")
    assert orchestrate("open.md").stderr.startswith("open.md:4: warning:")
    assert orchestrate("check", "open.md", "--strict").returncode == 2
    assert orchestrate("open.md", "--strict").returncode == 2


def test_doctor_has_a_line_for_each_thing(orchestrate: Orchestrate, workspace: Path) -> None:
    done = orchestrate("doctor")
    lines = [line for line in done.stdout.splitlines() if not line.startswith("      ")]
    assert {line.split()[0] for line in lines} <= {"ok", "warn", "fail", "none"}
    what = [line[6:].partition(":")[0] for line in lines]
    assert what[0] == "python"
    environments = ("bubblewrap", "docker", "podman", "process")
    assert {
        *(f"environment {name}" for name in environments),
        "workspace",
        "skills",
        "git",
        "bash",
        "node",
    } <= set(what)
    findings = json.loads(orchestrate("doctor", "--json").stdout)
    assert [finding["what"] for finding in findings] == what
    assert done.returncode == (1 if "fail" in {finding["state"] for finding in findings} else 0)


def test_doctor_tries_only_the_environment_that_it_was_asked_for(
    orchestrate: Orchestrate, workspace: Path
) -> None:
    done = orchestrate("doctor", "--environment", "process", "--json")
    states = {one["what"]: one["state"] for one in json.loads(done.stdout) if "environment" in one["what"]}
    assert (done.returncode, states) == (0, {"environment process": "ok"})
    (workspace / "orchestrate.toml").write_text('[environments.docker]\ncommand = ["no-such-docker"]\n')
    done = orchestrate("doctor", "--environment", "docker")
    assert done.returncode == 1
    assert "fail  environment docker: `no-such-docker` is not on PATH\n" in done.stdout
    assert orchestrate("doctor", "--environment", "dcoker").returncode == 2


def test_broken_skill_is_marked_and_doctor_says_how_to_check_it(
    orchestrate: Orchestrate, workspace: Path
) -> None:
    folder = workspace / "skills" / "adder"
    (folder / "manifest.yaml").write_text("schema: orchestrate.skill/1\nfunctions: 7\n")
    listed = [line.split()[:6] for line in orchestrate("skills").stdout.splitlines()]
    assert ["adder", "workspace", "changed", "✗", "1", "error"] in listed
    told = orchestrate("doctor").stdout
    assert f"      hint: `orchestrate check {folder}` says what is wrong\n" in told
    assert orchestrate("check", str(folder)).returncode == 2
