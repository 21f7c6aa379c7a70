"""OpenAI's chat completions as bytes: the body of a request, and a reply or an error read from what came back.

Sources: OpenAI API reference, "Create chat completion" and "Error codes"; OpenRouter's documentation of `usage.cost` and
of errors inside replies; vLLM's and Azure's error bodies. What endpoints send is read leniently and never trusted.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ModelFailed
from orchestrator.models.model import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.errors import ModelFault
    from orchestrator.models.model import Finish, Prompt
    from orchestrator.models.names import Target

SHOWN_CHARS = 200
"""So much of what an endpoint said stands in an error."""

MAX_TOKENS = 10**9
MAX_USD = 1e6
"""No request costs more: what says so is no price."""

_COMPLETION_TOKENS = re.compile(r"^(o\d|gpt-5)")
QUOTA = re.compile(
    r"insufficient_quota|billing|credit balance|quota exceeded for|exceeded your current quota", re.IGNORECASE
)
_TOO_LONG = re.compile(
    r"context_length_exceeded|maximum context length|context window|prompt is too long|too many tokens",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model_not_found|model .{0,80}(does not exist|not found)|no such model|unknown model", re.IGNORECASE
)
_PASSING = re.compile(
    r"(try again|retry) in|rate limit reached|per[ -]min|requests per|tokens per", re.IGNORECASE
)
_MODERATED = re.compile(r"moderat|flagged|content policy|safety", re.IGNORECASE)
_SCHEMA = re.compile(r"response_format|json_schema|guided_json", re.IGNORECASE)


def body_of(prompt: Prompt, target: Target, *, with_schema: bool) -> bytes:
    """The body of a request."""
    own = target.provider == "openai" and _COMPLETION_TOKENS.match(target.model.rpartition("/")[2])
    fields: dict[str, Any] = {
        **target.options,  # below what the run decides: the budget counts on the length that it sends
        "model": target.model,
        "messages": [{"role": one.role, "content": one.content} for one in prompt.messages],
        "max_completion_tokens" if own else "max_tokens": prompt.max_tokens,
    }
    if prompt.schema is not None and with_schema:
        described = {"name": "answer", "schema": dict(prompt.schema)}
        fields["response_format"] = {"type": "json_schema", "json_schema": described}
    if target.provider == "openrouter":
        fields["usage"] = {"include": True}
    if target.stream:
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
    try:
        return json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can carry
        return json.dumps(fields).encode()


def reply_of(body: bytes, content_type: str) -> Reply:
    """The reply in a body that came with status 200. Raises ModelFailed, `junk` for what is none."""
    if "event-stream" in content_type:
        return _streamed(body)
    value = _json(body, content_type)
    if isinstance(value, dict) and value.get("error"):
        raise failure_of(_status_in(value["error"]), body, {})
    choice = _first(value, "choices", body, content_type)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise _junk(body, content_type)
    return _reply(_text(message.get("content")), choice.get("finish_reason"), value.get("usage"))


def failure_of(status: int, body: bytes, headers: Mapping[str, str]) -> ModelFailed:
    """The error of a response with this status."""
    message, code = _said(body)
    fault, retryable = _fault(status, f"{code} {message}")
    shown = f"the endpoint said {status}: {message}" if message else f"the endpoint said {status}"
    return ModelFailed(
        shown,
        fault,
        retryable=retryable,
        retry_after_s=_retry_after_s(headers.get("Retry-After") or headers.get("retry-after")),
        hint=_HINTS.get(fault, ""),
    )


def refuses_schema(error: ModelFailed) -> bool:
    """Whether an endpoint refused a request since it takes no schema for replies."""
    return error.fault == "rejected" and _SCHEMA.search(str(error)) is not None


def is_quota(said: str) -> bool:
    """Whether an error is of a quota that is used up, and not of a rate that passes: providers say both with 429."""
    return QUOTA.search(said) is not None and _PASSING.search(said) is None


_HINTS: dict[ModelFault, str] = {
    "auth": "the key is not accepted: look at the variable that holds it",
    "quota": "the account has no credit or quota left: look at the provider's billing page",
    "unknown_model": "`--model PROVIDER/NAME` names a model as its provider does",
}


def _fault(status: int, said: str) -> tuple[ModelFault, bool]:
    if status == 403 and _MODERATED.search(said):
        return "rejected", False  # this prompt, not the key
    if status in (401, 403):
        return "auth", False
    if status == 402 or (status in (400, 429) and is_quota(said)):
        return "quota", False
    if status == 429:
        return "rate", True
    if status in (408, 409) or status >= 500:
        return "server", True
    if _TOO_LONG.search(said) or status == 413:
        return "too_long", False
    if _NO_MODEL.search(said):
        return "unknown_model", False
    return "rejected", False


def _streamed(body: bytes) -> Reply:
    """The reply in server-sent events: the pieces put together, the usage of the last event that has one."""
    parts: list[str] = []
    finish: Any = None
    usage: Any = None
    n_events, is_torn = 0, False
    for (
        line
    ) in body.splitlines():  # of bytes: a text also has U+2028 and others that end a line for `str` alone
        if not line.startswith(b"data:") or (data := line[5:].strip()) in (b"", b"[DONE]"):
            continue
        event = _event(data)
        if event is None:
            is_torn = True
            continue
        if event.get("error"):
            raise failure_of(_status_in(event["error"]), data, {})
        n_events += 1
        usage = event.get("usage") or usage
        choices = event.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            delta = choices[0].get("delta")
            parts.append(_text(delta.get("content")) if isinstance(delta, dict) else "")
            finish = choices[0].get("finish_reason") or finish
    if not n_events:
        raise _junk(body, "text/event-stream")
    if finish is None:
        raise ModelFailed(
            "the stream ended before the reply did", "connection", retryable=True, was_sent=True
        )
    if is_torn:  # what it held may have been a piece of the reply
        raise _junk(body, "text/event-stream")
    return _reply("".join(parts), finish, usage)


def _event(data: bytes) -> dict[str, Any] | None:
    """An event; None for what is none."""
    try:
        event = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _reply(text: str, finish: Any, usage: Any) -> Reply:
    usage = usage if isinstance(usage, dict) else {}
    ends: dict[Any, Finish] = {"length": "length", "content_filter": "filtered"}
    return Reply(
        text,
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _cost(usage.get("cost")),
        ends.get(finish if isinstance(finish, str) else None, "stop"),
    )


def _text(content: Any) -> str:
    """The text of a message's content: a text, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(text for text in texts if isinstance(text, str))
    return ""


