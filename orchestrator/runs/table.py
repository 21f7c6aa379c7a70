"""Skills as a worker's `skills` object needs to know them: names, signatures, one line each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestrator.errors import SkillError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.documents.types import Function, Schema, Skill


def skill_table(skills: Iterable[Skill]) -> list[dict[str, Any]]:
    """One entry for each skill, in the given order."""
    return [
        {
            "name": skill.name,
            "attribute": skill.attribute,
            "description": skill.description,
            "functions": {
                name: {"signature": signature(name, function.input), "description": function.description}
                for name, function in skill.functions.items()
            },
            "default": skill.default,
            "scripts": {
                path: {"signature": signature(path, script.input), "description": script.description}
                for path, script in skill.scripts.items()
            },
        }
        for skill in skills
    ]


def signature(name: str, schema: Schema | None) -> str:
    """How to call it, as `count(path, unit='words')`; `count(...)` where the schema names no properties."""
    properties = _ordered(schema)
    if not properties:
        return f"{name}()" if schema and schema.get("additionalProperties") is False else f"{name}(...)"
    required = (schema or {}).get("required", ())
    return f"{name}({', '.join(_parameter(key, part, key in required) for key, part in properties.items())})"


def bound(function: Function, skill: Skill, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name: positional ones take the schema's properties, the required first.

    Raises SkillError for too many, or for one given twice.
    """
    names = list(_ordered(function.input))
    if len(args) > len(names):
        raise SkillError(
            f"`{skill.name}.{function.name}` takes {len(names)} positional arguments, {len(args)} were given",
            kind="invalid",
            hint=f"call it as {signature(function.name, function.input)}",
        )
    arguments = dict(zip(names, args, strict=False))
    if twice := [name for name in kwargs if name in arguments]:
        raise SkillError(f"`{skill.name}.{function.name}` got `{twice[0]}` twice", kind="invalid")
    return arguments | dict(kwargs)


def _ordered(schema: Schema | None) -> dict[str, Any]:
    properties: dict[str, Any] = (schema or {}).get("properties", {})
    required = [name for name in (schema or {}).get("required", ()) if name in properties]
    return {
        name: properties[name] for name in (*required, *(name for name in properties if name not in required))
    }


def _parameter(name: str, schema: Any, required: bool) -> str:
    if isinstance(schema, dict) and "default" in schema:
        return f"{name}={_python(schema['default'])}"
    return name if required else f"{name}=..."


def _python(value: Any) -> str:
    if value is None or isinstance(value, (bool, str)):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)
