"""A Skill as JSON values and back, for the index. Folder and source are left out: they are where it is found now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.documents.types import Example, Function, Requires, Script, Skill
from orchestrator.values import Permissions, Problem

if TYPE_CHECKING:
    from pathlib import Path

_PLACED = ("folder", "source")


def encode(skill: Skill) -> dict[str, Any]:
    """The skill's fields as values for `json.dumps`, without `folder` and `source`."""
    fields = {name: getattr(skill, name) for name in Skill.__slots__ if name not in _PLACED}
    return fields | {
        "functions": {name: _fields(function) for name, function in skill.functions.items()},
        "scripts": {name: _fields(script) for name, script in skill.scripts.items()},
        "permissions": _fields(skill.permissions),
        "requires": _fields(skill.requires),
        "examples": [_fields(example) for example in skill.examples],
        "diagnostics": [_fields(problem) for problem in skill.diagnostics],
    }


def decode(values: dict[str, Any], folder: Path, source: str) -> Skill:
    """The skill that was encoded; raises TypeError, KeyError, ValueError or AttributeError for anything else."""
    return Skill(
        **values
        | {
            "folder": folder,
            "source": source,
            "functions": {name: Function(**fields) for name, fields in values["functions"].items()},
            "scripts": {name: Script(**_tuples(fields)) for name, fields in values["scripts"].items()},
            "uses": tuple(values["uses"]),
            "permissions": Permissions(**_tuples(values["permissions"])),
            "requires": Requires(**_tuples(values["requires"])),
            "examples": tuple(Example(**fields) for fields in values["examples"]),
            "diagnostics": tuple(Problem(**fields) for fields in values["diagnostics"]),
        }
    )


def _fields(value: Function | Script | Permissions | Requires | Example | Problem) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
