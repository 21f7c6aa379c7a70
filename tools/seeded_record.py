"""Seeded usage records for the benchmark and the tests of reviews: what is planted is known, the rest is chance."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

END = datetime(2026, 6, 29, tzinfo=UTC)
"""Until when the records go, where no other time is given."""

WORKFLOWS = {
    "digest": ("written", "rlm", "grep"),
    "triage": ("rlm", "direct"),
    "report": ("learned:1a2b3c4d", "rlm"),
    "check": ("written",),
}
SKILLS = tuple(f"skill-{number}" for number in range(12))


@dataclass(frozen=True, slots=True)
class World:
    """What is true of a workspace: chances of success by subject, where it is not the usual one, and what runs do.

    A planted change holds from the beginning of the last `days`; the same number of days lies before it. `likeness` is
    how alike calls of one run end; `explored` how often another strategy than the usual comes first.
    """

    n_runs: int = 600  # in both windows together
    days: int = 7
    usual: float = 0.9
    rates: dict[str, float] = field(default_factory=dict)
    planted: dict[str, float] = field(default_factory=dict)
    overruns: dict[str, float] = field(default_factory=dict)  # by workflow, from the change on
    versions: dict[str, str] = field(default_factory=dict)  # by skill, from the change on
    likeness: float = 0.3
    explored: float = 0.2
    outage: float = 0.0  # calls that fail by the network from the change on
    slower: dict[str, float] = field(
        default_factory=dict
    )  # by subject, the factor of its time from the change on
    dearer: dict[str, float] = field(default_factory=dict)  # by workflow, the factor of its cost

    def rate(self, subject: str, *, changed: bool) -> float:
        """The chance of success of a call of the subject."""
        if changed and subject in self.planted:
            return self.planted[subject]
        return self.rates.get(subject, self.usual)

    def factor(self, subject: str, *, changed: bool) -> float:
        """How many times as long as usual a call of the subject takes."""
        return self.slower.get(subject, 1.0) if changed else 1.0


def records(world: World, seed: int, n_records: int | None = None, end: datetime = END) -> Iterator[bytes]:
    """Lines of a usage record, in the order of their times; about 9 for each run."""
    chance = random.Random(seed)
    length = timedelta(days=2 * world.days)
    n_runs = world.n_runs if n_records is None else n_records
    n_written = 0
    for number in range(n_runs):
        began = end - length + length * (number / n_runs if n_records is None else n_written / n_records)
        for line in _run(world, chance, number, began, changed=began >= end - length / 2):
            if n_records is not None and n_written >= n_records:
                return
            yield line
            n_written += 1


def _run(
    world: World, chance: random.Random, number: int, began: datetime, *, changed: bool
) -> Iterator[bytes]:
    run = f"{began:%Y%m%d-%H%M%S}-{number:06x}"
    workflow = chance.choice(list(WORKFLOWS))
    usual, *others = WORKFLOWS[workflow]
    order = [usual, *others]
    explores = bool(others) and chance.random() < world.explored
    if explores:
        first = chance.choice(others)
        order = [first, *(name for name in order if name != first)]
    share = world.explored / len(others) if others else 0.0
    chances = {usual: 1 - world.explored if others else 1.0} | dict.fromkeys(others, share)
    ended = changed and chance.random() < world.overruns.get(workflow, 0.0)
    moment, n_calls, pace = began, 0, chance.lognormvariate(0, 0.4)
    price = chance.lognormvariate(0, 0.4) * (world.dearer.get(workflow, 1.0) if changed else 1.0)
    for name in order:
        for line in _calls(world, chance, (run, workflow, pace), moment, n_calls, changed=changed):
            yield line
            n_calls += 1
        moment += timedelta(seconds=2)
        ok = not ended and chance.random() < world.rate(f"strategy:{workflow}/{name}", changed=changed)
        yield _line(
            moment, run, "0", None, 0, workflow=workflow, strategy=name, version="ab" * 32,
            outcome="ok" if ok else "budget" if ended else "invalid",
            error_kind=None if ok else "tokens" if ended else "checks", checks_passed=None if ended else ok,
            duration_s=chance.lognormvariate(2, 0.5) * pace * world.factor(f"workflow:{workflow}", changed=changed),
            tokens_in=4000, tokens_out=500, usd=round(0.02 * price, 6),
            verdict=None if ended else "expr", probability=round(chances[name], 6),
            situation={"workflow": workflow, "n_skills": 12, "size": 14.2, "depth": 0, "model": "m", "output": "object"},
        )  # fmt: skip
        if ok or ended:
            return


def _calls(
    world: World,
    chance: random.Random,
    of: tuple[str, str, float],
    moment: datetime,
    first: int,
    *,
    changed: bool,
) -> Iterator[bytes]:
    run, workflow, pace = of
    for skill in chance.sample(SKILLS, 2):
        subject = f"skill:{skill}"
        rate = _of_run(chance, world.rate(subject, changed=changed), world.likeness)
        for number in range(chance.randint(1, 6)):
            outcome, kind = ("ok", None) if chance.random() < rate else ("error", "ValueError")
            if changed and chance.random() < world.outage:
                outcome, kind = "error", "network"
            yield _line(
                moment, run, f"0.{first + number}", "0", 1, skill=skill, workflow=workflow,
                version=(world.versions.get(skill, "") if changed else "") or "cd" * 32,
                outcome=outcome, error_kind=kind, tokens_in=0, tokens_out=0, usd=0.0,
                duration_s=chance.lognormvariate(-1, 0.7) * pace * world.factor(subject, changed=changed),
            )  # fmt: skip


def _of_run(chance: random.Random, rate: float, likeness: float) -> float:
    """The chance that holds for the calls of one run: beta-distributed, so that they are as alike as is asked for."""
    if likeness <= 0 or not 0 < rate < 1:
        return rate
    strength = 1 / likeness - 1
    return chance.betavariate(rate * strength, (1 - rate) * strength)


def _line(moment: datetime, run: str, call: str, parent: str | None, depth: int, **fields: Any) -> bytes:
    record = {
        "at": f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z", "run": run, "call": call, "parent": parent, "depth": depth,
        "skill": None, "strategy": None, "version": None, "workflow": None, "situation": None, "outcome": None,
        "duration_s": None, "tokens_in": None, "tokens_out": None, "usd": None, "checks_passed": None,
        "error_kind": None, **{name: value for name, value in fields.items() if value is not None},
    }  # fmt: skip
    if record["duration_s"] is not None:
        record["duration_s"] = round(record["duration_s"], 6)
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"
