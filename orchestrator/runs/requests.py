"""What a worker asks for, read into values. A worker is not trusted: each part is looked at before it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SkillRequest:
    """One call of a skill; `function` None is the skill itself or its default."""

    skill: str
    function: str | None
    args: list[Any]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MapRequest:
    """The same call for many arguments."""

    skill: str
    function: str | None
    items: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ScriptRequest:
    """A program of a skill: words as they are, and options to be made into words."""

    skill: str
    script: str
    argv: list[str]
    options: dict[str, Any]


def skill_request(request: Mapping[str, Any]) -> SkillRequest:
    """Read a `skill` request. Raises CallError, as all of these do, for what is none."""
    return SkillRequest(
        part(request, "skill", str),
        optional(request, "function", str),
        part(request, "args", list, []),
        part(request, "kwargs", dict, {}),
    )


def map_request(request: Mapping[str, Any]) -> MapRequest:
    """Read a `skill_map` request."""
    items = part(request, "items", list)
    if not all(isinstance(item, dict) for item in items):
        raise _invalid("`map` takes a list of dicts, one for each call")
    return MapRequest(part(request, "skill", str), optional(request, "function", str), items)


def script_request(request: Mapping[str, Any]) -> ScriptRequest:
    """Read a `skill_run` request."""
    argv = part(request, "argv", list, [])
    if not all(isinstance(word, str) for word in argv):
        raise _invalid("the words for a script have to be str")
    return ScriptRequest(
        part(request, "skill", str), path_part(request, "script"), argv, part(request, "options", dict, {})
    )


def part(request: Mapping[str, Any], name: str, kind: type[T], default: T | None = None) -> T:
    """A part of a request, or the default where it is missing."""
    value = request.get(name, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _invalid(f"`{name}` has to be {kind.__name__}, not {type(value).__name__}")
    return value


def optional(request: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """A part that may be missing or None."""
    return None if request.get(name) is None else part(request, name, kind)


def path_part(request: Mapping[str, Any], name: str) -> str:
    """A part that names a file: no system call takes a NUL, or a name without end."""
    text = part(request, name, str)
    if "\0" in text or len(text) > 4000 or any(len(step) > 255 for step in text.split("/")):
        raise _invalid(f"`{text[:60]}` is no file name")
    return text


def _invalid(message: str) -> CallError:
    return CallError(message, kind="invalid", error_kind="request")
