"""Means of what grows by factors, such as times and costs, and whether two of them differ by more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

TINY = 1e-300
PRECISE = 3e-14
MAX_STEPS = 10_000


@dataclass(slots=True)
class Means:
    """Logarithms of one value a run: how many, their sum, and the sum of their squares."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, logarithm: float) -> None:
        """Count one run."""
        self.n += 1
        self.total += logarithm
        self.squares += logarithm * logarithm

    @property
    def mean(self) -> float:
        """The mean of the logarithms; its exponential is the geometric mean."""
        return self.total / self.n

    @property
    def error(self) -> float:
        """The square of the mean's standard error. Needs two runs."""
        spread = max(0.0, self.squares - self.total * self.mean) / (self.n - 1)
        return spread / self.n


def typical(one: Means) -> tuple[float, tuple[float, float]]:
    """The geometric mean, and the interval that holds it 19 times in 20. Needs two runs."""
    half = _quantile(0.05, one.n - 1) * math.sqrt(one.error)
    return math.exp(one.mean), (math.exp(one.mean - half), math.exp(one.mean + half))


def welch(first: Means, second: Means) -> float:
    """How likely two means differ so much or more by chance: Welch's test, Biometrika 34 (1947). Needs two runs of each."""
    error = first.error + second.error
    if error <= 0:
        return 1.0 if math.isclose(first.mean, second.mean) else 0.0
    freedom = error**2 / (first.error**2 / (first.n - 1) + second.error**2 / (second.n - 1))
    return student((first.mean - second.mean) / math.sqrt(error), freedom)


def student(t: float, freedom: float) -> float:
    """How likely Student's t is so far from 0 or farther: Abramowitz and Stegun, 26.7.1 and 26.5.27."""
    return _incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def _quantile(chance: float, freedom: float) -> float:
    """The t that is exceeded, on either side, with this chance."""
    low, high = 0.0, 1e6
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student(middle, freedom) > chance else (low, middle)
    return high


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun, 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / a / _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """1 + d1 / (1 + d2 / (1 + ...)), forwards: Lentz, Applied Optics 15 (1976)."""
    value = upper = 1.0
    lower = 0.0
    for step in range(1, MAX_STEPS):
        m = step // 2
        if step % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        lower = 1 / _not_zero(1 + d * lower)
        upper = _not_zero(1 + d / upper)
        value *= upper * lower
        if abs(upper * lower - 1) < PRECISE:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY
