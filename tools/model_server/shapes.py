"""What every provider's wire is made of, and what is alike in all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

KEY = "test-key"
"""Keys that are accepted begin with it."""

QUOTA_SAID = "You exceeded your current quota, please check your plan and billing details."

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as its provider reads it.

    `tool`: the one tool that must be called, which carries the schema. `as_list`: a stream comes as one JSON list
    instead of events, which only Gemini does.
    """

    model: str
    messages: tuple[tuple[str, str], ...]
    max_tokens: int | None
    schema: Any = None
    streams: bool = False
    wants_usage: bool = True  # a stream says what it counted only where this is asked for
    tool: str = ""
    as_list: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """An answer with its figures, ready to be written as a provider would."""

    text: str
    tokens_in: int
    tokens_out: int
    is_cut: bool = False  # at `max_tokens`


@dataclass(frozen=True, slots=True)
class Failure:
    """An error before it has a provider's shape. `kind`: `key` (not accepted), `quota`, or nothing in particular."""

    status: int
    message: str
    kind: str = ""
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class Wire:
    """One provider: which paths are its, how a key comes, and how things are said there.

    `events` are those of a stream, each whole. `problem` says what a request lacks, which is answered with 400.
    """

    name: str
    path: re.Pattern[str]
    key_of: Callable[[Mapping[str, str], str], str]
    read: Callable[[Body, re.Match[str], str], Asked]
    reply: Callable[[Asked, Said], Body]
    events: Callable[[Asked, Said], list[str]]
    error: Callable[[Failure], Any]
    error_events: Callable[[Failure], list[str]]
    problem: Callable[[Mapping[str, str], str, Body], str] = field(default=lambda *_: "")
    is_for: Callable[[Mapping[str, str]], bool] = field(default=lambda _: True)
    needs_key: bool = True


def text_of(content: Any) -> str:
    """The text of a message's content, or of a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return ""


def objects_in(value: Any) -> list[Body]:
    """The objects of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def object_in(body: Body, *names: str) -> Body:
    """The object under the first of these names that has one, or an empty one."""
    return next((body[name] for name in names if isinstance(body.get(name), dict)), {})


def count_in(body: Body, *names: str) -> int | None:
    """The count under the first of these names that has one."""
    found = (body.get(name) for name in names)
    return next((value for value in found if type(value) is int and value >= 0), None)


def bearer(headers: Mapping[str, str]) -> str:
    """The token of an `Authorization` header."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
