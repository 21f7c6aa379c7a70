"""How each provider's requests and replies look.

Sources: OpenAI API reference (chat completions, error codes); Anthropic API reference (messages, errors, streaming);
Gemini API reference (generateContent); Azure OpenAI REST reference; documentation of OpenRouter, Portkey, vLLM and
Ollama of their OpenAI-compatible endpoints.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from model_server.policies import Seen

KEY = "test-key"

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """An answer with its figures, ready to be written as a provider would."""

    text: str
    tokens_in: int
    tokens_out: int
    cut: bool = False  # at `max_tokens`


@dataclass(frozen=True, slots=True)
class Wire:
    """One provider: which paths are its, how a key comes, and how things are said there."""

    name: str
    path: re.Pattern[str]
    key_of: Callable[[Mapping[str, str], str], str]
    read: Callable[[Body, re.Match[str]], tuple[str, list[tuple[str, str]], int | None, Any]]
    reply: Callable[[str, Said], Body]
    events: Callable[[str, Said], list[str]]
    error: Callable[[int, str, str], Any]
    needs_key: bool = True


def wire_of(path: str, headers: Mapping[str, str]) -> tuple[Wire, re.Match[str]] | None:
    """The provider that a request is for."""
    bare = path.partition("?")[0]
    for wire in WIRES:
        match = wire.path.fullmatch(bare)
        if match is not None and (wire.name != "portkey" or "x-portkey-api-key" in headers):
            return wire, match
    return None


def seen_of(
    wire: Wire, match: re.Match[str], body: Body, number: int, headers: Mapping[str, str], n_bytes: int
) -> Seen:
    """A request as a policy sees it."""
    model, messages, max_tokens, schema = wire.read(body, match)
    return Seen(wire.name, model, tuple(messages), max_tokens, schema, number, headers, n_bytes)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


def _bearer(headers: Mapping[str, str], _: str) -> str:
    return headers.get("authorization", "").removeprefix("Bearer ")


# ------------------------------------------------------------------------------------------ OpenAI and its kin


def _openai_read(body: Body, match: re.Match[str]) -> tuple[str, list[tuple[str, str]], int | None, Any]:
    model = match.groupdict().get("model") or str(body.get("model", ""))
    messages = [(str(one.get("role")), _text(one.get("content"))) for one in body.get("messages", ())]
    max_tokens = body.get("max_completion_tokens", body.get("max_tokens"))
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    return model, messages, max_tokens, schema


def _openai_reply(model: str, said: Said) -> Body:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": said.text},
                "finish_reason": "length" if said.cut else "stop",
            }
        ],
        "usage": _openai_usage(said),
    }


def _openai_usage(said: Said) -> Body:
    return {
        "prompt_tokens": said.tokens_in,
        "completion_tokens": said.tokens_out,
        "total_tokens": said.tokens_in + said.tokens_out,
    }


def _openai_events(model: str, said: Said) -> list[str]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model}
    half = len(said.text) // 2
    chunks: list[Body] = [
        {
            **head,
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}],
        },
        *(
            {**head, "choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]}
            for part in (said.text[:half], said.text[half:])
        ),
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "length" if said.cut else "stop"}]},
        {**head, "choices": [], "usage": _openai_usage(said)},
    ]
    return [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]


def _openai_error(status: int, code: str, message: str) -> Body:
    return {"error": {"message": message, "type": code, "param": None, "code": code}}


def _vllm_error(status: int, code: str, message: str) -> Body:
    return {"object": "error", "message": message, "type": code, "param": None, "code": status}


def _azure_error(status: int, code: str, message: str) -> Body:
    return {"error": {"code": str(status), "message": message}}


def _openrouter_error(status: int, code: str, message: str) -> Body:
    return {"error": {"code": status, "message": message, "metadata": {"provider_name": "test"}}}


def _openrouter_reply(model: str, said: Said) -> Body:
    reply = _openai_reply(model, said)
    reply["usage"]["cost"] = round(said.tokens_in * 1e-6 + said.tokens_out * 2e-6, 9)
    return reply


# ------------------------------------------------------------------------------------------ Anthropic


def _anthropic_key(headers: Mapping[str, str], _: str) -> str:
    return headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")


def _anthropic_read(body: Body, _: re.Match[str]) -> tuple[str, list[tuple[str, str]], int | None, Any]:
    system = _text(body.get("system"))
    messages = [("system", system)] if system else []
    messages += [(str(one.get("role")), _text(one.get("content"))) for one in body.get("messages", ())]
    return str(body.get("model", "")), messages, body.get("max_tokens"), None


def _anthropic_reply(model: str, said: Said) -> Body:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": said.text}],
        "stop_reason": "max_tokens" if said.cut else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": said.tokens_in, "output_tokens": said.tokens_out},
    }


def _anthropic_events(model: str, said: Said) -> list[str]:
    begun = {**_anthropic_reply(model, said), "content": [], "stop_reason": None}
    stop = "max_tokens" if said.cut else "end_turn"
    events: list[Body] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": said.text}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop},
            "usage": {"output_tokens": said.tokens_out},
        },
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]


def _anthropic_error(status: int, code: str, message: str) -> Body:
    kinds = {
        401: "authentication_error",
        429: "rate_limit_error",
        400: "invalid_request_error",
        529: "overloaded_error",
    }
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}


# ------------------------------------------------------------------------------------------ Gemini


def _gemini_key(headers: Mapping[str, str], path: str) -> str:
    found = re.search(r"[?&]key=([^&]*)", path)
    return headers.get("x-goog-api-key") or (found[1] if found else "")


def _gemini_read(body: Body, match: re.Match[str]) -> tuple[str, list[tuple[str, str]], int | None, Any]:
    system = body.get("system_instruction") or body.get("systemInstruction") or {}
    config = body.get("generationConfig") or {}
    messages = [("system", text)] if (text := _text(system.get("parts"))) else []
    roles = {"model": "assistant"}
    messages += [
        (roles.get(str(one.get("role")), "user"), _text(one.get("parts"))) for one in body.get("contents", ())
    ]
    schema = config.get("responseSchema") or config.get("response_schema") or config.get("responseJsonSchema")
    return match["model"], messages, config.get("maxOutputTokens", config.get("max_output_tokens")), schema


def _gemini_reply(model: str, said: Said) -> Body:
    return {
        "candidates": [
            {
                "content": {"role": "model", "parts": [{"text": said.text}]},
                "finishReason": "MAX_TOKENS" if said.cut else "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": said.tokens_in,
            "candidatesTokenCount": said.tokens_out,
            "totalTokenCount": said.tokens_in + said.tokens_out,
        },
        "modelVersion": model,
    }


def _gemini_events(model: str, said: Said) -> list[str]:
    return [f"data: {json.dumps(_gemini_reply(model, said))}\n\n"]


def _gemini_error(status: int, code: str, message: str) -> Body:
    kinds = {
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        429: "RESOURCE_EXHAUSTED",
        400: "INVALID_ARGUMENT",
    }
    return {"error": {"code": status, "message": message, "status": kinds.get(status, "INTERNAL")}}


def _portkey_key(headers: Mapping[str, str], _: str) -> str:
    return headers.get("x-portkey-api-key", "")


def _azure_key(headers: Mapping[str, str], _: str) -> str:
    return headers.get("api-key") or headers.get("authorization", "").removeprefix("Bearer ")


def _like_openai(name: str, path: str, **changes: Any) -> Wire:
    parts: dict[str, Any] = {
        "key_of": _bearer,
        "read": _openai_read,
        "reply": _openai_reply,
        "events": _openai_events,
        "error": _openai_error,
    }
    return Wire(name=name, path=re.compile(path), **{**parts, **changes})


WIRES = (
    _like_openai("portkey", r"/v1/chat/completions", key_of=_portkey_key),
    _like_openai("openrouter", r"/api/v1/chat/completions", reply=_openrouter_reply, error=_openrouter_error),
    _like_openai("vllm", r"/vllm/v1/chat/completions", error=_vllm_error, needs_key=False),
    _like_openai("ollama", r"/ollama/v1/chat/completions", needs_key=False),
    _like_openai(
        "azure", r"/openai/deployments/(?P<model>[^/]+)/chat/completions", key_of=_azure_key, error=_azure_error
    ),
    Wire(
        "anthropic", re.compile(r"/v1/messages"), _anthropic_key, _anthropic_read, _anthropic_reply, _anthropic_events,
        _anthropic_error,
    ),
    Wire(
        "gemini", re.compile(r"(?:/v1beta|/v1)?/models/(?P<model>[^/:]+):(?P<verb>generateContent|streamGenerateContent)"),
        _gemini_key, _gemini_read, _gemini_reply, _gemini_events, _gemini_error,
    ),
    _like_openai("openai", r"(?:/v1)?/chat/completions"),
)  # fmt: skip
