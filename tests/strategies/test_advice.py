from __future__ import annotations

from orchestrator.memory.experience import Experience, Row
from orchestrator.strategies.advice import advice


def row(passed: int, failed: int, usd: float = 0.0) -> Row:
    return Row(tried=passed + failed, passed=passed, failed=failed, usd=usd)


def test_ways_are_told_of_from_the_third_attempt_on_with_their_figures():
    ways = {"grep verify": row(14, 1, usd=0.3), "map": row(0, 4), "peek": row(2, 0)}
    said = advice("w", Experience(ways={"w": ways}))
    assert said == "Here `grep` with `verify` did well: 14 of 15, $0.02 each. `map` did not: 0 of 4."
    assert advice("another", Experience(ways={"w": ways})) == ""


def test_depth_is_advised_for_only_where_the_record_says_that_it_helps():
    helped = {"map recurse": row(5, 0), "map": row(1, 4)}
    not_helped = {"map recurse": row(3, 2), "map": row(4, 1)}
    assert "`rlm_query` helped: 5 of 5 with it, 1 of 5 without." in advice(
        "w", Experience(ways={"w": helped})
    )
    assert "`rlm_query` did not help: 3 of 5 with it, 4 of 5 without." in advice(
        "w", Experience(ways={"w": not_helped})
    )
