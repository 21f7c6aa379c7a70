"""A Context against the str of the same text: same answers, counted in bytes."""

import os
import re
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.environments.worker import TEXT_BYTES, Context

TEXTS = st.text("ab\n\réß→😀 ", max_size=60)
OFFSETS = st.integers(-80, 80)


def context_of(text, before="", after=""):
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write((before + text + after).encode())
    try:
        return Context(file.name, "hash", len(before.encode()), len(text.encode()))
    finally:
        os.unlink(file.name)


@given(TEXTS, st.text("aé\n", max_size=3), st.sampled_from(["", "ä", "xy\n"]))
def test_finds_what_str_finds(text, sub, around):
    context, data = context_of(text, around, around), text.encode()
    assert str(context) == text
    assert len(context) == len(data)
    assert (sub in context) == (sub in text)
    assert context.find(sub) == data.find(sub.encode())
    assert context.rfind(sub) == data.rfind(sub.encode())
    if sub:
        assert context.count(sub) == text.count(sub)
    assert context.startswith(sub) == text.startswith(sub)
    assert context.endswith(sub) == text.endswith(sub)
    assert context == text


@given(TEXTS)
def test_lines_are_those_of_split(text):
    expected = text.split("\n")
    if not expected[-1]:
        expected.pop()
    assert list(context_of(text, "x\n", "y").lines()) == expected


@given(TEXTS, st.integers(1, 20))
def test_chunks_put_together_are_the_text(text, n_bytes):
    chunks = list(context_of(text, "é", "é").chunks(n_bytes))
    assert "".join(chunks) == text
    assert all(chunk and (len(chunk.encode()) <= n_bytes or len(chunk) == 1) for chunk in chunks)


@given(TEXTS, OFFSETS)
def test_two_parts_put_together_are_the_text_wherever_it_is_cut(text, at):
    context = context_of(text, "ß", "ß")
    assert context[:at] + context[at:] == text
    assert str(context.slice(0, at)) + str(context.slice(at)) == text


@given(st.text("abc ", max_size=30), OFFSETS, OFFSETS)
def test_of_ascii_each_part_is_that_of_str(text, start, stop):
    context = context_of(text, "<", ">")
    assert context[start:stop] == text[start:stop]
    assert str(context.slice(start, stop)) == text[start:stop]
    if text:
        at = start % len(text)
        assert (context[at], context[at - len(text)]) == (text[at], text[at])


@given(
    st.text("ab\né", max_size=60),
    st.sampled_from(["a", "^b", "é$", "a.b", "^$", "[^a]", r"\w+"]),
    st.integers(0, 5),
)
def test_grep_finds_the_lines_in_which_the_pattern_is(text, pattern, limit):
    lines = list(context_of(text).lines())
    expected = [(number, line) for number, line in enumerate(lines, 1) if re.search(pattern, line)]
    # "[^a]" may match the line's own end, which grep counts for that line.
    if pattern == "[^a]":
        ends = text.endswith("\n")
        expected = [
            (n, line) for n, line in enumerate(lines, 1) if re.search(pattern, line) or n < len(lines) or ends
        ]
    assert context_of(text).grep(pattern, limit=limit) == expected[:limit]


def test_grep_counts_lines_over_blocks():
    text = "".join(f"line {number}\n" for number in range(1, 300_001))
    assert context_of(text).count("line 1") == text.count("line 1")
    assert context_of(text).count("11") == text.count("11")
    assert context_of(text).grep(r"line (7|150000|300000)$") == [
        (7, "line 7"), (150_000, "line 150000"), (300_000, "line 300000")
    ]  # fmt: skip


def test_a_part_refers_to_the_same_file():
    part = context_of("0123456789", "ab").slice(2, 8).slice(1, 3)
    assert part.reference() == {"$text": {"sha256": "hash", "offset": 5, "n_bytes": 2}}
    assert str(part) == "34"


def test_too_much_for_one_str_is_refused_with_advice(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(TEXT_BYTES + 1)
    context = Context(str(path))
    with pytest.raises(ValueError, match=r"use lines\(\), chunks\(n\), grep\(\.\.\.\)"):
        str(context)
    assert len(context[1:]) == TEXT_BYTES
    assert repr(context).startswith("<Context of 67,108,865 bytes: ")


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("c.upper()", AttributeError, "take a part of it as str, as context[a:b].upper(...)"),
        ("c.nothing", AttributeError, "a Context has no `nothing`"),
        ("c[::2]", ValueError, "a Context has no steps"),
        ("c[3]", IndexError, "outside a Context of 3 bytes"),
        ("5 in c", TypeError, "a Context is searched for str, not int"),
    ],
)
def test_what_it_can_not_do_it_says(source, error, message):
    with pytest.raises(error, match=re.escape(message)):
        eval(source, {"c": context_of("abc")})
