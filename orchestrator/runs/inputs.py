"""A run's inputs: read as they were typed, checked against the workflow's schema."""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from orchestrator.errors import InputError
from orchestrator.values import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.documents.types import Schema, Workflow


def missing_inputs(workflow: Workflow, *given: Mapping[str, Any]) -> tuple[str, ...]:
    """Required inputs that nobody gave and that have no default, in the order of the schema."""
    properties = workflow.inputs.get("properties", {})
    required = workflow.inputs.get("required", ())
    return tuple(
        name for name in required
        if not any(name in one for one in given) and "default" not in (properties.get(name) or {})
    )  # fmt: skip


def read_inputs(
    workflow: Workflow, given: Mapping[str, Any], typed: Mapping[str, str], missing: Iterable[str] = ()
) -> dict[str, Any]:
    """The inputs with defaults filled in. `typed` ones are text, read by the type that the schema declares.

    `missing` ones are not asked for. Raises InputError with all problems.
    """
    if missing:
        required = [name for name in workflow.inputs["required"] if name not in missing]
        workflow = replace(workflow, inputs={**workflow.inputs, "required": required})
    problems: list[Problem] = []
    unread: set[str] = set()
    inputs = dict(given)
    for name, text in typed.items():
        try:
            inputs[name] = read_typed(workflow.inputs.get("properties", {}).get(name, {}), text)
        except ValueError as error:
            problems.append(_problem(workflow, f"input `{name}`: {error}"))
            unread.add(f"$.{name}")  # a schema that requires it would call it missing
    problems += _unknown(workflow, inputs)
    if workflow.inputs == {"type": "object"} and not problems:
        return inputs
    inputs, broken = _checked(workflow, inputs, unread)
    if problems + broken:
        raise InputError(problems + broken)
    return inputs


def read_typed(schema: Schema, text: str) -> Any:
    """The value that a person typed. A string stays as typed; every other declared type is read as JSON.

    Raises ValueError saying what was expected.
    """
    declared = schema.get("type", "string") if isinstance(schema, dict) else "string"
    types = declared if isinstance(declared, list) else [declared]
    if "string" in types and types != ["null", "string"]:
        return text
    try:
        return read_json(text)
    except ValueError as error:
        if "string" in types:
            return text
        if types == ["array"] and _item_type(schema) == "string":
            return [part.strip() for part in text.split(",")] if text.strip() else []
        why = "" if isinstance(error, json.JSONDecodeError) else f": {error}"
        raise ValueError(f"expected {' or '.join(types)} as JSON, got `{text}`{why}") from None


def read_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError also for what Python reads beyond JSON: `NaN`, `Infinity`, `1e999`."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"`{text}` is no number of JSON")


def _item_type(schema: Schema) -> Any:
    items = schema.get("items")
    return items.get("type", "string") if isinstance(items, dict) else "string"


def _checked(
    workflow: Workflow, inputs: dict[str, Any], unread: set[str]
) -> tuple[dict[str, Any], list[Problem]]:
    # Imported here: jsonschema takes longer to import than a workflow without inputs takes to run.
    from orchestrator.documents.schemas import compiled

    validator = compiled(workflow.inputs)
    filled: dict[str, Any] = validator.with_defaults(inputs)
    problems = [
        _problem(workflow, f"input `{problem.path}`: expected {problem.expected}, got {problem.got}")
        for problem in validator.problems(filled)
        if problem.path not in unread
    ]
    return filled, problems


def _unknown(workflow: Workflow, inputs: Mapping[str, Any]) -> list[Problem]:
    known = workflow.inputs.get("properties", {})
    if not known:
        return []
    problems = []
    for name in inputs:
        if name not in known and not workflow.inputs.get("additionalProperties", False):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"it takes: {', '.join(known)}"
            problems.append(_problem(workflow, f"no input named `{name}`", hint))
    return problems


def _problem(workflow: Workflow, message: str, hint: str = "") -> Problem:
    return Problem(
        str(workflow.path), 0, message, hint or "give inputs as `--input name=value` or `--input-json FILE`"
    )
