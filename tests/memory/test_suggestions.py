from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.catalog.discover import load_skills
from orchestrator.errors import UsageError
from orchestrator.memory.matching.stored import index_in_memory
from orchestrator.memory.suggestions import Known, ranked, suggest
from orchestrator.memory.tallies import Tally
from orchestrator.values import Problem

BUNDLED = load_skills(Path(__file__).parents[2] / "skills")
SUMMARIZE = next(skill for skill in BUNDLED if skill.name == "summarize")
TASKS = {
    "Summarize these meeting notes in three sentences": "summarize",
    "Which commits of the repository were made last week?": "git-log",
    "Find every text that has the word invoice": "text-search",
    "Is it safe to install this downloaded skill? Audit it.": "skill-audit",
    "Split the book into chapters": "text-split",
}


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path, monkeypatch):
    """No test works with the record of the checkout."""
    monkeypatch.chdir(tmp_path)


def made(*said, **fields):
    """Skills of which only name and description are known."""
    return [replace(SUMMARIZE, name=name, description=about, body="", **fields) for name, about in said]


def names(found):
    return [one.name for one in found]


def first(task, skills):
    return names(suggest(task, skills, threshold=None))[0]


def test_the_skill_for_a_task_comes_first():
    assert {task: names(suggest(task, BUNDLED))[0] for task in TASKS} == TASKS


def test_none_is_suggested_where_none_fits():
    for task in ("", "Please do it for me", "Book a flight to Lisbon", "?!", "Übersetze das ins Türkische"):
        assert suggest(task, BUNDLED) == [], task
    assert suggest("Summarize this", []) == []


def test_without_a_threshold_all_are_ranked():
    ranked_all = suggest("Summarize this", BUNDLED, k=100, threshold=None)
    assert sorted(names(ranked_all)) == sorted(skill.name for skill in BUNDLED)
    assert [one.score for one in ranked_all] == sorted((one.score for one in ranked_all), reverse=True)
    assert len(suggest("Summarize this", BUNDLED, k=2, threshold=None)) == 2


def test_one_skill_alone_can_fit():
    assert names(suggest("Summarize this", [SUMMARIZE])) == ["summarize"]
    assert suggest("Book a flight", [SUMMARIZE]) == []


@pytest.mark.parametrize(
    ("task", "right"),
    [
        ("the box is full again and nobody noticed until it was down", "monitor"),
        ("make the numbers of this quarter a table with one tab for each region", "xlsx"),
        ("I want to hear it out loud, as a narration", "speech"),
    ],
)
def test_a_task_without_a_word_of_the_skill_finds_it_by_its_topic(task, right):
    skills = made(
        ("monitor", "Configures Prometheus alerting rules."),
        ("xlsx", "Creates and edits Excel workbooks."),
        ("speech", "Text to speech with a neural voice."),
        ("letters", "Writes formal letters."),
    )
    assert first(task, skills) == right


def test_a_misspelled_word_is_taken_for_the_nearest():
    skills = made(("a", "Deploys with Kubernetes."), ("b", "Talks to Zendesk."), ("c", "Paints walls."))
    assert [first(task, skills) for task in ("kubernets please", "zendesk2")] == ["a", "b"]


def test_what_a_skill_says_it_is_not_for_speaks_against_it():
    skills = made(
        ("a-sheets", "Works on tables. Do not use for charts."),
        ("b-charts", "Draws charts."),
        ("c", "Sings."),
    )
    (chart, table) = suggest("charts of sales", skills, threshold=None, k=2)
    assert (chart.name, table.score <= 0) == ("b-charts", True)


def test_the_reasons_are_words_of_the_task_and_topics():
    (found,) = suggest("transcribe the interview", made(("whisper", "Transcribes audio."), ("b", "Bakes.")))
    assert found.name == "whisper"
    assert set(found.why) == {"transcribe", "transcription"}


def test_of_two_that_fit_alike_the_one_that_did_better_comes_first():
    twins = made(("a1", "Translates letters."), ("b1", "Translates letters."), ("c1", "Bakes."))
    tallies = {"a1": Tally("a1", calls=4, ok=1, failed=3), "b1": Tally("b1", calls=4, ok=4)}
    index = index_in_memory(twins)
    before = ranked("translates letters", twins, index, Known(), threshold=None, k=2)
    better, worse = ranked("translates letters", twins, index, Known(tallies), threshold=None, k=2)
    assert names(before) == ["a1", "b1"]
    assert (better.name, better.calls, better.failed) == ("b1", 4, 0)
    assert (worse.name, worse.calls, worse.failed) == ("a1", 4, 3)
    assert worse.score == pytest.approx(better.score / 2, abs=1e-3)


def test_what_failed_for_want_of_a_network_is_not_held_against_a_skill():
    twins = made(("a1", "Translates letters."), ("b1", "Bakes."))
    tallies = {"a1": Tally("a1", calls=4, failed=4, error_kinds={"network": 4})}
    index = index_in_memory(twins)
    with_record = ranked("translate", twins, index, Known(tallies), threshold=None)
    assert with_record[0].score == ranked("translate", twins, index, Known(), threshold=None)[0].score


def test_a_broken_skill_is_left_out():
    broken = replace(SUMMARIZE, diagnostics=(Problem("SKILL.md", 1, "no name"),))
    assert suggest("Summarize this", [broken], threshold=None) == []


def test_without_skills_those_of_the_workspace_are_ranked(tmp_path):
    skill = tmp_path / "skills" / "adder"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: adder\ndescription: Adds numbers.\n---\n")
    (found, *_) = suggest("please add two numbers")
    assert found.name == "adder"
    assert suggest("please add two numbers", workspace=tmp_path)[0] == found
    with pytest.raises(UsageError, match="there is no folder"):
        suggest("add", workspace=tmp_path / "gone")


def test_the_index_on_disk_gives_the_same_and_follows_the_skills(tmp_path):
    skill = tmp_path / "skills" / "adder" / "SKILL.md"
    skill.parent.mkdir(parents=True)
    skill.write_text("---\nname: adder\ndescription: Adds numbers.\n---\n")
    cold = suggest("please add two numbers")
    cache = tmp_path / "memory" / "cache" / "suggest-index.json"
    assert cache.is_file()
    assert suggest("please add two numbers") == cold
    for damaged in ("", "{", '{"key": 1}', "[]"):
        cache.write_text(damaged)
        assert suggest("please add two numbers") == cold, damaged
    skill.write_text("---\nname: adder\ndescription: Waters plants.\n---\n")
    assert "adder" in names(suggest("please water the plants"))


def test_looking_makes_no_workspace(tmp_path):
    suggest("please add two numbers")
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=200), st.lists(st.tuples(st.text(max_size=20), st.text(max_size=80)), max_size=5))
def test_any_text_is_ranked(task, said):
    skills = made(*said)
    found = ranked(task, skills, index_in_memory(skills), Known(), threshold=None)
    assert sorted(names(found)) == sorted(skill.name for skill in skills)
    assert ranked(task, skills, index_in_memory(skills), Known(), threshold=None) == found
