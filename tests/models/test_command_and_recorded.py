"""Programs and recordings as models."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import pytest

from orchestrator.errors import ModelFailed, ModelUnavailable, UsageError
from orchestrator.models.command import Command
from orchestrator.models.model import Message, Prompt, Reply
from orchestrator.models.names import Target
from orchestrator.models.recorded import Recorded
from orchestrator.models.settings import CommandOutput, CommandSettings

TWO = (Message("system", "be brief"), Message("user", "hello"))


def run(*code: str, messages=TWO[1:], timeout_s: float = 30.0, **settings):
    command = CommandSettings((sys.executable, "-c", "\n".join(code)), **settings)
    model = Command(
        Target("command:x", "command", "x", timeout_s=timeout_s, command=command), dict(os.environ)
    )
    return asyncio.run(model.complete(Prompt(messages, 100)))


def test_a_program_reads_the_messages_and_prints_the_reply():
    assert run("import sys", "print(sys.stdin.read().upper())") == Reply("HELLO")
    assert (
        run("import sys", "print(sys.stdin.read())", messages=TWO).text
        == "[system]\nbe brief\n\n[user]\nhello\n\n[assistant]"
    )


def test_messages_can_come_as_json_and_the_reply_from_a_field():
    code = ("import json, sys", "seen = json.load(sys.stdin)")
    answer = "print(json.dumps({'result': seen['messages'][-1]['content'], 'usage': {'in': 7}, 'cost': 0.5}))"
    output = CommandOutput("result", usd="cost", tokens_in="usage.in", tokens_out="usage.out")
    assert run(*code, answer, input="json", output=output) == Reply("hello", 7, None, 0.5)


@pytest.mark.parametrize(
    ("code", "fault", "said"),
    [
        ("import sys; sys.exit('no such thing')", "server", "exited with code 1: no such thing"),
        ("print('no json')", "junk", "printed no JSON"),
        ("print('{}')", "junk", "without a text at `result`"),
    ],
)
def test_a_program_that_fails_says_how(code, fault, said):
    with pytest.raises(ModelFailed, match=said) as caught:
        run(code, output=CommandOutput("result"))
    assert caught.value.fault == fault


def test_a_program_that_is_late_is_killed_with_all_it_started(tmp_path):
    beat = tmp_path / "beat"
    child = f"import time\nwhile True:\n    open({str(beat)!r}, 'a').write('x')\n    time.sleep(0.02)"
    with pytest.raises(ModelFailed, match=r"no reply within 1 s") as caught:
        run(
            "import subprocess, sys, time",
            f"subprocess.Popen([sys.executable, '-c', {child!r}])",
            "time.sleep(60)",
            timeout_s=1,
        )
    assert caught.value.fault == "timeout"
    size = beat.stat().st_size if beat.exists() else 0
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        assert (beat.stat().st_size if beat.exists() else 0) == size


def test_a_program_that_is_not_there_is_unavailable():
    command = CommandSettings(("no-such-program-anywhere",))
    model = Command(Target("command:x", "command", "x", command=command), {})
    with pytest.raises(ModelUnavailable, match="can't be started"):
        asyncio.run(model.complete(Prompt(TWO, 10)))


def test_a_program_gets_the_variables_that_it_may_have(monkeypatch):
    monkeypatch.setenv("MY_SECRET", "hidden")
    code = "import os; print(os.environ.get('MY_SECRET'))"
    assert run(code).text == "hidden"
    assert run(code, env=("HOME",)).text == "None"


def recorded(path, *asked, for_root=False):
    async def take():
        model = Recorded(Target("recorded", "recorded", str(path)), {})
        return [
            await model.complete(Prompt((Message("user", text),), 10, for_root=for_root)) for text in asked
        ]

    return [reply.text for reply in asyncio.run(take())]


def test_a_script_answers_in_order_and_by_what_fits(tmp_path):
    path = tmp_path / "script.yaml"
    path.write_text("replies:\n- {match: b+, reply: bees, times: 0}\n- {reply: first}\n- {json: {n: 1}}\n")
    assert recorded(path, "a", "bb", "c", "b") == ["first", "bees", '{"n": 1}', "bees"]


def test_a_script_that_is_used_up_shows_what_was_asked(tmp_path):
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"replies": [{"role": "root", "reply": "x"}]}))
    with pytest.raises(ModelFailed, match="has no reply left for a sub request that ends with: 'what now'"):
        recorded(path, "what now")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("{}", "has no list `replies`"),
        ('{"replies": [3]}', "reply 1 has to be an object"),
        ('{"replies": [{"reply": "a"}, {}]}', "reply 2 has to have one of"),
        ('{"replies": [{"reply": "a", "match": "("}]}', "no regular expression"),
        ('{"replies": [{"reply": "a", "role": "boss"}]}', "neither root nor sub"),
    ],
)
def test_what_is_no_script_says_why(tmp_path, text, said):
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        recorded(path, "x")


def test_a_recording_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(ModelUnavailable, match="can't read the recording"):
        recorded(tmp_path / "none.json", "x")
