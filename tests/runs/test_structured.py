"""A value that a model was asked for, found in what it wrote."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.runs.structured import read_value

NUMBER = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 3}',
        '  {"n": 3}\n',
        '```json\n{"n": 3}\n```',
        'Here it is:\n```\n{"n": 3}\n```\nI hope it helps.',
        'The value is {"n": 3}, as asked.',
    ],
)
def test_a_value_is_found_wherever_models_put_it(text):
    assert read_value(text, NUMBER) == ({"n": 3}, "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it holds no JSON value"),
        ("I don't know.", "it holds no JSON value"),
        ('{"n": "three"}', "it does not meet the schema: $.n: expected a whole number, got"),
        ("[1, 2", "it holds no JSON value"),
    ],
)
def test_what_is_no_value_of_the_schema_says_why(text, problem):
    value, said = read_value(text, NUMBER)
    assert value is None
    assert said.startswith(problem)


def test_a_text_that_was_asked_for_needs_no_quotes():
    assert read_value("  plain words \n", {"type": "string"}) == ("plain words", "")


@given(json_values)
def test_every_json_value_comes_back(value):
    assert read_value(json.dumps(value), {}) == (value, "")


@given(st.text(max_size=300))
def test_any_text_is_a_value_or_a_problem(text):
    value, problem = read_value(text, NUMBER)
    assert (value is None) == bool(problem)
