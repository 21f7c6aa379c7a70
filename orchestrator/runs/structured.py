"""A model's text as the JSON value that it was asked for, or what is wrong with it."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from orchestrator.strategies.reply import fences

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARS = 2_000_000
"""A longer text is not looked through for a value; it may still be one as a whole."""

_NOTHING = object()


def asked_for(schema: Mapping[str, Any]) -> str:
    """What a model is told that has to answer with a value."""
    written = json.dumps(schema, ensure_ascii=False)
    return f"Answer with one JSON value and nothing else. It has to meet this JSON Schema:\n{written}"


def asked_again(problem: str) -> str:
    """What a model is told whose answer was none."""
    return f"That can't be used: {problem}. Answer again, with the corrected JSON value and nothing else."


def read_value(text: str, schema: Mapping[str, Any]) -> tuple[Any, str]:
    """The value in a text and an empty problem; or None and the problem, in a sentence for the model."""
    from orchestrator.documents.schemas import compiled  # here: jsonschema takes long to import

    value = _found(text)
    if value is _NOTHING and schema.get("type") == "string":
        value = text.strip()
    if value is _NOTHING:
        return None, "it holds no JSON value"
    problems = compiled(dict(schema)).problems(value)
    if problems:
        listed = "; ".join(f"{one.path}: expected {one.expected}, got {one.got}" for one in problems[:5])
        return None, f"it does not meet the schema: {listed}"
    return value, ""


def _found(text: str) -> Any:
    """The text as JSON, else its last fenced block, else the first object or array that stands in it."""
    fenced = [one.source for one in fences(text.replace("\r\n", "\n"))] if len(text) <= MAX_CHARS else []
    for candidate in (text, *reversed(fenced[-20:])):
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    decoder = json.JSONDecoder()
    for match in islice(re.finditer(r"[\[{]", text[:MAX_CHARS]), 20):
        try:
            return decoder.raw_decode(text, match.start())[0]
        except (ValueError, RecursionError):
            continue
    return _NOTHING
