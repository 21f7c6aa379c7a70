"""Anthropic's messages.

Taken from the public API reference: "Create a message", "Errors" (types by status, `request_id`), "Streaming messages" (named
events; input tokens in `message_start`, output tokens in `message_delta`), "Structured outputs" and "Tool use" (a tool that
must be called carries a schema, and its input is the answer).
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


def _read(body: Body, _: re.Match[str], __: str) -> Asked:
    system = text_of(body.get("system"))
    messages = [("system", system)] if system else []
    messages += [
        (str(one.get("role")), text_of(one.get("content"))) for one in objects_in(body.get("messages"))
    ]
    choice = object_in(body, "tool_choice")
    tool = str(choice.get("name", "")) if choice.get("type") == "tool" else ""
    schema = (object_in(body, "output_format") or object_in(object_in(body, "output_config"), "format")).get(
        "schema"
    )
    for one in objects_in(body.get("tools")):
        if tool and one.get("name") == tool:
            schema = one.get("input_schema")
    return Asked(
        str(body.get("model", "")),
        tuple(messages),
        count_in(body, "max_tokens"),
        schema,
        bool(body.get("stream")),
        tool=tool,
    )


def _problem(headers: Mapping[str, str], _: str, body: Body) -> str:
    if not headers.get("anthropic-version"):
        return "anthropic-version: header is required"
    if not count_in(body, "max_tokens"):
        return "max_tokens: Field required"
    return "" if objects_in(body.get("messages")) else "messages: at least one message is required"


def _input_of(asked: Asked, said: Said) -> Any:
    """The input of the tool that must be called, when the text is an object."""
    if not asked.tool:
        return None
    try:
        value = json.loads(said.text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _block(asked: Asked, said: Said) -> Body:
    value = _input_of(asked, said)
    if value is None:
        return {"type": "text", "text": said.text}
    return {"type": "tool_use", "id": "toolu_1", "name": asked.tool, "input": value}


def _stop(asked: Asked, said: Said) -> str:
    if said.is_cut:
        return "max_tokens"
    return "end_turn" if _input_of(asked, said) is None else "tool_use"


def _reply(asked: Asked, said: Said) -> Body:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [_block(asked, said)],
        "stop_reason": _stop(asked, said),
        "stop_sequence": None,
        "usage": {"input_tokens": said.tokens_in, "output_tokens": said.tokens_out},
    }


def _events(asked: Asked, said: Said) -> list[str]:
    block = _block(asked, said)
    half = len(said.text) // 2
    parts = [part for part in (said.text[:half], said.text[half:]) if part]
    if block["type"] == "text":
        begun: Body = {"type": "text", "text": ""}
        deltas: list[Body] = [{"type": "text_delta", "text": part} for part in parts]
    else:
        begun = {**block, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
    message = {**_reply(asked, said), "content": [], "stop_reason": None}
    message["usage"] = {"input_tokens": said.tokens_in, "output_tokens": 1}
    stop = {"stop_reason": _stop(asked, said), "stop_sequence": None}
    return [
        _event({"type": "message_start", "message": message}),
        _event({"type": "content_block_start", "index": 0, "content_block": begun}),
        _event({"type": "ping"}),
        *(_event({"type": "content_block_delta", "index": 0, "delta": delta}) for delta in deltas),
        _event({"type": "content_block_stop", "index": 0}),
        _event({"type": "message_delta", "delta": stop, "usage": {"output_tokens": said.tokens_out}}),
        _event({"type": "message_stop"}),
    ]


def _event(event: Body) -> str:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def _error(failure: Failure) -> Body:
    other = "invalid_request_error" if failure.status < 500 else "api_error"
    messages = {"key": "invalid x-api-key", "quota": QUOTA_SAID}
    error = {
        "type": _KINDS.get(failure.status, other),
        "message": messages.get(failure.kind, failure.message),
    }
    return {"type": "error", "error": error, "request_id": "req_1"}


WIRE = Wire(
    name="anthropic",
    path=re.compile(r"/v1/messages"),
    key_of=lambda headers, _: headers.get("x-api-key") or bearer(headers),
    read=_read,
    reply=_reply,
    events=_events,
    error=_error,
    error_events=lambda failure: [_event(_error(failure))],
    problem=_problem,
)
