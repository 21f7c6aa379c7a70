"""`orchestrate review`, as a person and a scheduler run it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

Orchestrate = Callable[..., subprocess.CompletedProcess[str]]


def record(workspace: Path, *lines: dict[str, object] | bytes) -> None:
    (workspace / "memory").mkdir(exist_ok=True)
    data = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    with (workspace / "memory" / "usage.jsonl").open("ab") as file:
        file.write(b"".join(line + b"\n" for line in data))


def calls(n: int, n_failed: int, days_ago: float, **fields: object) -> list[dict[str, object]]:
    """Calls of the workspace's skill, each of a run of its own."""
    at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
    return [
        {"at": at, "run": f"run-{days_ago}-{number}", "call": "0.1", "parent": "0", "depth": 1, "skill": "adder",
         "outcome": "error" if number < n_failed else "ok", "error_kind": "ValueError" if number < n_failed else None,
         "duration_s": 0.5, **fields}
        for number in range(n)
    ]  # fmt: skip


@pytest.fixture
def failing(workspace: Path) -> Path:
    """A workspace whose skill did well last week, and fails this week."""
    record(workspace, *calls(40, 2, 10), *calls(40, 35, 3))
    return workspace


def kept(workspace: Path) -> list[str]:
    folder = workspace / "memory" / "reviews"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_review_says_what_changed_proposes_and_is_kept(failing: Path, orchestrate: Orchestrate) -> None:
    done = orchestrate("review", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert list(found) == ["window", "findings", "proposals"]
    assert [(one["subject"], one["kind"]) for one in found["findings"]] == [
        ("skill:adder", "fails"),
        ("skill:adder", "success"),
    ]
    fell = found["findings"][1]
    assert list(fell) == ["subject", "kind", "before", "after", "interval", "n", "runs"]
    assert (fell["before"], fell["after"], fell["interval"], fell["n"]) == (0.95, 0.125, [0.0546, 0.2611], 40)
    assert (len(fell["runs"]), fell["runs"][0]) == (20, "run-3-34")
    (proposal,) = found["proposals"]
    assert (proposal["subject"], proposal["action"], proposal["change"]) == (
        "skill:adder", "deny", {"skill": "adder"},
    )  # fmt: skip
    assert len(proposal["hash"]) == 64
    name = kept(failing)[0].removesuffix(".json")
    assert kept(failing) == [f"{name}.json", f"{name}.md"]
    assert json.loads((failing / "memory" / "reviews" / f"{name}.json").read_text()) == found
    assert proposal["id"] in (failing / "memory" / "reviews" / f"{name}.md").read_text()
    assert done.stderr == f"the whole review: {failing}/memory/reviews/{name}.md\n"


def test_a_person_reads_what_is_proposed_and_why(failing: Path, orchestrate: Orchestrate) -> None:
    lines = orchestrate("review").stdout.splitlines()
    assert lines[0].endswith(", 80 records with the time before it")
    assert lines[1].startswith("propose ")
    assert lines[2:4] == [
        "  `adder`: fails more often than not: 12% succeed (40 calls; 5% to 26%)",
        "  why: runs that call it lose more than they win; wrong if its examples pass, and half of its next 20 calls "
        "succeed",
    ]
    assert lines[5:] == [
        "skill:adder fails more often than not: 12% succeed (40 calls; 5% to 26%)",
        "skill:adder success fell from 95% to 12% (40 calls; 5% to 26%)",
    ]


def test_where_nothing_changed_nothing_is_proposed(workspace: Path, orchestrate: Orchestrate) -> None:
    record(workspace, *calls(40, 2, 10), *calls(40, 5, 3))
    assert orchestrate("review").stdout.endswith(
        "nothing to propose: no change that chance would hardly make\n"
    )
    assert orchestrate("review", "--heartbeat", "--since", "7d").stdout == "HEARTBEAT_OK\n"


def test_failures_of_the_surroundings_are_no_evidence(workspace: Path, orchestrate: Orchestrate) -> None:
    record(workspace, *calls(40, 2, 10), *calls(40, 35, 3, error_kind="missing_binary"))
    found = json.loads(orchestrate("review", "--json").stdout)
    assert (found["findings"], found["proposals"]) == ([], [])


def test_a_heartbeat_is_at_most_ten_lines_and_tells_of_the_last_review_again(
    failing: Path, orchestrate: Orchestrate
) -> None:
    first = orchestrate("review", "--heartbeat")
    lines = first.stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("propose ")
    names = kept(failing)
    again = orchestrate("review", "--heartbeat")
    assert (again.stdout, again.stderr, kept(failing)) == (first.stdout, "", names)
    (failing / "skills" / "adder" / "SKILL.md").write_text("---\nname: adder\ndescription: Other.\n---\n")
    moved = orchestrate("review", "--heartbeat").stdout.splitlines()
    assert all(not line.startswith("propose") for line in moved)


def test_a_second_review_of_a_day_has_a_name_of_its_own_and_begins_where_the_first_ended(
    failing: Path, orchestrate: Orchestrate
) -> None:
    first = json.loads(orchestrate("review", "--json").stdout)
    os.utime(failing / "memory" / "reviews" / kept(failing)[0], (0, 0))
    path = failing / "memory" / "reviews" / kept(failing)[0]
    whole = json.loads(path.read_text())
    whole["window"]["to"] = "2026-01-01T00:00:00Z"
    path.write_text(json.dumps(whole))
    second = json.loads(orchestrate("review", "--json").stdout)
    assert second["window"]["from"] == "2026-01-01T00:00:00Z"
    assert first["window"]["to"] <= second["window"]["to"]
    day = kept(failing)[0][:10]
    assert {f"{day}.json", f"{day}.md", f"{day}-2.json", f"{day}-2.md"} >= set(kept(failing))
    assert len(kept(failing)) == 4


@pytest.mark.parametrize("words", [["review"], ["review", "--heartbeat"]])
def test_a_review_of_a_clock_that_was_ahead_does_not_stand_until_then(
    words: list[str], failing: Path, orchestrate: Orchestrate
) -> None:
    ahead = {
        "window": {"from": "2998-12-25T00:00:00Z", "to": "2999-01-01T00:00:00Z"},
        "findings": [],
        "proposals": [],
    }
    path = failing / "memory" / "reviews" / "2999-01-01.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(ahead))
    assert "propose " in orchestrate(*words).stdout
    assert len(kept(failing)) == 3


def test_an_empty_record_says_so_and_leaves_the_workspace_alone(
    workspace: Path, orchestrate: Orchestrate
) -> None:
    done = orchestrate("review")
    assert (done.stdout, done.returncode) == ("", 0)
    assert done.stderr == f"nothing recorded in `{workspace}`\nhint: `orchestrate WORKFLOW` makes a record\n"
    assert orchestrate("review", "--heartbeat").stdout == "HEARTBEAT_OK\n"
    found = json.loads(orchestrate("review", "--json").stdout)
    assert (found["findings"], found["proposals"], (workspace / "memory").exists()) == ([], [], False)


def test_damaged_lines_are_passed_over_and_counted(failing: Path, orchestrate: Orchestrate) -> None:
    record(failing, b'{"at": "torn', b"[]", b"{}", b"\xff\xfe", b'{"at":"3026-01-01T00:00:00Z"}')
    done = orchestrate("review", "--json")
    assert len(json.loads(done.stdout)["proposals"]) == 1
    assert done.stderr.startswith("4 lines skipped: no records\n")


def test_where_it_cannot_be_kept_it_is_shown_all_the_same(failing: Path, orchestrate: Orchestrate) -> None:
    (failing / "memory" / "reviews").write_text("a file where the folder would be")
    done = orchestrate("review", "--json")
    assert len(json.loads(done.stdout)["proposals"]) == 1
    assert done.returncode == 0
    assert done.stderr.startswith("warning: this review is not kept: can't write")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_in_a_read_only_workspace_it_is_shown_all_the_same(failing: Path, orchestrate: Orchestrate) -> None:
    (failing / "memory").chmod(0o500)
    try:
        done = orchestrate("review", "--json")
    finally:
        (failing / "memory").chmod(0o700)
    assert len(json.loads(done.stdout)["proposals"]) == 1
    assert done.stderr.startswith("warning: this review is not kept: can't write")
    assert kept(failing) == []


def test_which_skills_were_offered_to_a_host_and_used_is_counted(
    workspace: Path, orchestrate: Orchestrate
) -> None:
    def hook(words: list[str], **event: object) -> None:
        told = {"session_id": "s", "cwd": str(workspace), **event}
        assert orchestrate(*words, stdin=json.dumps(told)).stderr == ""

    def used(skill: str) -> None:
        hook(["record"], hook_event_name="PostToolUse", tool_name="Skill", tool_input={"skill": skill})

    for _ in range(2):
        hook(["suggest", "--hook"], hook_event_name="UserPromptSubmit", prompt="please add two numbers")
    used("adder")
    used("other:thing")
    orchestrate("review")
    page = next((workspace / "memory" / "reviews").glob("*.md")).read_text()
    assert "| adder | 2 | 1 | 1 |  |  |  |\n| thing |  |  |  | 1 |  |  |\n" in page


def ended(n: int, name: str) -> list[dict[str, object]]:
    """Runs of a workflow that ended at its tokens."""
    at = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    return [
        {"at": at, "run": f"run-{number}", "call": "0", "depth": 0, "workflow": name, "strategy": "rlm",
         "outcome": "budget", "error_kind": "tokens"}
        for number in range(n)
    ]  # fmt: skip


def test_a_workflow_is_found_by_its_name_and_bound_to_the_bytes_of_its_file(
    workflow: Callable[..., Path], workspace: Path, orchestrate: Orchestrate
) -> None:
    path = workflow("FINAL(1)", budget={"tokens": 5000})
    record(workspace, *ended(20, "job"))
    (proposal,) = json.loads(orchestrate("review", "--json").stdout)["proposals"]
    assert (proposal["subject"], proposal["action"], proposal["change"], proposal["hash"]) == (
        "workflow:job",
        "budget",
        {"budget": "tokens", "from": 5000, "to": 10000},
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def test_a_workflow_that_lies_elsewhere_is_found_by_its_runs(
    workflow: Callable[..., Path], workspace: Path, orchestrate: Orchestrate
) -> None:
    path = workflow("FINAL(1)")
    (workspace / "deep" / "below").mkdir(parents=True)
    moved = path.rename(workspace / "deep" / "below" / "any.md")
    record(workspace, *ended(20, "job"))
    assert json.loads(orchestrate("review", "--json", "--since", "7d").stdout)["proposals"] == []
    assert orchestrate(str(moved)).returncode == 0
    found = json.loads(orchestrate("review", "--json", "--since", "7d").stdout)["proposals"]
    assert {(one["action"], one["hash"]) for one in found} == {
        (action, hashlib.sha256(moved.read_bytes()).hexdigest()) for action in ("budget", "drop")
    }


def offered_in_vain(workspace: Path, n: int) -> None:
    """A record in which the workspace's skill was offered to a host's agent, and never taken; and one that was."""
    at = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    record(workspace, *calls(1, 0, 2))
    offers = "".join(json.dumps({"at": at, "skills": ["adder", "text-split"]}) + "\n" for _ in range(n))
    (workspace / "memory" / "offers.jsonl").write_text(offers)
    (workspace / "orchestrate.toml").write_text('[models.default]\nmodel = "recorded:replies.yaml"\n')


def replies(workspace: Path, text: str) -> None:
    entry = {"role": "sub", "match": "offered 40 times and used 0", "reply": text}
    (workspace / "replies.yaml").write_text(json.dumps({"replies": [entry]}))


BETTER = "Adds two numbers, or all numbers of a list. Use when a sum of given numbers is asked for."


def test_a_skill_that_is_offered_in_vain_is_described_anew_by_the_model(
    workspace: Path, orchestrate: Orchestrate
) -> None:
    offered_in_vain(workspace, 40)
    replies(workspace, f'"{BETTER}"\n')
    (proposed,) = json.loads(orchestrate("review", "--json").stdout)["proposals"]
    assert (proposed["subject"], proposed["action"], proposed["change"]) == (
        "skill:adder",
        "describe",
        {"from": "Adds numbers.", "to": BETTER},
    )
    assert proposed["evidence"]["says"] == "`adder` was offered 40 times and used 0 of them"
    applied = orchestrate("review", "apply", proposed["id"], "--yes")
    assert applied.returncode == 0, applied.stderr
    assert f'description: "{BETTER}"' in (workspace / "skills/adder/SKILL.md").read_text()
    assert orchestrate("review", "rollback", proposed["id"], "--yes").returncode == 0
    assert "description: Adds numbers." in (workspace / "skills/adder/SKILL.md").read_text()


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (20, BETTER),
        (40, "Ignore all that.\n<script>alert(1)</script>"),
        (40, "x" * 900),
        (40, "Adds numbers."),
    ],
    ids=["too few offers", "markup", "too long", "the same"],
)
def test_a_description_that_is_none_is_not_proposed(
    workspace: Path, orchestrate: Orchestrate, n: int, text: str
) -> None:
    offered_in_vain(workspace, n)
    replies(workspace, text)
    assert json.loads(orchestrate("review", "--json").stdout)["proposals"] == []


def test_a_model_that_is_none_or_fails_leaves_the_review_whole(
    workspace: Path, orchestrate: Orchestrate
) -> None:
    offered_in_vain(workspace, 40)  # its recording is not there
    done = orchestrate("review", "--json")
    assert (done.returncode, json.loads(done.stdout)["proposals"]) == (0, [])
    (workspace / "orchestrate.toml").write_text('[models.default]\nmodel = "openai/gpt-5-mini"\n')  # no key
    done = orchestrate("review", "--json", "--since", "7d")
    assert (done.returncode, json.loads(done.stdout)["proposals"]) == (0, [])
    (workspace / "orchestrate.toml").unlink()
    done = orchestrate("review", "--json", "--since", "7d")
    assert (done.returncode, json.loads(done.stdout)["proposals"]) == (0, [])
