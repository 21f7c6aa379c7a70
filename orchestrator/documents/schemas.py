"""Values checked against JSON Schemas; the one module that imports jsonschema, and only to check a value.

Schemas and values may come from skills that others wrote and from models, so a check is bounded: by what
`schema_check` refuses, by the depth of the value, and by a number of steps, because schemas that refer to
themselves can multiply without being deep. `format` is an annotation, as the specification has it: not checked.
"""

from __future__ import annotations

import copy
import json
import threading
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from orchestrator.documents.schema_check import SchemaFlaw, described, schema_flaws
from orchestrator.documents.schema_problems import SchemaProblem, in_words, json_path
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.documents.types import Schema

MAX_STEPS = 1_000_000  # keywords applied to parts of a value; about ten seconds
MAX_PROBLEMS = 20
_SCHEMA_WORDS = (
    "properties", "required", "additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "not", "if",
)  # fmt: skip


class Validator:
    """A compiled schema. Made by `compiled`, shared between threads, never changed."""

    def __init__(self, schema: Schema | bool, checker: Any) -> None:
        self.schema = schema
        self._checker = checker

    def problems(self, value: Any, *, max_steps: int = MAX_STEPS) -> list[SchemaProblem]:
        """The first `MAX_PROBLEMS` ways in which a JSON value breaks the schema; empty when it meets it."""
        _steps.left = max_steps
        try:
            return [in_words(error) for error in islice(self._checker.iter_errors(value), MAX_PROBLEMS)]
        except RecursionError:
            return [
                SchemaProblem(
                    "$", "a value less deep", "one too deep", "`$` is nested too deeply to be checked"
                )
            ]
        except _TooManySteps:
            why = f"`$` takes more than {max_steps:,} steps to check"
            return [SchemaProblem("$", f"{max_steps:,} steps", "more", why)]

    def with_defaults(self, value: Any) -> Any:
        """A copy of a JSON value with the defaults of missing properties, also inside objects that are there."""
        return _with_defaults(self.schema, value)


def compiled(schema: Schema | bool) -> Validator:
    """The schema's validator, kept for the next time. Raises UsageError, saying why, for what is no schema."""
    try:
        text = json.dumps(schema)
    except (RecursionError, TypeError, ValueError) as error:
        raise UsageError(f"this is no JSON Schema: {error}") from None
    return _compiled(text)


def schema_problem(schema: Any) -> str | None:
    """Why a JSON value is no schema that can be used; None when it is one."""
    for flaw in schema_flaws(schema):
        if flaw.severity == "error":
            place = json_path(flaw.location)
            return f"{place}: {flaw.message}" + (f" ({flaw.hint})" if flaw.hint else "")
    return None


def inputs_schema(written: Any) -> tuple[Schema, list[SchemaFlaw]]:
    """The object schema of a workflow's `inputs`, written as a schema or as `{folder: string}`, and its flaws.

    In the shorthand every input is required; where a name has a schema instead of a type, one without `default` is.
    """
    if written is None or written == {}:
        return {"type": "object"}, []
    if not isinstance(written, dict):
        message = f"inputs have to be a mapping, not {described(written)}"
        return {"type": "object"}, [SchemaFlaw((), message, "as `{folder: string}`")]
    if _is_schema(written):
        schema = {"type": "object", **written}
        flaws = schema_flaws(schema)
        if schema["type"] != "object":
            hint = "write the inputs below `properties:`"
            flaws.insert(0, SchemaFlaw(("type",), "inputs have to be of type `object`", hint))
        return schema, flaws
    properties = {
        name: {"type": value} if isinstance(value, str) else value for name, value in written.items()
    }
    required = [
        name for name, value in properties.items() if not (isinstance(value, dict) and "default" in value)
    ]
    schema = {"type": "object", "required": required, "properties": properties}
    return schema, [replace(flaw, location=flaw.location[1:]) for flaw in schema_flaws(schema)]


def _is_schema(written: dict[str, Any]) -> bool:
    """Whether `inputs` is a schema and not the shorthand, whose values are types or schemas of single inputs."""
    if written.get("type") == "object" or any(key.startswith("$") for key in written):
        return True
    words = (*_SCHEMA_WORDS, "items", "enum") if "type" in written else _SCHEMA_WORDS
    return any(word in written and not isinstance(written[word], str) for word in words)


def _with_defaults(schema: Any, value: Any) -> Any:
    if not isinstance(schema, dict):
        return value
    if isinstance(value, dict):
        filled = dict(value)
        for name, part in schema.get("properties", {}).items():
            if name in filled:
                filled[name] = _with_defaults(part, filled[name])
            elif isinstance(part, dict) and "default" in part:
                filled[name] = copy.deepcopy(part["default"])
        return filled
    if isinstance(value, list) and "items" in schema:
        return [_with_defaults(schema["items"], item) for item in value]
    return value


class _TooManySteps(Exception):
    pass


class _Steps(threading.local):
    left = MAX_STEPS


_steps = _Steps()


def _counted(keyword: Any) -> Any:
    """A keyword of jsonschema that counts how often it is applied."""

    def apply(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        _steps.left -= 1
        if _steps.left < 0:
            raise _TooManySteps
        return keyword(validator, value, instance, schema)

    return apply


@lru_cache(maxsize=1)
def _validator_class() -> Any:
    from jsonschema import Draft202012Validator  # 130 ms, paid by those who check a value
    from jsonschema.validators import extend

    keywords = {name: _counted(keyword) for name, keyword in Draft202012Validator.VALIDATORS.items()}
    return extend(Draft202012Validator, keywords)  # type: ignore[no-untyped-call]  # no types in its stubs


@lru_cache(maxsize=512)
def _compiled(text: str) -> Validator:
    from referencing import Registry

    schema = json.loads(text)
    flaw = schema_problem(schema)
    if flaw is not None:
        raise UsageError(f"this is no JSON Schema: {flaw}")
    # Without `$id` and with an empty registry, what is not in the schema itself does not exist: nothing is fetched.
    local = (
        {key: value for key, value in schema.items() if key != "$id"} if isinstance(schema, dict) else schema
    )
    return Validator(schema, _validator_class()(local, registry=Registry()))
