"""Placeholders filled once, from values that may be hostile."""

from __future__ import annotations

import glob
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents.template import fill, fill_shell, fill_value, placeholders


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{a}}-{{ b }}", "x-2"),
        ("{{missing}} {{a", "{{missing}} {{a"),
        ("{{nested}}", "{{a}}"),
        ("{{{a}}}", "{x}"),
        ("{{list}}", '["é"]'),
        ("{{a-b}} {{1}} {{}} { {a} }", "y {{1}} {{}} { {a} }"),
        ("{{a\n}}", "{{a\n}}"),
    ],
)
def test_each_placeholder_is_replaced_once(text: str, filled: str) -> None:
    assert fill(text, {"a": "x", "b": 2, "a-b": "y", "nested": "{{a}}", "list": ["é"]}) == filled


def test_values_are_quoted_for_where_they_go() -> None:
    assert fill("{{folder}}/*.md", {"folder": "a[1]"}, quote=glob.escape) == "a[[]1]/*.md"


def test_a_text_that_is_one_placeholder_becomes_the_value_itself() -> None:
    arguments = {"report": "{{answer}}", "rows": ["{{answer}}", "see {{answer}}"], "n": 1}

    assert fill_value(arguments, {"answer": {"a": 1}}) == {
        "report": {"a": 1},
        "rows": [{"a": 1}, 'see {"a": 1}'],
        "n": 1,
    }


NASTY = st.text(st.sampled_from("ab '\"`$();&|\\*?[]{}~!#<>\n")) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"])
)


@given(NASTY)
def test_no_value_is_read_as_a_command_whatever_quotes_stand_around_it(value: str) -> None:
    command, variables = fill_shell('printf %s "{{v}}"; printf "[%s]" "-{{ v }}-"', {"v": value})

    done = subprocess.run(["/bin/sh", "-c", command], env=variables, capture_output=True, check=True)
    assert done.stdout == f"{value}[-{value}-]".encode()
    assert done.stderr == b""


def test_a_command_keeps_what_names_no_input() -> None:
    assert fill_shell("test {{a-b}} {{c}}", {"a-b": 3}) == ("test ${INPUT_a_b} {{c}}", {"INPUT_a_b": "3"})


def test_placeholders_are_found_with_the_lines_before_them() -> None:
    assert list(placeholders("{{a}}\n\n{{b}} {{c}}\n{{a}}")) == [("a", 0), ("b", 2), ("c", 2), ("a", 3)]


@given(st.text(), st.dictionaries(st.sampled_from(["a", "b"]), st.text() | st.integers()))
def test_filling_text_without_placeholders_changes_nothing(text: str, inputs: dict[str, Any]) -> None:
    if not list(placeholders(text)):
        assert fill(text, inputs) == text
