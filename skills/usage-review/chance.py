"""What chance alone would do: intervals of shares, exact tests, and the price of looking many times.

Only the standard library, and Python 3.9 or newer: the skill `usage-review` carries this file as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054
"""The normal distribution's 97.5 % point: of an interval that holds the truth 19 times in 20."""

_TIES = 1 + 1e-7
"""Tables whose probabilities differ by less than this count as equally likely, as in R's `fisher.test`."""

_SMALL = 1e-17
"""Terms that add less than this to a sum are left out."""

FEW = 20
"""With fewer runs than this nobody can tell how alike calls of one run are; each run counts once then."""


@dataclass(frozen=True)
class Share:
    """So many of so many. Counts may be fractions of calls where these lean on each other."""

    ok: float
    n: float

    @property
    def rate(self) -> float:
        """The share; 0 of nothing."""
        return self.ok / self.n if self.n else 0.0


Runs = Mapping[tuple[int, int], int]
"""Calls by the run that made them: how many runs there are with so many calls, so many of them well."""


def likeness(runs: Runs) -> float | None:
    """How alike calls of one run end, from 0 to 1; None where that can't be told.

    The analysis of variance's estimate of the intraclass correlation, for calls that do well or not: Ridout, Demetrio
    and Firth, "Estimating intraclass correlation for binary data", Biometrics 55 (1999), section 2.1.
    """
    k, n, ok = n_runs(runs), n_calls(runs), sum(count * well for (_, well), count in runs.items())
    if k < FEW or n == k or not 0 < ok < n:
        return None
    p = ok / n
    between = sum(count * size * (well / size - p) ** 2 for (size, well), count in runs.items()) / (k - 1)
    within = sum(count * well * (size - well) / size for (size, well), count in runs.items()) / (n - k)
    mean = (n - sum(count * size * size for (size, _), count in runs.items()) / n) / (k - 1)
    whole = between + (mean - 1) * within
    return min(1.0, max(0.0, (between - within) / whole)) if whole > 0 else None


def effective(first: Runs, second: Runs) -> tuple[Share, Share]:
    """Both as shares of calls that stand for themselves: a run whose 500 calls fail alike is one failure, not 500.

    A run of n calls counts as n / (1 + (n - 1) x likeness) of them, by the design effect of Kish, Survey Sampling
    (1965). The larger likeness of the two holds for both; where none can be told, each run counts once.
    """
    told = [one for one in (likeness(first), likeness(second)) if one is not None]
    alike = max(told) if told and min(n_runs(first), n_runs(second)) >= FEW else 1.0
    return _weighed(first, alike), _weighed(second, alike)


def alone(runs: Runs) -> Share:
    """The same of one sample by itself."""
    alike = likeness(runs)
    return _weighed(runs, 1.0 if alike is None else alike)


def n_runs(runs: Runs) -> int:
    """How many runs there are."""
    return sum(runs.values())


def n_calls(runs: Runs) -> int:
    """How many calls they made."""
    return sum(count * size for (size, _), count in runs.items())


def wilson(share: Share, z: float = Z95) -> tuple[float, float]:
    """The interval of a share: Wilson, Journal of the American Statistical Association 22 (1927). (0, 1) of nothing."""
    n = share.n
    if n <= 0:
        return 0.0, 1.0
    p, zz = share.rate, z * z
    middle = (p + zz / (2 * n)) / (1 + zz / n)
    half = z / (1 + zz / n) * math.sqrt(p * (1 - p) / n + zz / (4 * n * n))
    low = 0.0 if share.ok <= 0 else max(0.0, middle - half)
    high = 1.0 if share.ok >= n else min(1.0, middle + half)
    return low, high


def fisher(first: Share, second: Share) -> float:
    """How likely two shares differ so much or more by chance: Fisher's exact test, two-sided, of whole counts.

    Counts are rounded down to calls, which makes the test more careful. Two-sided as in R: over all tables with these
    margins that are at most as likely as this one.
    """
    (ok_a, n_a), (ok_b, n_b) = _whole(first), _whole(second)
    total, drawn = n_a + n_b, ok_a + ok_b
    low, high = max(0, drawn - n_b), min(drawn, n_a)
    if low >= high:
        return 1.0
    whole = _log_choose(total, drawn)

    def chance(k: int) -> float:
        return math.exp(_log_choose(n_a, k) + _log_choose(n_b, drawn - k) - whole)

    def down(k: int) -> float:
        return k * (n_b - drawn + k) / ((n_a - k + 1) * (drawn - k + 1))

    mode = min(high, max(low, (n_a + 1) * (drawn + 1) // (total + 2)))
    most = chance(ok_a) * _TIES
    if chance(mode) <= most:
        return 1.0
    left = _last(low - 1, mode, lambda k: chance(k) <= most)
    right = -_last(-high - 1, -mode, lambda k: chance(-k) <= most)
    p = _sum_down(left, low, chance, down) if left >= low else 0.0
    p += _sum_up(right, high, chance, down) if right <= high else 0.0
    return min(1.0, p)


def at_most(share: Share, p: float) -> float:
    """How likely so few successes or fewer are where each has the chance `p` (0 < p < 1): the binomial's lower tail."""
    ok, n = _whole(share)
    if ok >= n:
        return 1.0

    def chance(k: int) -> float:
        return math.exp(_log_choose(n, k) + k * math.log(p) + (n - k) * math.log1p(-p))

    def down(k: int) -> float:
        return k * (1 - p) / ((n - k + 1) * p)

    if ok > n * p:  # the sum from above is the shorter one
        return max(0.0, 1.0 - _sum_up(ok + 1, n, chance, down))
    return min(1.0, _sum_down(ok, 0, chance, down))


def at_least(share: Share, p: float) -> float:
    """How likely so many successes or more are where each has the chance `p` (0 < p < 1): the upper tail."""
    ok, n = _whole(share)
    return at_most(Share(n - ok, n), 1 - p)


def holm(chances: Sequence[float]) -> list[float]:
    """The chances, each raised for all the others that were looked at beside it: Holm, Scandinavian J. Statistics 6 (1979).

    To take for true what is at most 0.05 afterwards is wrong about anything at all in at most 1 of 20 such families,
    however the tests hang together.
    """
    order = sorted(range(len(chances)), key=lambda number: chances[number])
    raised = [0.0] * len(chances)
    highest = 0.0
    for place, number in enumerate(order):
        highest = max(highest, min(1.0, (len(chances) - place) * chances[number]))
        raised[number] = highest
    return raised


def _weighed(runs: Runs, alike: float) -> Share:
    ok = n = 0.0
    for (size, well), count in runs.items():
        weight = count * size / (1 + (size - 1) * alike)
        n += weight
        ok += weight * well / size
    return Share(ok, n)


def _whole(share: Share) -> tuple[int, int]:
    """Whole counts with about the same share, never more of them."""
    n = math.floor(share.n + 1e-9)
    return min(n, round(share.rate * n)), n


def _last(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The last number from `low` (taken to hold) to before `high` (taken not to) that holds, of what holds only below."""
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def _sum_down(k: int, low: int, chance: Callable[[int], float], down: Callable[[int], float]) -> float:
    """The chances of `k` and everything below it, where they fall from there."""
    term = total = chance(k)
    while k > low and term > total * _SMALL:
        term *= down(k)
        k -= 1
        total += term
    return total


def _sum_up(k: int, high: int, chance: Callable[[int], float], down: Callable[[int], float]) -> float:
    """The chances of `k` and everything above it."""
    term = total = chance(k)
    while k < high and term > total * _SMALL:
        k += 1
        term /= down(k)
        total += term
    return total


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
