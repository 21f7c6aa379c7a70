"""Changes that keep the shape of an input: of one JSON value in it, or of its lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 2**63, 10**40, "", "0", "0.1.2", "\0", "\ud800", "2026-01-01T00:00:00", "a" * 70, [], {}, [[]],
    [None], {"$text": {}}, {"$error": 1}, {"$blob": 5, "n_bytes": 1}, {"$blob": "..", "n_bytes": 1}, {"$$text": 1},
)  # fmt: skip
TEXTS = (
    b"---", b"```repl", b"```", b"{{a}}", b": ", b" #", b"- x", b"&a [*a]", b"!x y", b"\t", b"[", b"{", b"'", b'"', b"\xff",
    b"\xff\xfe", b"\0", b"\xe2\x80\xa8", b"\xc2\x85", b"\r", b"a: 1", b"  - {expr: '('}", b"%YAML 3", b"? [1]", b"> ", b"1e999",
    b"schema: orchestrate.skill/1", b"{$ref: '#'}", b"{pattern: '(a+)+$'}", b"|", b"<!--", b"# T", b"def go(", b"9" * 5000,
)  # fmt: skip


def mutated(data: bytes, chance: Random) -> bytes | None:
    """The input with one thing changed in its shape; None where it has none."""
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    try:
        value = json.loads(lines[at])
    except (ValueError, RecursionError):
        return b"\n".join(_other_lines(lines, at, chance))
    # Behind itself, changed, or in its own place.
    keep = [lines[at]] if chance.random() < 0.2 else []
    lines[at : at + 1] = [*keep, json.dumps(_other(value, chance)).encode()]
    return b"\n".join(lines)


def _other(value: Any, chance: Random) -> Any:
    """The value with one part of it replaced, left out, or renamed."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        match chance.randrange(6):
            case 0:
                return {name: one for name, one in value.items() if name != key}
            case 1:
                return {**value, chance.choice(["event", "call", "kind", "id", key + "s"]): value[key]}
            case _:
                return {**value, key: _other(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        match chance.randrange(4):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return [*value, value[at]]
            case _:
                return [*value[:at], _other(value[at], chance), *value[at + 1 :]]
    return chance.choice(ODD)


def _other_lines(lines: list[bytes], at: int, chance: Random) -> list[bytes]:
    line = lines[at]
    cut = chance.randrange(len(line) + 1)
    text = chance.choice(TEXTS)
    match chance.randrange(6):
        case 0:
            return lines[:at] + lines[at + 1 :]
        case 1:
            return [*lines[:at], chance.choice(lines), *lines[at:]]
        case 2:
            return [*lines[:at], line[:cut] + text + line[cut:], *lines[at + 1 :]]
        case 3:
            key, colon, _ = line.partition(b":")
            return [*lines[:at], key + colon + b" " + text, *lines[at + 1 :]]
        case 4:
            return [*lines[:at], b"  " + line, *lines[at + 1 :]]
        case _:
            return [*lines[:at], text, *lines[at:]]
