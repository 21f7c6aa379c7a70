"""What the fields of an event have to be, so that who reads a journal need not ask.

A journal may be damaged, edited, or of another program: its readers rely on this and on nothing else. Fields that are not
named here may hold any JSON value, and a field is missing only where no reader needs it. A field has one form, whichever
event it stands in.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CALL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12}){0,400}")
_MOST = 2**64


def flaw(head: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """What keeps this from being an event, in words; empty when nothing does."""
    for name, (is_one, wanted) in _HEAD.items():
        if not is_one(head[name]):
            return f"its `{name}` is not {wanted}"
    event, call = head["event"], head["call"]
    for name in _NEEDED.get(event, ()):
        if name not in fields:
            return f"a `{event}` without `{name}`"
    for name, value in fields.items():
        if name in _FORMS and not _FORMS[name][0](value):
            return f"its `{name}` is not {_FORMS[name][1]}"
    if event == "call_started" and fields.get("parent") not in (None, call.rpartition(".")[0]):
        return f"`{fields['parent']}` does not make the call `{call}`"
    return ""


def stand_in(name: str, reference: dict[str, Any]) -> Any:
    """What is shown for a field whose value is not there: the reference itself, where its form allows that."""
    form = _FORMS.get(name)
    if form in (_TEXT, _TEXT_OR_NONE):
        return f"(not there: {reference['$blob']})"
    return [] if form in (_MESSAGES, _NEEDS, _OBJECTS) else reference


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_amount(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= _MOST


def _is_bool(value: Any) -> bool:
    return type(value) is bool


def _is_object(value: Any) -> bool:
    return type(value) is dict


def _is_moment(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (ValueError, TypeError):
        return False


def _is_call(value: Any) -> bool:
    return _is_text(value) and _CALL.fullmatch(value) is not None


def _is_usage(value: Any) -> bool:
    return _is_object(value) and value.keys() == _OF_USAGE and all(map(_is_amount, value.values()))


def _is_process(value: Any) -> bool:
    if not _is_object(value) or not _is_text(value.get("host", "")):
        return False
    return _is_count(value.get("pid")) and value["pid"] < 2**31


def _is_need(value: Any) -> bool:
    if not _is_object(value) or not all(_is_text(value.get(name)) for name in ("id", "kind", "prompt")):
        return False
    return value["kind"] != "input" or _is_text(value.get("name"))


def _is_message(value: Any) -> bool:
    return _is_object(value) and all(_is_text(value.get(name)) for name in ("role", "content"))


def _is_check(value: Any) -> bool:
    return (
        _is_object(value)
        and _is_bool(value.get("passed"))
        and all(_is_text(value.get(name)) for name in ("name", "message"))
    )


def _is_attempt(value: Any) -> bool:
    if not _is_object(value) or not all(_is_text(value.get(name)) for name in ("strategy", "outcome")):
        return False
    return _is_usage(value.get("usage")) and _are(_is_check)(value.get("checks"))


def _is_models(value: Any) -> bool:
    return _is_object(value) and all(_or_none(_is_text)(one) for one in value.values())


def _are(is_one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: type(value) is list and all(map(is_one, value))


def _or_none(is_one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_one(value)


_OF_USAGE = {"calls", "tokens", "usd", "seconds"}
_TEXT = (_is_text, "a text")
_TEXT_OR_NONE = (_or_none(_is_text), "a text or null")
_COUNT = (_is_count, "a whole number from 0")
_AMOUNT = (_is_amount, "a number from 0")
_BOOL = (_is_bool, "true or false")
_OBJECT = (_is_object, "an object")
_OBJECT_OR_NONE = (_or_none(_is_object), "an object or null")
_USAGE = (_is_usage, "calls, tokens, usd and seconds")
_MESSAGES = (_are(_is_message), "messages with a role and a content")
_NEEDS = (_are(_is_need), "needs with an id, a kind and a prompt")
_OBJECTS = (_are(_is_object), "objects")

_Form = tuple["Callable[[Any], bool]", str]
_HEAD: dict[str, _Form] = {
    "seq": _COUNT, "at": (_is_moment, "an ISO 8601 time with an offset"), "run": _TEXT, "event": _TEXT,
    "call": (_is_call, "the id of a call, such as `0.2.1`"),
}  # fmt: skip
_FORMS: dict[str, _Form] = {
    **dict.fromkeys(("kind", "name", "outcome", "status", "source", "output", "message", "text", "fn", "hint", "printed",
                     "workflow", "raised", "advice", "node"), _TEXT),
    **dict.fromkeys(("error", "parent", "model", "problem", "strategy", "error_kind", "program",
                     "path", "version", "environment"), _TEXT_OR_NONE),
    **dict.fromkeys(("depth", "stage", "iteration", "cell", "line", "calls", "tokens", "tokens_in", "tokens_out", "seed",
                     "exit_code"), _COUNT),
    **dict.fromkeys(("usd", "duration_s"), _AMOUNT),
    **dict.fromkeys(("answered", "passed", "compacted", "retryable", "cut", "outlived", "accepts_prices"), _BOOL),
    **dict.fromkeys(("inputs", "skills", "limits", "programs", "context"), _OBJECT),
    **dict.fromkeys(("answers", "budget"), _OBJECT_OR_NONE),
    "usage": _USAGE, "needs": _NEEDS, "messages": _MESSAGES, "process": (_is_process, "a process with its number"),
    "checks": (_are(_is_check), "checks with their names, verdicts and messages"),
    "attempts": (_are(_is_attempt), "attempts with strategy, outcome, checks and usage"),
    "models": (_is_models, "models by their roles"),
}  # fmt: skip
_NEEDED: dict[str, tuple[str, ...]] = {
    "call_started": ("kind", "name"),
    "call_finished": ("outcome",),
    "iteration": ("strategy",),
    "reply": ("text",),
    "cell_started": ("cell", "source"),
    "cell_finished": ("output", "error", "answered", "duration_s"),
    "check": ("name", "passed"),
    "diverged": ("cell", "line", "message"),
    "noted": ("fn", "value"),
    "suspended": ("needs", "usage"),
    "run_finished": ("status", "usage"),
}
