"""The statistics against exact arithmetic and published values."""

from collections import Counter
from fractions import Fraction
from math import comb, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.memory.reviewing.chance import (
    FEW,
    Share,
    alone,
    at_least,
    at_most,
    effective,
    fisher,
    holm,
    likeness,
    wilson,
)

counts = st.integers(0, 60)


def share(pair):
    return Share(*sorted(pair))


shares = st.tuples(counts, counts).map(share)


def exact_fisher(first, second):
    drawn, total = first.ok + second.ok, first.n + second.n
    ways = {
        k: comb(first.n, k) * comb(second.n, drawn - k) for k in range(drawn + 1) if drawn - k <= second.n
    }
    return Fraction(sum(one for one in ways.values() if one <= ways[first.ok]), comb(total, drawn))


def exact_at_most(one, p):
    return sum(comb(one.n, k) * p**k * (1 - p) ** (one.n - k) for k in range(one.ok + 1))


@given(shares, shares)
def test_fishers_test_is_the_exact_one(first, second):
    assert isclose(fisher(first, second), exact_fisher(first, second), rel_tol=1e-6, abs_tol=1e-12)
    assert isclose(fisher(first, second), fisher(second, first), rel_tol=1e-6, abs_tol=1e-12)


@given(shares, st.sampled_from([Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)]))
def test_the_tails_of_the_binomial_are_the_exact_ones(one, p):
    assert isclose(at_most(one, float(p)), exact_at_most(one, p), rel_tol=1e-8, abs_tol=1e-12)
    above = 1 - (exact_at_most(Share(one.ok - 1, one.n), p) if one.ok else 0)
    assert isclose(at_least(one, float(p)), above, rel_tol=1e-8, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (Share(3, 4), Share(1, 4), 0.4857142857),  # Fisher's tea, The Design of Experiments, 1935
        (Share(1, 12), Share(9, 12), 0.0027594562),  # R: fisher.test(matrix(c(1, 11, 9, 3), 2))
        (Share(0, 0), Share(5, 9), 1.0),
        (Share(7, 7), Share(9, 9), 1.0),
    ],
)
def test_fishers_test_gives_published_values(first, second, p):
    assert isclose(fisher(first, second), p, rel_tol=1e-8)


@pytest.mark.parametrize(
    ("one", "low", "high"),
    [
        (Share(81, 263), 0.2553, 0.3662),  # Newcombe, Statistics in Medicine 17 (1998), table I
        (Share(15, 148), 0.0624, 0.1605),
        (Share(0, 20), 0.0, 0.1611),
        (Share(1, 29), 0.0061, 0.1718),
        (Share(0, 0), 0.0, 1.0),
    ],
)
def test_wilsons_interval_gives_published_values(one, low, high):
    assert [round(value, 4) for value in wilson(one)] == [low, high]


@given(shares)
def test_wilsons_interval_holds_the_share(one):
    low, high = wilson(one)
    assert 0 <= low <= one.rate <= high + 1e-12 or one.n == 0
    assert high <= 1


def test_large_counts_are_quick_and_do_not_overflow():
    assert fisher(Share(500_000, 1_000_000), Share(500_000, 1_000_000)) == pytest.approx(1.0)
    assert 0 < fisher(Share(500_000, 1_000_000), Share(502_000, 1_000_000)) < 0.006
    assert fisher(Share(0, 1_000_000), Share(1_000_000, 1_000_000)) == 0.0
    assert at_most(Share(499_000, 1_000_000), 0.5) == pytest.approx(0.02280, rel=1e-3)


def test_holm_gives_the_values_of_its_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_only_raises_keeps_the_order_and_is_within_bonferroni(chances):
    raised = holm(chances)
    assert all(p <= q <= min(1.0, p * len(chances)) + 1e-12 for p, q in zip(chances, raised, strict=True))
    assert [q for _, q in sorted(zip(chances, raised, strict=True))] == sorted(raised)


def test_calls_that_stand_for_themselves_count_as_they_are():
    single = {(1, 1): 90, (1, 0): 10}
    assert alone(single) == Share(90, 100)
    assert effective(single, single) == (Share(90, 100), Share(90, 100))


def test_a_run_whose_calls_all_end_alike_counts_once():
    assert alone({(10, 10): 30, (10, 0): 10}) == Share(30, 40)


def test_calls_of_a_run_that_end_apart_count_each():
    assert likeness({(10, 9): 30}) == 0.0
    assert alone({(10, 9): 30}) == Share(270, 300)


def test_likeness_is_the_textbooks():
    """By hand: 20 pairs, 8 of them both well, 6 both not, 6 apart; p = 22/40, so MSB = 0.3500.../MSW = 0.15."""
    between = (8 * 2 * (1 - 0.55) ** 2 + 6 * 2 * 0.55**2 + 6 * 2 * 0.05**2) / 19
    within = 6 * 0.5 / 20
    assert likeness({(2, 2): 8, (2, 0): 6, (2, 1): 6}) == pytest.approx(
        (between - within) / (between + within)
    )


def test_of_few_runs_each_counts_once():
    few = {(500, 0): 1, (500, 500): FEW - 2}
    assert alone(few) == Share(FEW - 2, FEW - 1)
    assert effective(few, {(1, 1): 5}) == (Share(FEW - 2, FEW - 1), Share(5, 5))


def test_a_large_run_weighs_no_more_than_a_small_one_where_calls_of_a_run_are_alike():
    assert alone({(1, 1): 39, (500, 0): 1}) == Share(39, 40)


def test_what_one_sample_cannot_tell_it_takes_from_the_other():
    assert effective({(10, 10): 40}, {(10, 10): 30, (10, 0): 10}) == (Share(40, 40), Share(30, 40))


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)).map(lambda one: (one[0], min(one))), max_size=60)
)
def test_no_sample_counts_more_than_its_calls_or_less_than_its_runs(runs):
    sample = Counter(runs)
    found = alone(sample)
    assert len(runs) - 1e-9 <= found.n <= sum(n for n, _ in runs) + 1e-9
    assert -1e-9 <= found.ok <= found.n + 1e-9
