"""The bundled workflow over the example skills: real workers, real files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOUND = "---\nname: {}\ndescription: Does things. Use when asked.\n---\nText.\n"


@pytest.fixture
def workspace(tmp_path, downloaded):
    """A workspace with the example skills, and a home with one skill and one link to somewhere else."""
    shutil.copytree(downloaded, tmp_path / "work" / "skills")
    home = tmp_path / "home" / ".claude" / "skills"
    for folder in (home / "at-home", tmp_path / "elsewhere" / "linked"):
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text(SOUND.format(folder.name))
    (home / "linked").symlink_to(tmp_path / "elsewhere" / "linked")
    return tmp_path / "work"


def audit(workspace, *words):
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", str(ROOT / "workflows" / "audit-skills.md"), "--workspace", str(workspace), "--json", *words],
        cwd=workspace,
        env={**os.environ, "HOME": str(workspace.parent / "home"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_skill_is_audited_by_a_call_of_its_own_and_the_checks_hold(workspace):
    result = audit(workspace)
    answer = result["answer"]
    assert (result["status"], {check["passed"] for check in result["checks"]}) == ("answered", {True})
    assert answer["n_skills"] == 11
    assert {skill["skill"] for skill in answer["skills"]} >= {
        "page-fetcher",
        "research-pack",
        "at-home",
        "session-sync",
    }
    assert answer["counts"]["high"] == 10
    assert [item["folder"].rsplit("/", 1)[-1] for item in answer["not_audited"]] == ["linked"]
    report = (workspace / "out" / "skill-audit.md").read_text(encoding="utf-8")
    assert "11 skills" in report

    journal = workspace / "memory" / "runs" / result["run"] / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    depths = {
        event["arguments"]["folder"].rsplit("/", 1)[-1]: event["depth"]
        for event in events
        if event["event"] == "call_started" and event["name"] == "skill-audit.audit"
    }
    assert (depths["research-pack"], depths["page-fetcher"]) == (1, 2)


def test_workspace_without_any_skill_gets_an_empty_report(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    answer = audit(tmp_path / "work")["answer"]
    assert (answer["n_skills"], answer["skills"]) == (0, [])
    assert (tmp_path / "work" / "out" / "skill-audit.md").is_file()


def test_folders_that_are_not_there_are_passed_over(workspace):
    answer = audit(workspace, "--input", 'folders=["skills/word-counter", "nowhere"]')["answer"]
    assert [skill["skill"] for skill in answer["skills"]] == ["word-counter"]
    assert (answer["findings"], answer["not_audited"]) == ([], [])
