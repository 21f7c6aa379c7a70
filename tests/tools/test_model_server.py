"""The loopback model server: every provider's shapes, every fault, and counts that are exact."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_server import Answer, Fault, ModelServer, scripted
from model_server.faults import fault_of
from model_server.http11 import MAX_BODY_BYTES, BadRequest, Reader, Request

TOOLS = Path(__file__).parents[2] / "tools"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
DEADLINE_S = 20.0


# ------------------------------------------------------------------------------------------ a plain client


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def events(self):
        """What stands after `data:` in each event, as values."""
        assert self.headers["content-type"] == "text/event-stream"
        data = re.findall(r"^data: (.*?)\r?$", self.body.decode(), re.MULTILINE)
        return [one if one == "[DONE]" else json.loads(one) for one in data]


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def send(url: str, path: str, body=None, headers=None, method: str = "POST") -> Response:
    connection = http.client.HTTPConnection(*address(url), timeout=DEADLINE_S)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, headers or {})
        response = connection.getresponse()
        return Response(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
    finally:
        connection.close()


@dataclass(frozen=True)
class Provider:
    """How one provider is asked, and where in its replies things stand."""

    path: str
    key: dict[str, str]
    wire: str
    shape: str = "openai"
    headers: dict[str, str] = field(default_factory=dict)
    stream_path: str = ""

    def body(
        self, text="hello", *, system="be brief", max_tokens=100, schema=None, stream=False, model="m-1"
    ):
        if self.shape == "gemini":
            config = {"maxOutputTokens": max_tokens, **({"responseSchema": schema} if schema else {})}
            return {
                "systemInstruction": {"parts": [{"text": system}]},
                "contents": [{"role": "user", "parts": [{"text": text}]}],
                "generationConfig": config,
            }
        turn = {"role": "user", "content": text}
        if self.shape == "anthropic":
            body = {"model": model, "max_tokens": max_tokens, "system": system, "messages": [turn]}
            if schema:
                body["output_format"] = {"type": "json_schema", "schema": schema}
            return {**body, "stream": True} if stream else body
        messages = [{"role": "system", "content": system}, turn]
        body = {"model": model, "max_tokens": max_tokens, "messages": messages}
        if schema:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
        return {**body, "stream": True, "stream_options": {"include_usage": True}} if stream else body

    def ask(self, server, text="hello", *, key=None, stream=False, **changes) -> Response:
        path = self.stream_path if stream and self.stream_path else self.path
        headers = {**(self.key if key is None else key), **self.headers}
        return send(server.url, path, self.body(text, stream=stream, **changes), headers)

    def said(self, value) -> tuple[str, str, int, int]:
        """Text, finish reason and figures of a reply."""
        if self.shape == "gemini":
            one, usage = value["candidates"][0], value["usageMetadata"]
            text = "".join(part["text"] for part in one["content"]["parts"])
            return text, one["finishReason"], usage["promptTokenCount"], usage["candidatesTokenCount"]
        if self.shape == "anthropic":
            usage = value["usage"]
            return (
                value["content"][0]["text"], value["stop_reason"], usage["input_tokens"], usage["output_tokens"]
            )  # fmt: skip
        one, usage = value["choices"][0], value["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        return (
            one["message"]["content"],
            one["finish_reason"],
            usage["prompt_tokens"],
            usage["completion_tokens"],
        )

    def streamed(self, events) -> tuple[str, str, int, int]:
        """The same of a stream."""
        if self.shape == "gemini":
            text = "".join(event["candidates"][0]["content"]["parts"][0]["text"] for event in events)
            return text, *self.said(events[-1])[1:]
        if self.shape == "anthropic":
            by_type = {event["type"]: event for event in events}
            deltas = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
            assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
            end = by_type["message_delta"]
            n_in = by_type["message_start"]["message"]["usage"]["input_tokens"]
            return "".join(deltas), end["delta"]["stop_reason"], n_in, end["usage"]["output_tokens"]
        assert events[-1] == "[DONE]"
        choices = [event["choices"][0] for event in events[:-1] if event["choices"]]
        usage = events[-2]["usage"]
        assert events[-2]["choices"] == []
        assert not any(event.get("usage") for event in events[:-2])
        text = "".join(one["delta"].get("content", "") for one in choices)
        return text, choices[-1]["finish_reason"], usage["prompt_tokens"], usage["completion_tokens"]


BEARER = {"Authorization": "Bearer test-key-1"}

PROVIDERS = {
    "openai": Provider("/v1/chat/completions", BEARER, "openai"),
    "azure": Provider(
        "/openai/deployments/m-1/chat/completions?api-version=2024-10-21", {"api-key": "test-key"}, "azure"
    ),
    "openrouter": Provider("/api/v1/chat/completions", BEARER, "openrouter"),
    "portkey": Provider(
        "/v1/chat/completions",
        {"x-portkey-api-key": "test-key"},
        "portkey",
        headers={"x-portkey-provider": "openai"},
    ),
    "vllm": Provider("/vllm/v1/chat/completions", {}, "vllm"),
    "vllm-with-key": Provider("/vllm-with-key/v1/chat/completions", BEARER, "vllm"),
    "ollama": Provider("/ollama/v1/chat/completions", {}, "ollama"),
    "anthropic": Provider(
        "/v1/messages",
        {"x-api-key": "test-key"},
        "anthropic",
        "anthropic",
        {"anthropic-version": "2023-06-01"},
    ),
    "gemini": Provider(
        "/v1beta/models/m-1:generateContent",
        {"x-goog-api-key": "test-key"},
        "gemini",
        "gemini",
        stream_path="/v1beta/models/m-1:streamGenerateContent?alt=sse",
    ),
}
OPENAI = PROVIDERS["openai"]
every_provider = pytest.mark.parametrize("name", PROVIDERS)

ENDS = {
    "openai": ("stop", "length"),
    "anthropic": ("end_turn", "max_tokens"),
    "gemini": ("STOP", "MAX_TOKENS"),
}


# ------------------------------------------------------------------------------------------ replies


@every_provider
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_reply_has_its_providers_shape(name, stream):
    provider = PROVIDERS[name]
    with ModelServer(lambda _: Answer("héllo", 12, 3)) as server:
        response = provider.ask(server, stream=stream)
        assert response.status == 200
        said = provider.streamed(response.events) if stream else provider.said(response.json)
    assert said == ("héllo", ENDS[provider.shape][0], 12, 3)
    assert (server.counts.tokens_in, server.counts.tokens_out) == (12, 3)


@every_provider
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_reply_ends_at_max_tokens_and_says_so(name, stream):
    provider = PROVIDERS[name]
    with ModelServer(lambda _: Answer("é" * 100)) as server:
        response = provider.ask(server, "abcd", system="12345678", max_tokens=5, stream=stream)
        said = provider.streamed(response.events) if stream else provider.said(response.json)
    assert said == ("é" * 10, ENDS[provider.shape][1], 3, 5)


@every_provider
def test_a_policy_sees_the_same_whatever_the_provider(name):
    provider = PROVIDERS[name]
    with ModelServer() as server:
        assert provider.ask(server, "how many?", schema=SCHEMA).status == 200
    (seen,) = server.requests
    assert (seen.provider, seen.model, seen.max_tokens, seen.schema) == (provider.wire, "m-1", 100, SCHEMA)
    assert seen.messages == (("system", "be brief"), ("user", "how many?"))
    assert (seen.number, seen.last, seen.n_prompt_bytes) == (1, "how many?", 17)
    assert json.loads(seen.body) == provider.body("how many?", schema=SCHEMA)
    assert {key.lower(): value for key, value in provider.key.items()}.items() <= seen.headers.items()


def test_parts_of_a_message_are_one_text():
    with ModelServer() as server:
        parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, {"text": "b"}, 3]
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": parts}, {"role": "user", "content": None}],
        }
        assert send(server.url, OPENAI.path, body, BEARER).status == 200
    assert server.requests[0].messages == (("user", "ab"), ("user", ""))


def test_a_stream_without_usage_counts_no_tokens():
    with ModelServer() as server:
        body = {**OPENAI.body(), "stream": True}
        events = send(server.url, OPENAI.path, body, BEARER).events
    assert not any("usage" in event for event in events[:-1])
    assert (server.counts.requests, server.counts.tokens_in, server.counts.tokens_out) == (1, 0, 0)


def test_openrouter_says_what_it_charges():
    with ModelServer(lambda _: Answer("x", 1000, 10)) as server:
        provider = PROVIDERS["openrouter"]
        assert provider.ask(server).json["usage"]["cost"] == pytest.approx(0.00102)
        response = provider.ask(server, stream=True)
        assert response.body.startswith(b": OPENROUTER PROCESSING\n\n")
        assert response.events[-2]["usage"]["cost"] == pytest.approx(0.00102)


def test_azure_streams_an_event_without_choices_first():
    with ModelServer() as server:
        first = PROVIDERS["azure"].ask(server, stream=True).events[0]
    assert (first["choices"], first["prompt_filter_results"][0]["prompt_index"]) == ([], 0)


def test_anthropic_answers_with_the_tool_that_must_be_called():
    provider = PROVIDERS["anthropic"]
    tools = {
        "tools": [{"name": "reply", "input_schema": SCHEMA}],
        "tool_choice": {"type": "tool", "name": "reply"},
    }
    headers = {**provider.key, **provider.headers}
    with ModelServer(lambda _: Answer('{"n": 7}')) as server:
        value = send(server.url, provider.path, provider.body() | tools, headers).json
        events = send(server.url, provider.path, provider.body(stream=True) | tools, headers).events
    assert value["content"] == [{"type": "tool_use", "id": "toolu_1", "name": "reply", "input": {"n": 7}}]
    assert value["stop_reason"] == "tool_use"
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert json.loads("".join(delta["partial_json"] for delta in deltas)) == {"n": 7}
    assert server.requests[0].schema == SCHEMA


def test_gemini_streams_a_list_unless_asked_for_events():
    provider = PROVIDERS["gemini"]
    with ModelServer() as server:
        path = "/v1beta/models/m-1:streamGenerateContent"
        parts = send(server.url, path, provider.body(), provider.key).json
        by_query = send(server.url, f"{provider.path}?key=test-key", provider.body())
    assert provider.streamed(parts)[0] == "hello"
    assert by_query.status == 200


# ------------------------------------------------------------------------------------------ errors

REFUSED = {
    "openai": lambda said: said["error"]["code"] == "invalid_api_key",
    "azure": lambda said: said["error"]["code"] == "401" and "subscription key" in said["error"]["message"],
    "openrouter": lambda said: said["error"] == {"code": 401, "message": "No auth credentials found"},
    "portkey": lambda said: said["status"] == "failure" and said["message"].startswith("Portkey Error"),
    "vllm": lambda said: said == {"error": "Unauthorized"},
    "anthropic": lambda said: said["type"] == "error" and said["error"]["type"] == "authentication_error",
    "gemini": lambda said: (
        said["error"]["status"] == "UNAUTHENTICATED"
        and said["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    ),
}


@every_provider
def test_a_key_that_is_missing_or_wrong_is_refused_where_one_is_needed(name):
    provider = PROVIDERS[name]
    wrong = {key: value.replace("test-key", "other-key") for key, value in provider.key.items()}
    with ModelServer() as server:
        responses = [provider.ask(server, key=key) for key in ({}, wrong)]
    if not provider.key:
        assert [one.status for one in responses] == [200, 200]
        return
    for response in responses:
        assert response.status == 401
        assert REFUSED[provider.wire](response.json), response.json
    assert (server.counts.requests, server.requests) == (2, [])


def test_keys_pass_unchecked_when_asked_for():
    with ModelServer(check_keys=False) as server:
        assert OPENAI.ask(server, key={}).status == 200


KINDS = {  # where the kind of an error stands, and what it is for 429, 500 and an exhausted quota
    "openai": (lambda said: said["error"]["code"] or said["error"]["type"],
               ("rate_limit_exceeded", "server_error", "insufficient_quota")),
    "azure": (lambda said: said["error"]["code"], ("429", "InternalServerError", "insufficient_quota")),
    "openrouter": (lambda said: said["error"]["code"], (429, 500, 429)),
    "portkey": (lambda said: said["error"]["type"], ("requests", "server_error", "insufficient_quota")),
    "vllm": (lambda said: said["error"]["type"],
             ("RateLimitError", "InternalServerError", "insufficient_quota")),
    "ollama": (lambda said: said["error"]["type"], ("api_error", "api_error", "insufficient_quota")),
    "anthropic": (lambda said: said["error"]["type"], ("rate_limit_error", "api_error", "rate_limit_error")),
    "gemini": (lambda said: said["error"]["status"], ("RESOURCE_EXHAUSTED", "INTERNAL", "RESOURCE_EXHAUSTED")),
}  # fmt: skip


@every_provider
def test_errors_have_their_providers_shape(name):
    provider = PROVIDERS[name]
    faults = [Fault("status", 429, 7), Fault("status", 500), Fault("quota")]
    with ModelServer(faults=faults) as server:
        responses = [provider.ask(server) for _ in faults]
    kind_of, kinds = KINDS[provider.wire]
    assert [one.status for one in responses] == [429, 500, 429]
    assert tuple(kind_of(one.json) for one in responses) == kinds
    assert [one.headers.get("retry-after") for one in responses] == ["7", None, None]
    assert "quota" in str(responses[2].json)
    assert (server.counts.tokens_in, server.counts.tokens_out) == (0, 0)


@pytest.mark.parametrize("status", [401, 402, 408, 409, 503, 529])
def test_every_status_can_be_put_in(status):
    with ModelServer(faults=[Fault("status", status)] * len(PROVIDERS)) as server:
        assert {provider.ask(server).status for provider in PROVIDERS.values()} == {status}


def test_gemini_says_how_long_to_wait_in_the_body_too():
    with ModelServer(faults=[Fault("status", 429, 2)]) as server:
        (detail,) = PROVIDERS["gemini"].ask(server).json["error"]["details"]
    assert detail["retryDelay"] == "2s"


def test_how_long_to_wait_can_be_a_date():
    with ModelServer(faults=[Fault("status", 429, "date:60")]) as server:
        at = parsedate_to_datetime(OPENAI.ask(server).headers["retry-after"])
    assert 50 < (at - datetime.now(UTC)).total_seconds() <= 60


@pytest.mark.parametrize(
    ("path", "headers", "body", "said"),
    [
        (OPENAI.path, BEARER, b"{", "no JSON"),
        (OPENAI.path, BEARER, b"[]", "no JSON object"),
        (OPENAI.path, BEARER, b"[" * 100_000, "no JSON"),
        (OPENAI.path, BEARER, b"\xff", "no JSON"),
        (OPENAI.path, BEARER, b"{}", "messages"),
        (OPENAI.path, PROVIDERS["portkey"].key, OPENAI.body(), "x-portkey-provider"),
        ("/openai/deployments/d/chat/completions", {"api-key": "test-key"}, OPENAI.body(), "api-version"),
        ("/v1/messages", {"x-api-key": "test-key"}, PROVIDERS["anthropic"].body(), "anthropic-version"),
        (
            "/v1/messages", {"x-api-key": "test-key", "anthropic-version": "1"}, {"messages": [{}]}, "max_tokens",
        ),
        (PROVIDERS["gemini"].path, PROVIDERS["gemini"].key, {}, "contents"),
    ],
)  # fmt: skip
def test_a_request_that_lacks_something_is_told_what(path, headers, body, said):
    with ModelServer() as server:
        response = send(server.url, path, body, headers)
        assert response.status == 400
        assert said in str(response.json)
        assert server.counts.requests == 1
        assert OPENAI.ask(server).status == 200


def test_a_portkey_model_can_name_its_provider():
    with ModelServer() as server:
        headers = {"x-portkey-api-key": "test-key"}
        assert send(server.url, OPENAI.path, OPENAI.body(model="@openai/gpt"), headers).status == 200


def test_paths_and_methods_that_do_not_exist_are_counted_too():
    with ModelServer() as server:
        assert send(server.url, "/v1/nothing?x=1", {}).status == 404
        assert send(server.url, OPENAI.path, method="GET").status == 405
        assert (server.counts.requests, server.counts.by_path) == (2, {"/v1/nothing": 1, OPENAI.path: 1})


# ------------------------------------------------------------------------------------------ faults


def outcome(server, provider=OPENAI, **changes):
    """How a request ended: its status, or that the connection did."""
    try:
        return provider.ask(server, **changes).status
    except (http.client.HTTPException, ConnectionError) as error:
        return type(error).__name__


@every_provider
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_reply_can_be_cut_or_never_come(name, stream):
    provider = PROVIDERS[name]
    with ModelServer(faults=[Fault("cut"), Fault("close"), None]) as server:
        ends = [outcome(server, provider, text="hello " * 9, stream=stream) for _ in range(3)]
        assert ends[0] == "IncompleteRead"
        assert ends[1] in ("RemoteDisconnected", "ConnectionResetError")
        assert ends[2] == 200
        assert server.counts.requests == 3
        assert (server.counts.tokens_in, server.counts.tokens_out) == (15, 13)  # of the one that came whole


@every_provider
def test_a_body_can_be_other_than_expected(name):
    provider = PROVIDERS[name]
    faults = [Fault(kind) for kind in ("junk", "html", "empty", "invalid_utf8", "big")]
    with ModelServer(faults=faults) as server:
        junk, html, empty, invalid, big = (provider.ask(server) for _ in faults)
    with pytest.raises(ValueError, match="Expecting value"):
        junk.json  # noqa: B018
    assert html.headers["content-type"] == "text/html"
    assert empty.json == {}
    with pytest.raises(UnicodeDecodeError):
        invalid.body.decode()
    assert provider.said(json.loads(invalid.body.decode("utf-8", "replace")))[0] == "\ufffd\ufffd ok"
    assert provider.said(big.json)[0] == "x" * (10 << 20)
    assert {one.status for one in (junk, html, empty, invalid, big)} == {200}


@every_provider
def test_an_error_can_stand_inside_a_reply_or_a_stream(name):
    provider = PROVIDERS[name]
    with ModelServer(faults=[Fault("inside"), Fault("inside")]) as server:
        plain, streamed = provider.ask(server), provider.ask(server, stream=True)
    assert (plain.status, streamed.status) == (200, 200)
    assert "injected inside" in plain.json["error"]["message"]
    assert "injected inside" in streamed.events[-1]["error"]["message"]


def test_a_list_of_faults_meets_the_first_requests_in_order():
    with ModelServer(faults=[Fault("status", 500), None, Fault("status", 503)]) as server:
        assert [outcome(server) for _ in range(5)] == [500, 200, 503, 200, 200]


def test_a_list_of_faults_goes_round_over_every_nth_request():
    with ModelServer(faults=[Fault("status", 500), None, Fault("status", 503)], faults_every=2) as server:
        ends = [outcome(server) for _ in range(8)]
    assert ends == [200, 500, 200, 200, 200, 503, 200, 500]


def test_faults_can_depend_on_the_number_of_a_request():
    with ModelServer(faults=lambda number: Fault("status", 500) if number == 2 else None) as server:
        assert [outcome(server) for _ in range(3)] == [200, 500, 200]


def test_a_slow_reply_comes_later_and_others_do_not_wait():
    with ModelServer(faults=[Fault("slow", 0.4)]) as server, ThreadPoolExecutor() as pool:
        begun = time.monotonic()
        slow = pool.submit(OPENAI.ask, server)
        wait_for(lambda: server.counts.requests == 1)
        assert OPENAI.ask(server).status == 200
        assert not slow.done()
        assert slow.result().status == 200
        assert time.monotonic() - begun >= 0.4


def test_a_policy_that_raises_is_told_to_the_client_and_the_test():
    def policy(_):
        raise LookupError("no such answer")

    responses = []
    with pytest.raises(LookupError, match="no such answer"), ModelServer(policy) as server:
        responses.append(OPENAI.ask(server))
    assert responses[0].status == 500
    assert "no such answer" in responses[0].json["error"]["message"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("none", None),
        ("cut", Fault("cut")),
        ("status:429:0.5", Fault("status", 429, "0.5")),
        ("slow:2", Fault("slow", 2)),
    ],
)
def test_a_fault_can_be_written_in_a_line(text, fault):
    assert fault_of(text) == fault


@pytest.mark.parametrize("text", ["cutt", "", "status:many"])
def test_a_fault_that_is_none_is_refused(text):
    with pytest.raises(ValueError):
        fault_of(text)


# ------------------------------------------------------------------------------------------ counting, connections


def wait_for(condition):
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.002)


def raw(server, data: bytes) -> socket.socket:
    connection = socket.create_connection(address(server.url), timeout=DEADLINE_S)
    connection.sendall(data)
    return connection


def as_bytes(body, headers=BEARER, extra="") -> bytes:
    data = json.dumps(body).encode()
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {OPENAI.path} HTTP/1.1\r\nHost: x\r\n{lines}{extra}Content-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def read_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        part = connection.recv(1 << 16)
        assert part, data
        data += part
    return data


def test_every_request_counts_once_whatever_becomes_of_it():
    kinds = [
        Fault("status", 500), None, Fault("cut"), Fault("close"), Fault("junk"), None, Fault("quota"), None
    ]  # fmt: skip
    with ModelServer(faults=lambda number: kinds[number % len(kinds)]) as server:
        with ThreadPoolExecutor(32) as pool:
            ends = list(pool.map(lambda _: outcome(server), range(400)))
        assert server.counts.requests == len(server.requests) == len(ends) == 400
        assert sorted(seen.number for seen in server.requests) == list(range(1, 401))
        n_whole = 400 * 3 // len(kinds)
        assert (server.counts.tokens_in, server.counts.tokens_out) == (n_whole * 3, n_whole * 1)


def test_requests_under_way_are_counted_until_their_clients_are_gone():
    with ModelServer(faults=[Fault("hang")] * 3) as server:
        waiting = [raw(server, as_bytes(OPENAI.body())) for _ in range(3)]
        wait_for(lambda: server.counts.requests == 3)
        assert server.counts.max_in_flight == 3
        for connection in waiting:
            connection.close()
        wait_for(lambda: server._n_in_flight == 0)
        assert OPENAI.ask(server).status == 200
        assert server.counts.max_in_flight == 3


def test_tokens_of_a_reply_that_nobody_waited_for_do_not_count():
    with ModelServer(lambda seen: Answer("x", 5, 5, delay_s=float(seen.last))) as server:
        connection = raw(server, as_bytes(OPENAI.body("0.3")))
        wait_for(lambda: server.counts.requests == 1)
        connection.close()
        wait_for(lambda: server._n_in_flight == 0)
        OPENAI.ask(server, "0.5")  # which comes after the time of the other
        assert (server.counts.requests, server.counts.tokens_in, server.counts.tokens_out) == (2, 5, 5)
        assert server._n_in_flight == 0


def test_half_a_request_does_not_count():
    with ModelServer() as server:
        data = as_bytes(OPENAI.body())
        connection = raw(server, data[:-1])
        assert OPENAI.ask(server).status == 200
        assert server.counts.requests == 1
        connection.sendall(data[-1:])
        assert read_until(connection, b"}}").startswith(b"HTTP/1.1 200 OK\r\n")
        assert server.counts.requests == 2
        connection.close()


def test_requests_sent_at_once_are_answered_in_order():
    def policy(seen):
        return Answer(seen.last, delay_s=0.05 if seen.last == "first" else 0.0)

    with ModelServer(policy) as server:
        connection = raw(
            server, b"".join(as_bytes(OPENAI.body(text)) for text in ("first", "second", "third"))
        )
        data = b""
        while data.count(b'"usage"') < 3:
            data += connection.recv(1 << 16)
        connection.close()
        assert re.findall(rb'"content": "(\w+)"', data) == [b"first", b"second", b"third"]
        assert server.counts.max_in_flight == 1


def test_many_wait_at_once_and_none_waits_for_another():
    with ModelServer(latency_s=0.3) as server, ThreadPoolExecutor(50) as pool:
        begun = time.monotonic()
        assert set(pool.map(lambda _: outcome(server), range(50))) == {200}
        assert time.monotonic() - begun < 50 * 0.3 / 2
        assert server.counts.max_in_flight > 10


def test_a_client_that_asks_first_is_told_to_go_on():
    with ModelServer() as server:
        data = as_bytes(OPENAI.body(), extra="Expect: 100-continue\r\n")
        end = data.index(b"\r\n\r\n") + 4
        connection = raw(server, data[:end])
        assert read_until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(data[end:])
        assert read_until(connection, b"}}").startswith(b"HTTP/1.1 200 OK\r\n")
        connection.close()


def test_a_connection_ends_when_its_client_asks_for_that():
    with ModelServer() as server:
        connection = raw(server, as_bytes(OPENAI.body(), extra="Connection: close\r\n"))
        read_until(connection, b"}}")
        assert connection.recv(1) == b""
        connection.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 268435457\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, 431),
    ],
)
def test_bytes_that_are_no_request_are_refused_and_not_counted(data, status):
    with ModelServer() as server:
        connection = raw(server, data)
        assert read_until(connection, b"}}").startswith(f"HTTP/1.1 {status} ".encode())
        connection.close()
        assert server.counts.requests == 0


def test_a_prompt_of_twenty_megabytes_arrives_whole():
    with ModelServer(lambda seen: Answer(str(len(seen.last)))) as server:
        response = OPENAI.ask(server, "x" * (20 << 20))
    assert OPENAI.said(response.json) == (str(20 << 20), "stop", (20 << 20) // 4 + 2, 2)


def test_leaving_ends_everything_at_once():
    before = set(threading.enumerate())
    begun = time.monotonic()
    with ModelServer(latency_s=60.0) as server:
        waiting = [raw(server, as_bytes(OPENAI.body())) for _ in range(20)]
        wait_for(lambda: server.counts.requests == 20)
    assert time.monotonic() - begun < 5.0
    assert set(threading.enumerate()) == before
    for connection in waiting:
        assert connection.recv(1) == b""
        connection.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address(server.url))


def test_a_port_that_is_taken_is_said():
    with ModelServer() as server:
        port = address(server.url)[1]
        with pytest.raises(OSError, match="in use"), ModelServer(port=port):
            pass


# ------------------------------------------------------------------------------------------ the parser

header_text = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
requests = st.tuples(
    st.sampled_from(["GET", "POST"]),
    header_text.map(lambda text: f"/{text}"),
    st.dictionaries(header_text.map(lambda text: f"x-{text}"), header_text, max_size=3),
    st.binary(max_size=60),
    st.booleans(),
    st.integers(1, 20),
)


def written(method, target, headers, body, in_chunks, n_chunk_bytes) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if not in_chunks:
        return f"{method} {target} HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body
    head = f"{method} {target} HTTP/1.1\r\n{lines}Transfer-Encoding: chunked\r\n\r\n".encode()
    parts = [body[at : at + n_chunk_bytes] for at in range(0, len(body), n_chunk_bytes)]
    chunks = b"".join(f"{len(part):X};x=1\r\n".encode() + part + b"\r\n" for part in parts)
    return head + chunks + b"0\r\nX-Trailer: 1\r\n\r\n"


def read_all(reader: Reader) -> list[Request]:
    found = []
    while (request := reader.next()) is not None:
        found.append(request)
    return found


@given(st.lists(requests, max_size=4), st.lists(st.integers(0, 700), max_size=12))
def test_requests_are_read_the_same_however_their_bytes_are_cut(sent, cuts):
    data = b"".join(written(*one) for one in sent)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    reader, found = Reader(), []
    for start, end in itertools.pairwise(edges):
        reader.feed(data[start:end])
        found += read_all(reader)
    assert [(one.method, one.target, one.body) for one in found] == [(one[0], one[1], one[3]) for one in sent]
    assert all(one[2].items() <= got.headers.items() for one, got in zip(sent, found, strict=True))
    assert reader.n_waiting_bytes == 0


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"])
)
def test_any_bytes_are_requests_or_refused(data, before):
    reader = Reader()
    reader.feed(before + data)
    try:
        assert all(len(one.body) <= MAX_BODY_BYTES for one in read_all(reader))
    except BadRequest as error:
        assert error.status in (400, 413, 431, 501)  # noqa: PT017  (both ends are fine)


# ------------------------------------------------------------------------------------------ policies, the process


def test_a_script_answers_by_what_was_said_last_and_by_whom(tmp_path):
    path = tmp_path / "script.json"
    entries = [
        {"match": "^sum", "role": "root", "reply": "a cell"},
        {"match": "sum", "role": "sub", "reply": "three"},
        {"match": "x$", "reply": "any"},
    ]
    path.write_text(json.dumps(entries))
    with ModelServer(scripted(path)) as server:
        root = {"system": "Write a ```repl block."}
        said = [
            OPENAI.said(OPENAI.ask(server, text, **changes).json)[0]
            for text, changes in [("sum", root), ("a sum", root), ("a sum", {}), ("to x", root), ("else", {})]
        ]
    assert said == ["a cell", "a sum", "three", "any", "else"]


@pytest.mark.parametrize(
    "text", ["{}x", '[{"match": "a"}]', '[{"reply": "a", "role": "boss"}]', '[{"reply": "", "match": "("}]']
)
def test_a_script_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(ValueError):
        scripted(path)


def start(*argv: str, **options) -> subprocess.Popen:
    command = [sys.executable, str(TOOLS / "model_server.py"), "--port", "0", *argv]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)


def test_the_process_serves_and_is_asked_for_its_counts():
    with start("--latency", "0.05", "--faults", "status:503,none", "--faults-every", "2") as process:
        url = process.stdout.readline().strip()
        root = "Write a ```repl block."
        ends = [outcome_of(url, system=system) for system in ("", "", root)]
        stats = send(url, "/stats", method="GET").json
        assert send(url, "/reset", b"").status == 200
        after = send(url, "/stats", method="GET").json
        process.stdin.close()
        assert process.wait(DEADLINE_S) == 0
    assert ends == ["ok", 503, "```repl\nFINAL('done')\n```"]
    assert len(stats.pop("arrivals")) == 3
    assert stats == {
        "requests": 3, "tokens_in": 1 + (22 + 5) // 4, "tokens_out": 6, "max_in_flight": 1, "by_path": {OPENAI.path: 3},
    }  # fmt: skip
    assert (after["requests"], after["by_path"], after["arrivals"]) == (0, {}, [])


def outcome_of(url: str, **changes):
    response = send(url, OPENAI.path, OPENAI.body(**changes), BEARER)
    return OPENAI.said(response.json)[0] if response.status == 200 else response.status


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="a stranger's end is seen on Linux alone")
def test_the_process_ends_with_its_parent():
    child = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); sys.stdin.read()"
    command = [sys.executable, str(TOOLS / "model_server.py")]
    held, holder = os.pipe()  # its standard input stays open, so that its parent's end is all that tells it
    with subprocess.Popen(
        [sys.executable, "-c", child, *command], stdin=held, stdout=subprocess.PIPE, text=True
    ) as parent:
        lines = {parent.stdout.readline().strip() for _ in range(2)}
        url = next(line for line in lines if line.startswith("http"))
        server = os.pidfd_open(int(next(line for line in lines if line.isdigit())))
        assert outcome_of(url, system="") == "ok"
        parent.kill()
        ended, _, _ = select.select([server], [], [], DEADLINE_S)
        assert ended
    for descriptor in (held, holder, server):
        os.close(descriptor)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process(number):
    with start("--policy", "echo") as process:
        url = process.stdout.readline().strip()
        assert outcome_of(url, text="hi") == "hi"
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize("argv", [("--policy", "clever"), ("--policy", "script:/none"), ("--faults", "cutt")])
def test_the_process_refuses_what_it_does_not_know(argv):
    with start(*argv, stderr=subprocess.PIPE) as process:
        _, said = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, argv[1] in said) == (2, True)
