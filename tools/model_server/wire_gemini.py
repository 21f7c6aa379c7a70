"""Gemini's generateContent, and streamGenerateContent with and without `alt=sse`.

Taken from the public API reference: "Generating content" (GenerateContentResponse, finish reasons, usage metadata), "Structured
output" (`responseSchema`, `responseJsonSchema`), "API errors" and Google's error model (`google.rpc.Status` with ErrorInfo and
RetryInfo). Google's own front answers a wrong key with 400 and a missing one with 403; here both get 401 UNAUTHENTICATED, as with
every other provider of this server, with the reason API_KEY_INVALID.
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
    count_in,
    object_in,
    objects_in,
    text_of,
)


def _key_of(headers: Mapping[str, str], target: str) -> str:
    found = re.search(r"[?&]key=([^&]*)", target)
    return headers.get("x-goog-api-key") or (found[1] if found else "")


def _read(body: Body, match: re.Match[str], target: str) -> Asked:
    config = object_in(body, "generationConfig", "generation_config")
    system = text_of(object_in(body, "systemInstruction", "system_instruction").get("parts"))
    messages = [("system", system)] if system else []
    messages += [
        ("assistant" if one.get("role") == "model" else "user", text_of(one.get("parts")))
        for one in objects_in(body.get("contents"))
    ]
    schema = object_in(
        config, "responseSchema", "response_schema", "responseJsonSchema", "response_json_schema"
    )
    streams = match["verb"] == "streamGenerateContent"
    max_tokens = count_in(config, "maxOutputTokens", "max_output_tokens")
    as_list = streams and not re.search(r"[?&]alt=sse(&|$)", target)
    return Asked(match["model"], tuple(messages), max_tokens, schema or None, streams, as_list=as_list)


def _problem(_: Mapping[str, str], __: str, body: Body) -> str:
    return (
        ""
        if objects_in(body.get("contents"))
        else "* GenerateContentRequest.contents: contents is not specified"
    )


def _reply(asked: Asked, said: Said) -> Body:
    return _part(asked, said, said.text, "MAX_TOKENS" if said.is_cut else "STOP")


def _part(asked: Asked, said: Said, text: str, finish: str | None) -> Body:
    candidate: Body = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    usage = {
        "promptTokenCount": said.tokens_in,
        "candidatesTokenCount": said.tokens_out,
        "totalTokenCount": said.tokens_in + said.tokens_out,
    }
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": asked.model,
        "responseId": "response-1",
    }


def _events(asked: Asked, said: Said) -> list[str]:
    half = len(said.text) // 2
    finish = "MAX_TOKENS" if said.is_cut else "STOP"
    parts = [(said.text[:half], None), (said.text[half:], finish)]
    return [f"data: {json.dumps(_part(asked, said, *part))}\r\n\r\n" for part in parts]


_KINDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def _error(failure: Failure) -> Body:
    messages = {"key": "API key not valid. Please pass a valid API key.", "quota": QUOTA_SAID}
    error: Body = {
        "code": failure.status,
        "message": messages.get(failure.kind, failure.message),
        "status": _KINDS.get(failure.status, "INVALID_ARGUMENT" if failure.status < 500 else "INTERNAL"),
    }
    if details := _details(failure):
        error["details"] = details
    return {"error": error}


def _details(failure: Failure) -> list[Any]:
    if failure.kind == "key":
        info = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        return [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info}]
    if failure.kind == "quota":
        violation = {"quotaMetric": "requests", "quotaId": "GenerateRequestsPerDay"}
        return [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}]
    if re.fullmatch(r"\d+(\.\d+)?", failure.retry_after):
        retry = {"retryDelay": f"{failure.retry_after}s"}
        return [{"@type": "type.googleapis.com/google.rpc.RetryInfo", **retry}]
    return []


WIRE = Wire(
    name="gemini",
    path=re.compile(
        r"(?:/v1beta|/v1)?/models/(?P<model>[^/:]+):(?P<verb>generateContent|streamGenerateContent)"
    ),
    key_of=_key_of,
    read=_read,
    reply=_reply,
    events=_events,
    error=_error,
    error_events=lambda failure: [f"data: {json.dumps(_error(failure))}\r\n\r\n"],
    problem=_problem,
)
