import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.memory.ranking import Ranker, Tuning

ARMS = ["direct", "grep", "map-reduce", "rlm"]
HOME = {"workflow": "digest", "model": "small", "size": 4.5, "nested": False}
AWAY = {"workflow": "audit", "model": "large", "size": 1.0, "nested": True}

names = st.sampled_from([*ARMS, "late", ""])
values = (
    st.floats(allow_nan=False)
    | st.integers()
    | st.text(max_size=5)
    | st.booleans()
    | st.sampled_from([10**400, -(10**400), 1e308, -0.0])
)
situations = st.dictionaries(
    st.sampled_from(["workflow", "size", "", "ключ", "a b", "0"]), values, max_size=4
)
outcomes = st.fixed_dictionaries(
    {"success": st.booleans()},
    optional={
        "usd": st.floats(0, 1e9),
        "duration_s": st.floats(0, 1e9),
        "weight": st.floats(0.01, 1),
        "at": st.sampled_from([None, 0.0, 1.8e9, "2026-01-31T12:00:00Z", "2026-01-31T12:00:00"]),
    },
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("record"), names, situations, outcomes),
        st.tuples(st.just("rank"), situations),
        st.tuples(st.just("add"), names),
        st.tuples(st.just("remove"), names),
        st.tuples(st.just("inherit"), names, st.sampled_from(ARMS), st.floats(0, 1)),
        st.tuples(st.just("forget"), names),
    ),
    max_size=25,
)


def do(ranker, step):
    """One operation; what it answered."""
    kind, *arguments = step
    if kind == "record":
        arm, situation, fields = arguments
        return ranker.record(arm, situation, **fields)
    return getattr(ranker, kind)(*arguments)


def taught(ranker, arm, situation, outcomes, **fields):
    for outcome in outcomes:
        ranker.record(arm, situation, success=outcome == "+", **fields)


def order(ranker, situation):
    return [one.arm for one in ranker.rank(situation)]


def chances(ranker, situation):
    return {one.arm: one.chance for one in ranker.rank(situation)}


def saved(ranker):
    """The ranker as another process reads it."""
    return Ranker.from_dict(json.loads(json.dumps(ranker.to_dict(), allow_nan=False)))


@settings(deadline=None)
@given(steps, st.integers(0, 2**40))
def test_a_restored_ranker_goes_on_exactly_like_the_original(done, seed):
    ranker = Ranker(ARMS, seed=seed)
    for n, step in enumerate(done):
        other = saved(ranker)
        assert do(other, step) == do(ranker, step)
        if n % 3 == 0:
            ranker = other
    assert json.dumps(saved(ranker).to_dict()) == json.dumps(ranker.to_dict())


@settings(deadline=None)
@given(steps, situations, st.integers(0, 2**40))
def test_an_order_has_every_arm_once_and_its_figures_are_sound(done, situation, seed):
    ranker, same = Ranker(ARMS, seed=seed), Ranker(ARMS, seed=seed)
    for step in done:
        assert do(ranker, step) == do(same, step)
    ranked = ranker.rank(situation)
    assert ranked == same.rank(situation)
    assert sorted(one.arm for one in ranked) == sorted(ranker.arms)
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    for one in ranked:
        assert 0 <= one.chance <= 1
        assert 0 <= one.probability <= 1
        assert 0 <= one.succeeded <= one.tried
        assert math.isfinite(one.score)
        assert one.cost_usd >= 0
        assert one.duration_s >= 0
        assert one.why
    assert not ranked or math.isclose(sum(one.probability for one in ranked), 1)


def test_without_a_record_the_order_is_the_given_one():
    ranked = Ranker(ARMS).rank(HOME)
    assert [one.arm for one in ranked] == ARMS
    assert [one.probability for one in ranked] == [1, 0, 0, 0]
    assert {one.why for one in ranked} == {"not tried yet"}
    assert Ranker([], seed=1).rank({}) == []


def test_the_seed_decides_the_draws():
    def orders(seed):
        ranker = Ranker(ARMS, seed=seed)
        taught(ranker, "grep", HOME, "+-")
        return [order(ranker, HOME) for _ in range(20)]

    assert orders(1) == orders(1)
    assert orders(1) != orders(2)


def test_the_probability_is_how_often_an_arm_comes_first():
    ranker = Ranker(ARMS, seed=3)
    taught(ranker, "grep", HOME, "++-")
    taught(ranker, "rlm", HOME, "+-")
    told = {one.arm: one.probability for one in ranker.rank(HOME)}
    n = 2000
    firsts = [order(ranker, HOME)[0] for _ in range(n)]
    assert all(abs(firsts.count(arm) / n - told[arm]) < 0.05 for arm in ARMS), told


def test_what_succeeds_here_comes_first_here_and_not_elsewhere():
    ranker = Ranker(ARMS, seed=0)
    taught(ranker, "grep", HOME, "+++++")
    taught(ranker, "direct", HOME, "-----")
    taught(ranker, "grep", AWAY, "-----")
    taught(ranker, "direct", AWAY, "+++++")
    assert order(ranker, HOME)[0] == "grep"
    assert order(ranker, AWAY)[0] == "direct"


