"""litellm is imported late, quietly, and without asking the network for anything; what it says is free of keys."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from orchestrator.errors import ModelFailed
from orchestrator.models.model import Message, Prompt
from orchestrator.models.names import Target
from orchestrator.models.through_litellm import ThroughLitellm

pytestmark = pytest.mark.xdist_group("providers")

CODE = """
import socket, sys
asked = []
def refuse(*words, **_):
    asked.append(words[:2])
    raise OSError("no network here")
socket.getaddrinfo = refuse
socket.create_connection = refuse
from orchestrator.models.names import Target
from orchestrator.models.through_litellm import ThroughLitellm, warm
model = ThroughLitellm(Target("m", "litellm", "anthropic/m"), {})
import asyncio
asyncio.run(model.close())
assert "litellm" not in sys.modules
warm()
assert "litellm" in sys.modules
import time
time.sleep(0)
assert asked == [], asked
"""


def test_importing_litellm_asks_nobody_and_says_nothing():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE], capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def failures(url, environ, n=1, **changes):
    """The errors of n requests."""
    target = Target(
        "m", "litellm", "openai/m", "openai", f"{url}/v1", key_env=("MINE",), needs=("MINE",),
        headers={"x-token": "$TEAM_TOKEN", "x-none": "$NO_SUCH_VARIABLE"},
    )  # fmt: skip
    found = []

    async def run():
        model = ThroughLitellm(target, environ)
        for _ in range(n):
            try:
                await model.complete(Prompt((Message("user", "hello"),), 10, **changes))
            except ModelFailed as error:
                found.append(error)
        await model.close()

    asyncio.run(run())
    return found


def test_headers_are_filled_in_and_no_key_is_in_an_error(one_answer, capfd):
    environ = {"MINE": "sk-very-secret", "TEAM_TOKEN": "another-very-secret-one"}
    with one_answer(400, b'{"error": {"message": "I was sent @@"}}') as url:
        (error,) = failures(url, environ)
    assert error.fault == "rejected"
    assert "x-token: [key]" in str(error)
    assert "x-none" not in str(error)
    assert "very-secret" not in str(error)
    assert capfd.readouterr() == ("", "")


def test_a_provider_that_refuses_a_schema_is_asked_without_next_time(one_answer):
    refusal = b'{"error": {"message": "response_format is not supported"}}'
    with one_answer(400, refusal) as url:
        first, second = failures(url, {"MINE": "sk-very-secret"}, n=2, schema={"type": "object"})
    assert (first.fault, second.fault) == ("no_schema", "no_schema")
