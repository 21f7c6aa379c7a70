"""`orchestrate record` takes a host's hook events as they come, keeps what a tally needs, and never fails the host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# As Claude Code 2.1.332 sends them; texts and ids are ours.
COMMON = {
    "session_id": "9f1c5f0e-0000-4000-8000-000000000000",
    "transcript_path": "/home/ada/.claude/projects/p/9f1c5f0e.jsonl",
    "prompt_id": "p1",
    "permission_mode": "default",
}
USED = {
    **COMMON,
    "hook_event_name": "PostToolUse",
    "tool_name": "Skill",
    "tool_input": {"skill": "adder", "args": "the SECRET of Ada"},
    "tool_response": {"success": True, "commandName": "adder"},
    "tool_use_id": "toolu_1",
    "duration_ms": 12,
}
FAILED = {
    **COMMON,
    "hook_event_name": "PostToolUseFailure",
    "tool_name": "Skill",
    "tool_input": {"skill": "adder"},
    "tool_use_id": "toolu_1",
    "error": "Unknown skill: SECRET",
    "is_interrupt": False,
    "duration_ms": 3,
}
TYPED = {
    **COMMON,
    "hook_event_name": "UserPromptExpansion",
    "expansion_type": "slash_command",
    "command_name": "orchestrate:summarize",
    "command_args": "the SECRET of Ada",
    "command_source": "plugin",
    "prompt": "/orchestrate:summarize the SECRET of Ada",
}
BY_MODEL = {"host": "claude-code", "used_by": "model"}
BY_PERSON = {"host": "claude-code", "used_by": "person"}


@pytest.fixture
def tell(orchestrate, workspace):
    """Hands an event to the command, with the workspace as its `cwd` unless it has one."""

    def record(event: dict[str, Any], *words: str, **options):
        return orchestrate("record", *words, stdin=json.dumps({"cwd": str(workspace), **event}), **options)

    return record


def recorded(workspace: Path) -> list[dict[str, Any]]:
    log = workspace / "memory" / "usage.jsonl"
    lines = log.read_text("utf-8").splitlines() if log.exists() else []
    return [
        {
            key: value
            for key, value in json.loads(line).items()
            if value is not None and key not in ("at", "run", "call")
        }
        for line in lines
    ]


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (USED, {"skill": "adder", "outcome": "ok", "duration_s": 0.012, "situation": BY_MODEL}),
        (FAILED, {"skill": "adder", "outcome": "error", "duration_s": 0.003, "situation": BY_MODEL}),
        (
            {**FAILED, "is_interrupt": True, "duration_ms": None},
            {"skill": "adder", "outcome": "error", "error_kind": "interrupted", "situation": BY_MODEL},
        ),
        (TYPED, {"skill": "orchestrate:summarize", "situation": BY_PERSON}),
    ],
    ids=["used", "failed", "interrupted", "typed"],
)
def test_an_event_becomes_one_record_and_what_the_host_does_not_tell_stays_null(tell, workspace, event, kept):
    done = tell(event)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert recorded(workspace) == [kept]


def test_no_text_and_no_argument_of_an_event_is_kept(tell, workspace):
    for event in (USED, FAILED, TYPED):
        tell(event)
    kept = (workspace / "memory" / "usage.jsonl").read_text("utf-8")
    assert [word for word in ("SECRET", "Ada", "ada", "toolu", "9f1c") if word in kept] == []


def test_a_use_has_a_place_in_the_record_that_its_ids_can_not_be_read_from(tell, workspace):
    for event in (USED, FAILED, TYPED, {**USED, "session_id": "another"}, {**USED, "tool_use_id": None}):
        tell(event)
    lines = [json.loads(line) for line in (workspace / "memory" / "usage.jsonl").read_text().splitlines()]
    places = [(one["run"], one["call"]) for one in lines]
    assert places[0] == places[1], "the same use of the same session"
    assert len({run for run, _ in places[:3]}) == 1
    assert len(set(places)) == 4
    assert places[4] == (None, None)
    assert places[0][0].startswith("claude-code:")


def test_usage_counts_what_a_host_did(tell, orchestrate, workspace):
    for event in (USED, USED, FAILED, TYPED):
        tell(event)
    skills = json.loads(orchestrate("usage", "--json").stdout)["skills"]
    counted = {name: (one["calls"], one["ok"], one["failed"]) for name, one in skills.items()}
    assert counted == {"adder": (3, 2, 1), "orchestrate:summarize": (1, 0, 0)}


def test_the_workspace_is_the_nearest_above_the_folder_that_the_agent_works_in(tell, workspace, tmp_path):
    inside = workspace / "notes" / "deep"
    inside.mkdir(parents=True)
    tell({**USED, "cwd": str(inside)}, cwd=inside)
    assert len(recorded(workspace)) == 1
    assert list(inside.iterdir()) == []


def test_a_folder_that_is_in_no_workspace_is_left_as_it_is(tell, tmp_path_factory, workspace):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = tell({**USED, "cwd": str(elsewhere)}, cwd=workspace)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(elsewhere.iterdir()) == []
    assert recorded(workspace) == [], "the command's own working directory is not the agent's"


def test_a_workspace_can_be_named(tell, tmp_path_factory):
    named = tmp_path_factory.mktemp("named")
    tell(USED, "--workspace", str(named))
    assert len(recorded(named)) == 1


@pytest.mark.parametrize(
    "stdin",
    [
        "",
        "{",
        "[" * 100_000,
        "[]",
        "null",
        "{}",
        '{"hook_event_name": 1}',
        '{"hook_event_name": "Stop"}',
        json.dumps({**USED, "tool_name": "Bash", "tool_input": {"command": "ls"}}),
        json.dumps({**USED, "tool_input": "adder"}),
        json.dumps({**USED, "tool_input": {"skill": ["adder"]}}),
        json.dumps({**USED, "tool_input": {"skill": "a whole text\x1b[31m"}}),
        json.dumps({**USED, "tool_input": {"skill": "x" * 100_000}}),
        json.dumps({**TYPED, "expansion_type": "mcp_prompt"}),
        json.dumps({**TYPED, "command_name": "init", "command_source": "builtin"}),
        json.dumps({**USED, "cwd": None}),
        json.dumps({**USED, "cwd": "here"}),
    ],
    ids=lambda text: text[:30],
)
def test_what_is_no_use_of_a_skill_is_one_line_and_no_failure(orchestrate, workspace, stdin):
    done = orchestrate("record", stdin=stdin)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1)
    assert done.stderr.startswith("nothing recorded: ")
    assert "\x1b" not in done.stderr
    assert recorded(workspace) == []


def test_bytes_that_are_no_text_are_one_line_and_no_failure(clean_env, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "record"],
        input=b"\xff\xfe{",
        env=clean_env,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1)


def test_a_time_that_is_none_is_left_out(tell, workspace):
    for duration in (-1, "12", True, float("inf"), 1e300):
        tell({**USED, "duration_ms": duration})
    assert [one.get("duration_s") for one in recorded(workspace)] == [None] * 5


def test_a_workspace_that_can_not_be_written_is_one_line_and_no_failure(tell, workspace):
    (workspace / "memory").write_text("a file where a folder should be")
    done = tell(USED)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert done.stderr.startswith("nothing recorded: can't write ")


def test_hooks_of_many_agents_at_once_lose_nothing(workspace, clean_env):
    event = json.dumps({**USED, "cwd": str(workspace)}).encode()
    hooks = [
        subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "record"], stdin=subprocess.PIPE, env=clean_env
        )
        for _ in range(8)
    ]
    for hook in hooks:
        hook.stdin.write(event)
        hook.stdin.close()
    assert [hook.wait(timeout=60) for hook in hooks] == [0] * 8
    assert len(recorded(workspace)) == 8
    assert os.listdir(workspace / "memory") == ["usage.jsonl"]
