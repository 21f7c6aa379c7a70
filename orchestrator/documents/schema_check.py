"""Whether a JSON Schema (2020-12) is one, with the place of each flaw, without importing jsonschema.

The table of keywords says what the specification's own metaschema says, so that a file with ordinary schemas loads
without the 130 ms that jsonschema takes to import, and a mistyped keyword, which the specification ignores, is seen.

Schemas come from skills that others wrote. Covered: references that leave the schema, dangling and endless ones,
deep nesting, patterns that are long or repeat a repetition. Not covered: a pattern of other shapes that takes
quadratic time or more, as `a*a*a*b`; so values are also bounded (see `schemas`).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from orchestrator.documents.patterns import repeats_a_repetition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.documents.yaml_values import Location
    from orchestrator.values import Severity

MAX_DEPTH = 64
MAX_PATTERN_CHARS = 1000
TYPE_NAMES = ("array", "boolean", "integer", "null", "number", "object", "string")

_Shape = Literal[
    "any", "schema", "schemas", "schema map", "string map", "string", "strings", "pattern", "count", "number",
    "positive", "boolean", "list", "type", "reference", "no",
]  # fmt: skip
_KEYWORDS: dict[str, _Shape] = {
    "$anchor": "string", "$comment": "string", "$defs": "schema map", "$dynamicAnchor": "no", "$dynamicRef": "no",
    "$id": "string", "$ref": "reference", "$schema": "string", "$vocabulary": "any",
    "additionalProperties": "schema", "allOf": "schemas", "anyOf": "schemas", "const": "any", "contains": "schema",
    "contentEncoding": "string", "contentMediaType": "string", "contentSchema": "schema", "default": "any",
    "definitions": "schema map", "dependentRequired": "string map", "dependentSchemas": "schema map",
    "deprecated": "boolean", "description": "string", "else": "schema", "enum": "list", "examples": "list",
    "exclusiveMaximum": "number", "exclusiveMinimum": "number", "format": "string", "if": "schema",
    "inferred": "boolean", "items": "schema", "maxContains": "count", "maxItems": "count", "maxLength": "count",
    "maxProperties": "count", "maximum": "number", "minContains": "count", "minItems": "count",
    "minLength": "count", "minProperties": "count", "minimum": "number", "multipleOf": "positive", "not": "schema",
    "oneOf": "schemas", "pattern": "pattern", "patternProperties": "schema map", "prefixItems": "schemas",
    "properties": "schema map", "propertyNames": "schema", "readOnly": "boolean", "required": "strings",
    "then": "schema", "title": "string", "type": "type", "unevaluatedItems": "schema",
    "unevaluatedProperties": "schema", "uniqueItems": "boolean", "writeOnly": "boolean",
}  # fmt: skip
_EXPECTED: dict[_Shape, str] = {
    "string": "text", "reference": "text", "pattern": "text", "boolean": "`true` or `false`", "list": "a list",
    "number": "a number", "positive": "a number above 0", "count": "a whole number of at least 0",
    "strings": "a list of different texts", "schema map": "a mapping of names to schemas",
    "schemas": "a list of at least one schema", "string map": "a mapping of names to lists of different texts",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SchemaFlaw:
    """One thing wrong with a schema; a warning is about what the specification allows and nobody means."""

    location: Location
    message: str
    hint: str = ""
    severity: Severity = "error"


def schema_flaws(schema: Any) -> list[SchemaFlaw]:
    """All that is wrong with a JSON value as a schema; no error among them means that it can be compiled."""
    if _deeper_than(schema, MAX_DEPTH):
        return [SchemaFlaw((), f"the schema is nested more than {MAX_DEPTH} deep")]
    walk = _Walk(schema)
    return [*walk.schema(schema, ()), *walk.references()]


class _Walk:
    """One pass over a schema; knows afterwards where its schemas and references stand."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.schemas: set[Location] = set()
        self.refs: list[tuple[Location, str]] = []

    def schema(self, value: Any, at: Location) -> Iterator[SchemaFlaw]:
        self.schemas.add(at)
        if isinstance(value, bool):
            return
        if not isinstance(value, dict):
            yield SchemaFlaw(
                at, f"a schema has to be a mapping, not {described(value)}", "as `{type: string}`"
            )
            return
        for key, content in value.items():
            if str(key).startswith("x-"):
                continue
            if key not in _KEYWORDS:
                near = get_close_matches(str(key), _KEYWORDS, n=1)
                hint = (
                    f"did you mean `{near[0]}`?" if near else "names of properties stand below `properties:`"
                )
                yield SchemaFlaw(
                    (*at, key), f"`{key}` is no keyword of JSON Schema and is ignored", hint, "warning"
                )
            else:
                yield from self.keyword(_KEYWORDS[key], key, content, (*at, key))

    def keyword(self, shape: _Shape, key: str, value: Any, at: Location) -> Iterator[SchemaFlaw]:
        if shape == "schema":
            yield from self.schema(value, at)
        elif shape == "schemas" and isinstance(value, list) and value:
            for number, item in enumerate(value):
                yield from self.schema(item, (*at, number))
        elif shape == "schema map" and isinstance(value, dict):
            for name, item in value.items():
                if key == "patternProperties":
                    yield from _pattern_flaws(name, (*at, name))
                yield from self.schema(item, (*at, name))
        elif shape == "type":
            yield from _type_flaws(value, at)
        elif shape == "pattern" and isinstance(value, str):
            yield from _pattern_flaws(value, at)
        elif shape == "reference" and isinstance(value, str):
            self.refs.append((at, value))
        elif shape == "no" or (key in ("$id", "$schema") and len(at) > 1):
            yield SchemaFlaw(at, f"`{key}` is not supported", "refer to `#/$defs/NAME` with `$ref`")
        elif not _fits(shape, value):
            yield SchemaFlaw(at, f"`{key}` has to be {_EXPECTED[shape]}, not {described(value)}")

    def references(self) -> Iterator[SchemaFlaw]:
        """What is wrong with the references; called once the walk is through."""
        for at, ref in self.refs:
            if ref != "#" and not ref.startswith("#/"):
                hint = "copy what it names below `$defs:` and refer to `#/$defs/NAME`"
                yield SchemaFlaw(at, f"`$ref: {ref[:80]}` leaves the schema; nothing is fetched", hint)
            elif self._target(ref) not in self.schemas:
                yield SchemaFlaw(at, f"`$ref: {ref[:80]}` names no schema in here")
            elif self._is_endless(at):
                yield SchemaFlaw(at, f"`$ref: {ref[:80]}` leads back to itself without end")

    def _target(self, ref: str) -> Location:
        """Where a reference leads, with list positions as numbers."""
        at: Location = ()
        value = self.root
        for part in ref.split("/")[1:]:
            key: str | int = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(value, list) and str(key).isdecimal():
                key = int(key)
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return ("", "nowhere")
            at = (*at, key)
        return at

    def _is_endless(self, at: Location) -> bool:
        """Whether the reference comes back to its own schema through references alone."""
        seen: set[Location] = set()
        by_schema = {place[:-1]: ref for place, ref in self.refs}
        here = at[:-1]
        while here in by_schema and here not in seen:
            seen.add(here)
            here = self._target(by_schema[here])
        return here in seen


