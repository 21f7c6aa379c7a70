"""Inputs that break no reader of ours: the seeds of the fuzzer, and what it has found, tried without it."""

from __future__ import annotations

from random import Random

import pytest
from fuzz.limits import tried
from fuzz.mutate import mutated
from fuzz.seeds import BETWEEN, seeds
from fuzz.targets import TARGETS, opened

N_CHANGED = 40


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_what_was_found_bring_out_nothing_but_our_own_errors(name, tmp_path):
    inputs = seeds(name)
    chance = Random(name)
    changed = [one for data in chance.choices(inputs, k=N_CHANGED) if (one := mutated(data, chance))]
    with opened(name, tmp_path) as target:
        flaws = [f"{flaw} by {data!r:.200}" for data in (*inputs, *changed) if (flaw := tried(target, data))]
    assert flaws == []
    assert len(inputs) > 1


def test_a_target_that_breaks_or_goes_on_for_ever_is_told_with_its_place():
    def breaks(data: bytes) -> None:
        raise KeyError(data.decode())

    def hangs(_: bytes) -> None:
        while True:
            pass

    flaw = tried(breaks, b"what")
    assert flaw is not None
    assert (flaw.kind, flaw.message) == ("KeyError", "'what'")
    assert ":test_a_target" in flaw.place
    slow = tried(hangs, b"", limit_s=0.05)
    assert slow is not None
    assert slow.kind == "slow"


def test_frames_of_one_input_are_told_apart():
    assert any(BETWEEN in data for data in seeds("session"))
