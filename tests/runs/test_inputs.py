import re
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.documents.types import Workflow
from orchestrator.errors import InputError
from orchestrator.runs.inputs import read_inputs, read_json, read_typed

PLAIN = Workflow("w", "", Path("w.md"), "", (), {"type": "object"}, "v")
SCHEMA = {
    "type": "object",
    "required": ["folder"],
    "properties": {
        "folder": {"type": "string"},
        "days": {"type": "integer", "default": 7, "minimum": 1},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
TYPED = replace(PLAIN, inputs=SCHEMA)


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "007", "007"),
        ({"type": "string"}, "true", "true"),
        ({}, "12", "12"),
        ({"type": "integer"}, "12", 12),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "boolean"}, "true", True),
        ({"type": "array"}, '["a", 1]', ["a", 1]),
        ({"type": "array", "items": {"type": "string"}}, "a, b", ["a", "b"]),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({"type": ["null", "string"]}, "null", None),
        ({"type": ["null", "string"]}, "word", "word"),
    ],
)
def test_what_is_typed_is_read_by_the_declared_type(schema, text, value):
    assert read_typed(schema, text) == value


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e999", "1e999"),
        ("[1, -1e999]", "-1e999"),
        ('{"a": NaN}', "NaN"),
    ],
)
def test_a_number_that_json_has_not_is_refused(text, number):
    message = f"expected number or array or object as JSON, got `{text}`: `{number}` is no number of JSON"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_typed({"type": ["number", "array", "object"]}, text)
    assert read_typed({"type": "string"}, text) == text
    assert read_typed({"type": ["null", "string"]}, text) == text


def test_json_nested_too_deeply_is_refused():
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json("[" * 100_000)


def test_defaults_are_filled_in():
    assert read_inputs(TYPED, {}, {"folder": "notes"}) == {"folder": "notes", "days": 7}


def test_all_problems_of_the_inputs_are_told_at_once():
    with pytest.raises(InputError) as caught:
        read_inputs(TYPED, {"dayz": 1}, {"days": "soon"})
    messages = [problem.message for problem in caught.value.problems]
    assert messages[0] == "input `days`: expected integer as JSON, got `soon`"
    assert messages[1] == "no input named `dayz`"
    assert caught.value.problems[1].hint == "did you mean `days`?"
    assert any("folder" in message for message in messages[2:])


def test_a_workflow_without_a_schema_takes_any_input():
    assert read_inputs(PLAIN, {"n": 1}, {"text": "hello"}) == {"n": 1, "text": "hello"}
