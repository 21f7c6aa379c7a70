"""Inputs like those of a run, but other ones: a program that depends on them comes to another answer, or to none.

Each variation changes one value, in one way. They are the same at each call, and the most telling come first.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_OF_ONE = 6
"""So many variations there are of one input at most."""

MAX_DEPTH = 20


def perturbed(inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Variations of inputs, or of a context (`{path: text}`): each has one value that differs from what it was.

    The types stay; a value may break its schema (an enumeration, a path that has to exist), which the caller sees.
    None and what is empty have none.
    """
    turns = [list(_some(inputs[name])) for name in inputs]
    found: list[dict[str, Any]] = []
    for turn in range(MAX_OF_ONE):  # of each input one, then of each the next
        for name, values in zip(inputs, turns, strict=True):
            if turn < len(values):
                found.append({**inputs, name: values[turn]})
    return found


def _some(value: Any) -> list[Any]:
    """The first variations of a value, each different."""
    found: list[Any] = []
    seen = {json.dumps(value)}  # as JSON, where 1 and True are two values, and keys have an order
    for one in _variations(value, 0):
        told = json.dumps(one)
        if told not in seen:
            seen.add(told)
            found.append(one)
        if len(found) == MAX_OF_ONE:
            break
    return found


def _variations(value: Any, depth: int) -> Iterator[Any]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (other for other in (value + 1, value * 2, value - 1, _half(value)) if _fits(value, other))
    elif isinstance(value, str):
        yield from _texts(value)
    elif isinstance(value, list):
        yield from _lists(value, depth)
    elif isinstance(value, dict):
        yield from _dicts(value, depth)


def _half(value: float) -> float:
    return value // 2 if isinstance(value, int) else value / 2


def _fits(value: float, other: float) -> bool:
    """Whether a number may stand for another: of its type, and none that JSON has not."""
    return type(other) is type(value) and (isinstance(other, int) or math.isfinite(other))


def _texts(text: str) -> Iterator[str]:
    """All of it other, then one half, then a half taken away, then the lines in another order."""
    if not text:
        return
    yield other_text(text)
    lines = text.splitlines(keepends=True)
    if len(lines) < 2:
        yield text[: len(text) // 2]
        yield text + " " + other_text(text)
        return
    half = len(lines) // 2
    first, second = "".join(lines[:half]), "".join(lines[half:])
    yield first + other_text(second)
    yield other_text(first) + second
    yield first
    yield second
    yield "\n".join(reversed(text.splitlines()))


def other_text(text: str) -> str:
    """The text with every number one higher and every word another one of its length; spaces and marks stay."""
    return re.sub(r"\d+|[^\W\d_]+", _other, text)


def _other(match: re.Match[str]) -> str:
    found = match[0]
    if found.isdecimal():
        return str(int(found[-18:]) + 1).zfill(len(found)) if found.isascii() else "1" + found
    turned = found[1:] + found[:1]
    return turned if turned != found else found + "x"


def _lists(items: list[Any], depth: int) -> Iterator[list[Any]]:
    if not items:
        return
    yield [next(_variations(item, depth + 1), item) for item in items]
    yield items[1:]
    yield items[:-1]
    yield items[::-1]
    yield [*items, *items[:1]]
    yield [next(_variations(items[0], depth + 1), items[0]), *items[1:]]


def _dicts(values: dict[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    """All values other, the first or last key gone, and each value other in turn. Names of keys stay."""
    if not values:
        return
    keys = list(values)
    yield {key: next(_variations(one, depth + 1), one) for key, one in values.items()}
    yield {key: values[key] for key in keys[1:]}
    yield {key: values[key] for key in keys[:-1]}
    yield dict(reversed(values.items()))
    for key in keys:
        yield {**values, key: next(_variations(values[key], depth + 1), values[key])}
