"""Whether the placeholders of a workflow name its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from orchestrator.documents.template import placeholders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.documents.findings import Findings
    from orchestrator.documents.frontmatter import Parts
    from orchestrator.documents.markdown import Outline
    from orchestrator.documents.types import Schema
    from orchestrator.documents.yaml_values import Located, Location

_FILLED = ("context", "permissions", "checks")  # where placeholders are filled, besides the body
_COMPOSED = ("$ref", "allOf", "anyOf", "oneOf", "patternProperties")  # schemas whose inputs can't be listed


@dataclass(frozen=True, slots=True)
class Places:
    """Where a workflow's placeholders may stand: its frontmatter's values, its body and the code in that."""

    values: dict[str, Any]
    located: Located
    parts: Parts
    body: Outline


def check_placeholders(places: Places, inputs: Schema, found: Findings) -> None:
    """Note placeholders that name no input, and those in paths and checks whose input may be missing."""
    names = _input_names(inputs)
    if names is not None:
        _check_frontmatter(places.values, names, places.located, found)
        _check_body(places.parts, places.body, names, found)


def _input_names(inputs: Schema) -> dict[str, bool] | None:
    """The inputs, each with whether it always has a value; None where a schema does not list them."""
    properties, required = inputs.get("properties", {}), inputs.get("required", [])
    if not (isinstance(properties, dict) and isinstance(required, list)) or any(
        key in inputs for key in _COMPOSED
    ):
        return None
    return {
        name: name in required or (isinstance(part, dict) and "default" in part)
        for name, part in properties.items()
    }


def _check_frontmatter(
    values: dict[str, Any], names: dict[str, bool], located: Located, found: Findings
) -> None:
    """Placeholders in the keys where they are filled name inputs that always have a value."""
    for at, text in _texts({key: values.get(key) for key in _FILLED}, ()):
        if at[-1] == "expr":
            continue
        known = {**names, **({"answer": True, "context": True} if "with" in at else {})}
        for name, _ in placeholders(text):
            if name not in known:
                _report_unknown(name, known, located.line(at), found)
            elif not known[name]:
                hint = f"require `{name}`, or give it a `default`"
                found.warning(located.line(at), f"the input `{name}` may be missing here", hint)


def _check_body(parts: Parts, body: Outline, names: dict[str, bool], found: Findings) -> None:
    """Placeholders in prose name inputs; code may mean something of its own by two braces."""
    code = {line for block in body.code for line in block}
    for name, n_lines in placeholders(parts.body):
        line = parts.body_line + n_lines
        if name not in names and line not in code:
            _report_unknown(name, names, line, found)


def _report_unknown(name: str, known: dict[str, bool], line: int, found: Findings) -> None:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean `{{{{{near[0]}}}}}`?" if near else f"declare `{name}` under `inputs:`"
    found.error(line, f"`{{{{{name}}}}}` names no input", hint)


def _texts(value: Any, at: Location) -> Iterator[tuple[Location, str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, (*at, number))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*at, key))
