"""What a review says of samples: only what chance would hardly do, and what is large enough to matter.

All tests of one review are one family. Each has a chance: Fisher's exact test where two shares are compared, a tail of
the binomial where one is held against a bound, both of counts that were shrunk by how alike calls of one run end
(`chance.effective`), and Welch's test of logarithms, one a run, for times and costs. Holm's correction raises them for each other, and what is at most `ERROR` afterwards is said, if
its effect is at least `SMALLEST`. So where nothing has changed, at most one review in twenty says anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from orchestrator.memory.reviewing.chance import (
    Share,
    alone,
    at_least,
    at_most,
    effective,
    fisher,
    holm,
    wilson,
)
from orchestrator.memory.reviewing.finding import Finding
from orchestrator.memory.reviewing.means import typical, welch
from orchestrator.memory.reviewing.sample import Part, Sample, newest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.memory.reviewing.means import Means
    from orchestrator.memory.reviewing.reading import Reading, Samples
    from orchestrator.memory.reviewing.regret import Tries

ERROR = 0.05
"""How often a review may say something where nothing has changed."""

SMALLEST = 0.10
"""The smallest change of a share that is worth a person's time."""

ENOUGH = 10
"""Calls that stand for themselves, below which nothing is said of a share."""

MATCHED = 20
"""Attempts that those of a strategy have to be worth before anything is said of what it would have done."""

FAILING = 0.5
"""A skill or strategy that succeeds less often is in the way."""

FACTOR = 1.5
"""The smallest change of a time or a cost that is said."""

TIMED = 20
"""Runs in each window, below which nothing is said of times and costs."""

OVERRUN = 0.10
"""Runs that may end at a limit before the limit is to be looked at."""

REFUSED = 5
"""Calls, all of them refused, before it is said."""


@dataclass(frozen=True, slots=True)
class Tested:
    """A finding, how likely chance is to do as much, and how large its effect is."""

    finding: Finding
    chance: float
    effect: float


def findings(reading: Reading) -> list[Finding]:
    """What there is to say, by subject. Empty is the usual result."""
    tested = [*_all_tests(reading)]
    raised = holm([one.chance for one in tested])
    said = [
        one.finding
        for one, chance in zip(tested, raised, strict=True)
        if chance <= ERROR and one.effect >= SMALLEST
    ]
    return sorted([*said, *_refused(reading.now)], key=lambda one: (not one.is_bad, one.subject, one.kind))


def _all_tests(reading: Reading) -> Iterator[Tested]:
    alternatives = _alternatives(reading.now)
    for subject, now in reading.now.items():
        before = reading.before.get(subject, Sample())
        if subject.startswith("strategy:") and alternatives[_workflow(subject)] == 1:
            continue  # the workflow's own test is the same one
        yield from _changed(subject, before, now)
        yield from _failing(subject, before, now)
        if not subject.startswith("strategy:"):
            yield from _newest_version(subject, before, now)
        yield from _grown(subject, "time", before.times, now.times, now)
        if subject.startswith("workflow:"):
            yield from _grown(subject, "cost", before.costs, now.costs, now)
            yield from _overrun(subject, before, now)
    for workflow, tries in reading.tries.items():
        yield from _regret(workflow, tries, reading.now)


def _changed(subject: str, before: Sample, now: Sample) -> Iterator[Tested]:
    was, is_now = effective(before.judged, now.judged)
    if min(was.n, is_now.n) < ENOUGH:
        return
    is_worse = is_now.rate < was.rate
    runs = newest(now.failing if is_worse else now.runs)
    found = Finding(subject, "success", was.rate, is_now.rate, wilson(is_now), now.n_judged, runs)
    yield Tested(found, fisher(was, is_now), abs(is_now.rate - was.rate))


def _failing(subject: str, before: Sample, now: Sample) -> Iterator[Tested]:
    share = alone(now.judged)
    if share.n < ENOUGH:
        return
    found = Finding(
        subject, "fails", _rate(before), share.rate, wilson(share), now.n_judged, newest(now.failing)
    )
    yield Tested(found, at_most(share, FAILING), FAILING - share.rate)


