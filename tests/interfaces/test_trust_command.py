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


def test_trust_in_json_says_which_files_are_trusted_and_by_what(orchestrate, workspace):
    revoked = orchestrate("skills", "trust", "adder", "nobody", "--revoke", "--json")
    assert json.loads(revoked.stdout) == {"revoked": ["adder"], "left": ["nobody"]}
    entry = json.loads(orchestrate("skills", "trust", "adder", "--yes", "--json").stdout)["trusted"][0]
    assert (entry["path"], sorted(entry["files"]), entry["how"]) == (
        "skills/adder",
        ["SKILL.md", "code.py", "manifest.yaml"],
        "yes",
    )


def test_what_is_typed_for_a_command_is_told_the_command(orchestrate, workspace):
    assert "`orchestrate skills trust`?" in orchestrate("trust", "adder").stderr
    assert "`orchestrate skills trust --revoke`?" in orchestrate("untrust", "adder").stderr
    assert "`orchestrate skills trust --revoke NAME`?" in orchestrate("skills", "revoke", "adder").stderr
    assert "did you mean `adder`?" in orchestrate("skills", "trust", "skills/adder").stderr
    assert "did you mean `--input name=Ada`?" in orchestrate("greet.md", "name=Ada").stderr
    assert "did you mean `resume`?" in orchestrate("resum", "latest").stderr
    assert (
        "comes with the package: text-split"
        in orchestrate("skills", "trust", "--revoke", "text-split").stdout
    )


def test_a_kept_text_that_is_not_what_was_trusted_is_not_shown(orchestrate, workspace):
    orchestrate("skills", "trust", "adder", "--revoke")
    orchestrate("skills", "trust", "adder")
    for kept in (workspace / "memory/cache/trusted").iterdir():
        kept.write_text("forged\n")
    change(workspace)
    said = orchestrate("skills", "trust", "adder").stderr
    assert "forged" not in said
    assert "code.py: changed (no text to compare)" in said