def _first(value: Any, name: str, body: bytes, content_type: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, list) or not found or not isinstance(found[0], dict):
        raise _junk(body, content_type)
    first: dict[str, Any] = found[0]
    return first


def _json(body: bytes, content_type: str) -> Any:
    try:
        return json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise _junk(body, content_type) from None


def _junk(body: bytes, content_type: str) -> ModelFailed:
    return ModelFailed(
        f"what came back is no chat completion ({content_type.partition(';')[0] or 'no type'}): {_shown(body)!r}",
        "junk",
        retryable=True,
        was_sent=True,
        hint="is this the right address? `api_base` in orchestrate.toml, or the provider's *_BASE variable, ends in /v1",
    )


def _said(body: bytes) -> tuple[str, str]:
    """What an error body says, and the provider's code for it."""
    try:
        value = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return _shown(body), ""
    if isinstance(value, list) and value:
        value = value[0]
    error = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(error, dict):
        return (error if isinstance(error, str) else _shown(body))[:SHOWN_CHARS], ""
    said = error.get("message") or error.get("detail") or ""
    code = " ".join(str(error[key]) for key in ("code", "type", "status") if error.get(key))
    said = str(said)[: 2 * SHOWN_CHARS]
    behind = error.get("metadata")  # OpenRouter's: what the provider behind it said
    if isinstance(behind, dict) and behind.get("raw"):
        said = f"{said}: {str(behind['raw'])[: 2 * SHOWN_CHARS]}"
    return said, code


def _status_in(error: Any) -> int:
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, str) and re.fullmatch(r"[45][0-9]{2}", code):
        return int(code)
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def _shown(body: bytes) -> str:
    return " ".join(body[: 4 * SHOWN_CHARS].decode("utf-8", "replace").split())[:SHOWN_CHARS]


def _count(value: Any) -> int | None:
    """A count of tokens. What is larger than any window is none."""
    return (
        value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TOKENS else None
    )


def _cost(value: Any) -> float | None:
    """Dollars that were charged. JSON as Python reads it has infinity too, which would end every budget."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MAX_USD:
        return None
    return float(value)


def _retry_after_s(value: str | None) -> float | None:
    """Seconds of a `Retry-After` header (RFC 9110, 10.2.3): a number, or a date."""
    if not value:
        return None
    try:
        return min(max(0.0, float(value)), 600.0)
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(0.0, (at - datetime.now(UTC)).total_seconds()), 600.0)
