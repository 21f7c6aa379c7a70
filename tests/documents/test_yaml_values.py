"""YAML as JSON values with lines, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents.yaml_values import MAX_CHARS, Flaw, read

NO_NUMBER = st.text(
    st.characters(exclude_categories=["Cs", "Nd"])
)  # `1e3` is no number in YAML 1.1, which PyYAML writes
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NO_NUMBER,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("True", True),
        ("false", False),
        ("yes", "yes"),
        ("on", "on"),
        ("010", 10),
        ("0o10", 8),
        ("0xFF", 255),
        ("-3", -3),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-02", "2024-01-02"),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("'3'", "3"),
        ("!!str 3", "3"),
        ("! 3", "3"),
        ("!!int 3", 3),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(written: str, value: Any) -> None:
    located = read(f"key: {written}\n")

    assert (located.value, located.flaws) == ({"key": value}, ())
    assert type(located.value["key"]) is type(value)


def test_every_key_and_item_has_its_line() -> None:
    located = read("a: 1\nb:\n  - x\n  - c:\n      d: [1,\n        2]\n", first_line=10)

    assert located.value == {"a": 1, "b": ["x", {"c": {"d": [1, 2]}}]}
    assert located.lines == {
        ("a",): 10,
        ("b",): 11,
        ("b", 0): 12,
        ("b", 1): 13,
        ("b", 1, "c"): 13,
        ("b", 1, "c", "d"): 14,
        ("b", 1, "c", "d", 0): 14,
        ("b", 1, "c", "d", 1): 15,
    }
    assert located.line(("b", 1, "c", "missing", 3)) == 13
    assert located.line(("missing",)) == 10


def test_lines_are_those_that_editors_count() -> None:
    located = read("a: '\u2028\x85😀'\nb: 1\nc: *x\n")

    assert located.lines == {("a",): 1, ("b",): 2, ("c",): 3}
    assert [flaw.line for flaw in located.flaws] == [3]


@pytest.mark.parametrize(
    ("text", "value", "flaw"),
    [
        ("a: 1\na: 2\n", {"a": 2}, Flaw(2, "`a` stands twice, first on line 1", "keep one of them")),
        (
            "a: &x 1\nb: *x\n",
            {"a": 1, "b": None},
            Flaw(2, "the alias `*x` is not followed", "write the value out; quote text that starts with `*`", "value"),
        ),
        ("a: !mine 1\n", {"a": 1}, Flaw(1, "the tag `!mine` is not read", "remove it; quote text that starts with `!`")),
        ("? [a]\n: 1\n", None, Flaw(1, "a key has to be plain text", "quote it", "document")),
        ("a: 1\n---\nb: 1\n", None, Flaw(2, "there is a second YAML document", "keep one", "document")),
        ("[" * 34 + "]" * 34, None, Flaw(1, "nested more than 32 deep", "", "document")),
        (
            "a" * (MAX_CHARS + 1),
            None,
            Flaw(1, "the YAML has 262,145 characters; at most 262,144 are read", "", "document"),
        ),
    ],
)  # fmt: skip
def test_what_is_refused_says_so_with_its_line(text: str, value: Any, flaw: Flaw) -> None:
    located = read(text)

    assert (located.value, located.flaws) == (value, (flaw,))


@pytest.mark.parametrize(
    "text", ["a: [", "a: b: c", "\ta: 1", "a: \ud800", 'a: "\\UFFFFFFFF"', "\x07", "%YAML 9"]
)
def test_text_that_is_no_yaml_is_lost_with_one_flaw(text: str) -> None:
    located = read(text)

    assert located.value is None
    assert [flaw.lost for flaw in located.flaws] == ["document"]


PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"]))


@given(st.dictionaries(PRINTABLE, st.lists(PRINTABLE | st.integers() | st.booleans() | st.none())))
def test_json_is_read_as_itself(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)

    located = read(text)
    assert (located.value, located.flaws) == (value, ())


@given(JSON)
def test_what_pyyaml_writes_is_read_back(value: Any) -> None:
    text = yaml.safe_dump(value)
    if "&id" not in text:
        assert read(text).value == value


@given(st.text() | st.text(st.sampled_from("ab:-[]{}&*!|>'\"#%?,\n \t\x00\ud800")))
def test_any_text_is_read_without_raising(text: str) -> None:
    located = read(text)

    assert located.value is None or not any(flaw.lost == "document" for flaw in located.flaws)
