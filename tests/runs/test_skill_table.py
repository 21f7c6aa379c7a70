"""The root's skill table: the skills that fit the task are described, the others named, and it is always the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.catalog.discover import load_skills
from orchestrator.runs.prompting import N_SKILLS, NAMES_CHARS, Brief, opening, skill_lines

ONE = next(skill for skill in load_skills(Path(__file__).parents[2] / "skills") if skill.name == "summarize")
TASK = "Transcribe the interview and find the quotes"


def brief(n_others: int, task: str = TASK) -> Brief:
    fillers = [
        replace(ONE, name=f"filler-{number:03}", description="Bakes bread.", body="")
        for number in range(n_others)
    ]
    right = replace(ONE, name="speech-notes", description="Turns recordings of people into text.", body="")
    return Brief(task, {}, None, [*fillers, right], {}, None, None)


def described(lines: str) -> list[str]:
    return [
        line.partition("`: ")[0].removeprefix("- `skills.").partition("(")[0]
        for line in lines.splitlines()
        if "`: " in line
    ]


def test_few_skills_are_all_described_in_their_own_order():
    assert described(skill_lines(brief(3))) == ["filler_000", "filler_001", "filler_002", "speech_notes"]


def test_of_many_the_fitting_ones_are_described_and_the_others_named():
    lines = skill_lines(brief(40)).splitlines()
    assert len(lines) == N_SKILLS + 1
    assert described(lines[0]) == ["speech_notes"]
    assert "`filler_039`" in lines[-1]
    assert lines[-1].startswith("- also callable (`print(skills.NAME)` tells what it does): `filler_0")


@pytest.mark.parametrize("n_others", [100, 1000])
def test_the_table_stays_small(n_others):
    text = skill_lines(brief(n_others))
    assert len(text) < NAMES_CHARS + N_SKILLS * 300
    assert ("more, which `print(skills)` lists" in text) == (n_others == 1000)


def test_the_same_task_and_skills_give_the_same_text():
    assert opening(brief(200)) == opening(brief(200))
    assert skill_lines(brief(200, TASK + "." * 100_000)) == skill_lines(brief(200))
