"""Which patterns repeat a repetition."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents.patterns import repeats_a_repetition


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(a+)+$",
        r"^(a*)*$",
        r"^(\w+\s?)+$",
        r"^(.*,)*$",
        r"^((a+)b?)*$",
        r"^((ab)+)+$",
        r"^(x+|y)+$",
        r"^(a+b?)*c$",
        r"^(?:(?:[a-z]+)+-)+$",
        r"^([^x]+\d)+$",
        r"^(\d+[0-9])+$",
        r"(?=(a+)+$)",
        r"^(a{2,}){3,}$",
        r"^(a?){40}$",
        r"^(a|a)+$",
        r"^(-*-?a)+$",
        r"^(.*ж)*$",
        r"^([ж-я]+é?)*$",
        r"""^("[^"]*"|[^,]*,?)*$""",
    ],
)
def test_a_repetition_of_what_only_repeats_is_risky(pattern: str) -> None:
    assert repeats_a_repetition(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[a-z0-9]+(-[a-z0-9]+)*$",
        r"^([a-z]+-)*[a-z]+$",
        r"^(?:[a-z]+ )+$",
        r"^(\d+\.)*\d+$",
        r"^([^,]+,)*$",
        r"^(/[^/\n]+)+$",
        r"^\d{4}-\d{2}-\d{2}$",
        r"^(a+){1,3}$",
        r"^(ab)+$",
        r"^(a|b)+$",
        r"^(ab|cd|-)+$",
        r"^(a|ab)+$",
        r"""^("[^"]*",?)*$""",
        r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        r"^[A-Z][a-z]*(?: [A-Z][a-z]*)*$",
        r"^([0-9a-f]{2}:){5,}[0-9a-f]{2}$",
        r"^https?://\S+$",
        r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$",
        "",
    ],
)
def test_a_repetition_with_a_separator_is_safe(pattern: str) -> None:
    assert not repeats_a_repetition(pattern)


QUANTIFIER = st.sampled_from(["", "", "+", "*", "?", "{2,}"])
PIECE = st.tuples(st.sampled_from(["a", "b", "-", "[ab]", "."]), QUANTIFIER).map("".join)
GROUP = st.tuples(
    st.lists(PIECE, min_size=1, max_size=3).map(lambda pieces: f"({''.join(pieces)})"), QUANTIFIER
)


@given(st.lists(GROUP.map("".join), min_size=1, max_size=2).map(lambda groups: f"^{''.join(groups)}$"))
def test_what_counts_as_safe_ends_on_texts_made_to_take_forever(pattern: str) -> None:
    if not repeats_a_repetition(pattern):
        for text in ("a" * 40, "b" * 40, "-" * 40, "a-" * 20, "ab" * 20, "b-" * 20):
            re.search(pattern, text + "!\n")  # 2**40 steps would reach the time limit of the tests
