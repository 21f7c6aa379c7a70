"""Runs with a strategy that is forced: what there is to be learned, and what the second run of a program costs."""

from __future__ import annotations

import asyncio
from statistics import median
from typing import TYPE_CHECKING

from figures import spread
from sides import WINDOW_TOKENS, Side, run_once, workspace

from orchestrator.strategies.choose import BUILT_IN, document_of, misfit
from orchestrator.values import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cases import Case
    from scripted import Scripted
    from sides import Ran, Scale, Workspace

STRATEGIES = ("rlm", *BUILT_IN)
N_ALONE = 3
MOST_TRIES = 8
N_AGAIN = 5
"""Rounds of a strategy alone; rounds in which a root may come to a program, and runs that follow it."""

ALONE_COLUMNS = ["workflow", "bytes", *STRATEGIES]
ALONE_NOTES = (
    f"Each is forced, {N_ALONE} times on other data: how often it was right, and dollars for 1,000 runs, their median. A dash "
    "stands where a strategy does not apply to a context of that size."
)
SECOND_COLUMNS = [
    "workflow", "a program came, of seeds", "root tokens, first run", "second run", "requests, first run", "second run",
    "right, first run", "second run", "right at once, of all later runs",
]  # fmt: skip
SECOND_NOTES = (
    f"Each run has other data and another key. `rlm` is forced until a program comes of it, in at most {MOST_TRIES} rounds: the "
    f"first run is the one that it came of. The {N_AGAIN} runs after it are left free; the second run is the first of them."
)


def alone(model: Scripted, url: str, cases: Sequence[Case]) -> list[list[object]]:
    """A row for each workflow: what each strategy does there."""

    async def all_rows() -> list[list[object]]:
        with workspace(Side("alone", learns=False), 0, model, url) as place:
            return [await _alone(place, case) for case in cases]

    return asyncio.run(all_rows())


def second_runs(model: Scripted, url: str, scale: Scale) -> Iterator[list[object]]:
    """A row for each workflow: the run that a program came of beside the one after it."""
    for case in scale.cases:
        tried = [asyncio.run(_until_program(case, seed, model, url)) for seed in scale.seeds]
        found = [runs for runs in tried if runs]
        came = f"{len(found)} of {len(tried)}"
        if not found:
            yield [case.name, came, *[""] * (len(SECOND_COLUMNS) - 2)]
            continue
        firsts, seconds = [runs[0] for runs in found], [runs[1] for runs in found]
        later = [ran for runs in found for ran in runs[1:]]
        yield [
            case.name,
            came,
            spread([ran.root_tokens for ran in firsts]),
            spread([ran.root_tokens for ran in seconds]),
            spread([ran.calls for ran in firsts]),
            spread([ran.calls for ran in seconds]),
            _share([ran.right for ran in firsts]),
            _share([ran.right for ran in seconds]),
            _share([ran.right_at_once and ran.began_with_program for ran in later]),
        ]


async def _alone(place: Workspace, case: Case) -> list[object]:
    cells = []
    for strategy in STRATEGIES:
        runs = [await run_once(place, case, number, strategy) for number in range(N_ALONE)]
        usd = 1000 * median(ran.usd for ran in runs)
        said = f"{_share([ran.right for ran in runs])}, {usd:.2f}"
        cells.append(said if _applies(place, case, strategy) else "-")
    return [case.name, f"{_size(place, case):,}", *cells]


async def _until_program(case: Case, seed: int, model: Scripted, url: str) -> list[Ran]:
    """The run of a root that a program came of, and the runs after it; nothing where none came."""
    with workspace(Side(f"distilled {case.name}"), seed, model, url) as place:
        for number in range(MOST_TRIES):
            first = await run_once(place, case, number, "rlm")
            if first.learned:
                after = range(number + 1, number + 1 + N_AGAIN)
                return [first, *[await run_once(place, case, one) for one in after]]
    return []


def _applies(place: Workspace, case: Case, strategy: str) -> bool:
    document = document_of(strategy)
    return document is None or misfit(document, _size(place, case), WINDOW_TOKENS, Limits().depth) is None


def _size(place: Workspace, case: Case) -> int:
    return (place.root / "data" / f"{case.name}.txt").stat().st_size


def _share(held: Sequence[bool]) -> str:
    return f"{sum(held)} of {len(held)}"
