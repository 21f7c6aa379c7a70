"""The client of chat-completions endpoints, and what it makes of everything that can come back."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import ExitStack

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


ECHO = b'{"error": {"message": "I was sent @@"}}'


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_a_key_that_an_endpoint_says_is_in_no_error(one_answer, status, caplog):
    environ = {"OPENAI_API_KEY": "sk-very-secret", "TEAM_TOKEN": "another-very-secret-one", "TEAM": "blue"}
    headers = {"x-token": "$TEAM_TOKEN", "x-team": "$TEAM"}
    with one_answer(status, ECHO) as url:
        error = failure(Chat(target(url, headers=headers), environ))
    assert "Authorization: Bearer [key]" in str(error)
    assert "x-token: [key]" in str(error)
    assert "x-team: blue" in str(error)
    assert "very-secret" not in f"{error!r} {error.hint} {caplog.text}"
    assert "very-secret" not in repr(target(url, headers=headers))


def test_a_key_at_the_end_of_what_is_shown_is_not_shown_in_part(one_answer):
    for before in range(170, 420, 5):
        said = json.dumps({"error": {"message": "x" * before + "sk-very-secret-0123456789"}}).encode()
        with one_answer(400, said) as url:
            error = failure(Chat(target(url), {"OPENAI_API_KEY": "sk-very-secret-0123456789"}))
        assert "sk-" not in str(error)


def test_a_key_with_a_line_end_is_sent_without_it_and_one_with_a_line_in_it_is_not_shown(one_answer):
    with one_answer(400, ECHO) as url:
        error = failure(Chat(target(url), {"OPENAI_API_KEY": "sk-very-secret\n"}))
        assert str(error).endswith("Authorization: Bearer [key]")
        error = failure(Chat(target(url), {"OPENAI_API_KEY": "sk-very\nsecret-one"}))
    assert error.fault == "rejected"
    assert "no request can be made" in str(error)
    assert "secret" not in str(error)


def failure(model: Chat, asked: Prompt | None = None) -> ModelFailed:
    async def run():
        try:
            await model.complete(asked or prompt())
        finally:
            await model.close()

    with pytest.raises(ModelFailed) as caught:
        asyncio.run(run())
    return caught.value


def test_nobody_taking_a_connection_is_told_from_no_reply():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with ExitStack() as waiting:
            for _ in range(3):  # as many as the system keeps for a listener that takes none
                one = waiting.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(listener.getsockname())
            error = failure(Chat(target(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=1.0), {}))
    assert (error.fault, error.retryable, error.was_sent) == ("connection", True, False)


def test_options_are_sent_and_do_not_lift_the_length_that_is_paid_for():
    options = {"temperature": 0, "max_tokens": 10**6, "top_p": 0.5}
    sent = json.loads(body_of(prompt(), target("http://x", options=options), with_schema=False))
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0, 0.5, 100)


def test_an_endpoint_that_refuses_a_schema_says_that_it_may_be_asked_again(one_answer):
    refusal = b'{"error": {"message": "response_format is not supported: @@"}}'
    with one_answer(400, refusal) as url:
        model, asked = Chat(target(url), {}), prompt(schema={"type": "object"})
        first, second = failure(model, asked), failure(model, asked)
    assert (first.fault, second.fault) == ("no_schema", "no_schema")


def event(**delta) -> bytes:
    return f"data: {json.dumps({'choices': [delta]}, ensure_ascii=False)}\n\n".encode()


END = event(delta={}, finish_reason="stop") + b"data: [DONE]\n\n"


@given(st.lists(st.text(max_size=20), max_size=6), st.sampled_from([b"\n", b"\r\n"]))
def test_a_streamed_reply_is_whole_whatever_its_text(pieces, line_end):
    body = b": a comment\n\n" + b"".join(event(delta={"content": piece}) for piece in pieces) + END
    assert reply_of(body.replace(b"\n", line_end), "text/event-stream").text == "".join(pieces)


def test_a_stream_with_a_torn_event_is_no_reply():
    body = event(delta={"content": "a"}) + b'data: {"choices": [{"del\n\n' + END
    with pytest.raises(ModelFailed) as caught:
        reply_of(body, "text/event-stream")
    assert (caught.value.fault, caught.value.retryable) == ("junk", True)


@pytest.mark.parametrize(
    ("said", "usd"),
    [("0.25", 0.25), ("0", 0.0), ("Infinity", None), ("NaN", None), ("-1", None), ("1" + "0" * 400, None), ("true", None)],
)  # fmt: skip
def test_what_is_no_price_is_none(said, usd):
    body = '{"choices": [{"message": {"content": "a"}}], "usage": {"cost": %s}}' % said  # noqa: UP031
    assert reply_of(body.encode(), "application/json").usd == usd


@given(st.text(max_size=40) | st.from_regex(r"Mon, 0\d Jan \d{1,5} 00:00:00 [+-]\d{1,20}", fullmatch=True))
def test_any_time_to_wait_is_a_sane_one(text):
    after = failure_of(429, b"", {"Retry-After": text}).retry_after_s
    assert after is None or 0 <= after <= 600


def test_what_a_provider_behind_another_said_is_told():
    raw = json.dumps({"error": {"code": "context_length_exceeded"}})
    error = {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw}}
    failed = failure_of(400, json.dumps({"error": error}).encode(), {})
    assert failed.fault == "too_long"
    assert "Provider returned error: " in str(failed)


def test_an_error_inside_a_reply_has_its_own_status():
    for code in (429, "429"):
        with pytest.raises(ModelFailed) as caught:
            reply_of(
                json.dumps({"error": {"code": code, "message": "slow down"}}).encode(), "application/json"
            )
        assert caught.value.fault == "rate"


def test_an_endpoint_that_takes_no_schema_is_asked_without_next_time():
    refusal = b'{"error": {"message": "response_format is not supported", "type": "invalid_request_error"}}'
    error = failure_of(400, refusal, {})
    assert error.fault == "rejected"
    asked = prompt(schema={"type": "object"})
    with_schema = json.loads(body_of(asked, target("http://x"), with_schema=True))
    assert with_schema["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert "response_format" not in json.loads(body_of(asked, target("http://x"), with_schema=False))


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("You exceeded your current quota, please check your plan and billing details.", "quota"),
        (
            "You exceeded your current quota, please check your plan and billing details. Please retry in 36s.",
            "rate",
        ),
        (
            "Rate limit reached for m: Limit 3, Used 3. Please try again in 20s. Add a payment method at billing.",
            "rate",
        ),
        ("insufficient_quota", "quota"),
    ],
)
def test_a_rate_that_passes_is_no_quota_that_is_used_up(said, fault):
    error = failure_of(429, json.dumps({"error": {"message": said}}).encode(), {})
    assert (error.fault, error.retryable) == (fault, fault == "rate")


@pytest.mark.parametrize("figure", [10**400, 10**12, "1e400", -1])
def test_absurd_figures_are_none(figure):
    body = f'{{"choices": [{{"message": {{"content": "a"}}}}], "usage": {{"prompt_tokens": {figure}, "cost": {figure}}}}}'
    reply = reply_of(body.encode(), "application/json")
    assert (reply.text, reply.tokens_in, reply.usd) == ("a", None, None)


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
