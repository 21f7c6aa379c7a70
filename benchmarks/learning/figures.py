"""What the runs of sides add up to, as rows of a table."""

from __future__ import annotations

from collections import Counter
from statistics import fmean, median
from typing import TYPE_CHECKING

from adversaries import BAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cases import Case
    from sides import Ran

Runs = dict[int, list["Ran"]]
"""The runs of one side, by seed."""

Span = tuple[int, int]
"""Rounds, from the first one to before the last."""

SPAN = 5

FIGURES: dict[str, Callable[[Ran], float]] = {
    "right": lambda ran: ran.right,
    "wrong, taken": lambda ran: ran.wrong,
    "right at once": lambda ran: ran.right_at_once,
    "attempts": lambda ran: len(ran.strategies),
    "requests": lambda ran: ran.calls,
    "tokens": lambda ran: ran.tokens,
    "root tokens": lambda ran: ran.root_tokens,
    "$ for 1,000 runs": lambda ran: 1000 * ran.usd,
}
BAD_FIRST: dict[str, Callable[[Ran], float]] = {
    "a bad strategy first": lambda ran: ran.strategies[0] == BAD[ran.case]
}
CASE_COLUMNS = [
    "workflow", "right, no learning", "learning", "$ for 1,000 runs, no learning", "learning", "came first, times",
]  # fmt: skip
NOTES = (
    "A figure is the mean over a seed's runs: the median of the seeds, and the lowest and highest of them in brackets. "
    "`right`: the answer is the true one, whatever its check said (a wrong verdict passes a wrong answer, or fails a right "
    "one); `wrong, taken`: the run answered with another one. `root tokens`: of the turns of the run's own root; those of "
    "recursive calls are in `tokens`. Root and sub model cost 3 and 0.30 dollars for a million tokens in, five times that "
    "out."
)


def rows(
    sides: Mapping[str, Runs], spans: Sequence[Span], figures: Mapping[str, Callable[[Ran], float]] = FIGURES
) -> list[list[object]]:
    """A row for each side and span of rounds; a cell for each figure."""
    found: list[list[object]] = []
    for name, runs in sides.items():
        for begin, end in spans:
            within = [[ran for ran in own if begin <= ran.round < end] for own in runs.values()]
            shown = f"{begin + 1}-{end}" if end - begin > 1 else f"{end}"
            cells = [spread([fmean(map(figure, own)) for own in within]) for figure in figures.values()]
            found.append([name, shown, *cells])
    return found


def by_case(off: Runs, on: Runs, cases: Sequence[Case], begin: int) -> Iterator[list[object]]:
    """A row for each workflow: both sides from a round on, and which strategies came first when it learned."""
    for case in cases:
        sides = [
            [[ran for ran in own if ran.case == case.name and ran.round >= begin] for own in runs.values()]
            for runs in (off, on)
        ]
        right = [spread([fmean(ran.right for ran in own) for own in seeds]) for seeds in sides]
        usd = [spread([fmean(1000 * ran.usd for ran in own) for own in seeds]) for seeds in sides]
        first = Counter(
            "learned" if ran.began_with_program else ran.strategies[0] for own in sides[1] for ran in own
        )
        yield [case.name, *right, *usd, ", ".join(f"{name} {n}" for name, n in first.most_common())]


def ends(n_rounds: int) -> list[Span]:
    """The first rounds and the last ones."""
    return list(dict.fromkeys([(0, min(SPAN, n_rounds)), (max(0, n_rounds - SPAN), n_rounds)]))


def spread(values: Sequence[float]) -> str:
    """The median, with the lowest and the highest where they differ."""
    middle, low, high = (_short(value) for value in (median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low}-{high})"


def _short(value: float) -> str:
    if value == 0 or isinstance(value, int):
        return f"{value:,.0f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
