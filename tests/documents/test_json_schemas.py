"""Schemas checked without jsonschema, values checked with it, both bounded."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from orchestrator.documents.schema_check import _KEYWORDS, SchemaFlaw, schema_flaws
from orchestrator.documents.schema_problems import SchemaProblem
from orchestrator.documents.schemas import MAX_PROBLEMS, compiled, schema_problem
from orchestrator.errors import UsageError

FOLDER = {
    "type": "object",
    "required": ["folder"],
    "properties": {"folder": {"type": "string"}, "days": {"type": "integer", "default": 7, "minimum": 1}},
    "additionalProperties": False,
}


def problem(path: str, expected: str, got: str, message: str | None = None) -> SchemaProblem:
    return SchemaProblem(path, expected, got, message or f"`{path}` has to be {expected}, not {got}")


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (FOLDER, {"folder": "a"}, []),
        (FOLDER, [], [problem("$", "an object", "an empty list")]),
        (FOLDER, {}, [problem("$.folder", "a value", "nothing", "`$.folder` is missing")]),
        (FOLDER, {"folder": 3, "days": 0}, [
            problem("$.folder", "text", "`3`"), problem("$.days", "at least 1", "`0`"),
        ]),
        (FOLDER, {"folder": "a", "dais": 1}, [problem(
            "$", "no property but `folder`, `days`", "`dais`",
            "`$` has no property but `folder`, `days`, yet `dais` came; did you mean `days`?",
        )]),
        ({"items": {"enum": ["a", 1]}}, ["a", "b"], [problem("$[1]", 'one of `"a"`, `1`', '`"b"`')]),
        ({"type": ["integer", "null"]}, True, [problem("$", "a whole number or null", "`true`")]),
        ({"const": None}, {}, [problem("$", "`null`", "an empty object")]),
        ({"properties": {"a b": {"pattern": "^x"}}}, {"a b": "y" * 99}, [problem(
            '$["a b"]', "text that matches `^x`", '`"' + "y" * 56 + "...`"
        )]),
        ({"minItems": 2, "uniqueItems": True}, [1], [problem(
            "$", "at least 2 items", "1", "`$` has to have at least 2 items, not 1"
        )]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, [problem("$", "what one of 2 schemas allows", "`1`")]),
        (False, 1, [problem("$", "absent", "`1`")]),
        ({"not": {}}, 1, [problem("$", "what `not` allows", "`1`")]),
    ],
)  # fmt: skip
def test_a_value_that_breaks_its_schema_is_told_where_what_and_how(
    schema: dict[str, Any] | bool, value: Any, expected: list[SchemaProblem]
) -> None:
    assert sorted(compiled(schema).problems(value), key=str) == sorted(expected, key=str)


def test_each_missing_property_is_named() -> None:
    messages = [each.message for each in compiled({"required": ["a", "b c"]}).problems({})]

    assert messages == ["`$.a` is missing", '`$["b c"]` is missing']


def test_a_huge_value_makes_short_problems_and_not_too_many() -> None:
    found = compiled({"items": {"type": "integer"}}).problems(["x" * 1_000_000] * 100)

    assert len(found) == MAX_PROBLEMS
    assert max(len(each.message) for each in found) < 200


def test_defaults_fill_what_is_missing_and_change_nothing_given() -> None:
    schema = {
        "properties": {
            "a": {"default": [1]},
            "b": {"properties": {"c": {"default": "x"}}},
            "d": {"properties": {"e": {"default": 1}}},
            "f": {"items": {"properties": {"g": {"default": 0}}}},
        }
    }
    value = {"b": {}, "f": [{}, {"g": 2}, "no object"]}

    filled = compiled(schema).with_defaults(value)

    assert filled == {"a": [1], "b": {"c": "x"}, "f": [{"g": 0}, {"g": 2}, "no object"]}
    assert value == {"b": {}, "f": [{}, {"g": 2}, "no object"]}
    assert filled["a"] is not schema["properties"]["a"]["default"]


def test_the_same_schema_is_compiled_once() -> None:
    assert compiled({"type": "object", "title": "t"}) is compiled({"type": "object", "title": "t"})


@pytest.mark.parametrize(
    ("schema", "flaw"),
    [
        ("string", SchemaFlaw((), "a schema has to be a mapping, not `string`", "as `{type: string}`")),
        (None, SchemaFlaw((), "a schema has to be a mapping, not nothing", "as `{type: string}`")),
        ({"type": "int"}, SchemaFlaw(("type",), "`int` is no type", "did you mean `integer`?")),
        ({"type": []}, SchemaFlaw(("type",), "`type` has to be one name or a list of different names")),
        ({"required": "a"}, SchemaFlaw(("required",), "`required` has to be a list of different texts, not `a`")),
        ({"minLength": -1}, SchemaFlaw(("minLength",), "`minLength` has to be a whole number of at least 0, not `-1`")),
        ({"minLength": True}, SchemaFlaw(("minLength",), "`minLength` has to be a whole number of at least 0, not `true`")),
        ({"maxItems": float("inf")}, SchemaFlaw(("maxItems",), "`maxItems` has to be a whole number of at least 0, not `inf`")),
        ({"anyOf": []}, SchemaFlaw(("anyOf",), "`anyOf` has to be a list of at least one schema, not a list")),
        ({"properties": {"a": {"items": [1]}}}, SchemaFlaw(
            ("properties", "a", "items"), "a schema has to be a mapping, not a list", "as `{type: string}`"
        )),
        ({"requird": []}, SchemaFlaw(
            ("requird",), "`requird` is no keyword of JSON Schema and is ignored", "did you mean `required`?", "warning"
        )),
        ({"$ref": "other.json"}, SchemaFlaw(
            ("$ref",), "`$ref: other.json` leaves the schema; nothing is fetched",
            "copy what it names below `$defs:` and refer to `#/$defs/NAME`",
        )),
        ({"$ref": "#/$defs/a"}, SchemaFlaw(("$ref",), "`$ref: #/$defs/a` names no schema in here")),
        ({"$ref": "#/enum/0", "enum": [{}]}, SchemaFlaw(("$ref",), "`$ref: #/enum/0` names no schema in here")),
        ({"$ref": "#"}, SchemaFlaw(("$ref",), "`$ref: #` leads back to itself without end")),
        ({"$dynamicRef": "#a"}, SchemaFlaw(
            ("$dynamicRef",), "`$dynamicRef` is not supported", "refer to `#/$defs/NAME` with `$ref`"
        )),
        ({"pattern": "("}, SchemaFlaw(
            ("pattern",), "the pattern `(` can't be read: missing ), unterminated subpattern at position 0"
        )),
        ({"pattern": "a" * 1001}, SchemaFlaw(
            ("pattern",), "the pattern has 1,001 characters; at most 1,000 are allowed"
        )),
        ({"patternProperties": {"^(a+)+$": {}}}, SchemaFlaw(
            ("patternProperties", "^(a+)+$"),
            "the pattern `^(a+)+$` repeats a repetition: some texts would take it forever",
            "put something that is always there between two rounds, as in `a+(-a+)*`",
        )),
    ],
)  # fmt: skip
def test_a_schema_that_is_none_says_where_and_why(schema: Any, flaw: SchemaFlaw) -> None:
    assert schema_flaws(schema) == [flaw]


def test_a_schema_nested_without_end_is_refused_before_anything_recurses() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"not": schema}

    assert schema_problem(schema) == "$: the schema is nested more than 64 deep"
    with pytest.raises(UsageError, match="this is no JSON Schema"):
        compiled(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"$defs": {"a/b%": {"$ref": "#/$defs/a~1b%25"}}},
    ],
)
def test_references_that_lead_nowhere_but_to_themselves_are_refused(schema: dict[str, Any]) -> None:
    assert "leads back to itself without end" in (schema_problem(schema) or "")


def test_a_schema_may_refer_to_itself_one_level_down() -> None:
    tree = {"$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "$ref": "#/$defs/tree"}

    assert compiled(tree).problems([[], [[]]]) == []
    assert [each.path for each in compiled(tree).problems([[], [1]])] == ["$[1][0]"]


def test_a_schema_that_multiplies_itself_ends_with_a_problem() -> None:
    twice = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    schema = {"$ref": "#/$defs/d0", "$defs": {**twice, "d40": {}}}
    endless = {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}

    assert [each.got for each in compiled(schema).problems(1, max_steps=10_000)] == ["more"]
    assert [each.got for each in compiled(endless).problems(1)] == ["one too deep"]


def test_a_value_nested_without_end_is_a_problem() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    tree = {"items": {"$ref": "#"}}

    assert [each.got for each in compiled(tree).problems(value)] == ["one too deep"]


def test_checking_a_schema_does_not_import_jsonschema() -> None:
    script = (
        "import sys; from orchestrator.documents.schemas import schema_problem; "
        "schema_problem({'type': 'object', 'properties': {'a': {'pattern': '^a'}}}); print('jsonschema' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


LEAF = (
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "a", "string", "object", "[", "#", "#/x"])
    | st.floats(-1, 2)
)  # fmt: skip
VALUES = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(_KEYWORDS)), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
OURS = (
    "leaves the schema",
    "names no schema",
    "to itself without end",
    "not supported",
    "repeats a repetition",
)
NOT_IN_THE_META_SCHEMA = {"definitions", "inferred", "$id", "$anchor", "$vocabulary", "$schema"}


def _holds(value: Any, keys: set[str]) -> bool:
    if isinstance(value, dict):
        return not keys.isdisjoint(value) or any(_holds(item, keys) for item in value.values())
    return isinstance(value, list) and any(_holds(item, keys) for item in value)


@settings(suppress_health_check=[HealthCheck.filter_too_much], deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(_KEYWORDS)), VALUES, max_size=4))
def test_our_check_and_the_specifications_metaschema_agree(schema: dict[str, Any]) -> None:
    errors = [flaw for flaw in schema_flaws(schema) if flaw.severity == "error"]
    if _holds(schema, NOT_IN_THE_META_SCHEMA) or any(
        word in flaw.message for flaw in errors for word in OURS
    ):
        return
    try:
        Draft202012Validator.check_schema(schema)
        refused = False
    except SchemaError:
        refused = True
    assert bool(errors) == refused


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(_KEYWORDS)), VALUES, max_size=4), VALUES)
def test_a_schema_without_flaws_checks_any_value(schema: dict[str, Any], value: Any) -> None:
    if schema_problem(schema) is None:
        validator = compiled(schema)
        validator.problems(value)
        validator.with_defaults(value)
