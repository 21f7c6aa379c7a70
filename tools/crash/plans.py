"""Which kills a run of a case meets: at events, at instants, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crash.kills import Kill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from crash.kills import Moment, Who
    from crash.trial import Played

Plan = tuple[Kill, ...]


def at_events(undisturbed: Played, moment: Moment, who: Who, every: int = 1) -> Iterator[Plan]:
    """A kill beside each event, or every nth."""
    for seq in range(0, undisturbed.n_events, every):
        yield (Kill(who, seq, moment),)


def at_instants(undisturbed: Played, n: int, chance: Random) -> Iterator[Plan]:
    """Kills at random instants, uniform over the time that the run takes; about half of them spare the workers."""
    for _ in range(n):
        yield (Kill(chance.choice(("alone", "all")), after_s=chance.uniform(0, undisturbed.ran_s)),)


def of_workers(undisturbed: Played, n: int, chance: Random) -> Iterator[Plan]:
    """A kill of one worker at random instants."""
    for _ in range(n):
        yield (Kill("worker", after_s=chance.uniform(0, undisturbed.ran_s), pick=chance.random()),)


def in_a_row(undisturbed: Played, n: int, chance: Random) -> Iterator[Plan]:
    """A kill beside a random event, and two more of the lives that go on from there."""
    moments: tuple[Moment, ...] = ("after", "before", "torn")
    for _ in range(n):
        seq, plan = chance.randrange(undisturbed.n_events), []
        for _ in range(3):
            plan.append(Kill(chance.choice(("alone", "all")), seq, chance.choice(moments)))
            seq += chance.randrange(1, 12)
        yield tuple(plan)
