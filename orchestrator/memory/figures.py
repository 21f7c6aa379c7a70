"""What a page of learning shows, from the usage record: values that are drawn and stand in tables.

A *solution* is what came of one call of a workflow: all attempts that it made, ended by the last. What counts as a
success, `record.evidence` says: a failure of the surroundings is none of the strategy's, and an answer that nothing
has checked is no proof. Only what was judged enters a share, and each share carries its interval.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.memory.log import Place, read_on
from orchestrator.memory.record import UNVERIFIED_WEIGHT, evidence, parsed
from orchestrator.memory.reviewing.chance import Share, wilson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.workspace import Workspace

Ending = Literal["passed", "unverified", "failed", "undecided"]
"""Checks let it through · nothing spoke against it · it failed · it says nothing (cut short, denied, surroundings)."""

Unit = Literal["usd", "tokens", "seconds"]

MAX_SOLUTIONS = 200
"""Of a workflow: the latest are drawn, older ones counted."""

MAX_ATTEMPTS = 2000
"""Attempts from which the course of the ranking is drawn, the latest of all workflows."""

MIN_BLOCK = 8
"""Judged solutions that a point of the course of success stands for, at least: with fewer its interval says nothing."""

MAX_BLOCKS = 10


@dataclass(slots=True)
class Solution:
    """One call of a workflow. Sums are of all its attempts; `strategy` and `ending` are of the last one."""

    run: str
    at: str
    strategy: str = ""
    ending: Ending = "undecided"
    attempts: int = 0
    usd: float = 0.0
    tokens: int = 0
    seconds: float = 0.0

    def add(self, attempt: Mapping[str, Any]) -> None:
        """Take in its next attempt."""
        self.at, self.strategy = attempt["at"], attempt["strategy"]
        self.ending = ending_of(attempt)
        self.attempts += 1
        self.usd += attempt["usd"] or 0.0
        self.tokens += (attempt["tokens_in"] or 0) + (attempt["tokens_out"] or 0)
        self.seconds += attempt["duration_s"] or 0.0


@dataclass(slots=True)
class Solved:
    """How a workflow did. `latest` holds the last MAX_SOLUTIONS in order; `counts` are of all that there were."""

    latest: deque[Solution] = field(default_factory=lambda: deque(maxlen=MAX_SOLUTIONS))
    n: int = 0

    @property
    def unit(self) -> Unit:
        """What its cost is told in: money where any was spent, else tokens, else time."""
        if any(one.usd for one in self.latest):
            return "usd"
        return "tokens" if any(one.tokens for one in self.latest) else "seconds"


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of what was judged, with the interval that holds the truth 19 times in 20."""

    ok: int
    n: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """The share itself; 0 of nothing."""
        return self.ok / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class Block:
    """Successive solutions that one point stands for: numbered from 1, of which `rate` were judged and passed."""

    first: int
    last: int
    rate: Rate


@dataclass(slots=True)
class Record:
    """The attempts on record: by workflow as solutions, and the latest ones as they are written, in order."""

    workflows: dict[str, Solved] = field(default_factory=dict)
    attempts: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_ATTEMPTS))
    _open: dict[tuple[str, str, str], Solution] = field(default_factory=dict)

    def add(self, attempt: dict[str, Any]) -> None:
        """Take in the next record; only attempts of strategies in a workflow are of interest."""
        if attempt["strategy"] is None:
            return
        self.attempts.append(attempt)
        if attempt["outcome"] is None and attempt["run"] is None:
            return  # what takes records back
        name, run, call = attempt["workflow"] or "", attempt["run"] or "", attempt["call"] or ""
        solved = self.workflows.setdefault(name, Solved())
        solution = self._open.get((name, run, call))
        if solution is None or not run:
            solution = Solution(run, attempt["at"])
            solved.latest.append(solution)
            solved.n += 1
            self._remember((name, run, call), solution)
        solution.add(attempt)

    def _remember(self, key: tuple[str, str, str], solution: Solution) -> None:
        self._open[key] = solution
        if len(self._open) > MAX_ATTEMPTS:  # a run that goes on for longer begins a new solution
            del self._open[next(iter(self._open))]


def read_record(workspace: Workspace) -> tuple[Record, Place]:
    """The attempts that a workspace has on record, and how far it was read. Raises WorkspaceError."""
    held = [Record()]

    def again() -> None:
        held[0] = Record()

    def take(line: bytes) -> None:
        # Most lines are of skills; in a text of a record, these quotes would stand escaped.
        if b'"strategy":null' not in line and (attempt := parsed(line)) is not None:
            held[0].add(attempt)

    place = read_on(workspace.usage_log, Place(), take, again)
    return held[0], place


def ending_of(attempt: Mapping[str, Any]) -> Ending:
    """What a record proves."""
    said = evidence(attempt)
    if said is None:
        return "undecided"
    success, weight = said
    if not success:
        return "failed"
    return "unverified" if weight <= UNVERIFIED_WEIGHT else "passed"


def rate(ok: int, n: int) -> Rate:
    """So many of so many."""
    low, high = wilson(Share(ok, n))
    return Rate(ok, n, low, high)


def passed(solutions: Iterable[Solution]) -> Rate:
    """Of those that were judged, the ones that passed."""
    judged = [one.ending == "passed" for one in solutions if one.ending in ("passed", "failed")]
    return rate(sum(judged), len(judged))


def course(solutions: Sequence[Solution]) -> list[Block]:
    """How success went, in blocks of equal numbers of judged solutions; empty where there are too few for two."""
    judged = [number for number, one in enumerate(solutions) if one.ending in ("passed", "failed")]
    n_blocks = min(MAX_BLOCKS, len(judged) // MIN_BLOCK)
    if n_blocks < 2:
        return []
    edges = [round(place * len(judged) / n_blocks) for place in range(n_blocks + 1)]
    parts = [judged[begin:end] for begin, end in pairwise(edges)]
    return [Block(part[0] + 1, part[-1] + 1, passed(solutions[number] for number in part)) for part in parts]


def typical(solutions: Sequence[Solution], unit: Unit) -> float:
    """The median of what they cost; 0 of none."""
    return median(getattr(one, unit) for one in solutions) if solutions else 0.0
