"""What a workflow names is looked for among skills and strategies, and what is missing has its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.catalog.discover import discover
from orchestrator.catalog.validate import workflow_problems
from orchestrator.documents.workflow import load_workflow
from orchestrator.workspace import Workspace

MANIFEST = """\
schema: orchestrate.skill/1
functions:
  count:
    entry: {python: "code.py:count"}
default: count
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A workspace with the skills `counter`, which has a function and a script, and `broken`, whose manifest is."""
    for name in ("counter", "broken"):
        folder = tmp_path / "skills" / name
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: Does it.\n---\n")
        (folder / "code.py").write_text("def count(): return 1\n")
        (folder / "manifest.yaml").write_text(MANIFEST)
    (tmp_path / "skills/counter/scripts").mkdir()
    (tmp_path / "skills/counter/scripts/send.sh").write_text("true\n")
    (tmp_path / "skills/broken/manifest.yaml").write_text(MANIFEST.replace("code.py", "gone.py"))
    return tmp_path


def problems(place: Path, head: str, *, strict: bool = False) -> list[str]:
    path = place / "w.md"
    path.write_text(f"---\nname: counter-broken-nobody\n{head}---\n```repl\nFINAL(1)\n```\n")
    catalog = discover(Workspace(place), home=None, bundled=place / "nowhere")
    found = workflow_problems(load_workflow(path), catalog, ("written", "rlm"), strict=strict)
    return [str(problem).replace(f"{place}/", "") for problem in found]


def test_what_is_there_is_no_problem(place: Path) -> None:
    head = """\
skills: [counter, "count*"]
strategies: [rlm, written]
checks: [{skill: counter}, {skill: counter.count}, {expr: "1"}]
approvals: ["skill:counter", "skill:counter.count", "skill:counter.scripts/send.sh"]
"""
    assert problems(place, head) == []


def test_each_name_that_nobody_has_is_told_with_the_line_of_its_entry(place: Path) -> None:
    head = """\
description: nobody counterr writen skill:countr
skills:
  - counter
  - counterr
strategies: [rlm,
  writen]
checks:
  - {expr: "'nobody'"}
  - {name: nobody, skill: nobody}
  - name: wrong
    skill: counter.cuont
approvals:
  - skill:counter
  - skill:countr
  - counter
"""
    assert problems(place, head) == [
        "w.md:6: no skill named `counterr` (2 known)\nhint: did you mean `counter`? see `orchestrate skills`",
        "w.md:8: no strategy named `writen` (2 known: written, rlm)\nhint: did you mean `written`?",
        "w.md:11: no skill named `nobody` (2 known)\nhint: see `orchestrate skills`",
        "w.md:13: `counter` has no function `cuont`\nhint: did you mean `count`?",
        "w.md:16: warning: `skill:countr` fits no call, so nothing waits for a person\n"
        "hint: did you mean `skill:counter`?",
        "w.md:17: warning: `counter` fits no call, so nothing waits for a person\nhint: did you mean `skill:counter`?",
    ]


@pytest.mark.parametrize("head", ["skills: [broken]\n", "skills: []\nchecks: [{skill: broken.count}]\n"])
def test_broken_skill_is_an_error_where_it_is_named(place: Path, head: str) -> None:
    (problem,) = problems(place, head)
    assert problem.startswith("skills/broken/manifest.yaml:4: ")
    assert "gone.py" in problem


def test_broken_skill_is_odd_only_where_every_skill_may_be_called(place: Path) -> None:
    told = "functions are missing from `broken`: the manifest has errors\nhint: `orchestrate check skills/broken` tells them"
    assert problems(place, "") == [f"w.md: warning: {told}"]
    assert problems(place, "", strict=True) == [f"w.md: {told}"]


def test_strict_makes_errors_of_warnings(place: Path) -> None:
    (problem,) = problems(place, "skills: []\napprovals: [everything]\n", strict=True)
    assert problem == (
        "w.md:4: `everything` fits no call, so nothing waits for a person\n"
        "hint: write `skill:NAME` or `skill:NAME.FUNCTION`; see `orchestrate skills`"
    )