def test_numbers_tell_situations_apart():
    ranker, draw = Ranker(["small", "large"], seed=0), random.Random(0)
    for _ in range(60):
        size = draw.uniform(0, 8)
        ranker.record("small", {"size": size}, success=size < 4)
        ranker.record("large", {"size": size}, success=size > 4)
    assert order(ranker, {"size": 1})[0] == "small"
    assert order(ranker, {"size": 7})[0] == "large"


def test_a_new_situation_is_judged_by_the_whole_record():
    ranker = Ranker(ARMS, seed=0)
    taught(ranker, "direct", HOME, "------")
    taught(ranker, "rlm", HOME, "++++++")
    new = chances(ranker, {"workflow": "never seen"})
    assert new["rlm"] > new["grep"] > new["direct"]


@pytest.mark.parametrize(("told", "least"), [("its own", 0.95), ("another one's", 0.65)])
def test_situations_in_another_ones_place_leave_the_arm_that_is_best_overall(told, least):
    ranker, draw = Ranker(["direct", "grep"], seed=0), random.Random(0)
    right = []
    for _ in range(300):
        suits = draw.choice(["grep", "grep", "grep", "direct"])  # so `grep` alone is right in 3 of 4
        shown = suits if told == "its own" else draw.choice(["grep", "grep", "grep", "direct"])
        situation = HOME if shown == "grep" else AWAY
        first = order(ranker, situation)[0]
        ranker.record(first, situation, success=first == suits)
        right.append(first == suits)
    assert sum(right[-200:]) / 200 >= least


def test_an_arm_that_gets_worse_is_noticed():
    ranker = Ranker(ARMS, seed=0)
    taught(ranker, "direct", HOME, "+" * 100)
    taught(ranker, "grep", HOME, "+++-" * 5)
    assert order(ranker, HOME)[0] == "direct"
    n_failed = 0
    while order(ranker, HOME)[0] == "direct":
        taught(ranker, "direct", HOME, "-")
        n_failed += 1
    assert n_failed <= 15
    assert "worse lately" in {one.arm: one.why for one in ranker.rank(HOME)}["direct"]


def test_among_equals_the_cheaper_comes_first():
    for field in ("usd", "duration_s"):
        ranker = Ranker(["dear", "cheap"], seed=0)
        for _ in range(20):
            ranker.record("dear", HOME, success=True, **{field: 10})
            ranker.record("cheap", HOME, success=True, **{field: 1})
        dear, cheap = sorted(ranker.rank(HOME), key=lambda one: one.arm, reverse=True)
        assert cheap.probability > dear.probability
        assert getattr(cheap, "cost_usd" if field == "usd" else field) == pytest.approx(1, rel=0.3)


def test_success_counts_more_than_cost():
    ranker = Ranker(["dear", "cheap"], seed=0)
    taught(ranker, "dear", HOME, "+" * 20, usd=10)
    taught(ranker, "cheap", HOME, "+---" * 5, usd=0.01)
    assert order(ranker, HOME) == ["dear", "cheap"]


def test_an_unverified_outcome_weighs_little():
    ranker = Ranker(ARMS, seed=0)
    for _ in range(3):
        ranker.record("grep", HOME, success=True)
        ranker.record("rlm", HOME, success=True, weight=0.1)
    found = chances(ranker, HOME)
    assert found["grep"] > found["rlm"] > found["direct"]
    for weight in (0, -1, 1.5, math.nan):
        with pytest.raises(UsageError):
            ranker.record("grep", HOME, success=True, weight=weight)


def test_an_unknown_arm_is_added_by_its_record_and_a_removed_one_comes_back_with_its_own():
    ranker = Ranker(["direct"], seed=0)
    taught(ranker, "late", HOME, "++")
    assert sorted(order(ranker, HOME)) == ["direct", "late"]
    ranker.remove("late")
    ranker.remove("nobody")
    assert order(ranker, HOME) == ["direct"]
    ranker.add("late")
    assert {one.arm: one.tried for one in ranker.rank(HOME)} == {"direct": 0, "late": 2}


def test_a_new_version_inherits_a_discounted_record():
    ranker = Ranker(ARMS, seed=0)
    taught(ranker, "grep", HOME, "++++")
    taught(ranker, "direct", HOME, "----")
    ranker.inherit("grep@2", "grep", discount=0.5)
    ranked = {one.arm: one for one in ranker.rank(HOME)}
    assert ranked["grep"].chance > ranked["grep@2"].chance > ranked["rlm"].chance
    assert ranked["grep@2"].tried == 0
    assert "begins with the record of `grep`" in ranked["grep@2"].why
    with pytest.raises(UsageError):
        ranker.inherit("new", "nobody")
    with pytest.raises(UsageError):
        ranker.inherit("new", "grep", discount=2)


def test_what_is_forgotten_counts_no_more():
    ranker = Ranker(ARMS, seed=0)
    taught(ranker, "grep", HOME, "+++")
    taught(ranker, "grep", AWAY, "--")
    ranker.forget("grep", workflow="digest")
    assert {one.arm: (one.succeeded, one.tried) for one in ranker.rank(HOME)}["grep"] == (0, 2)
    ranker.forget("grep")
    ranker.forget("nobody")
    assert {one.arm: one.tried for one in ranker.rank(HOME)}["grep"] == 0


