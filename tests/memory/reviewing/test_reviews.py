"""What a review says of records whose truth is known."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from seeded_record import END, SKILLS, WORKFLOWS, World, records

from orchestrator.memory.record import parsed
from orchestrator.memory.reviewing.proposing import Known, KnownSkill, KnownWorkflow
from orchestrator.memory.reviewing.review import Review, review
from orchestrator.memory.reviewing.window import Window
from orchestrator.memory.tallies import Counts

WEEK = Window(END - timedelta(days=7), END)
KNOWN = Known(
    {name: KnownSkill("5" * 64, date(2026, 6, 1)) for name in SKILLS},
    {name: KnownWorkflow("f" * 64, {"tokens": 2_000_000, "iterations": 30}) for name in WORKFLOWS},
)


def of(world: World, seed: int = 1, known: Known = KNOWN) -> Review:
    return review(records(world, seed), WEEK, known)


def said(made: Review) -> set[tuple[str, str]]:
    return {(one.subject, one.kind) for one in made.findings}


def proposed(made: Review) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one.subject, one.action): dict(one.change) for one in made.proposals}


def test_where_nothing_changed_a_review_says_nothing_nearly_always() -> None:
    """A sample of what benchmarks/review.py does with 1,000 seeds: at most 5 % may say something."""
    loud = [
        seed
        for seed in range(40)
        if (made := of(World(n_runs=300, outage=0.1), seed)).findings or made.proposals
    ]
    assert (
        len(loud) <= 3
    )  # more than 3 of 40 happens in 1 of 20 such tests at most if it were 5 %; it is far below


def test_planted_changes_are_found_and_nothing_else_is() -> None:
    world = World(
        planted={"skill:skill-1": 0.6, "skill:skill-2": 0.2},
        overruns={"digest": 0.35},
        versions={"skill-3": "ef" * 32},
    )
    made = of(world)
    assert said(made) == {
        ("skill:skill-1", "success"),
        ("skill:skill-2", "success"),
        ("skill:skill-2", "fails"),
        ("workflow:digest", "success"),
        ("workflow:digest", "budget"),
        ("strategy:digest/written", "success"),
    }
    assert proposed(made) == {
        ("skill:skill-2", "deny"): {"skill": "skill-2"},
        ("workflow:digest", "budget"): {"budget": "tokens", "from": 2_000_000, "to": 4_000_000},
    }
    for one in made.proposals:
        assert len(one.evidence.runs) == 20
        assert list(one.evidence.runs) == sorted(one.evidence.runs, reverse=True)


def test_a_version_that_does_worse_is_named() -> None:
    made = of(World(planted={"skill:skill-3": 0.55}, versions={"skill-3": "ef" * 32}))
    found = next(one for one in made.findings if one.kind == "version")
    assert (found.subject, found.about) == ("skill:skill-3", "ef" * 32)
    assert found.before is not None
    assert found.after < 0.7 < 0.8 < found.before


def test_what_became_better_is_said_and_needs_nobody() -> None:
    made = of(World(rates={"skill:skill-1": 0.55}, planted={"skill:skill-1": 0.98}))
    assert [(one.subject, one.kind, one.is_bad) for one in made.findings] == [
        ("skill:skill-1", "success", False)
    ]
    assert made.proposals == ()


def test_what_takes_longer_and_costs_more_is_said() -> None:
    made = of(World(n_runs=800, slower={"skill:skill-4": 2.5}, dearer={"triage": 2.0}))
    assert said(made) == {("skill:skill-4", "time"), ("workflow:triage", "cost")}
    time, cost = made.findings
    assert time.before is not None
    assert cost.before is not None
    assert (2 < time.after / time.before < 3.2, 1.6 < cost.after / cost.before < 2.5) == (True, True)
    assert all(one.is_bad and one.interval[0] < one.after < one.interval[1] for one in made.findings)
    assert made.proposals == ()


def test_a_strategy_that_would_have_done_better_is_preferred() -> None:
    rates = {"strategy:triage/rlm": 0.5, "strategy:triage/direct": 0.98}
    made = of(World(n_runs=1600, explored=0.3, rates=rates))
    found = next(one for one in made.findings if one.kind == "regret")
    assert found.subject == "strategy:triage/direct"
    assert found.before is not None
    assert found.before < 0.75
    assert found.after > 0.9
    assert proposed(made)[found.subject, "prefer"] == {"strategy": "direct", "over": "rlm"}


def test_of_strategies_that_chance_seldom_chose_nothing_is_said() -> None:
    rates = {"strategy:triage/rlm": 0.6, "strategy:triage/direct": 0.98}
    made = of(World(n_runs=400, explored=0.05, rates=rates))
    assert not [one for one in made.findings if one.kind == "regret"]


def test_a_strategy_that_fails_beside_others_is_dropped() -> None:
    made = of(World(n_runs=800, rates={"strategy:report/learned:1a2b3c4d": 0.1}))
    assert proposed(made)["strategy:report/learned:1a2b3c4d", "drop"] == {"strategy": "learned:1a2b3c4d"}


def test_a_learned_program_that_has_held_is_promoted() -> None:
    made = of(World(n_runs=900, rates={"strategy:report/learned:1a2b3c4d": 0.995}))
    assert proposed(made) == {
        ("strategy:report/learned:1a2b3c4d", "promote"): {"strategy": "learned:1a2b3c4d"}
    }


def test_runs_that_end_at_the_number_of_turns_are_to_be_split() -> None:
    lines = [
        json.dumps({"at": moment(day), "run": f"{day}-{n}", "call": "0", "depth": 0, "workflow": "digest",
                    "strategy": "rlm", "outcome": "budget", "error_kind": "iterations"}).encode()
        for day in (3, 10) for n in range(30)
    ]  # fmt: skip
    assert proposed(review(lines, WEEK, KNOWN)) == {
        ("workflow:digest", "split"): {"limit": "iterations", "from": 30}
    }


def test_a_limit_that_no_run_comes_near_is_lowered_where_its_author_wrote_it() -> None:
    lines = [attempt(day, n, tokens_in=900, tokens_out=100) for day in (3, 10) for n in range(60)]
    file = KnownWorkflow("f" * 64, {"tokens": 500_000}, frozenset({"tokens"}))
    made = review(lines, WEEK, Known({}, {"digest": file}))
    assert proposed(made) == {
        ("workflow:digest", "budget"): {"budget": "tokens", "from": 500_000, "to": 3000}
    }
    default = KnownWorkflow("f" * 64, {"tokens": 500_000})
    assert review(lines, WEEK, Known({}, {"digest": default})).proposals == ()


def test_a_skill_that_nobody_has_used_for_long_is_retired_and_one_that_is_new_is_not() -> None:
    lines = [
        call(100, 1, skill="old"),
        call(120, 1, skill="used"),
        call(3, 2, skill="used"),
        call(5, 3, skill="plugin:hosted"),
    ]
    known = Known({
        "old": KnownSkill("1" * 64, date(2026, 1, 1)),
        "never": KnownSkill("2" * 64, date(2026, 1, 1)),
        "new": KnownSkill("3" * 64, date(2026, 6, 20)),
        "used": KnownSkill("4" * 64, date(2026, 1, 1)),
        "ours": KnownSkill("5" * 64, date(2026, 1, 1), is_bundled=True),
        "shared": KnownSkill("6" * 64, date(2026, 1, 1), is_shared=True),
        "hosted": KnownSkill("7" * 64, date(2026, 1, 1)),
    })  # fmt: skip
    made = review(lines, WEEK, known)
    assert proposed(made) == {
        ("skill:old", "retire"): {"skill": "old"},
        ("skill:never", "retire"): {"skill": "never"},
    }
    assert review(lines[2:], WEEK, known).proposals == ()  # the record is too young to say


def test_a_skill_that_is_always_refused_is_denied() -> None:
    lines = [call(3, n, skill="a", outcome="denied", error_kind="approval") for n in range(5)]
    known = Known({"a": KnownSkill("1" * 64, date(2026, 6, 1))})
    assert proposed(review(lines, WEEK, known)) == {("skill:a", "deny"): {"skill": "a"}}
    assert review([*lines, call(3, 9, skill="a")], WEEK, known).proposals == ()


def test_nothing_is_proposed_of_what_comes_with_the_package_or_is_not_to_be_found() -> None:
    world = World(planted={"skill:skill-2": 0.2}, overruns={"digest": 0.35})
    bundled = Known({name: KnownSkill("5" * 64, date(2026, 6, 1), is_bundled=True) for name in SKILLS})
    made = of(world, known=bundled)
    assert ("skill:skill-2", "fails") in said(made)
    assert made.proposals == ()


@pytest.mark.parametrize("kind", ["network", "missing_binary", "quota", "rate", "disk_full", "cancelled"])
def test_failures_of_the_surroundings_are_no_evidence(kind: str) -> None:
    before = [call(10, n, skill="a") for n in range(100)]
    after = [call(3, n, skill="a", outcome="error", error_kind=kind) for n in range(100)]
    made = review([*before, *after], WEEK, KNOWN)
    assert made.findings == ()
    assert made.reading.now["skill:a"].outside == 100


def test_one_run_whose_calls_all_fail_is_one_failure() -> None:
    before = [call(10, n, skill="a") for n in range(40)]
    after = [call(3, n, skill="a") for n in range(39)]
    many = [call(3, 99, skill="a", outcome="error", error_kind="ValueError") for _ in range(500)]
    assert review([*before, *after, *many], WEEK, KNOWN).findings == ()
    apart = [call(3, 100 + n, skill="a", outcome="error", error_kind="ValueError") for n in range(500)]
    assert said(review([*before, *after, *apart], WEEK, KNOWN)) == {
        ("skill:a", "success"),
        ("skill:a", "fails"),
    }


def test_a_run_that_a_second_strategy_saves_is_no_failure_of_its_workflow() -> None:
    lines = [
        line
        for n in range(40)
        for line in (
            attempt(3, n, strategy="written", outcome="invalid", error_kind="checks"),
            attempt(3, n, strategy="rlm", outcome="ok"),
        )
    ]
    sample = review(lines, WEEK, KNOWN).reading.now["workflow:digest"]
    assert (sample.calls, sample.well, sample.failed) == (40, 40, 0)


def test_what_was_taken_back_is_not_counted() -> None:
    lines = [attempt(3, n, strategy="learned:aa", outcome="invalid", error_kind="checks") for n in range(30)]
    lines += [attempt(3, n, strategy="rlm") for n in range(30)]
    taken = attempt(2, 99, strategy="learned:aa", outcome=None, error_kind="forgotten")
    assert ("strategy:digest/learned:aa", "drop") in proposed(review(lines, WEEK, KNOWN))
    after = review([*lines, taken], WEEK, KNOWN)
    assert "strategy:digest/learned:aa" not in after.reading.now
    assert ("strategy:digest/learned:aa", "drop") not in proposed(after)


def test_the_order_of_lines_of_many_runs_changes_nothing() -> None:
    lines = list(records(World(n_runs=200), 3))
    straight, mixed = review(lines, WEEK, KNOWN), review(sorted(lines, key=hash), WEEK, KNOWN)
    for subject, sample in straight.reading.now.items():
        assert sample.judged == mixed.reading.now[subject].judged


def moment(days_ago: float) -> str:
    return (END - timedelta(days=days_ago)).isoformat()


def call(days_ago: float, run: int, **fields: Any) -> bytes:
    record = {
        "at": moment(days_ago),
        "run": f"{days_ago}-{run}",
        "call": "0.1",
        "parent": "0",
        "depth": 1,
        "outcome": "ok",
    }
    return json.dumps(record | fields).replace('{"at": ', '{"at":', 1).encode() + b"\n"


def attempt(days_ago: float, run: int, **fields: Any) -> bytes:
    record = {"at": moment(days_ago), "run": f"{days_ago}-{run}", "call": "0", "depth": 0, "workflow": "digest",
              "strategy": "written", "outcome": "ok", "verdict": "expr"}  # fmt: skip
    return json.dumps(record | fields).encode() + b"\n"


def test_times_count_whatever_their_offset() -> None:
    stamps = [
        "2026-06-28T23:59:59Z",
        "2026-06-29T01:59:59+02:00",
        "2026-06-28 23:59:59",
        "2026-06-29T00:00:00Z",
    ]
    assert [WEEK.place(at) for at in stamps] == [1, 1, 1, None]
    assert [
        WEEK.place(at) for at in ("2026-06-22T00:00:00Z", "2026-06-21T23:59:59.9Z", "2026-06-14T23:59:59Z")
    ] == [1, 0, None]
    assert datetime.now(UTC) > END


def test_damaged_lines_of_offers_are_passed_over() -> None:
    lines = [
        b'{"at": "2026-06-28T00:00:00Z", "skills": ["a", "b", "a", 3]}',
        b'{"at": "2026-06-16T00:00:00Z", "skills": ["a"]}',
        *(
            b"",
            b"[]",
            b"\xff",
            b'{"at": 3, "skills": []}',
            b'{"at": "soon", "skills": ["a"]}',
            b'{"at": "2026-06-28T00:00:00Z"}',
        ),
    ]
    assert review([], WEEK, KNOWN, lines).reading.hosts == {"a": {"offered": 1}, "b": {"offered": 1}}


@pytest.mark.parametrize(
    "line",
    [
        b'{"at":"2026-06-28T00:00:00Z","skill":3}',
        b'{"at":"2026-06-28T00:00:00Z","skill":"a","outcome":"fine"}',
        b'{"at":"2026-06-28T00:00:00Z","skill":"a","outcome":["ok"]}',
        b'{"at":"2026-06-28T00:00:00Z","skill":"a","usd":-1}',
        b'{"at":"2026-06-28T00:00:00Z","skill":"a","usd":NaN}',
        b'{"at":"2026-06-28T00:00:00Z","skill":"a","duration_s":1e400}',
        b'{"at":"2026-06-28T00:00:00Z","skill":"a","tokens_in":true}',
        b'{"at": "soon"}',
        b'{"at":3}',
        b'{"at":"2026-06-28T00:00:00Z","skill":"a"',
        b"[" * 5000,
        b"3,4",
    ],
)
def test_what_is_no_record_is_skipped_alone_whatever_stands_beside_it(line: bytes) -> None:
    whole = call(3, 1, skill="a")
    reading = review([whole, line + b"\n", b"\n", whole], WEEK, KNOWN).reading
    assert (reading.n_records, reading.n_skipped, reading.now["skill:a"].calls) == (2, 1, 2)


def test_a_reading_counts_what_the_tallies_count() -> None:
    lines = list(records(World(n_runs=100), 4))
    counts = Counts()
    for line in lines:
        counts.add(parsed(line))
    reading = review(lines, Window(END - timedelta(days=20), END), KNOWN).reading
    for name, count in counts.skills.items():
        sample = reading.now[f"skill:{name}"]
        assert (sample.calls, sample.well, sample.failed) == (count.calls, count.ok, count.failed)
        assert sum(sample.durations) == pytest.approx(count.duration_s)
