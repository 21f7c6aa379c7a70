from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.catalog.discover import load_skills
from orchestrator.memory.suggestions import Suggestion, suggest
from orchestrator.memory.tallies import Tallies, Tally
from orchestrator.values import Problem

BUNDLED = load_skills(Path(__file__).parents[2] / "skills")
TASKS = {
    "Summarize these meeting notes in three sentences": "summarize",
    "Which commits of the repository were made last week?": "git-log",
    "Find every text that has the word invoice": "text-search",
    "Is it safe to install this downloaded skill? Audit it.": "skill-audit",
    "Split the book into chapters": "text-split",
}


def names(found):
    return [one.name for one in found]


def test_the_skill_for_a_task_comes_first():
    assert {task: names(suggest(task, BUNDLED))[0] for task in TASKS} == TASKS


def test_none_is_suggested_where_none_fits():
    for task in ("", "Please do it for me", "Book a flight to Lisbon", "?!", "Übersetze das ins Türkische"):
        assert suggest(task, BUNDLED) == [], task
    assert suggest("Summarize this", []) == []


def test_without_a_threshold_all_are_ranked():
    assert sorted(names(suggest("Summarize this", BUNDLED, k=100, threshold=None))) == sorted(
        skill.name for skill in BUNDLED
    )
    assert len(suggest("Summarize this", BUNDLED, k=2, threshold=None)) == 2


def test_one_skill_alone_can_fit():
    (skill,) = (skill for skill in BUNDLED if skill.name == "summarize")
    assert names(suggest("Summarize this", [skill])) == ["summarize"]
    assert suggest("Book a flight", [skill]) == []


def test_of_two_that_fit_alike_the_one_that_did_better_comes_first():
    skill = next(skill for skill in BUNDLED if skill.name == "summarize")
    twins = [replace(skill, name=name, description="Translates letters.") for name in ("a1", "b1")]
    tallies = Tallies(skills={"a1": Tally("a1", calls=4, ok=1, failed=3), "b1": Tally("b1", calls=4, ok=4)})
    assert names(suggest("translates letters", twins)) == ["a1", "b1"]
    first, second = suggest("translates letters", twins, tallies)
    assert first == Suggestion("b1", first.score, "Translates letters.", 4, 0)
    assert second == Suggestion("a1", second.score, "Translates letters.", 4, 3)
    assert second.score == pytest.approx(first.score / 2, abs=1e-3)


def test_a_broken_skill_is_left_out():
    skill = next(skill for skill in BUNDLED if skill.name == "summarize")
    broken = replace(skill, diagnostics=(Problem("SKILL.md", 1, "no name"),))
    assert suggest("Summarize this", [broken], threshold=None) == []
