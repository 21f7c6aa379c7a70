"""How the order of strategies came about."""

from __future__ import annotations

from typing import Any

from orchestrator.memory.experience import Experience
from orchestrator.memory.record import FORGOTTEN, checked
from orchestrator.strategies.choose import ordered
from orchestrator.strategies.course import MAX_STANDINGS, standings


def attempt(run: str, strategy: str, outcome: str | None = "ok", **fields: Any) -> dict[str, Any]:
    given = {"call": "0", "workflow": "w", "version": "v", "situation": {"workflow": "w"}, "outcome": outcome}
    return checked({"run": run, "strategy": strategy, **given, **fields})


def order(standing: Any) -> list[str]:
    return [choice.strategy for choice in standing.choices]


def test_each_call_ends_with_the_order_that_the_next_run_would_have() -> None:
    attempts = [
        attempt("a", "rlm"),
        attempt("b", "learned:1"),
        attempt("c", "learned:1", "error", error_kind="checks"),
        attempt("c", "rlm"),
    ]
    found = standings(attempts)["w"]
    assert [one.run for one in found] == ["a", "b", "c"]
    assert [order(one) for one in found[:2]] == [["rlm"], ["learned:1", "rlm"]]
    experience = Experience()
    for one in attempts:
        experience.add(one)
    now = ordered("w", "v", ["learned:1", "rlm"], experience, {"workflow": "w"})
    assert order(found[2]) == [one.strategy for one in now]


def test_what_was_forgotten_leaves_and_what_proves_nothing_changes_nothing() -> None:
    attempts = [
        attempt("a", "learned:1"),
        attempt("a", "rlm"),
        checked({"strategy": "learned:1", "workflow": "w", "error_kind": FORGOTTEN}),
        attempt("b", "rlm", "error", error_kind="network"),
    ]
    assert [order(one) for one in standings(attempts)["w"]] == [["learned:1", "rlm"], ["rlm"]]
    assert standings([]) == {}
    assert standings([attempt("a", "rlm", "error", error_kind="network")]) == {"w": []}


def test_a_long_record_gives_the_latest_orders() -> None:
    found = standings([attempt(f"r{number}", "rlm") for number in range(MAX_STANDINGS + 3)])["w"]
    assert (len(found), found[0].run, found[-1].run) == (MAX_STANDINGS, "r3", f"r{MAX_STANDINGS + 2}")
