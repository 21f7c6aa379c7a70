"""`orchestrate review apply` and `rollback`, as a person types them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator import load_skills
from orchestrator.memory.reviewing.proposal import Evidence, Proposal, proposal_id, to_object

Orchestrate = Callable[..., subprocess.CompletedProcess[str]]
Workflow = Callable[..., Path]


def propose(workspace: Path, subject: str, action: Any, change: Mapping[str, Any], digest: str) -> str:
    """Write a review with one more proposal; its id."""
    number = proposal_id(subject, action, change, digest)
    evidence = Evidence(("20260101-000000-000000",), "it failed 9 of 10 times")
    made = Proposal(number, subject, action, digest, evidence, "so", change, "it succeeds")
    folder = workspace / "memory" / "reviews"
    folder.mkdir(parents=True, exist_ok=True)
    window = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-08T00:00:00Z"}
    value = {"window": window, "findings": [], "proposals": [to_object(made)]}
    (folder / f"2026-01-08-{len(list(folder.glob('*.json'))) + 2}.json").write_text(json.dumps(value))
    return number


def of_skill(workspace: Path, action: str, **change: Any) -> str:
    (skill,) = load_skills(workspace / "skills" / "adder")
    return propose(workspace, "skill:adder", action, {"skill": "adder", **change}, skill.version)


def of_workflow(path: Path, action: str, **change: Any) -> str:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return propose(path.parent, f"workflow:{path.stem}", action, change, digest)


def state(workspace: Path) -> dict[str, bytes]:
    """Every file that a proposal may change."""
    paths = [*workspace.glob("*.md"), *workspace.glob("skills/**/*"), workspace / "skills.lock"]
    found = [path for path in paths if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(workspace)): path.read_bytes() for path in found}


def records(workspace: Path) -> list[str]:
    return sorted(path.name for path in (workspace / "memory" / "reviews" / "applied").glob("*"))


def test_a_budget_is_applied_shown_and_taken_back(
    workspace: Path, workflow: Workflow, orchestrate: Orchestrate
) -> None:
    path = workflow("FINAL(skills.adder(a=1, b=2))", budget={"tokens": 1000})
    assert orchestrate("job.md").returncode == 0
    before = state(workspace)
    number = of_workflow(path, "budget", budget="tokens", **{"from": 1000, "to": 2000})
    done = orchestrate("review", "apply", number, "--yes")
    assert (done.stdout, done.returncode) == (f"applied {number}: `job.md`\n", 0), done.stderr
    assert done.stderr == (
        "budget workflow:job: it failed 9 of 10 times\n"
        "wrong if it succeeds\n"
        "--- now/job.md\n+++ then/job.md\n@@ -2,5 +2,5 @@\n"
        ' name: "job"\n description: "A test."\n-budget: {"tokens": 1000}\n+budget: {"tokens": 2000}\n ---\n # Job\n'
        "run again: 1 of 1 runs and examples that held before still do\n"
        f"hint: `orchestrate review rollback {number}` takes it back\n"
    )
    assert state(workspace) == {**before, "job.md": before["job.md"].replace(b"1000", b"2000")}
    assert records(workspace) == [f"{number}.json"]
    back = orchestrate("review", "rollback", number, "--yes")
    assert (back.stdout, back.returncode) == (f"rolled back {number}: `job.md`\n", 0)
    assert (state(workspace), records(workspace)) == (before, [])


def test_a_skill_that_an_answered_run_called_is_not_denied(
    workspace: Path, workflow: Workflow, orchestrate: Orchestrate
) -> None:
    workflow("FINAL(skills.adder(a=1, b=2))")
    assert orchestrate("job.md").returncode == 0
    before = state(workspace)
    done = orchestrate("review", "apply", of_skill(workspace, "deny"), "--yes")
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "run again: 0 of 1 runs and examples that held before still do\n" in done.stderr
    assert "is undone: with it, what held before fails\n✗ run " in done.stderr
    assert (state(workspace), records(workspace)) == (before, [])


@pytest.mark.parametrize("action", ["deny", "retire"])
def test_a_skill_that_nothing_needs_goes_and_comes_back(
    action: str, workspace: Path, orchestrate: Orchestrate
) -> None:
    before = state(workspace)
    number = of_skill(workspace, action)
    done = orchestrate("review", "apply", number, "--yes", "--json")
    files = {"deny": ["skills.lock"], "retire": ["skills/adder/SKILL.md.retired", "skills/adder/SKILL.md"]}
    assert json.loads(done.stdout) == {
        "id": number, "subject": "skill:adder", "action": action, "files": files[action], "applied": True, "worse": {},
    }  # fmt: skip
    listed = {one["name"]: one["trust"] for one in json.loads(orchestrate("skills", "--json").stdout)}
    assert listed.get("adder") == ("new" if action == "deny" else None)
    assert orchestrate("review", "rollback", number, "--yes").returncode == 0
    assert (state(workspace), records(workspace)) == (before, [])
