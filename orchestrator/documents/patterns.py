"""Whether a regular expression can take exponential time because it repeats a repetition, as `(a+)+` does.

Python's `re` can't be interrupted, so such a pattern in somebody's schema would hang the run. A round of the outer
repetition is safe where it holds something that is always there and that the inner repetition can't match, as
the `-` in `[a-z]+(-[a-z]+)*`. A pattern that this can't tell about counts as safe.
"""

from __future__ import annotations

import re
from typing import Any

_parser: Any = re._parser  # type: ignore[attr-defined]  # the only parser of Python's own syntax; no public name
_REPEATS = {"MAX_REPEAT", "MIN_REPEAT"}
_ONE_CHARACTER = {"LITERAL", "NOT_LITERAL", "IN", "ANY", "RANGE", "CATEGORY"}
_SAMPLE = [chr(code) for code in range(128)] + ["é", "語", "\u00a0"]  # what a separator is tried against


def repeats_a_repetition(pattern: str) -> bool:
    """True where a repeated group holds a repetition that can match all of what separates its rounds."""
    return _is_risky(_parser.parse(pattern))


def _is_risky(sequence: Any) -> bool:
    return any(
        (_is_endless(item) and _is_ambiguous(item[1][2])) or any(map(_is_risky, _inside(item)))
        for item in sequence
    )


def _is_ambiguous(body: Any) -> bool:
    """Whether two rounds of `body` can share their text between them in more than one way."""
    items = _flattened(body)
    inner = [item for item in items if _is_endless(item)]
    if not inner:
        return any(
            _is_ambiguous(part) for item in items for part in _inside(item) if str(item[0]) == "BRANCH"
        )
    matched = {sign for item in inner for sign in _signs(item[1][2])}
    return all(_signs([item]) <= matched for item in items if not _is_endless(item) and _is_needed(item))


def _flattened(body: Any) -> list[Any]:
    """The items of a sequence, with plain groups replaced by what they hold."""
    items: list[Any] = []
    for item in body:
        items.extend(_flattened(item[1][-1]) if str(item[0]) == "SUBPATTERN" else [item])
    return items


def _is_endless(item: Any) -> bool:
    return str(item[0]) in _REPEATS and item[1][1] is _parser.MAXREPEAT


def _is_needed(item: Any) -> bool:
    """Whether every match has this item; an assertion has no width and separates nothing."""
    name = str(item[0])
    return name in _ONE_CHARACTER or (name in _REPEATS and item[1][0] > 0) or name == "BRANCH"


def _inside(item: Any) -> list[Any]:
    """The sequences inside an item."""
    name, content = str(item[0]), item[1]
    if name in _REPEATS or name in ("SUBPATTERN", "ATOMIC_GROUP", "ASSERT", "ASSERT_NOT"):
        return [content if name == "ATOMIC_GROUP" else content[-1]]
    if name == "BRANCH":
        return list(content[1])
    return []


def _signs(sequence: Any) -> frozenset[str]:
    """The sample characters that some one-character item in the sequence matches."""
    found: set[str] = set()
    for item in sequence:
        name, content = str(item[0]), item[1]
        if name == "LITERAL":
            found.add(chr(content))
        elif name == "NOT_LITERAL":
            found.update(sign for sign in _SAMPLE if ord(sign) != content)
        elif name == "ANY":
            found.update(sign for sign in _SAMPLE if sign != "\n")
        elif name == "IN":
            found.update(_class_signs(content))
        else:
            for part in _inside(item):
                found |= _signs(part)
    return frozenset(found)


def _class_signs(content: Any) -> set[str]:
    """The sample characters of a class such as `[a-z_]`."""
    matched: set[str] = set()
    negated = False
    for item in content:
        name, value = str(item[0]), item[1]
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            matched.add(chr(value))
        elif name == "RANGE":
            matched.update(sign for sign in _SAMPLE if value[0] <= ord(sign) <= value[1])
        elif name == "CATEGORY":
            expression = re.compile(_CATEGORIES.get(str(value), "."), re.DOTALL)
            matched.update(sign for sign in _SAMPLE if expression.match(sign))
    return set(_SAMPLE) - matched if negated else matched


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s", "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip
