"""`orchestrate review apply` and `rollback`, as a person types them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from test_live_tree import on_a_terminal

from orchestrator import load_skills
from orchestrator.memory.reviewing.proposal import Evidence, Proposal, proposal_id, to_object
from orchestrator.runs.trusting import trust
from orchestrator.workspace import Workspace

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
        "running 1 recorded run and the examples of 0 skills again, before and after\n"
        "run again: 1 of 1 runs and examples that held before still do\n"
        f"hint: `orchestrate review rollback {number}` takes it back\n"
    )
    assert state(workspace) == {**before, "job.md": before["job.md"].replace(b"1000", b"2000")}
    assert records(workspace) == [f"{number}.json"]
    back = orchestrate("review", "rollback", number, "--yes")
    assert (back.stdout, back.returncode) == (f"rolled back {number}: `job.md`\n", 0)
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
    assert listed.get("adder") == ("revoked" if action == "deny" else None)
    assert orchestrate("review", "rollback", number, "--yes").returncode == 0
    assert (state(workspace), records(workspace)) == (before, [])


def modelled(workspace: Path, orchestrate: Orchestrate, workflow: Workflow, **frontmatter: Any) -> Path:
    """A workflow whose cells a model wrote in one run, with three requests in all; it was answered."""
    reply = "```repl\nFINAL([llm_query('a'), llm_query('b')])\n```"
    replies = [{"role": "root", "reply": reply}, {"role": "sub", "reply": "x"}, {"role": "sub", "reply": "y"}]
    (workspace / "script.json").write_text(json.dumps({"replies": replies}))
    path = workflow(**frontmatter)
    done = orchestrate(str(path), "--model", "recorded:script.json")
    assert done.returncode == 0, done.stderr
    return path


def test_a_limit_that_a_recorded_run_would_not_keep_is_undone(
    workspace: Path, workflow: Workflow, orchestrate: Orchestrate
) -> None:
    path = modelled(workspace, orchestrate, workflow, budget={"calls": 10})
    before = state(workspace)
    low = of_workflow(path, "budget", budget="calls", **{"from": 10, "to": 2})
    done = orchestrate("review", "apply", low, "--yes", "--json")
    ((what, why),) = json.loads(done.stdout)["worse"].items()
    assert (done.returncode, json.loads(done.stdout)["applied"]) == (1, False)
    assert what.startswith("run ")
    assert why == "it spent 3 calls, where 2 would be allowed"
    assert (state(workspace), records(workspace)) == (before, [])
    enough = of_workflow(path, "budget", budget="calls", **{"from": 10, "to": 3})
    assert orchestrate("review", "apply", enough, "--yes").returncode == 0


@pytest.mark.parametrize(
    ("action", "change", "listed", "said"),
    [
        ("prefer", {"strategy": "direct", "over": "rlm"}, '"direct", "rlm", "grep"', "0 of 1"),
        ("drop", {"strategy": "rlm"}, '"direct", "grep"', "0 of 1"),
        ("drop", {"strategy": "direct"}, '"rlm", "grep"', "1 of 1"),
    ],
)
def test_strategies_are_listed_otherwise_and_what_no_record_tells_is_said(
    action: str,
    change: dict[str, str],
    listed: str,
    said: str,
    workspace: Path,
    workflow: Workflow,
    orchestrate: Orchestrate,
) -> None:
    path = modelled(workspace, orchestrate, workflow, strategies=["rlm", "direct", "grep"])
    before = path.read_text()
    done = orchestrate("review", "apply", of_workflow(path, action, **change), "--yes")
    assert done.returncode == 0, done.stderr
    assert path.read_text() == before.replace('["rlm", "direct", "grep"]', f"[{listed}]")
    told = f"run again: {said} runs and examples that held before still do"
    assert (
        f"{told}; of 1 the record does not say\n" in done.stderr
        if "0 of" in said
        else f"{told}\n" in done.stderr
    )


@pytest.mark.parametrize("frontmatter", [{}, {"skills": ["adder"]}])
@pytest.mark.parametrize("action", ["deny", "retire"])
def test_a_skill_that_an_answered_run_called_stays(
    action: str, frontmatter: dict[str, Any], workspace: Path, workflow: Workflow, orchestrate: Orchestrate
) -> None:
    workflow("FINAL(skills.adder(a=1, b=2))", **frontmatter)
    assert orchestrate("job.md").returncode == 0
    before = state(workspace)
    done = orchestrate("review", "apply", of_skill(workspace, action), "--yes")
    assert (done.stdout, done.returncode) == ("", 1), done.stderr
    assert "run again: 0 of 1 runs and examples that held before still do\nerror: " in done.stderr
    assert "is undone: with it, what held before fails\n✗ run " in done.stderr
    assert (state(workspace), records(workspace)) == (before, [])


@pytest.mark.parametrize(("skills", "code"), [(["adder"], 1), ("all", 0)])
@pytest.mark.parametrize("action", ["deny", "retire"])
def test_a_skill_that_a_workflow_names_stays_though_no_run_has_called_it(
    action: str, skills: Any, code: int, workspace: Path, workflow: Workflow, orchestrate: Orchestrate
) -> None:
    workflow("FINAL(1)", **({"skills": skills} if code else {}))
    assert orchestrate("job.md").returncode == 0
    done = orchestrate("review", "apply", of_skill(workspace, action), "--yes")
    assert done.returncode == code, done.stderr


def test_a_description_that_is_a_link_is_left_to_a_person(workspace: Path, orchestrate: Orchestrate) -> None:
    path = workspace / "skills" / "adder" / "SKILL.md"
    path.rename(path.with_name("ours.md"))
    path.symlink_to("ours.md")
    before = state(workspace)
    for action in ("retire", "describe"):
        number = of_skill(workspace, action, to="Other.")
        assert refused(orchestrate("review", "apply", number, "--yes")).startswith(
            f"error: `{path}` is a link\n"
        )
    assert (state(workspace), path.is_symlink()) == (before, True)


def test_a_description_is_changed_and_the_skill_stays_trusted(
    workspace: Path, orchestrate: Orchestrate
) -> None:
    skill = workspace / "skills" / "adder"
    (skill / "manifest.yaml").write_text(
        (skill / "manifest.yaml").read_text().replace("b: 1}, output: 3", "b: 1}, output: 2")
    )
    trust(Workspace(workspace), load_skills(skill), "person")
    before = state(workspace)
    number = of_skill(workspace, "describe", to="Adds: two # numbers.")
    done = orchestrate("review", "apply", number, "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"applied {number}: `skills/adder/SKILL.md`, `skills.lock`\n"
    assert "run again: 2 of 2 runs and examples that held before still do\n" in done.stderr
    assert (
        skill / "SKILL.md"
    ).read_text() == '---\nname: adder\ndescription: "Adds: two # numbers."\n---\n# Adder\n'
    (listed,) = [one for one in json.loads(orchestrate("skills", "--json").stdout) if one["name"] == "adder"]
    assert (listed["trust"], listed["description"]) == ("trusted", "Adds: two # numbers.")
    assert orchestrate("review", "rollback", number, "--yes").returncode == 0
    assert state(workspace) == before


def test_a_learned_program_is_promoted_in_its_own_file(
    workspace: Path, workflow: Workflow, orchestrate: Orchestrate
) -> None:
    path = workflow("FINAL(1)")
    program = workspace / "memory" / "strategies" / "job" / "0a1b2c3d.md"
    program.parent.mkdir(parents=True)
    text = "---\nname: learned-0a1b2c3d\ndescription: Cells.  # mine\n---\n```repl\nFINAL(2)\n```\n"
    program.write_text(text)
    number = of_workflow(path, "promote", strategy="learned:0a1b2c3d")
    assert orchestrate("review", "apply", number, "--yes").returncode == 0
    assert program.read_text() == text.replace("# mine\n", "# mine\nfirst: true\n")
    assert orchestrate("review", "rollback", number, "--yes").returncode == 0
    assert program.read_text() == text


def refused(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    assert (done.stdout, done.returncode) == ("", code), done.stderr
    return done.stderr


def test_an_unknown_id_names_the_closest(workspace: Path, orchestrate: Orchestrate) -> None:
    where = workspace / "memory" / "reviews"
    assert refused(orchestrate("review", "apply", "12345678", "--yes")) == (
        f"error: no review in `{where}` proposes `12345678` (0 known)\n"
        "hint: `orchestrate review` makes proposals, and shows their ids\n"
    )
    number = of_skill(workspace, "deny")
    typo = number[:-1] + ("0" if number[-1] != "0" else "1")
    assert refused(orchestrate("review", "apply", typo, "--yes")) == (
        f"error: no review in `{where}` proposes `{typo}` (1 known)\nhint: did you mean `{number}`?\n"
    )
    assert refused(orchestrate("review", "rollback", number)) == (
        f"error: `{number}` is not applied: there is nothing to take back\nhint: nothing is applied\n"
    )
    assert refused(orchestrate("review", "rollback", "../../x")).startswith(
        "error: no change `../../x` is on record in "
    )


def test_what_moved_since_the_review_is_not_changed(
    workspace: Path, workflow: Workflow, orchestrate: Orchestrate
) -> None:
    path = workflow("FINAL(1)", budget={"calls": 10})
    numbers = (
        of_skill(workspace, "deny"),
        of_workflow(path, "budget", budget="calls", **{"from": 10, "to": 20}),
    )
    path.write_text(path.read_text() + "More.\n")
    (workspace / "skills" / "adder" / "code.py").write_text("")
    (workspace / "skills" / "adder" / "more.py").write_text("")
    before = state(workspace)
    assert refused(orchestrate("review", "apply", numbers[0], "--yes")) == (
        "error: `adder` has changed since the review: code.py changed, more.py added\n"
        "hint: `orchestrate review` looks at it as it is now\n"
    )
    said = refused(orchestrate("review", "apply", numbers[1], "--yes"))
    assert said.startswith(f"error: `{path}` has changed since the review: it had the hash ")
    assert said.endswith("… now\nhint: `orchestrate review` looks at it as it is now\n")
    path.unlink()
    assert refused(orchestrate("review", "apply", numbers[1], "--yes")).startswith(
        "error: there is no workflow `job` any more\n"
    )
    del before["job.md"]
    assert state(workspace) == before


@pytest.mark.parametrize(
    ("action", "change", "said"),
    [
        (
            "split",
            {"limit": "iterations", "from": 30},
            "is advice: how `workflow:job` is to be split, a person has to say",
        ),
        ("budget", {"budget": "calls", "from": 1, "to": 10}, "changes nothing: it is so already"),
        ("budget", {"budget": "wishes", "from": 1, "to": 10}, "`wishes: 10` is no limit"),
        ("budget", {"budget": "calls"}, "does not say `to`"),
        ("drop", {"strategy": "rlm"}, "changes nothing: it is so already"),
        ("drop", {"strategy": "written"}, "`job` has no other strategy"),
        (
            "drop",
            {"strategy": "learned:0a1b2c3d"},
            "`learned:0a1b2c3d` is a learned program, and stands in no list",
        ),
        ("prefer", {"strategy": "magic", "over": "written"}, "`magic` can't stand in `strategies:`"),
        (
            "promote",
            {"strategy": "learned:../../x"},
            "there is no learned program `learned:../../x` any more",
        ),
        ("deny", {"skill": "job"}, "`deny` is for skills"),
    ],
)
def test_what_cannot_be_applied_says_why(
    action: str,
    change: dict[str, Any],
    said: str,
    workflow: Workflow,
    workspace: Path,
    orchestrate: Orchestrate,
) -> None:
    path = workflow("FINAL(1)", budget={"calls": 10}, strategies=["written"])
    before = state(workspace)
    told = refused(orchestrate("review", "apply", of_workflow(path, action, **change), "--yes"))
    assert said in told.splitlines()[0]
    assert told.splitlines()[1].startswith("hint: ")
    assert (state(workspace), records(workspace)) == (before, [])


def test_who_is_not_trusted_can_lose_no_trust(workspace: Path, orchestrate: Orchestrate) -> None:
    (workspace / "skills.lock").unlink()
    assert refused(orchestrate("review", "apply", of_skill(workspace, "deny"), "--yes")) == (
        "error: `adder` is not trusted: there is no trust to take back\n"
        "hint: leave it out of the workflows' `skills:`, or take its folder away\n"
    )


def test_without_a_person_and_without_yes_nothing_changes(workspace: Path, orchestrate: Orchestrate) -> None:
    number, before = of_skill(workspace, "retire"), state(workspace)
    said = refused(orchestrate("review", "apply", number), 5)
    assert said.endswith(
        "skills/adder/SKILL.md.retired: new\nskills/adder/SKILL.md: goes\n"
        "error: nobody is here to be asked, and nothing was changed\nhint: `--yes` agrees to what is shown above\n"
    )
    within = orchestrate("review", "apply", number, "--yes", env={"ORCHESTRATE_RUN": "1"})
    assert refused(within, 5).startswith("error: a review's proposal can't be applied from within a run\n")
    assert state(workspace) == before
    assert orchestrate("review", "apply", number, "--yes").returncode == 0
    assert "nobody is here" in refused(orchestrate("review", "rollback", number), 5)
    assert refused(orchestrate("review", "apply", number, "--yes")).startswith(
        f"error: `{number}` was applied on "
    )


def test_a_person_at_the_terminal_is_asked(workspace: Path, clean_env: dict[str, str]) -> None:
    number, before = of_skill(workspace, "deny"), state(workspace)
    words = ["review", "apply", number, "--workspace", str(workspace)]
    seen, code = on_a_terminal(words, clean_env, (b"[y/N] ", b"n\n"))
    assert (code, state(workspace)) == (5, before)
    assert f"apply `{number}`? [y/N] " in seen
    seen, code = on_a_terminal(words, clean_env, (b"[y/N] ", b"y\n"))
    assert (code, f"applied {number}" in seen) == (0, True)
    seen, code = on_a_terminal(["review", "rollback", *words[2:]], clean_env, (b"[y/N] ", b"y\n"))
    assert (code, state(workspace)) == (0, before)


def test_an_apply_that_was_cut_off_is_taken_back_first(workspace: Path, orchestrate: Orchestrate) -> None:
    number, before = of_skill(workspace, "retire"), state(workspace)
    assert orchestrate("review", "apply", number, "--yes").returncode == 0
    path = workspace / "memory" / "reviews" / "applied" / f"{number}.json"
    path.write_text(path.read_text().replace('"state": "kept"', '"state": "begun"'))
    said = refused(orchestrate("review", "apply", number, "--yes"))
    assert said.startswith(f"error: applying `{number}` was begun on ")
    assert said.endswith(f"hint: `orchestrate review rollback {number}` takes it back, then apply it again\n")
    assert orchestrate("review", "rollback", number, "--yes").returncode == 0
    assert (state(workspace), records(workspace)) == (before, [])
