"""Which models are asked from nodes, what a node is told, and what becomes of what it says."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.errors import EnvironmentUnavailable, ModelFailed
from orchestrator.models.model import Message, Prompt, Reply
from orchestrator.models.names import resolve
from orchestrator.models.on_nodes import Asked, Clients, Failed, OnNodes, leaves, over, variables_of
from orchestrator.models.opening import open_model
from orchestrator.models.settings import ModelSettings, Settings

PROMPT = Prompt((Message("user", "hello"),), 10)
UNREACHED = Failed("can't be reached", "connection", True, None, False, False, "")


def target(name, base=None, **more):
    settings = Settings({"m": ModelSettings(name, api_base=base, **more)})
    return resolve("m", settings, {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"})


class Fixed:
    """A model that always says the same, and counts."""

    def __init__(self, text):
        self.text, self.n_asked = text, 0

    async def complete(self, prompt):
        self.n_asked += 1
        return Reply(self.text)

    async def close(self):
        pass


def of_nodes(said):
    """A model over nodes that say or raise these things, and the one that is here."""
    here = Fixed("here")
    left = list(said)

    async def ask(prompt):
        one = left.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    return OnNodes(target("openai/gpt-5"), here, ask), here


@pytest.mark.parametrize(
    ("name", "base", "by_default", "every"),
    [
        ("openai/gpt-5", None, False, True),
        ("openai/gpt-5", "http://10.0.0.5:8000/v1", False, True),
        ("openai/gpt-5", "http://127.0.0.1:8000/v1", False, False),
        ("openai/gpt-5", "http://127.8.8.8:8000/v1", False, False),
        ("openai/gpt-5", "http://[::1]:8000/v1", False, False),
        ("openai/gpt-5", "http://localhost:8000/v1", False, False),
        ("ollama/llama3", None, False, False),
        ("anthropic/claude-sonnet-4-5", None, True, True),
        ("litellm:openai/gpt-5", "http://localhost:8000/v1", False, False),
        ("bedrock/anthropic.claude-3-haiku-20240307-v1:0", None, False, False),
        ("host", None, False, False),
        ("recorded:replies.json", None, False, False),
    ],
)
def test_requests_leave_where_that_pays_or_is_asked_for_and_can_be(name, base, by_default, every):
    one = target(name, base)
    assert (leaves(one, every=False), leaves(one, every=True)) == (by_default, every)


def test_a_node_is_told_the_variables_of_a_model_and_no_other():
    one = target("openai/gpt-5", key_env="MINE", headers={"X-Team": "$TEAM-${ROOM}", "X-Plain": "y"})
    environ = {"MINE": "k", "TEAM": "t", "OPENAI_API_KEY": "other", "HOME": "/root"}
    assert variables_of(one, environ) == {"MINE": "k", "TEAM": "t"}
    assert variables_of(target("anthropic/claude-sonnet-4-5"), {"ANTHROPIC_API_KEY": "k", "PATH": ""}) == {
        "ANTHROPIC_API_KEY": "k"
    }


def test_what_is_asked_shows_no_variable_and_no_prompt():
    assert "secret" not in repr(Asked(1, target("openai/gpt-5"), {"K": "secret"}, PROMPT))


def test_a_failure_comes_back_as_it_was():
    error = ModelFailed(
        "slow down", "rate", retryable=True, retry_after_s=2.5, was_sent=True, was_made=True, hint="wait"
    )
    again = Failed.of(error).error()
    assert (str(again), again.__dict__) == (str(error), error.__dict__)


def test_a_model_that_no_node_reaches_is_asked_here_from_then_on():
    model, here = of_nodes([Reply("there"), UNREACHED])

    async def ask():
        return [(await model.complete(PROMPT)).text for _ in range(3)]

    assert asyncio.run(ask()) == ["there", "here", "here"]
    assert here.n_asked == 2


def test_a_request_that_was_made_is_not_made_here_again():
    made = Failed("no reply", "connection", True, None, True, True, "")
    for said in (made, ConnectionError("lost")):
        model, here = of_nodes([said])
        with pytest.raises(ModelFailed) as raised:
            asyncio.run(model.complete(PROMPT))
        failed = raised.value
        assert (failed.fault, failed.retryable, failed.was_sent, failed.was_made) == (
            "connection",
            True,
            True,
            True,
        )
        assert here.n_asked == 0


def test_after_three_cut_connections_in_a_row_the_owner_asks():
    cut = Failed("cut", "connection", True, None, True, True, "")
    model, here = of_nodes([cut, cut, Reply("there"), cut, cut, cut])

    async def ask():
        said = []
        for _ in range(7):
            try:
                said.append((await model.complete(PROMPT)).text)
            except ModelFailed:
                said.append("cut")
        return said

    assert asyncio.run(ask()) == ["cut", "cut", "there", "cut", "cut", "cut", "here"]
    assert here.n_asked == 1


def test_without_a_node_the_owner_asks_and_goes_back_to_nodes_that_come():
    model, here = of_nodes([EnvironmentUnavailable("no node"), Reply("there")])

    async def ask():
        return [(await model.complete(PROMPT)).text for _ in range(2)]

    assert asyncio.run(ask()) == ["here", "there"]
    assert here.n_asked == 1


def test_a_node_answers_with_the_reply_of_an_endpoint_or_why_there_is_none(one_answer):
    body = b'{"choices": [{"message": {"content": "key @@"}, "finish_reason": "stop"}]}'

    async def asked(base):
        clients = Clients()
        one = target("openai/gpt-5", base, key_env="MINE")
        try:
            return await clients.answer(Asked(1, one, {"MINE": "sk-abcdefgh"}, PROMPT))
        finally:
            await clients.close()

    with one_answer(200, body) as url:
        assert asyncio.run(asked(url)) == Reply("key Authorization: Bearer sk-abcdefgh")
    told = asyncio.run(asked(url))  # nobody listens there any more
    assert (told.fault, told.was_made, told.retryable) == ("connection", False, True)


def test_models_that_stay_are_opened_as_ever(clean_variables):
    async def ask(_):
        raise AssertionError("it was asked")

    opened = over(ask, lambda target: open_model(target, {}), {}, every=True)
    kinds = [type(opened(target("openai/gpt-5", base))).__name__ for base in (None, "http://localhost:1/v1")]
    assert kinds == ["OnNodes", "Chat"]
