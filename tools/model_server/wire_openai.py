"""OpenAI's chat completions and the endpoints that speak alike, each with its own errors and additions.

Taken from the public documentation: OpenAI API reference (chat completion object and chunk, `stream_options`, error codes);
Azure OpenAI REST reference (deployment path, `api-key`, content filter results, error codes as texts); OpenRouter, "Errors
and Debugging", "Streaming" and "Usage Accounting" (numbers as codes, errors in 200 bodies, comments between events,
`usage.cost`); Portkey, "Headers", "Errors" of the gateway and "Common Errors" (its own errors have a `status`, those of a
provider are passed on under its name); vLLM, OpenAI-compatible server and its `ErrorResponse` (nested, the status as
`code`; `{"error": "Unauthorized"}` when it was started with a key); Ollama, OpenAI compatibility.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from model_server.shapes import (
    QUOTA_SAID,
    Asked,
    Body,
    Failure,
    Said,
    Wire,
    bearer,
    count_in,
    object_in,
    objects_in,
    text_of,
)

CREATED = 1_700_000_000
USD_IN, USD_OUT = 1e-6, 2e-6
"""What OpenRouter charges here for a token."""


def usd(tokens_in: int, tokens_out: int) -> float:
    """What OpenRouter says that a request cost."""
    return round(tokens_in * USD_IN + tokens_out * USD_OUT, 9)


# ------------------------------------------------------------------------------------------ OpenAI


def _read(body: Body, match: re.Match[str], _: str) -> Asked:
    return Asked(
        match.groupdict().get("model") or str(body.get("model", "")),
        tuple(
            (str(one.get("role")), text_of(one.get("content"))) for one in objects_in(body.get("messages"))
        ),
        count_in(body, "max_completion_tokens", "max_tokens"),
        object_in(object_in(body, "response_format"), "json_schema").get("schema"),
        bool(body.get("stream")),
        bool(object_in(body, "stream_options").get("include_usage")),
    )


def _problem(_: Mapping[str, str], __: str, body: Body) -> str:
    return "" if objects_in(body.get("messages")) else "Missing required parameter: 'messages'."


def _reply(asked: Asked, said: Said) -> Body:
    message: Body = {"role": "assistant", "content": said.text, "refusal": None}
    choice: Body = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(said)}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": CREATED,
        "model": asked.model,
        "choices": [choice],
        "usage": _usage(said),
    }


def _usage(said: Said) -> Body:
    return {
        "prompt_tokens": said.tokens_in,
        "completion_tokens": said.tokens_out,
        "total_tokens": said.tokens_in + said.tokens_out,
    }


def _finish(said: Said) -> str:
    return "length" if said.is_cut else "stop"


def _chunks(asked: Asked, said: Said) -> list[Body]:
    """The role, the text in two pieces, the end, and the usage where it is wanted."""
    half = len(said.text) // 2
    deltas: list[Body] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": part} for part in (said.text[:half], said.text[half:]) if part]
    choices: list[list[Body]] = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": _finish(said)}])
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": asked.model}
    if not asked.wants_usage:
        return [{**head, "choices": one} for one in choices]
    chunks: list[Body] = [{**head, "choices": one, "usage": None} for one in choices]
    return [*chunks, {**head, "choices": [], "usage": _usage(said)}]


def _as_events(chunks: list[Body]) -> list[str]:
    return [*(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks), "data: [DONE]\n\n"]


def _events(asked: Asked, said: Said) -> list[str]:
    return _as_events(_chunks(asked, said))


_OPENAI_KINDS: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("billing_error", "billing_hard_limit_reached"),
    403: ("request_forbidden", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    408: ("timeout", "timeout"),
    409: ("conflict_error", None),
    413: ("invalid_request_error", "request_too_large"),
    422: ("invalid_request_error", None),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("server_error", None),
}


def _error(failure: Failure) -> Body:
    kind, code = _OPENAI_KINDS.get(failure.status, ("server_error", None))
    if failure.kind == "quota":
        return _said("insufficient_quota", "insufficient_quota", QUOTA_SAID)
    if failure.kind == "key":
        return _said(kind, code, "Incorrect API key provided. You can find your API key in your account.")
    return _said(kind, code, failure.message)


def _said(kind: str, code: Any, message: str) -> Body:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


# ------------------------------------------------------------------------------------------ Azure


def _azure_problem(headers: Mapping[str, str], target: str, body: Body) -> str:
    if not re.search(r"[?&]api-version=[^&]", target):
        return "The api-version query parameter is missing."
    return _problem(headers, target, body)


def _azure_reply(asked: Asked, said: Said) -> Body:
    reply = _reply(asked, said)
    reply["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": {}}]
    reply["choices"][0]["content_filter_results"] = {}
    return reply


def _azure_events(asked: Asked, said: Said) -> list[str]:
    """The first event has no choices: it tells of the prompt's filter."""
    filtered = [{"prompt_index": 0, "content_filter_results": {}}]
    first: Body = {
        "id": "",
        "object": "",
        "created": 0,
        "model": "",
        "choices": [],
        "prompt_filter_results": filtered,
    }
    return _as_events([first, *_chunks(asked, said)])


_AZURE_CODES = {
    404: "DeploymentNotFound",
    408: "Timeout",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}


def _azure_error(failure: Failure) -> Body:
    message = failure.message
    if failure.kind == "key":
        message = "Access denied due to invalid subscription key or wrong API endpoint."
    elif failure.kind == "quota":
        return {"error": {"code": "insufficient_quota", "message": QUOTA_SAID}}
    return {"error": {"code": _AZURE_CODES.get(failure.status, str(failure.status)), "message": message}}


# ------------------------------------------------------------------------------------------ OpenRouter


