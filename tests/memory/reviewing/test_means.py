from math import atan, exp, log, pi, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.memory.reviewing.means import Means, student, typical, welch

ts = st.floats(0, 50)


def of(*values):
    means = Means()
    for value in values:
        means.add(value)
    return means


@given(ts)
def test_students_t_with_few_degrees_of_freedom_is_what_algebra_says(t):
    assert student(t, 1) == pytest.approx(1 - 2 / pi * atan(t), abs=1e-9)
    assert student(t, 2) == pytest.approx(1 - t / sqrt(2 + t * t), abs=1e-9)
    assert student(-t, 2) == student(t, 2)


@pytest.mark.parametrize(
    ("t", "freedom", "p"),
    [(2.228, 10, 0.05), (2.086, 20, 0.05), (2.845, 20, 0.01), (1.984, 100, 0.05), (1.95996, 1e7, 0.05), (3.291, 1e7, 0.001)],
)  # fmt: skip
def test_students_t_gives_the_tables_values(t, freedom, p):
    assert student(t, freedom) == pytest.approx(p, rel=2e-3)


def test_welch_gives_a_textbooks_value():
    """Of R's `t.test(extra ~ group, data = sleep)`: t = -1.8608, df = 17.776, p = 0.07939."""
    first = of(0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
    second = of(1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
    assert welch(first, second) == pytest.approx(0.07939, abs=1e-5)


def test_equal_values_do_not_differ_and_have_no_spread():
    assert welch(of(1.0, 1.0), of(1.0, 1.0)) == 1.0
    assert welch(of(1.0, 1.0), of(2.0, 2.0)) == 0.0
    assert typical(of(log(3), log(3), log(3))) == (pytest.approx(3), (pytest.approx(3), pytest.approx(3)))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30))
def test_the_interval_holds_the_geometric_mean(values):
    middle, (low, high) = typical(of(*values))
    assert middle == pytest.approx(exp(sum(values) / len(values)), rel=1e-9)
    assert low <= middle * (1 + 1e-12)
    assert middle <= high * (1 + 1e-12)
