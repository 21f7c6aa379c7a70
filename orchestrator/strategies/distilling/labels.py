"""Constants of an answer that say what stands beside them, as `"unit": "words"`, and are no part of what was asked.

Told by what they are called, for by itself `"positive"` beside `"sentiment"` is a constant like any other: a few names
of fields that describe an answer, and none of them where the task names it, for then it asks for it.

Covered: an answer of labels alone, a label that stands in anything the run has seen, one that is a text of some length
or a number other than a version. Not covered: a label that was concluded from what was seen, in other words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

MAX_CHARS = 20
MAX_VERSION = 99

VERSIONS = frozenset({"version", "schema_version", "format_version"})
NAMES = VERSIONS | {"unit", "units", "schema", "method", "status"}
"""Fields that may hold a label."""

ALL_WELL = frozenset({"ok", "done", "success", "complete", "completed"})
"""What a label of `status` may say: anything else is a finding."""

Literal = str | int | float


def labels(answer: Any, constants: Collection[Literal], task: str, seen: Iterable[Any]) -> list[Literal]:
    """The constants that are labels in this answer. `constants` are those that stand in it; `seen`, what the run saw."""
    found = list(_fields(answer, ""))
    if all(_is_one_of(value, constants) for _, value in found):
        return []  # beside nothing that was computed
    there = "\n".join(_texts(list(seen)))
    asked = set(re.findall(r"[^\W_]+", task.lower()))
    return [
        value
        for value in constants
        if (names := [name for name, one in found if type(one) is type(value) and one == value])
        and all(_may_be_label(name, value, asked) for name in names)
        and not (isinstance(value, str) and _stands_in(value, there))
    ]


def _may_be_label(name: str, value: Literal, asked: Collection[str]) -> bool:
    name = name.lower()
    if name not in NAMES or any(word in asked for word in (name, f"{name}s", *name.split("_"))):
        return False
    if not isinstance(value, str):
        return name in VERSIONS and 0 <= value <= MAX_VERSION
    if name == "status":
        return value.lower() in ALL_WELL
    return 0 < len(value) <= MAX_CHARS and "\n" not in value


def _fields(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The leaves of an answer with the names of the fields that hold them; "" for one in a list, or by itself."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _fields(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _fields(inner, "")
    elif value is not None and not isinstance(value, bool) and value != "":
        yield name, value


def _texts(value: Any) -> Iterator[str]:
    """Every text and number in values, keys included."""
    if isinstance(value, dict):
        yield from map(str, value)
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    elif value is not None:
        yield str(value)


def _is_one_of(value: Any, constants: Collection[Literal]) -> bool:
    return any(type(one) is type(value) and one == value for one in constants)


def _stands_in(text: str, there: str) -> bool:
    return text.strip().lower() in there.lower()
