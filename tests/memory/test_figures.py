"""Figures of what was learned, from the usage record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.memory.figures import (
    MAX_SOLUTIONS,
    Block,
    Solution,
    course,
    passed,
    rate,
    read_record,
    typical,
)
from orchestrator.memory.record import FORGOTTEN
from orchestrator.memory.usage import UsageStore
from orchestrator.workspace import Workspace


def attempted(
    store: UsageStore, run: str, strategy: str = "rlm", outcome: str | None = "ok", **fields: Any
) -> None:
    given = {"call": "0", "workflow": "w", "at": "2026-01-31T12:00:00Z", "outcome": outcome, **fields}
    store.record(run=run, strategy=strategy, **given)


def ended(*endings: str) -> list[Solution]:
    return [Solution(str(number), "", "rlm", ending) for number, ending in enumerate(endings)]  # type: ignore[arg-type]


def test_the_attempts_of_one_call_are_one_solution(tmp_path: Path) -> None:
    store = UsageStore(tmp_path)
    attempted(store, "r1", "learned:1", "error", error_kind="checks", tokens_in=5, usd=0.5, duration_s=1.0)
    attempted(store, "r1", "rlm", tokens_in=10, tokens_out=2, usd=0.25, duration_s=2.0)
    attempted(store, "r1", "rlm", "error", call="0.1")
    store.record(run="r1", call="0.2", skill="adder", outcome="ok", workflow="w")
    found, place = read_record(Workspace(tmp_path))
    assert list(found.workflows) == ["w"]
    assert list(found.workflows["w"].latest) == [
        Solution("r1", "2026-01-31T12:00:00Z", "rlm", "passed", 2, 0.75, 17, 3.0),
        Solution("r1", "2026-01-31T12:00:00Z", "rlm", "failed", 1),
    ]
    assert place.offset == (tmp_path / "memory/usage.jsonl").stat().st_size


@pytest.mark.parametrize(
    ("fields", "ending"),
    [
        ({"outcome": "ok"}, "passed"),
        ({"outcome": "ok", "verdict": "schema"}, "unverified"),
        ({"outcome": "unverified"}, "unverified"),
        ({"outcome": "error", "error_kind": "checks"}, "failed"),
        ({"outcome": "error", "error_kind": "network"}, "undecided"),
        ({"outcome": "denied"}, "undecided"),
        ({"outcome": None, "error_kind": "cancelled"}, "undecided"),
    ],
)
def test_a_solution_ends_as_its_record_proves(fields: dict[str, Any], ending: str, tmp_path: Path) -> None:
    attempted(UsageStore(tmp_path), "r", **fields)
    assert read_record(Workspace(tmp_path))[0].workflows["w"].latest[0].ending == ending


def test_what_takes_records_back_is_no_solution(tmp_path: Path) -> None:
    UsageStore(tmp_path).record(strategy="rlm", workflow="w", error_kind=FORGOTTEN)
    found, _ = read_record(Workspace(tmp_path))
    assert found.workflows == {}
    assert [one["error_kind"] for one in found.attempts] == [FORGOTTEN]


def test_an_empty_workspace_has_nothing(tmp_path: Path) -> None:
    assert read_record(Workspace(tmp_path))[0].workflows == {}


def test_old_solutions_are_counted_and_the_latest_kept(tmp_path: Path) -> None:
    store = UsageStore(tmp_path)
    for number in range(MAX_SOLUTIONS + 5):
        attempted(store, f"r{number}")
    solved = read_record(Workspace(tmp_path))[0].workflows["w"]
    assert (solved.n, len(solved.latest), solved.latest[0].run) == (MAX_SOLUTIONS + 5, MAX_SOLUTIONS, "r5")


def test_cost_is_told_in_money_else_tokens_else_time(tmp_path: Path) -> None:
    store = UsageStore(tmp_path)
    attempted(store, "a", workflow="dear", usd=0.1, tokens_in=9)
    attempted(store, "b", workflow="unpriced", tokens_in=9)
    attempted(store, "c", workflow="free", duration_s=1.0)
    found = read_record(Workspace(tmp_path))[0].workflows
    assert {name: one.unit for name, one in found.items()} == {
        "dear": "usd", "unpriced": "tokens", "free": "seconds",
    }  # fmt: skip
    assert typical(list(found["dear"].latest), "usd") == 0.1
    assert typical([], "usd") == 0.0


def test_a_share_counts_what_was_judged_alone() -> None:
    found = passed(ended("passed", "failed", "unverified", "undecided", "passed"))
    assert (found.ok, found.n) == (2, 3)
    assert (round(found.low, 3), round(found.high, 3)) == (0.208, 0.939)  # Wilson, z = 1.96
    assert passed(ended("unverified")) == rate(0, 0)
    assert (rate(0, 0).low, rate(0, 0).high, rate(0, 0).share) == (0.0, 1.0, 0.0)


def test_a_course_needs_enough_for_two_points() -> None:
    assert course(ended(*["passed"] * 15)) == []
    assert course(ended(*["failed"] * 8, *["unverified"] * 3, *["passed"] * 8)) == [
        Block(1, 8, rate(0, 8)), Block(12, 19, rate(8, 8)),
    ]  # fmt: skip
    assert len(course(ended(*["passed"] * 500))) == 10
