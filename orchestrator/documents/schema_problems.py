"""What jsonschema finds wrong with a value, in our words: where, what was expected, what came, all of it short.

jsonschema's own messages hold the whole value, which may be a text of many megabytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SHOWN_CHARS = 60

_A_TYPE = {
    "array": "a list", "boolean": "true or false", "integer": "a whole number", "null": "null", "number": "a number",
    "object": "an object", "string": "text",
}  # fmt: skip
_BOUNDS = {
    "minimum": "at least {}", "maximum": "at most {}", "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}", "multipleOf": "a multiple of {}",
}  # fmt: skip
_SIZES = {
    "minLength": "at least {} characters", "maxLength": "at most {} characters", "minItems": "at least {} items",
    "maxItems": "at most {} items", "minProperties": "at least {} properties", "maxProperties": "at most {} properties",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """Where a value breaks its schema, what was expected there, what came, and all that in one sentence."""

    path: str  # as `$.items[3].name`
    expected: str
    got: str
    message: str

    def __str__(self) -> str:
        return self.message


def in_words(error: Any) -> SchemaProblem:
    """One error of jsonschema."""
    path = json_path(error.absolute_path)
    if error.validator == "required":
        # jsonschema gives each missing property an error of its own and names it in the message alone
        name = next(name for name in error.validator_value if error.message.startswith(f"{name!r} is "))
        path = json_path([*error.absolute_path, name])
        return SchemaProblem(path, "a value", "nothing", f"`{path}` is missing")
    if (
        error.validator in ("additionalProperties", "unevaluatedProperties")
        and error.validator_value is False
    ):
        return _unknown_properties(path, error)
    expected, got = _expectation(error)
    verb = "have" if error.validator in _SIZES else "be"
    return SchemaProblem(path, expected, got, f"`{path}` has to {verb} {expected}, not {got}")


def json_path(location: Iterable[str | int]) -> str:
    """A place in a JSON value, as `$.items[3].name`."""
    path = "$"
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if part.isidentifier() else f"[{json.dumps(part[:80], ensure_ascii=False)}]"
    return path


def shown(value: Any) -> str:
    """A JSON value as a message shows it: containers by kind and size, the rest as JSON, cut, in backticks."""
    if isinstance(value, dict):
        return f"an object with {len(value)} properties" if value else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    cut = value[: MAX_SHOWN_CHARS + 1] if isinstance(value, str) else value
    text = json.dumps(cut, ensure_ascii=False, default=repr)
    return f"`{text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 3] + '...'}`"


def _expectation(error: Any) -> tuple[str, str]:
    """What was expected and what came."""
    name, wanted, value = error.validator, error.validator_value, error.instance
    if name == "type":
        names = wanted if isinstance(wanted, list) else [wanted]
        return " or ".join(_A_TYPE.get(each, str(each)) for each in names), shown(value)
    if name == "enum":
        return "one of " + ", ".join(map(shown, wanted[:12])), shown(value)
    if name == "const":
        return shown(wanted), shown(value)
    if name == "pattern":
        return f"text that matches `{wanted}`", shown(value)
    if name in _BOUNDS:
        return _BOUNDS[name].format(wanted), shown(value)
    if name in _SIZES:
        return _SIZES[name].format(wanted), str(len(value))
    if name == "uniqueItems":
        return "a list without repetition", shown(value)
    if name == "anyOf":
        return f"what one of {len(wanted)} schemas allows", shown(value)
    if name == "oneOf":
        return f"what exactly one of {len(wanted)} schemas allows", shown(value)
    return ("absent", shown(value)) if name is None else (f"what `{name}` allows", shown(value))


def _unknown_properties(path: str, error: Any) -> SchemaProblem:
    known = list(error.schema.get("properties", {}))
    unknown = [name for name in error.instance if name not in known]
    near = get_close_matches(unknown[0], known, n=1) if unknown else []
    names = ", ".join(f"`{name[:MAX_SHOWN_CHARS]}`" for name in unknown[:5])
    expected = "no property but " + (", ".join(f"`{name}`" for name in known[:12]) or "none")
    hint = f"; did you mean `{near[0]}`?" if near else ""
    return SchemaProblem(path, expected, names, f"`{path}` has {expected}, yet {names} came{hint}")
