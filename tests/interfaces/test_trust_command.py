"""Trust on the command line: what is shown, what is asked, what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Orchestrate = Callable[..., subprocess.CompletedProcess[str]]

CELL = "FINAL(skills.adder(1, 2))"


def change(workspace: Path) -> None:
    with (workspace / "skills/adder/code.py").open("a") as file:
        file.write("EVIL = '\x1b]0;owned\x07'\n")


def test_a_changed_skill_ends_with_code_5_and_the_command_that_trusts_it(orchestrate, workspace, workflow):
    path = workflow(CELL, skills=["adder"])
    assert orchestrate(str(path)).stdout == "3\n"
    change(workspace)
    done = orchestrate(str(path))
    assert (done.returncode, done.stdout) == (5, "")
    assert "code.py changed" in done.stderr
    assert "`orchestrate skills trust adder`" in done.stderr
    assert json.loads(orchestrate(str(path), "--json").stdout)["status"] == "denied"


def test_trust_shows_what_changed_and_the_run_goes_on(orchestrate, workspace, workflow):
    path = workflow(CELL, skills=["adder"])
    orchestrate("skills", "trust", "adder", "--revoke")
    orchestrate("skills", "trust", "adder")
    change(workspace)
    done = orchestrate("skills", "trust", "adder")
    assert (done.returncode, done.stdout) == (0, "trusted: skills/adder (3 files), see skills.lock\n")
    assert "+EVIL = '\\x1b]0;owned\\x07'" in done.stderr
    assert "\x1b" not in done.stderr
    assert orchestrate(str(path)).stdout == "3\n"


def test_yes_accepts_the_workspaces_own_skills_and_frozen_does_not(orchestrate, workspace, workflow):
    path = workflow(CELL, skills=["adder"])
    (workspace / "skills.lock").unlink()
    assert orchestrate(str(path), "--frozen").returncode == 5
    assert orchestrate(str(path), "--frozen", "--yes").returncode == 5
    assert orchestrate(str(path), "--yes").stdout == "3\n"
    assert orchestrate(str(path), "--frozen").stdout == "3\n"


def test_a_dry_run_says_that_a_skill_is_not_trusted(orchestrate, workspace, workflow):
    path = workflow(CELL, skills=["adder"])
    change(workspace)
    done = orchestrate(str(path), "--dry-run")
    assert done.returncode == 5
    assert "error: `adder` has changed" in done.stderr


def test_trust_of_an_unknown_skill_names_the_closest(orchestrate, workspace):
    done = orchestrate("skills", "trust", "ader")
    assert done.returncode == 2
    assert "hint: did you mean `adder`?" in done.stderr


def test_trust_is_not_given_from_within_a_run(orchestrate, workspace):
    done = orchestrate("skills", "trust", "adder", env={"ORCHESTRATE_RUN": "1"})
    assert done.returncode == 5
    assert "trust can't be given from within a run" in done.stderr


def test_the_list_says_which_skills_are_trusted(orchestrate, workspace):
    found = {one["name"]: one["trust"] for one in json.loads(orchestrate("skills", "--json").stdout)}
    assert (found["adder"], found["text-search"]) == ("trusted", "package")
    change(workspace)
    found = {one["name"]: one["trust"] for one in json.loads(orchestrate("skills", "--json").stdout)}
    assert found["adder"] == "changed"
    assert "changed" in next(line for line in orchestrate("skills").stdout.splitlines() if "adder" in line)


def test_a_run_that_was_denied_before_it_began_is_not_replayed(orchestrate, workspace, workflow):
    change(workspace)
    assert orchestrate(str(workflow(CELL, skills=["adder"]))).returncode == 5
    done = orchestrate("replay", "latest")
    assert (done.returncode, done.stdout) == (2, "")
    assert "never began" in done.stderr