def described(value: Any) -> str:
    """A value as a message shows it: short, and in backticks."""
    kinds: list[tuple[type, str]] = [(dict, "a mapping"), (list, "a list"), (type(None), "nothing")]
    for kind, name in kinds:
        if isinstance(value, kind):
            return name
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def _fits(shape: _Shape, value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match shape:
        case "any":
            return True
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "list":
            return isinstance(value, list)
        case "number":
            return is_number
        case "positive":
            return is_number and value > 0
        case "count":
            return is_number and value >= 0 and (isinstance(value, int) or value.is_integer())
        case "strings":
            return _are_different_texts(value)
        case "string map":
            return isinstance(value, dict) and all(map(_are_different_texts, value.values()))
    return False


def _are_different_texts(value: Any) -> bool:
    return (
        isinstance(value, list) and all(isinstance(v, str) for v in value) and len(set(value)) == len(value)
    )


def _type_flaws(value: Any, at: Location) -> Iterator[SchemaFlaw]:
    names = value if isinstance(value, list) else [value]
    if not names or len(names) != len({str(name) for name in names}):
        yield SchemaFlaw(at, "`type` has to be one name or a list of different names")
    for name in names:
        if name not in TYPE_NAMES:
            yield SchemaFlaw(at, f"{described(name)} is no type", type_hint(name))


def type_hint(name: Any) -> str:
    """How to fix the name of a type."""
    others = {
        "str": "string",
        "text": "string",
        "int": "integer",
        "float": "number",
        "bool": "boolean",
        "list": "array",
    }
    others |= {"dict": "object", "map": "object", "none": "null", "path": "string", "file": "string"}
    text = str(name).lower()
    near = [others[text]] if text in others else get_close_matches(text, TYPE_NAMES, n=1)
    return f"did you mean `{near[0]}`?" if near else f"one of {', '.join(f'`{name}`' for name in TYPE_NAMES)}"


def _pattern_flaws(pattern: str, at: Location) -> Iterator[SchemaFlaw]:
    if len(pattern) > MAX_PATTERN_CHARS:
        yield SchemaFlaw(
            at, f"the pattern has {len(pattern):,} characters; at most {MAX_PATTERN_CHARS:,} are allowed"
        )
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        yield SchemaFlaw(at, f"the pattern {described(pattern)} can't be read: {error}")
        return
    if repeats_a_repetition(pattern):
        message = f"the pattern {described(pattern)} repeats a repetition: some texts would take it forever"
        yield SchemaFlaw(
            at, message, "put something that is always there between two rounds, as in `a+(-a+)*`"
        )


def _deeper_than(value: Any, limit: int) -> bool:
    """Whether a JSON value is nested deeper, found without recursion."""
    level = [value]
    for _ in range(limit):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
