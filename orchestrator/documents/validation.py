"""Values read from YAML against their pydantic model: every mistake and unknown key as a problem with its line."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from pydantic import ValidationError

from orchestrator.documents.models import Keys
from orchestrator.documents.schema_check import described

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

    from orchestrator.documents.findings import Findings
    from orchestrator.documents.yaml_values import Located, Location

Model = TypeVar("Model", bound=Keys)

_EXPECTED = {
    "string_type": ("text", "quote it"),
    "int_type": ("a whole number", ""),
    "float_type": ("a number", ""),
    "finite_number": ("a finite number", "leave it out or write `null` for none"),
    "bool_type": ("`true` or `false`", ""),
    "list_type": ("a list", "as `[one, two]`"),
    "dict_type": ("a mapping", "as `{key: value}`"),
    "model_type": ("a mapping", "as `{key: value}`"),
}


def mistakes(model: type[Keys], values: dict[str, Any]) -> list[ErrorDetails]:
    """What pydantic finds wrong with values that may hold unknown keys."""
    try:
        model.model_validate(values)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def report_mistakes(details: list[ErrorDetails], found: Findings, located: Located) -> None:
    """Each mistake as an error with its line."""
    for detail in details:
        message, hint = _in_words(detail)
        found.error(located.line(detail["loc"]), message, hint)


def report_unknown_keys(model: type[Keys], values: Any, found: Findings, located: Located) -> None:
    """A warning for each key that the model does not know, at any depth."""
    for location, near in _unknown_keys(model, values, ()):
        hint = f"did you mean `{near}`?" if near else "it is ignored"
        found.warning(located.line(location), f"unknown key `{_dotted(location)}`", hint)


def _unknown_keys(model: type[Keys], values: Any, at: Location) -> Iterator[tuple[Location, str]]:
    if isinstance(values, list):
        for number, item in enumerate(values):
            yield from _unknown_keys(model, item, (*at, number))
    if not isinstance(values, dict):
        return
    fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    for key, value in values.items():
        if key not in fields:
            near = get_close_matches(key.lower().replace("-", "_"), fields, n=1, cutoff=0.5)
            yield (*at, key), near[0] if near else ""
        elif inner := _model_in(fields[key]):
            if get_origin(fields[key]) is dict and isinstance(value, dict):
                for name, item in value.items():
                    yield from _unknown_keys(inner, item, (*at, key, name))
            else:
                yield from _unknown_keys(inner, value, (*at, key))


def _model_in(annotation: Any) -> type[Keys] | None:
    """The model that a field holds: itself, in a list, or in a mapping."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, Keys):
            return part
    return None


def _in_words(detail: ErrorDetails) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    name, got = _dotted(detail["loc"]), described(detail["input"])
    if kind == "missing":
        return f"`{name}` is missing", "add it"
    if kind == "mistake":
        return f"`{name}`: {context['message']}", context["hint"]
    if kind in _EXPECTED:
        expected, hint = _EXPECTED[kind]
        return f"`{name}` has to be {expected}, not {got}", hint
    if kind == "literal_error":
        near = get_close_matches(str(detail["input"]), re.findall(r"'([^']+)'", context["expected"]), n=1)
        hint = f"did you mean `{near[0]}`?" if near else ""
        return f"`{name}` has to be {context['expected'].replace(chr(39), '`')}, not {got}", hint
    if kind == "string_pattern_mismatch":
        return f"`{name}` may hold a-z, 0-9 and `-`, up to 64 of them, not {got}", "as `weekly-digest`"
    if kind in ("greater_than", "greater_than_equal", "less_than_equal"):
        bound = next(iter(context.values()))
        words = {"greater_than": "more than", "greater_than_equal": "at least", "less_than_equal": "at most"}
        return f"`{name}` has to be {words[kind]} {bound:g}, not {got}", ""
    if kind in ("string_too_short", "too_short"):
        return f"`{name}` is empty", "remove it or fill it in"
    return f"`{name}`: {detail['msg']}", ""


def _dotted(location: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
