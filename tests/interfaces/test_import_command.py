"""`orchestrate import`: what transcripts and other tools' files say of skills, put on record once, and never more of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.memory.importing.reading import read

SESSION = "9f1c5f0e-0000-4000-8000-000000000000"
BY_MODEL = {"host": "claude-code", "used_by": "model"}
BY_PERSON = {"host": "claude-code", "used_by": "person"}


def line(kind, second, message=None, session=SESSION, **more):
    """A line as Claude Code 2.1.332 writes it, cut to what we look at; texts and ids are ours."""
    return {
        "type": kind, "uuid": f"u{second}", "timestamp": f"2026-08-01T10:00:{second:02}.500Z", "sessionId": session,
        "cwd": "/home/ada/notes", "message": message, **more,
    }  # fmt: skip


def use(second, skill, use_id, session=SESSION):
    part = {
        "type": "tool_use",
        "id": use_id,
        "name": "Skill",
        "input": {"skill": skill, "args": "the SECRET of Ada"},
    }
    return line("assistant", second, {"role": "assistant", "content": [part]}, session)


def result(second, use_id, text="Launching skill: x", session=SESSION, **more):
    part = {"type": "tool_result", "tool_use_id": use_id, "content": text, **more}
    return line("user", second, {"role": "user", "content": [part]}, session)


def typed(second, name):
    """A command that a person types; what follows it tells whether it is a skill."""
    text = f"<command-message>{name}</command-message>\n<command-name>/{name}</command-name>\n<command-args>SECRET</command-args>"
    return line(
        "user", second, {"role": "user", "content": text}, promptId=f"prompt-{second}-0000000000000000"
    )


def loaded(second, parent):
    text = "Base directory for this skill: /home/ada/SECRET\n\n# Pdf"
    content = [{"type": "text", "text": text}]
    return line("user", second, {"role": "user", "content": content}, parentUuid=parent, isMeta=True)


TRANSCRIPT = [
    {"type": "queue-operation", "operation": "enqueue", "sessionId": SESSION, "content": "SECRET"},
    use(1, "pdf", "toolu_01AAAAAAAAAAAAAAAAAAAA"),
    result(3, "toolu_01AAAAAAAAAAAAAAAAAAAA"),
    use(4, "plugin:broken", "toolu_01BBBBBBBBBBBBBBBBBBBB"),
    result(5, "toolu_01BBBBBBBBBBBBBBBBBBBB", "Unknown skill: SECRET", is_error=True),
    typed(6, "pdf"),
    loaded(7, "u6"),
    typed(8, "clear"),
    line("user", 9, {"role": "user", "content": "what does <command-name>/evil</command-name> do?"}),
    result(10, "toolu_01ZZZZZZZZZZZZZZZZZZZZ"),
]


def written(path: Path, lines) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    return path


def recorded(workspace: Path) -> list[dict]:
    log = workspace / "memory" / "usage.jsonl"
    found = [json.loads(one) for one in log.read_text("utf-8").splitlines()] if log.exists() else []
    return [{k: v for k, v in one.items() if v is not None and k not in ("run", "call")} for one in found]


@pytest.fixture
def bring(orchestrate, workspace):
    """Imports files and gives what became of each, without their paths."""

    def run(*paths: Path, more=()):
        done = orchestrate("import", *map(str, paths), "--json", "--workspace", str(workspace), *more)
        assert done.returncode == 0, done.stderr
        return [{k: v for k, v in one.items() if k != "path"} for one in json.loads(done.stdout)["files"]]

    return run


def told(shape, new=0, known=0, tallies=0, skipped=()):
    places = [{"place": place, "why": why} for place, why in skipped]
    return {"shape": shape, "new": new, "known": known, "tallies": tallies, "skipped": places}


def test_a_transcript_becomes_records_with_its_times(bring, workspace, tmp_path):
    assert bring(written(tmp_path / "t.jsonl", TRANSCRIPT)) == [told("transcript", 3)]
    at = "2026-08-01T10:00:0{}.500000Z".format
    assert recorded(workspace) == [
        {"at": at(1), "skill": "pdf", "situation": BY_MODEL, "outcome": "ok"},
        {"at": at(4), "skill": "plugin:broken", "situation": BY_MODEL, "outcome": "error"},
        {"at": at(6), "skill": "pdf", "situation": BY_PERSON},
    ]


def test_nothing_but_names_and_times_of_a_transcript_is_kept(bring, workspace, tmp_path):
    bring(written(tmp_path / "t.jsonl", TRANSCRIPT))
    kept = (workspace / "memory" / "usage.jsonl").read_text("utf-8")
    assert [word for word in ("SECRET", "Ada", "/home", "toolu", "9f1c", "prompt-") if word in kept] == []


def test_the_same_file_a_copy_and_a_fork_of_the_session_add_nothing(bring, workspace, tmp_path):
    path = written(tmp_path / "t.jsonl", TRANSCRIPT)
    fork = [{**one, "sessionId": "another"} for one in TRANSCRIPT]
    files = (path, written(tmp_path / "copy.jsonl", TRANSCRIPT), written(tmp_path / "fork.jsonl", fork))
    assert bring(*files) == [told("transcript", 3), told("transcript", 0, 3), told("transcript", 0, 3)]
    assert bring(path) == [told("transcript", 0, 3)]
    assert len(recorded(workspace)) == 3


def test_of_a_transcript_that_has_grown_only_what_is_new_is_added(bring, workspace, tmp_path):
    path = tmp_path / "t.jsonl"
    begun = [*TRANSCRIPT, use(11, "xlsx", "toolu_01CCCCCCCCCCCCCCCCCCCC")]
    written(path, begun).write_bytes(path.read_bytes() + b'{"type":"user","sess')
    waiting = [("12", "it is not whole; its writer may still be at it"), ("11", "it has no result yet")]
    assert bring(path) == [told("transcript", 3, skipped=waiting)]
    written(path, [*begun, result(12, "toolu_01CCCCCCCCCCCCCCCCCCCC")])
    assert bring(path) == [told("transcript", 1, 3)]
    assert [one["skill"] for one in recorded(workspace)] == ["pdf", "plugin:broken", "pdf", "xlsx"]


def test_what_a_hook_has_recorded_is_known(bring, orchestrate, workspace, tmp_path):
    hook = {
        "hook_event_name": "PostToolUse", "tool_name": "Skill", "tool_input": {"skill": "pdf"}, "session_id": SESSION,
        "tool_use_id": "toolu_01AAAAAAAAAAAAAAAAAAAA", "cwd": str(workspace),
    }  # fmt: skip
    person = {
        "hook_event_name": "UserPromptExpansion", "expansion_type": "slash_command", "command_name": "pdf",
        "session_id": SESSION, "prompt_id": "prompt-6-0000000000000000", "cwd": str(workspace),
    }  # fmt: skip
    for event in (hook, person):
        orchestrate("record", stdin=json.dumps(event))
    assert bring(written(tmp_path / "t.jsonl", TRANSCRIPT)) == [told("transcript", 1, 2)]
    assert len(recorded(workspace)) == 3


def test_imports_at_once_and_one_that_was_killed_count_nothing_twice(workspace, clean_env, tmp_path):
    uses = [(n, f"toolu_{n:024}") for n in range(400)]
    lines = [one for n, ident in uses for one in (use(n % 60, "pdf", ident), result(n % 60, ident))]
    words = [sys.executable, "-m", "orchestrator", "import", written(tmp_path / "t.jsonl", lines)]
    log = workspace / "memory" / "usage.jsonl"
    with subprocess.Popen(
        [*words, "--workspace", workspace], env=clean_env, stdout=subprocess.DEVNULL
    ) as killed:
        while not log.exists() and killed.poll() is None:
            pass  # it is killed while it writes, or has ended by then
        killed.kill()
    several = [
        subprocess.Popen([*words, "--workspace", workspace], env=clean_env, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [one.communicate(timeout=60) and one.returncode for one in several] == [0, 0, 0]
    calls = [json.loads(one)["call"] for one in log.read_text().splitlines() if one.endswith("}")]
    assert (len(calls), len(set(calls))) == (400, 400)


def test_a_use_that_a_person_refused_or_stopped_is_told_apart(bring, workspace, tmp_path):
    refused = "The user doesn't want to proceed with this tool use. The tool use was rejected"
    lines = [
        use(1, "a", "toolu_1"),
        result(2, "toolu_1", refused, is_error=True),
        use(3, "b", "toolu_2"),
        result(4, "toolu_2", [{"type": "text", "text": "[Request interrupted by user]"}], is_error=True),
    ]
    bring(written(tmp_path / "t.jsonl", lines))
    assert [(one["outcome"], one.get("error_kind")) for one in recorded(workspace)] == [
        ("denied", None),
        ("error", "interrupted"),
    ]


def test_lines_of_a_transcript_that_are_broken_are_named(bring, tmp_path):
    wrong = [
        use(1, "a whole text, no name", "toolu_1"),
        use(2, None, "toolu_2"),
        {**use(3, "a", "toolu_3"), "timestamp": 7e99},
    ]
    path = written(tmp_path / "t.jsonl", wrong)
    path.write_bytes(path.read_bytes() + b'not JSON, "Skill"\n')
    why = "its use of `Skill` has no name of a skill, no time or no id"
    skipped = [("4", "it is no JSON object"), ("1", why), ("2", why), ("3", why)]
    assert bring(path) == [told("transcript", skipped=skipped)]


OTHERS = {
    "top_skills": (
        {"last_updated": "2026-08-01", "top_skills": [{"name": "pdf", "uses": 40}], "underutilized": [{"name": "xlsx", "uses": 1}]},
        told("top_skills", tallies=2),
    ),
    "skills": (
        {"skills": {"pdf": {"last_used": "2026-08-01", "times_used": 5, "successes": 4, "failures": 1}, "new": {"times_used": 0}}},
        told("skills", tallies=1),
    ),
    "events": (
        {"generatedAt": "2026-08-02T00:00:00Z", "events": [
            {"skill": "pdf", "timestamp": "2026-08-01T10:00:00Z", "success": True},
            {"skill": "pdf", "timestamp": "2026-08-01T10:00:00Z", "success": True},
            {"skill": "pdf", "timestamp": 1785578400000, "status": "FAILED", "duration_ms": 1500},
            {"skill": "pdf"}, {"timestamp": "2026-08-01T10:00:00Z"}, "pdf",
        ]},
        told("events", 3, skipped=[
            ("events[3]", "it has no time"), ("events[4]", "it names no skill"), ("events[5]", "it names no skill"),
        ]),
    ),
    "by name": (
        {"pdf": {"used": 7, "lastUsed": "2026-08-01", "outcomes": {"success": 5, "partial": 1, "failure": 1}},
         "xlsx": [{"timestamp": "2026-08-01T10:00:00+02:00", "success": False}], "version": 3},
        told("by name", 1, tallies=1),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("indent", [None, 2])
def test_each_shape_of_other_tools_is_read_once_and_left_alone(
    bring, workspace, tmp_path, value, expected, indent
):
    path = tmp_path / "other tool.json"
    path.write_text(json.dumps(value, indent=indent))
    before = path.read_bytes()
    assert bring(path) == [expected]
    assert bring(path) == [{**expected, "new": 0, "known": expected["new"]}]
    assert path.read_bytes() == before
    assert len(recorded(workspace)) == expected["new"]


def test_lines_of_another_tool_are_read_and_grow(bring, workspace, tmp_path):
    lines = [
        {
            "ts": "2026-08-01T10:00:00",
            "skillName": "pdf",
            "outcome": "success",
            "session": "s1",
            "args": "SECRET",
        },
        {"ts": 1785578400, "skill": "/team:xlsx", "outcome": "who knows", "durationMs": 250},
        {"ts": "yesterday", "skill": "pdf"},
    ]
    path = written(tmp_path / "skill-usage.jsonl", lines)
    assert bring(path) == [told("lines", 2, skipped=[("3", "it has no time")])]
    other = {"host": "another tool"}
    assert recorded(workspace) == [
        {"at": "2026-08-01T10:00:00Z", "skill": "pdf", "outcome": "ok", "situation": other},
        {"at": "2026-08-01T10:00:00Z", "skill": "team:xlsx", "duration_s": 0.25, "situation": other},
    ]
    assert "SECRET" not in (workspace / "memory" / "usage.jsonl").read_text()
    written(path, [*lines, {"ts": "2026-08-02", "skill": "pdf"}])
    assert bring(path) == [told("lines", 1, 2, skipped=[("3", "it has no time")])]


def test_a_tally_stays_a_tally_and_one_that_has_grown_takes_its_place(
    bring, orchestrate, workspace, tmp_path
):
    first, second, copy = (tmp_path / name for name in ("a.json", "b.json", "c.json"))
    for path, n in ((first, 5), (second, 2), (copy, 2)):
        path.write_text(json.dumps({"skills": {"pdf": {"times_used": n, "successes": n - 1}}}))
    bring(first, second, copy)
    first.write_text(
        json.dumps({"skills": {"pdf": {"times_used": 9, "failures": 1, "last_used": "2026-08-01"}}})
    )
    bring(first)
    found = json.loads(orchestrate("usage", "--json", "--workspace", str(workspace)).stdout)
    assert found["imported"] == {
        "pdf": {"name": "pdf", "calls": 11, "ok": 1, "failed": 1, "last_used": "2026-08-01"}
    }
    assert found["skills"] == {}


def test_a_dry_run_writes_nothing(bring, workspace, tmp_path):
    assert bring(written(tmp_path / "t.jsonl", TRANSCRIPT), more=["--dry-run"]) == [told("transcript", 3)]
    assert not (workspace / "memory").exists()


def test_one_file_that_is_unknown_stops_all_and_every_one_is_named(orchestrate, workspace, tmp_path):
    good = written(tmp_path / "t.jsonl", TRANSCRIPT)
    for name, text in (("a.json", '{"a": 1}'), ("b.txt", "hello\n"), ("c.json", "")):
        (tmp_path / name).write_text(text)
    names = ["a.json", "b.txt", "c.json", "gone.json", "skills", "memory/usage.jsonl"]
    done = orchestrate("import", good.name, *names)
    assert (done.returncode, done.stdout) == (2, "")
    assert [row for row in done.stderr.splitlines() if "hint" not in row] == [
        "error: a.json: has no shape that is known",
        "error: b.txt: has no shape that is known",
        "error: c.json: has no shape that is known",
        "error: gone.json: can't be read: No such file or directory",
        "error: skills: is no file",
        "error: memory/usage.jsonl: it belongs to this workspace, where it is counted as it lies",
    ]
    assert all(
        shape in done.stderr
        for shape in ("transcript of Claude Code", "top_skills", "generatedAt", "lastUsed")
    )
    assert recorded(workspace) == []


def test_a_report_names_line_and_reason_and_control_characters_do_nothing(orchestrate, workspace, tmp_path):
    path = tmp_path / "o.json"
    path.write_text(json.dumps({"x\x1b[31m": [{"timestamp": "2026-08-01"}], "pdf": [{"success": True}]}))
    done = orchestrate("import", "o.json")
    assert done.stdout.split() == [
        *("FILE", "SHAPE", "NEW", "KNOWN", "TALLIES", "SKIPPED"),
        *("o.json", "by", "name", "0", "0", "0", "2"),
    ]
    assert done.stderr == (
        "o.json:x\\x1b[31m[0]: skipped: it names no skill\n"
        "o.json:pdf[0]: skipped: it has no time\n"
        f"0 records added to {workspace}/memory/usage.jsonl\n"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["skills", "events", "top_skills", "pdf", "records", "timestamp", "skill", "used", "type", "sessionId", "message", "content"]) | st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(values=st.lists(JSON, min_size=1, max_size=4))
def test_any_json_is_read_or_refused(values, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "f"
    path.write_text("\n".join(map(json.dumps, values)))
    try:
        found = read(path)
    except UsageError:
        return
    assert all(set(one) >= {"at", "run", "call", "skill", "situation"} for one in found.uses)


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(UsageError, match="is no file"):
            read(path)
