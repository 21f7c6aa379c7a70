"""`orchestrate suggest` names the skills that fit, or says that none does; as a hook it never stands in a host's way."""

from __future__ import annotations

import json
from typing import Any

import pytest

PROMPT = {
    "session_id": "9f1c5f0e",
    "transcript_path": "/home/ada/.claude/projects/p/9f1c5f0e.jsonl",
    "permission_mode": "default",
    "hook_event_name": "UserPromptSubmit",
    "prompt": "please add these numbers of Ada, the SECRET is 4711",
}
USED = {
    "session_id": "9f1c5f0e",
    "hook_event_name": "PostToolUse",
    "tool_name": "Skill",
    "tool_input": {"skill": "adder"},
    "duration_ms": 12,
}


@pytest.fixture
def hook(orchestrate, workspace):
    """Hands an event to the hook's command, with the workspace as its `cwd` unless it has one."""

    def tell(event: dict[str, Any], command: tuple[str, ...] = ("suggest", "--hook")):
        return orchestrate(*command, stdin=json.dumps({"cwd": str(workspace), **event}))

    return tell


def test_the_skill_that_fits_is_listed_with_its_record_and_the_reasons(orchestrate, workspace, hook):
    for _ in range(3):
        hook(USED, ("record",))
    done = orchestrate("suggest", "please add two numbers")
    assert (done.returncode, done.stderr) == (0, "")
    header, line = done.stdout.splitlines()
    assert header.split() == ["SKILL", "SCORE", "WENT", "WELL", "WHY"]
    assert line.split()[0] == "adder"
    assert "3 of 3" in line
    assert line.endswith("add, numbers, data analysis")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_as_json_it_is_a_list_of_objects(orchestrate, workspace):
    (found,) = json.loads(
        orchestrate("suggest", "--json", "-k", "1", "please", "add", "two", "numbers").stdout
    )
    assert {**found, "score": 0} == {
        "name": "adder",
        "score": 0,
        "description": "Adds numbers.",
        "calls": 0,
        "failed": 0,
        "why": ["add", "numbers", "data analysis"],
    }


def test_where_none_fits_it_says_so_and_that_is_no_failure(orchestrate, workspace):
    done = orchestrate("suggest", "book a flight to Lisbon")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "no skill fits this task\nhint: say it in other words, or see what there is with `orchestrate skills`\n"
    )
    assert json.loads(orchestrate("suggest", "--json", "book a flight to Lisbon").stdout) == []


def test_a_task_can_come_from_stdin(orchestrate, workspace):
    assert "adder" in orchestrate("suggest", "-", stdin="please add\ntwo numbers\n").stdout


def test_the_hook_puts_what_fits_into_the_agents_context(hook, workspace):
    done = hook({**PROMPT, "prompt": "please add two numbers"})
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)["hookSpecificOutput"]
    assert said["hookEventName"] == "UserPromptSubmit"
    assert (
        f"- adder (read {workspace / 'skills' / 'adder'}/SKILL.md): Adds numbers."
        in said["additionalContext"].splitlines()
    )


def test_the_hook_names_skills_as_the_host_does(hook, workspace):
    folder = workspace / ".claude" / "skills" / "kiln"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: kiln\ndescription: Fires pottery in the kiln.\n---\n")
    said = json.loads(hook({**PROMPT, "prompt": "fire the pottery"}).stdout)["hookSpecificOutput"]
    assert said["additionalContext"].splitlines()[1] == "- kiln: Fires pottery in the kiln."
    said = json.loads(hook({**PROMPT, "prompt": "who made the last commits in git"}).stdout)[
        "hookSpecificOutput"
    ]
    assert said["additionalContext"].splitlines()[1].startswith("- skill-orchestrator:git-log: ")


@pytest.mark.parametrize("prompt", ["book a flight to Lisbon", "/adder please add two numbers", ""])
def test_the_hook_is_silent_where_nothing_fits_or_the_person_chose(hook, prompt):
    done = hook({**PROMPT, "prompt": prompt})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_hook_leaves_a_folder_alone_that_is_in_no_workspace(hook, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = hook({**PROMPT, "cwd": str(elsewhere)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "stdin",
    [
        "",
        "[" * 100_000,
        "[]",
        "{}",
        '{"hook_event_name": "Stop"}',
        json.dumps({**PROMPT, "prompt": 3, "cwd": "/"}),
        json.dumps({**PROMPT, "cwd": "here"}),
        json.dumps(PROMPT),
    ],
    ids=lambda text: text[:30],
)
def test_what_is_no_prompt_is_one_line_and_no_failure(orchestrate, workspace, stdin):
    done = orchestrate("suggest", "--hook", stdin=stdin)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1)
    assert done.stderr.startswith("nothing suggested: ")


def test_the_skill_that_the_agent_took_for_a_prompt_is_learned(hook, workspace, clean_env):
    hook({**PROMPT, "prompt": "the treasurer wants the weekly totals on paper"})
    hook(USED, ("record",))
    lessons = json.loads((workspace / "memory" / "lessons.json").read_text())["skills"]
    assert set(lessons) == {"adder"}
    assert lessons["adder"]["right"] == 1


def test_no_text_of_a_prompt_is_kept(hook, workspace, clean_env):
    hook(PROMPT)
    hook(USED, ("record",))
    files = [path for path in (workspace / "memory").rglob("*.json*") if "index" not in path.name]
    kept = "".join(path.read_text("utf-8") for path in files)
    assert {"lessons.json", "asked.json", "usage.jsonl"} <= {path.name for path in files}
    assert [word for word in ("SECRET", "secret is", "Ada", "ada", "4711", "9f1c") if word in kept] == []


def test_without_the_hook_nothing_is_learned(hook, workspace):
    hook(USED, ("record",))
    assert sorted(path.name for path in (workspace / "memory").iterdir()) == ["usage.jsonl"]