def _openrouter_read(body: Body, match: re.Match[str], target: str) -> Asked:
    asked = _read(body, match, target)
    return Asked(asked.model, asked.messages, asked.max_tokens, asked.schema, asked.streams, wants_usage=True)


def _openrouter_reply(asked: Asked, said: Said) -> Body:
    reply = _reply(asked, said)
    reply |= {"id": "gen-1", "provider": "Test"}
    reply["choices"][0]["native_finish_reason"] = _finish(said)
    reply["usage"]["cost"] = usd(said.tokens_in, said.tokens_out)
    return reply


def _openrouter_events(asked: Asked, said: Said) -> list[str]:
    chunks = _chunks(asked, said)
    chunks[-1]["usage"]["cost"] = usd(said.tokens_in, said.tokens_out)
    return [": OPENROUTER PROCESSING\n\n", *_as_events([{**chunk, "provider": "Test"} for chunk in chunks])]


def _openrouter_error(failure: Failure) -> Body:
    messages = {
        "key": "No auth credentials found",
        "quota": "Insufficient credits: quota exceeded for this account",
    }
    error: Body = {"code": failure.status, "message": messages.get(failure.kind, failure.message)}
    if not failure.kind:
        error["metadata"] = {"provider_name": "Test"}
    elif failure.kind == "quota":
        error["metadata"] = {"error_type": "insufficient_quota"}
    return {"error": error}


def _openrouter_error_events(failure: Failure) -> list[str]:
    """An error while the reply is written: at the top of an event, which ends its choice too."""
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    event = {
        "id": "gen-1",
        "object": "chat.completion.chunk",
        "choices": [choice],
        **_openrouter_error(failure),
    }
    return [": OPENROUTER PROCESSING\n\n", f"data: {json.dumps(event)}\n\n"]


# ------------------------------------------------------------------------------------------ Portkey


def _portkey_problem(headers: Mapping[str, str], target: str, body: Body) -> str:
    """It must be told where to go: by a header, or by `@provider/model`."""
    routes = ("x-portkey-provider", "x-portkey-config", "x-portkey-virtual-key")
    if not any(headers.get(name) for name in routes) and not str(body.get("model", "")).startswith("@"):
        return "Either x-portkey-config or x-portkey-provider header is required"
    return _problem(headers, target, body)


def _portkey_error(failure: Failure) -> Body:
    if failure.kind == "key":
        own: Body = {"type": "authentication_error", "code": "invalid_api_key", "message": "Invalid API Key"}
        return {"status": "failure", "message": "Portkey Error: Invalid API Key", "error": own}
    if failure.status == 400:
        own = {"type": "invalid_request_error", "code": None, "message": failure.message}
        return {"status": "failure", "message": failure.message, "error": own}
    passed_on = _error(failure)
    passed_on["error"]["message"] = f"openai error: {passed_on['error']['message']}"
    return {**passed_on, "provider": "openai"}


# ------------------------------------------------------------------------------------------ vLLM, Ollama

_VLLM_KINDS = {
    400: "BadRequestError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}


def _vllm_error(failure: Failure) -> Body:
    if failure.kind == "key":
        return {"error": "Unauthorized"}
    if failure.kind == "quota":
        return _said("insufficient_quota", failure.status, QUOTA_SAID)
    return _said(_VLLM_KINDS.get(failure.status, "APIError"), failure.status, failure.message)


def _ollama_error(failure: Failure) -> Body:
    if failure.kind == "quota":
        return _said("insufficient_quota", None, QUOTA_SAID)
    kinds = {400: "invalid_request_error", 404: "not_found_error"}
    return _said(kinds.get(failure.status, "api_error"), None, failure.message)


def _ollama_reply(asked: Asked, said: Said) -> Body:
    return {**_reply(asked, said), "system_fingerprint": "fp_ollama"}


def _wire(name: str, path: str, **changes: Any) -> Wire:
    parts: dict[str, Any] = {
        "key_of": lambda headers, _: bearer(headers),
        "read": _read,
        "reply": _reply,
        "events": _events,
        "error": _error,
        "problem": _problem,
    } | changes
    error = parts["error"]
    parts.setdefault("error_events", lambda failure: [f"data: {json.dumps(error(failure))}\n\n"])
    return Wire(name=name, path=re.compile(path), **parts)


WIRES = (
    _wire(
        "portkey",
        r"/v1/chat/completions",
        is_for=lambda headers: any(name.startswith("x-portkey-") for name in headers),
        key_of=lambda headers, _: headers.get("x-portkey-api-key", ""),
        problem=_portkey_problem,
        error=_portkey_error,
    ),
    _wire(
        "openrouter",
        r"/api/v1/chat/completions",
        read=_openrouter_read,
        reply=_openrouter_reply,
        events=_openrouter_events,
        error=_openrouter_error,
        error_events=_openrouter_error_events,
    ),
    _wire("vllm", r"/vllm/v1/chat/completions", error=_vllm_error, needs_key=False),
    _wire("vllm", r"/vllm-with-key/v1/chat/completions", error=_vllm_error),
    _wire(
        "ollama", r"/ollama/v1/chat/completions", reply=_ollama_reply, error=_ollama_error, needs_key=False
    ),
    _wire(
        "azure",
        r"/openai/deployments/(?P<model>[^/]+)/chat/completions",
        key_of=lambda headers, _: headers.get("api-key", ""),
        problem=_azure_problem,
        reply=_azure_reply,
        events=_azure_events,
        error=_azure_error,
    ),
    _wire("openai", r"(?:/v1)?/chat/completions"),
)
"""`/v1` is OpenAI's, unless headers say Portkey; vLLM and Ollama stand under their names, as their paths are the same."""
