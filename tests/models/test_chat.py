"""The client of chat-completions endpoints, and what it makes of everything that can come back."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_server import Answer, Fault, ModelServer

from orchestrator.errors import ModelFailed
from orchestrator.models.chat import Chat
from orchestrator.models.chat_wire import body_of, failure_of, reply_of
from orchestrator.models.model import Message, Prompt, Reply
from orchestrator.models.names import Target


def target(url: str, **changes) -> Target:
    return Target("m", "chat", "m", "openai", f"{url}/v1", key_env=("OPENAI_API_KEY",), **changes)


def prompt(text: str = "hello", **changes) -> Prompt:
    return Prompt((Message("user", text),), **{"max_tokens": 100, **changes})


def ask(server: ModelServer, *, key: str = "test-key", n: int = 1, asked: Prompt | None = None, **changes):
    """The reply to the last of n requests, or the error."""

    async def run():
        model = Chat(target(server.url, **changes), {"OPENAI_API_KEY": key})
        try:
            for _ in range(n - 1):
                await model.complete(asked or prompt())
            return await model.complete(asked or prompt())
        except ModelFailed as error:
            return error
        finally:
            await model.close()
            await model.close()

    return asyncio.run(run())


def test_a_reply_comes_with_its_figures():
    with ModelServer(lambda _: Answer("héllo", 12, 3)) as server:
        assert ask(server) == Reply("héllo", 12, 3)
        assert ask(server, stream=True) == Reply("héllo", 12, 3)
        assert server.requests[0].messages == (("user", "hello"),)


def test_a_reply_as_long_as_it_may_be_says_so():
    with ModelServer(lambda _: Answer("x" * 1000)) as server:
        assert ask(server) == Reply("x" * 400, 1, 100, finish="length")
        assert ask(server, stream=True).finish == "length"


def test_connections_are_used_again():
    with ModelServer() as server:
        assert ask(server, n=20).text == "hello"
        assert server.counts.max_in_flight == 1


@pytest.mark.parametrize(
    ("fault", "kind", "retryable", "was_sent"),
    [
        (Fault("status", 401), "auth", False, False),
        (Fault("status", 403), "auth", False, False),
        (Fault("status", 402), "quota", False, False),
        (Fault("quota"), "quota", False, False),
        (Fault("status", 429), "rate", True, False),
        (Fault("status", 404), "unknown_model", False, False),
        (Fault("status", 408), "server", True, False),
        (Fault("status", 409), "server", True, False),
        (Fault("status", 500), "server", True, False),
        (Fault("status", 503), "server", True, False),
        (Fault("status", 422), "rejected", False, False),
        (Fault("hang"), "timeout", True, True),
        (Fault("cut"), "connection", True, True),
        (Fault("close"), "connection", True, True),
        (Fault("junk"), "junk", True, True),
        (Fault("html"), "junk", True, True),
        (Fault("empty"), "junk", True, True),
    ],
    ids=lambda value: f"{value.kind}-{value.value:g}" if isinstance(value, Fault) else "",
)
def test_what_goes_wrong_is_told_apart(fault, kind, retryable, was_sent):
    with ModelServer(faults=[fault]) as server:
        error = ask(server, timeout_s=0.3 if fault.kind == "hang" else 30.0)
    assert isinstance(error, ModelFailed)
    assert (error.fault, error.retryable, error.was_sent) == (kind, retryable, was_sent)


def test_html_names_what_came_and_where_to_look():
    with ModelServer(faults=[Fault("html")]) as server:
        error = ask(server)
    assert "no chat completion (text/html): '<html><body><h1>It works!" in str(error)
    assert "api_base" in error.hint


@pytest.mark.parametrize(
    ("after", "least", "most"), [("3", 3.0, 3.0), ("date:20", 15.0, 21.0), ("soon", None, None)]
)
def test_how_long_to_wait_is_what_the_endpoint_says(after, least, most):
    with ModelServer(faults=[Fault("status", 429, after)]) as server:
        waited = ask(server).retry_after_s
    assert waited is None if least is None else least <= waited <= most


def test_a_reply_of_ten_megabytes_is_a_reply():
    with ModelServer(faults=[Fault("big")]) as server:
        assert len(ask(server).text) == 10 << 20


def test_bytes_that_are_no_utf8_are_replaced():
    with ModelServer(faults=[Fault("invalid_utf8")]) as server:
        assert ask(server).text == "\ufffd\ufffd ok"


def test_lone_surrogates_and_control_characters_of_a_prompt_arrive():
    with ModelServer() as server:
        assert ask(server, asked=prompt("a\ud800b\x00c\x1b")).text == "a\ud800b\x00c\x1b"


def test_nobody_listening_says_where():
    with ModelServer() as server:
        url = server.url

    async def run():
        model = Chat(target(url), {})
        try:
            await model.complete(prompt())
        finally:
            await model.close()

    with pytest.raises(ModelFailed, match=f"`{url}/v1` can't be reached") as caught:
        asyncio.run(run())
    assert (caught.value.fault, caught.value.retryable, caught.value.was_sent) == ("connection", True, False)


def test_a_key_that_an_endpoint_says_is_in_no_error():
    said = failure_of(401, b'{"error": {"message": "no such key: sk-very-secret"}}', {})
    assert "sk-very-secret" in str(said)
    with ModelServer(lambda seen: Answer(""), check_keys=False) as server:
        model = Chat(target(server.url), {"OPENAI_API_KEY": "sk-very-secret"})
        assert "sk-very-secret" not in str(model._hidden(said))
        assert "sk-very-secret" not in repr(target(server.url))


def test_an_endpoint_that_takes_no_schema_is_asked_without_next_time():
    refusal = b'{"error": {"message": "response_format is not supported", "type": "invalid_request_error"}}'
    error = failure_of(400, refusal, {})
    assert error.fault == "rejected"
    asked = prompt(schema={"type": "object"})
    with_schema = json.loads(body_of(asked, target("http://x"), with_schema=True))
    assert with_schema["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert "response_format" not in json.loads(body_of(asked, target("http://x"), with_schema=False))


def test_a_prompt_that_is_held_back_says_nothing_of_the_key():
    refusal = b'{"error": {"code": 403, "message": "Your input was flagged by moderation"}}'
    assert failure_of(403, refusal, {}).fault == "rejected"
    assert failure_of(403, b'{"error": {"message": "no access"}}', {}).fault == "auth"


@pytest.mark.parametrize(
    ("model", "name"),
    [("gpt-5-mini", "max_completion_tokens"), ("o3", "max_completion_tokens"), ("gpt-4o", "max_tokens")],
)
def test_the_length_of_a_reply_is_always_sent_under_the_name_the_model_takes(model, name):
    sent = json.loads(body_of(prompt(), Target("m", "chat", model, "openai", "http://x"), with_schema=False))
    assert sent[name] == 100


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"choices": [{"message": {"content": None}}]}, ""),
        ({"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"text": "b"}, 3]}}]}, "ab"),
        ({"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": "many"}}, "a"),
        ({"choices": [{"message": {"content": "a"}}], "usage": None}, "a"),
    ],
)
def test_odd_replies_are_read_leniently(body, text):
    assert reply_of(json.dumps(body).encode(), "application/json").text == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "content",
                    "usage",
                    "error",
                    "code",
                    "delta",
                    "finish_reason",
                    "text",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values, st.sampled_from(["application/json", "text/event-stream", "text/html", ""]))
def test_any_json_is_a_reply_or_a_failure(value, content_type):
    text = json.dumps(value)
    body = f"data: {text}\n\n" if "event" in content_type else text
    try:
        assert isinstance(reply_of(body.encode(), content_type), Reply)
    except ModelFailed as error:
        assert str(error)  # noqa: PT017  (both ends are fine)


@given(
    st.binary(max_size=200), st.integers(400, 599), st.sampled_from(["application/json", "text/event-stream"])
)
def test_any_bytes_are_a_reply_or_a_failure(body, status, content_type):
    assert isinstance(failure_of(status, body, {}), ModelFailed)
    try:
        assert isinstance(reply_of(body, content_type), Reply)
    except ModelFailed as error:
        assert error.fault in (  # noqa: PT017
            "junk",
            "connection",
            "server",
            "rate",
            "auth",
            "quota",
            "rejected",
            "too_long",
            "unknown_model",
        )
