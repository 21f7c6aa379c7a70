"""What chance alone would do: intervals of shares, exact tests, and the price of looking many times.

Only the standard library, and Python 3.9 or newer: the skill `usage-review` carries this file as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054
"""The normal distribution's 97.5 % point: of an interval that holds the truth 19 times in 20."""

_TIES = 1 + 1e-7
"""Tables whose probabilities differ by less than this count as equally likely, as in R's `fisher.test`."""

_SMALL = 1e-17
"""Terms that add less than this to a sum are left out."""

FEW = 20
"""With fewer clusters than this nobody can tell how alike calls of one run are; each cluster counts once then."""


@dataclass(frozen=True)
class Share:
    """So many of so many. Counts may be fractions of calls where these lean on each other."""

    ok: float
    n: float

    @property
    def rate(self) -> float:
        """The share; 0 of nothing."""
        return self.ok / self.n if self.n else 0.0


@dataclass(frozen=True)
class Clusters:
    """Calls by the run that made them: sums over runs of calls `n` and successes `ok`, of their squares and products."""

    runs: int = 0
    n: int = 0
    ok: int = 0
    ok_ok: int = 0
    ok_n: int = 0
    n_n: int = 0

    @property
    def share(self) -> Share:
        """All calls alike."""
        return Share(self.ok, self.n)

    @property
    def dearest(self) -> float:
        """The design effect if all calls of a run ended alike: the mean size of a run, as its calls see it."""
        return self.n_n / self.n if self.n else 1.0

    def likeness(self) -> float | None:
        """How alike calls of one run end, from 0 to 1; None where that can't be told."""
        p, most = self.share.rate, self.dearest
        if self.runs < FEW or not 0 < p < 1 or most <= 1:
            return None
        left = self.ok_ok - 2 * p * self.ok_n + p * p * self.n_n
        effect = self.runs / (self.runs - 1) * left / (self.n * p * (1 - p))
        return min(1.0, max(0.0, (effect - 1) / (most - 1)))


def effective(first: Clusters, second: Clusters) -> tuple[Share, Share]:
    """Both as shares of calls that stand for themselves: a run whose 500 calls fail alike is one failure, not 500.

    The design effect of Rao and Scott, "A simple method for the analysis of clustered binary data", Biometrics 48
    (1992), is put as a likeness of a run's calls (Kish, Survey Sampling, 1965: 1 + (size - 1) x likeness). The larger
    one of the two holds for both; where none can be told, calls of a run are taken to be wholly alike.
    """
    told = [one for one in (first.likeness(), second.likeness()) if one is not None]
    likeness = max(told) if told and min(first.runs, second.runs) >= FEW else 1.0
    return _shrunk(first, likeness), _shrunk(second, likeness)


def alone(clusters: Clusters) -> Share:
    """The same of one sample by itself."""
    likeness = clusters.likeness()
    return _shrunk(clusters, 1.0 if likeness is None else likeness)


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


def _shrunk(clusters: Clusters, likeness: float) -> Share:
    effect = max(1.0, 1 + (clusters.dearest - 1) * likeness)
    return Share(clusters.ok / effect, clusters.n / effect)


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