def _newest_version(subject: str, before: Sample, now: Sample) -> Iterator[Tested]:
    """The newest version against all others of both windows."""
    parts: dict[str, Part] = {}
    for sample in (before, now):
        for version, part in sample.versions.items():
            was = parts.get(version, Part())
            parts[version] = Part(was.n + part.n, was.ok + part.ok, max(was.last, part.last))
    if len(parts) < 2:
        return
    newest_one = max(parts, key=lambda version: parts[version].last)
    rest = [part for version, part in parts.items() if version != newest_one]
    shrunk = alone(now.judged).n / now.n_judged if now.n_judged else 1.0
    new = Share(parts[newest_one].ok * shrunk, parts[newest_one].n * shrunk)
    old = Share(sum(part.ok for part in rest) * shrunk, sum(part.n for part in rest) * shrunk)
    if min(new.n, old.n) < ENOUGH:
        return
    is_worse = new.rate < old.rate
    found = Finding(
        subject, "version", old.rate, new.rate, wilson(new), parts[newest_one].n,
        newest(now.failing if is_worse else now.runs)  , about=newest_one,
    )  # fmt: skip
    yield Tested(found, fisher(old, new), abs(new.rate - old.rate))


def _grown(
    subject: str, kind: Literal["time", "cost"], before: Means, now: Means, sample: Sample
) -> Iterator[Tested]:
    """Times and costs by run, as factors: of runs that did well, since others end anywhere."""
    if min(before.n, now.n) < TIMED:
        return
    (was, _), (after, interval) = typical(before), typical(now)
    factor = max(was / after, after / was)
    found = Finding(subject, kind, was, after, interval, now.n, newest(sample.runs))
    yield Tested(found, welch(before, now), SMALLEST * (factor - 1) / (FACTOR - 1))


def _overrun(subject: str, before: Sample, now: Sample) -> Iterator[Tested]:
    n, n_before = now.n_judged, before.n_judged
    if n < ENOUGH:
        return
    limit, ended = max(now.ends.items(), key=lambda pair: pair[1], default=("", 0))
    share = Share(sum(now.ends.values()), n)
    was = sum(before.ends.values()) / n_before if n_before >= ENOUGH else None
    found = Finding(subject, "budget", was, share.rate, wilson(share), n, newest(now.failing), about=limit)
    yield Tested(found, at_least(share, OVERRUN) if ended else 1.0, share.rate)


def _regret(workflow: str, tries: Tries, now: Samples) -> Iterator[Tested]:
    """Each strategy against the one that mostly came first, as if either had always come first."""
    mostly = tries.mostly
    if mostly is None or (usual := tries.by_strategy[mostly].share).n < MATCHED:
        return
    for name, weighed in tries.by_strategy.items():
        if name == mostly or (other := weighed.share).n < MATCHED:
            continue
        subject = f"strategy:{workflow}/{name}"
        runs = newest(now[subject].runs) if subject in now else ()
        found = Finding(
            subject,
            "regret",
            tries.rate,
            other.rate,
            wilson(other),
            weighed.n,
            runs,
            about=workflow,
        )
        yield Tested(found, fisher(usual, other), min(other.rate - usual.rate, other.rate - tries.rate))


def _refused(now: Samples) -> Iterator[Finding]:
    for subject, sample in now.items():
        if sample.denied >= REFUSED and sample.denied == sample.calls:
            yield Finding(
                subject,
                "refused",
                None,
                0.0,
                wilson(Share(0, sample.calls)),
                sample.calls,
                newest(sample.runs),
            )


def _alternatives(samples: Mapping[str, Sample]) -> dict[str, int]:
    """How many strategies of each workflow there is something to say of."""
    counts: dict[str, int] = {}
    for subject in samples:
        if subject.startswith("strategy:"):
            name = _workflow(subject)
            counts[name] = counts.get(name, 0) + 1
    return counts


def _workflow(subject: str) -> str:
    return subject.removeprefix("strategy:").partition("/")[0]


def _rate(sample: Sample) -> float | None:
    share = alone(sample.judged)
    return share.rate if share.n >= ENOUGH else None