def test_with_times_what_is_old_counts_less():
    def chance(at):
        ranker = Ranker(ARMS, seed=0)
        taught(ranker, "grep", HOME, "----", at="2026-01-01T00:00:00Z")
        taught(ranker, "grep", HOME, "++++", at=at)
        return chances(ranker, HOME)["grep"]

    assert chance("2028-01-01T00:00:00Z") > chance("2026-01-02T00:00:00Z")


def test_a_first_time_makes_nothing_fade_and_what_is_no_time_records_nothing():
    ranker = Ranker(ARMS, seed=0)
    taught(ranker, "grep", HOME, "++++")
    before = chances(ranker, HOME)["grep"]
    ranker.record("rlm", AWAY, success=False, at=1.8e9)
    assert chances(ranker, HOME)["grep"] == pytest.approx(before, abs=0.05)
    kept = ranker.to_dict()
    for wrong in ("yesterday", math.inf):
        with pytest.raises(ValueError, match=r"yesterday|inf"):
            ranker.record("grep", HOME, success=True, at=wrong)
    assert ranker.to_dict() == kept


def test_only_the_named_arms_are_ranked_when_asked():
    ranker = Ranker(ARMS, seed=0)
    taught(ranker, "grep", HOME, "+")
    ranked = ranker.rank(HOME, only=["rlm", "direct"])
    assert sorted(one.arm for one in ranked) == ["direct", "rlm"]
    assert sum(one.probability for one in ranked) == pytest.approx(1)


def test_it_says_why():
    ranker = Ranker(ARMS, seed=0, tuning=Tuning(exploration=0))
    taught(ranker, "grep", HOME, "+" * 14 + "-")
    taught(ranker, "rlm", AWAY, "+++-")
    why = {one.arm: one.why for one in ranker.rank(HOME)}
    assert why == {
        "grep": "14 of 15 in similar situations",
        "rlm": "not tried yet in similar situations; 3 of 4 elsewhere",
        "direct": "not tried yet",
        "map-reduce": "not tried yet",
    }


def test_without_exploration_nothing_is_drawn():
    ranker = Ranker(ARMS, seed=0, tuning=Tuning(exploration=0))
    taught(ranker, "grep", HOME, "+-")
    taught(ranker, "rlm", HOME, "++")
    assert len({tuple(order(ranker, HOME)) for _ in range(20)}) == 1
    assert ranker.rank(HOME)[0].probability == 1


def test_a_long_record_stays_bounded_and_keeps_the_latest():
    ranker = Ranker(ARMS, seed=0, tuning=Tuning(n_situations=50, half_life=20))
    ranker.record("gone", {"n": -1}, success=True)
    ranker.remove("gone")
    for n in range(200):
        ranker.record("grep", {"n": n}, success=True)
    kept = {values[0] for _, values, _ in ranker.to_dict()["space"]["points"]}
    assert len(kept) <= 50
    assert kept >= set(range(160, 200))
    assert list(ranker.to_dict()["totals"]) == ARMS


def test_a_long_record_is_restored_exactly():
    draw = random.Random(5)
    ranker = Ranker(ARMS, seed=5, tuning=Tuning(n_situations=60))
    for n in range(300):
        situation = {
            "size": draw.gauss(0, 1),
            "n": draw.randrange(10 ** draw.randrange(9)),
            "kind": draw.choice("abc"),
        }
        if n == 150:
            other = saved(ranker)
        pair = (ranker,) if n < 150 else (ranker, other)
        first, *_ = [one.rank(situation)[0].arm for one in pair]
        success = draw.random() < 0.5 + 0.3 * math.tanh(situation["size"]) * (first == "grep")
        for one in pair:
            one.record(first, situation, success=success, usd=0.1 * n)
    assert json.dumps(other.to_dict()) == json.dumps(ranker.to_dict())
    assert other.rank({"kind": "a"}) == ranker.rank({"kind": "a"})


def test_another_schema_is_refused():
    with pytest.raises(ValueError, match="this reads"):
        Ranker.from_dict({**Ranker(ARMS).to_dict(), "schema": "other/1"})


def finds_the_best(rates: list[float], seed: int) -> bool:
    """Whether an arm that is better by far is mostly first after 300 rounds in which only the first arm is tried."""
    ranker, draw = Ranker([str(n) for n in range(len(rates))], seed=seed), random.Random(seed)
    best, n_first = str(max(range(len(rates)), key=rates.__getitem__)), 0
    for turn in range(300):
        first = order(ranker, HOME)[0]
        ranker.record(first, HOME, success=draw.random() < rates[int(first)])
        n_first += turn >= 200 and first == best
    return n_first > 50


def test_bad_luck_in_its_first_tries_seldom_keeps_the_better_arm_away():
    assert sum(finds_the_best([0.25, 0.75], seed) for seed in range(30)) >= 28
    assert sum(finds_the_best([0.75, 0.25], seed) for seed in range(30)) >= 28
