"""Runs that are killed come to what they come to undisturbed. `benchmarks/crash_matrix.py` kills them everywhere."""

from __future__ import annotations

import random
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from crash import plans
from crash.cases import CASES
from crash.kills import Kill
from crash.places import placed
from crash.trial import Played, play
from crash.verdict import judge, unsound

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

SLOW = {"host", "approved"}  # their runs have many lives as it is: fewer trials
WAYS = (("after", "alone"), ("before", "all"), ("torn", "all"), ("after", "all"))
SEED = 7


def trials(n, n_slow):
    """So many trials of each case; those of a case go to one worker, which runs it undisturbed only once."""
    return [
        pytest.param(name, share, id=f"{name}-{number}", marks=pytest.mark.xdist_group(f"crash-{name}"))
        for name in CASES
        for number, share in enumerate(shares(n_slow if name in SLOW else n))
    ]


def shares(n):
    """Where the trials lie in a run, as parts of it: with the same distance to each other."""
    return [(2 * number + 1) / (2 * n) for number in range(n)]


@cache
def undisturbed(name: str) -> Played:
    with TemporaryDirectory() as folder:
        return ran(Path(folder), name)


def ran(folder, name, plan=()):
    with placed(CASES[name], folder / "work") as place:
        return play(place, plan)


def check(tmp_path, name, plan):
    verdict = judge(plan, ran(tmp_path, name, plan), undisturbed(name))
    assert verdict.faults == [], "\n".join(map(str, plan))


@pytest.mark.parametrize(("name", "share"), trials(1, 1))
def test_a_run_that_nobody_disturbs_does_everything_once(name, share):
    assert unsound(undisturbed(name)) == []


@pytest.mark.parametrize(("name", "share"), trials(4, 3))
def test_killed_at_an_event_it_goes_on_as_if_it_had_not_been(tmp_path, name, share):
    seq = int(share * undisturbed(name).n_events)
    moment, who = WAYS[seq % len(WAYS)]
    check(tmp_path, name, (Kill(who, seq, moment),))


@pytest.mark.parametrize(("name", "share"), trials(2, 1))
def test_killed_at_an_instant_it_goes_on_as_if_it_had_not_been(tmp_path, name, share):
    (plan,) = plans.at_instants(undisturbed(name), 1, random.Random(f"{SEED} {name} {share}"))
    check(tmp_path, name, plan)


@pytest.mark.parametrize(("name", "share"), trials(1, 0))
def test_killed_again_and_again_it_goes_on_as_if_it_had_not_been(tmp_path, name, share):
    (plan,) = plans.in_a_row(undisturbed(name), 1, random.Random(f"{SEED} {name}"))
    check(tmp_path, name, plan)


@pytest.mark.parametrize(("name", "share"), trials(1, 0))
def test_a_worker_that_is_killed_costs_its_cell_and_nothing_is_done_twice(tmp_path, name, share):
    (plan,) = plans.of_workers(undisturbed(name), 1, random.Random(f"{SEED} {name}"))
    check(tmp_path, name, plan)
