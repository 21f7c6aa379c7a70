from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.interfaces.terminal import as_json, clean, duration, n_cells, one_line, plural, size, table

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=200)


@given(ANY_TEXT)
def test_cleaned_text_holds_no_control_character(text: str) -> None:
    cleaned = clean(text)
    assert [
        char for char in cleaned if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t"
    ] == []
    assert not set("\u202e\u2066\u2028") & set(cleaned)
    cleaned.encode("utf-8")


def test_escape_sequences_are_written_out() -> None:
    assert clean("a\x1b[31mred\x07\u202egpj.exe") == "a\\x1b[31mred\\x07\\u202egpj.exe"


def test_text_that_does_no_harm_stays_as_it_is() -> None:
    text = "naïve 日本語 👩‍👩‍👧 tab\tand\nnewline"
    assert clean(text) == text


@given(ANY_TEXT, st.integers(min_value=1, max_value=100))
def test_one_line_fits_its_width(text: str, width: int) -> None:
    line = one_line(text, width)
    assert n_cells(line) <= width
    assert "\n" not in line


def test_one_line_says_that_it_left_something_out() -> None:
    assert one_line("several words\n  on lines", 100) == "several words on lines"
    assert one_line("several words", 8) == "several…"
    assert one_line("日本語日本語", 7) == "日本語…"


def test_one_line_of_megabytes_looks_at_the_beginning_only() -> None:
    assert one_line("x" * 10_000_000, 5) == "xxxx…"


def test_table_shortens_only_its_last_column() -> None:
    rows = [["a-rather-long-name", "7", "a description that goes on and on"], ["b", "12", "short"]]
    assert table(["NAME", "N", "TEXT"], rows, right=[1], width=40) == [
        "NAME                 N  TEXT",
        "a-rather-long-name   7  a description t…",
        "b                   12  short",
    ]


def test_table_without_rows_is_its_header() -> None:
    assert table(["A", "B"], []) == ["A  B"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0432, "43 ms"),
        (1.23, "1.2 s"),
        (59.96, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7260, "2 h 01 min"),
    ],
)
def test_durations_read_well(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_counts_and_sizes_read_well() -> None:
    assert [plural(1, "call"), plural(1204, "call")] == ["1 call", "1,204 calls"]
    assert [size(999), size(12_300), size(5_000_000_000_000)] == ["999 bytes", "12.3 kB", "5000.0 GB"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda part: st.lists(part) | st.dictionaries(st.text(), part),
    )
)
def test_json_values_come_back(value: object) -> None:
    assert json.loads(as_json(value)) == value
