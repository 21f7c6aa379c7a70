"""Whether a regular expression can take exponential time because one round of a repetition can end in several places.

Python's `re` can't be interrupted, so `(a+)+` in somebody's schema would hang the run. A repetition is safe where
the next character always tells how to go on: within a round and from one round to the next, as in
`[a-z]+(-[a-z]+)*`. That is what "one-unambiguous" means (Brueggemann-Klein and Wood, 1998). It is asked only inside of
repetitions, so polynomial time (`a*a*b`) counts as safe; it does not know that `(?i)` makes `a` and `A` one; and it
refuses some patterns that need a second character to go on, which is the better mistake.
"""

from __future__ import annotations

import re
from typing import Any

MAX_ROUNDS = 10  # a repetition bounded by this is not worth refusing

_parser: Any = re._parser  # type: ignore[attr-defined]  # the only parser of Python's own syntax; no public name
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_ASSERTIONS = ("AT", "ASSERT", "ASSERT_NOT")
_OTHER = "語"  # stands for every character beyond ASCII
_SAMPLE = frozenset([*map(chr, range(128)), _OTHER])  # the characters that patterns are compared by
_Signs = frozenset[str]


def repeats_a_repetition(pattern: str) -> bool:
    """True where a repeated group leaves open, at some character, whether and how its round goes on."""
    return _is_risky(_parser.parse(pattern))


def _is_risky(sequence: Any) -> bool:
    for item in sequence:
        if _name(item) in _REPEATS and item[1][1] > MAX_ROUNDS:
            body = item[1][2]
            if _is_nullable(body) or not _is_certain(body, follow=_first(body)):
                return True
        if any(map(_is_risky, _inside(item))):
            return True
    return False


def _is_certain(sequence: Any, follow: _Signs) -> bool:
    """Whether each character of a match belongs to one item only, when `follow` can come after the match."""
    for item in reversed(list(sequence)):
        if not _is_certain_item(item, follow):
            return False
        first = _first([item])
        follow = first | follow if _is_nullable([item]) else first
    return True


def _is_certain_item(item: Any, follow: _Signs) -> bool:
    name = _name(item)
    if name in _REPEATS:
        least, most, body = item[1]
        again = _first(body)
        if least != most and (again & follow or _is_nullable(body)):
            return False
        return _is_certain(body, follow | again if most > 1 else follow)
    if name == "BRANCH":
        taken: set[str] = set()
        for branch in item[1][1]:
            first = _first(branch) | (follow if _is_nullable(branch) else frozenset())
            if taken & first or not _is_certain(branch, follow):
                return False
            taken |= first
        return True
    return name in _ASSERTIONS or all(_is_certain(part, follow) for part in _inside(item))


def _is_nullable(sequence: Any) -> bool:
    """Whether it can match nothing."""
    return all(
        _name(item) in (*_ASSERTIONS, "GROUPREF", "GROUPREF_EXISTS")
        or (_name(item) in _REPEATS and (item[1][0] == 0 or _is_nullable(item[1][2])))
        or (_name(item) not in _REPEATS and any(map(_is_nullable, _inside(item))))
        for item in sequence
    )


def _first(sequence: Any) -> _Signs:
    """The characters that a match can start with."""
    signs: _Signs = frozenset()
    for item in sequence:
        if _name(item) not in _ASSERTIONS:
            inside = _inside(item)
            signs |= frozenset().union(*map(_first, inside)) if inside else _signs(item)
        if not _is_nullable([item]):
            break
    return signs


def _inside(item: Any) -> list[Any]:
    """The sequences inside an item."""
    name, content = _name(item), item[1]
    if name in _REPEATS or name in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
        return [content[-1]]
    if name == "ATOMIC_GROUP":
        return [content]
    return list(content[1]) if name == "BRANCH" else []


def _signs(item: Any) -> _Signs:
    """What a one-character item matches; all characters, for an item that this does not know."""
    name, content = _name(item), item[1]
    if name in ("LITERAL", "NOT_LITERAL"):
        same = frozenset([chr(content) if content < 128 else _OTHER])
        return same if name == "LITERAL" else (_SAMPLE - same) | {_OTHER}
    if name == "RANGE":
        low, high = content
        return frozenset(map(chr, range(low, min(high, 127) + 1))) | ({_OTHER} if high > 127 else set())
    if name == "CATEGORY":
        return _CATEGORIES[str(content)]
    if name == "IN":
        matched = frozenset().union(*(_signs(part) for part in content if _name(part) != "NEGATE"))
        return (_SAMPLE - matched) | {_OTHER} if _name(content[0]) == "NEGATE" else matched
    return _SAMPLE


def _name(item: Any) -> str:
    return str(item[0])


def _matched(expression: str) -> _Signs:
    return frozenset(sign for sign in _SAMPLE if re.match(expression, sign)) | {_OTHER}


_CATEGORIES = {
    "CATEGORY_DIGIT": _matched(r"\d"), "CATEGORY_NOT_DIGIT": _matched(r"\D"), "CATEGORY_SPACE": _matched(r"\s"),
    "CATEGORY_NOT_SPACE": _matched(r"\S"), "CATEGORY_WORD": _matched(r"\w"), "CATEGORY_NOT_WORD": _matched(r"\W"),
}  # fmt: skip
