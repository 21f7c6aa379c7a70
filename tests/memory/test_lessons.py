"""Lessons of tasks: what they change, what is kept of a text, and who may have none."""

from __future__ import annotations

import json
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.memory.asked import keep_asked, last_asked
from orchestrator.memory.matching.lessons import MAX_SKILLS, MAX_TERMS, Lesson, decoded, encoded, teach
from orchestrator.memory.suggestions import learn, suggest
from orchestrator.memory.taught import gist, lessons_of
from orchestrator.workspace import Workspace

SKILLS = {
    "printer": "Drives the label press in the yard.",
    "ledger": "Keeps the ledger of the association.",
    "garden": "Plans beds and sowing.",
}
TASK = "the treasurer wants the weekly numbers before the board sits"
OTHERWISE = "numbers for the treasurer and the board, please"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    for name, about in SKILLS.items():
        folder = tmp_path / "skills" / name
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: {about}\n---\n")
    monkeypatch.chdir(tmp_path)
    return Workspace(tmp_path)


def score(task, skill, **options):
    found = suggest(task, k=100, threshold=None, **options)
    return next(one.score for one in found if one.name == skill)


def first(task):
    return suggest(task, threshold=None)[0].name


def test_a_skill_that_was_right_for_a_task_is_found_for_it_and_for_its_like(workspace):
    before = score(TASK, "ledger"), score(OTHERWISE, "ledger")
    for _ in range(3):
        learn(workspace, TASK, "ledger", success=True)
    assert (first(TASK), first(OTHERWISE)) == ("ledger", "ledger")
    assert score(TASK, "ledger") > before[0] + 1
    assert score(OTHERWISE, "ledger") > before[1] + 0.5


def test_a_skill_that_was_wrong_for_a_task_falls_behind(workspace):
    task = "press the labels in the yard"
    before = score(task, "printer")
    learn(workspace, task, "printer", success=False)
    assert score(task, "printer") < before


def test_a_lesson_about_one_task_leaves_others_alone(workspace):
    before = score("sow the beds", "garden")
    learn(workspace, TASK, "ledger", success=True)
    assert score("sow the beds", "garden") == before


def test_a_plugins_skill_is_the_skill_of_that_name(workspace):
    learn(workspace, TASK, "some-plugin:ledger", success=True)
    assert first(TASK) == "ledger"


def test_nothing_of_a_text_is_kept_but_general_words(workspace, user_files):
    learn(
        workspace,
        "Send Zebulon Quux the password hunter2 (sk-live-4242424242) of /home/zebulon/x7, mail z@quux.example +49301234567",
        "ledger",
        success=True,
    )
    kept = [
        path.read_text("utf-8").lower()
        for path in (workspace.memory / "lessons.json", user_files / "data" / "orchestrate" / "lessons.json")
    ]
    for secret in ("zebulon", "quux", "hunter", "4242", "x7", "49301234567", "example"):
        assert [secret in text for text in kept] == [False, False], secret
    assert json.loads(kept[0])["skills"]["ledger"]["words"].keys() >= {"send", "password", "mail"}


def test_what_was_learned_in_another_workspace_counts_less_than_here(workspace, tmp_path_factory):
    elsewhere = Workspace(tmp_path_factory.mktemp("elsewhere"))
    before = score(TASK, "ledger")
    learn(elsewhere, TASK, "ledger", success=True)
    from_elsewhere = score(TASK, "ledger")
    learn(workspace, TASK, "ledger", success=True)
    assert before < from_elsewhere < score(TASK, "ledger")


@pytest.mark.parametrize("whose", ["workspace", "user"])
def test_who_wants_no_lessons_has_none(workspace, user_files, whose):
    path = (
        workspace.settings
        if whose == "workspace"
        else user_files / "config" / "orchestrate" / "orchestrate.toml"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    learn(workspace, TASK, "ledger", success=True)
    path.write_text("[suggest]\nlearn = false\n")
    learned = (workspace.memory / "lessons.json").read_bytes()
    learn(workspace, TASK, "garden", success=True)
    keep_asked(workspace, "s", TASK)
    assert (workspace.memory / "lessons.json").read_bytes() == learned
    assert lessons_of(workspace).here == lessons_of(workspace).everywhere == {}
    assert last_asked(workspace, "s") is None


def test_a_workspace_can_keep_its_lessons_to_itself(workspace, user_files):
    workspace.settings.write_text("[suggest]\nacross_workspaces = false\n")
    learn(workspace, TASK, "ledger", success=True)
    assert first(TASK) == "ledger"
    assert not (user_files / "data").exists()


def test_settings_that_can_not_be_read_let_nothing_be_learned(workspace):
    workspace.settings.write_text("[suggest\n")
    learn(workspace, TASK, "ledger", success=True)
    assert not (workspace.memory / "lessons.json").exists()


def test_a_workspace_that_can_not_be_written_is_no_failure(workspace):
    workspace.memory.write_text("a file where a folder should be")
    learn(workspace, TASK, "ledger", success=True)
    assert first(TASK) == "ledger", "what can be kept for all workspaces is"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema": "x"}', '{"schema": "orchestrate.lessons/1", "skills": 3}']
)
def test_a_damaged_file_is_no_lesson_and_is_replaced(workspace, text):
    workspace.memory.mkdir()
    (workspace.memory / "lessons.json").write_text(text)
    assert lessons_of(workspace).here == {}
    learn(workspace, TASK, "ledger", success=True)
    assert list(lessons_of(workspace).here) == ["ledger"]


def test_many_at_once_lose_no_lesson(workspace):
    threads = [
        threading.Thread(target=learn, args=(workspace, TASK, "ledger"), kwargs={"success": True})
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lessons_of(workspace).here["ledger"].right == 8


def test_the_users_file_is_the_users_alone(workspace, user_files):
    learn(workspace, TASK, "ledger", success=True)
    folder = user_files / "data" / "orchestrate"
    assert (folder / "lessons.json").exists()
    assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0


def test_what_was_asked_last_is_kept_by_session(workspace):
    keep_asked(workspace, "one", TASK)
    keep_asked(workspace, "two", "sow the beds")
    keep_asked(workspace, "one", OTHERWISE)
    assert (last_asked(workspace, "one"), last_asked(workspace, "three")) == (gist(OTHERWISE), None)
    assert "treasurer" not in (workspace.cache / "asked.json").read_text()


def test_lessons_are_bounded():
    lessons: dict[str, Lesson] = {}
    teach(lessons, "first", [f"w{n}" for n in range(MAX_TERMS + 50)], [], success=True)
    assert len(lessons["first"].words) == MAX_TERMS
    for number in range(MAX_SKILLS):
        teach(lessons, f"s{number}", ["w"], [], success=True)
    assert (len(lessons), "first" in lessons) == (MAX_SKILLS, False)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.lists(st.text(max_size=5), max_size=4), st.booleans()),
        max_size=20,
    )
)
def test_lessons_survive_json(taught):
    lessons: dict[str, Lesson] = {}
    for skill, words, success in taught:
        teach(lessons, skill, words, words, success=success)
    assert decoded(json.loads(json.dumps(encoded(lessons)))) == lessons
