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
        ('{"replies": [{"reply": "a", "times": -1}]}', "`times` that is no whole number from 0: `-1`"),
        ('{"replies": [{"reply": "a", "tokens_in": "many"}]}', "`tokens_in` that is no whole number"),
        (
            '{"replies": [{"reply": "a", "finish": "late"}]}',
            "`finish` that is none of stop, length, filtered",
        ),
        ('{"replies": [{"error": "no"}]}', "`error` that is no object with a `fault` of auth, "),
        (
            '{"replies": [{"error": {"fault": "bad luck"}}]}',
            "`error` that is no object with a `fault` of auth, ",
        ),
        ("[" * 100_000, "is no JSON"),
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


def test_what_is_no_text_is_no_recording(tmp_path):
    for name in ("script.yaml", "script.json", "journal.jsonl"):
        (tmp_path / name).write_bytes(b"\xff\xfe\n")
        with pytest.raises(UsageError, match="is no recording"):
            recorded(tmp_path / name, "x")


def test_a_script_can_fail_and_say_what_it_cost(tmp_path):
    path = tmp_path / "script.json"
    error = {"fault": "rate", "message": "slow down", "retryable": True, "retry_after_s": 0.5}
    figures = {"reply": "cut", "tokens_in": 7, "tokens_out": 3, "finish": "length"}
    path.write_text(json.dumps({"replies": [{"error": error}, figures]}))

    async def ask():
        model = Recorded(Target("recorded", "recorded", str(path)), {})
        with pytest.raises(ModelFailed, match="slow down") as caught:
            await model.complete(Prompt(TWO, 10))
        return caught.value, await model.complete(Prompt((Message("user", "a\ud800"),), 10))

    failed, reply = asyncio.run(ask())
    assert (failed.fault, failed.retryable, failed.retry_after_s) == ("rate", True, 0.5)
    assert reply == Reply("cut", 7, 3, finish="length")


def journal(folder, *events):
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"v": 1, "seq": n, "call": "0", **event}) for n, event in enumerate(events)]
    (folder / "journal.jsonl").write_text("\n".join(["3", *lines, '{"torn']))


def llm(call, prompt, value):
    arguments = {"prompt": prompt, "model": None}
    yield {"event": "call_started", "call": call, "kind": "llm", "name": "llm_query", "arguments": arguments}
    yield {"event": "call_finished", "call": call, "outcome": "ok", "value": value, "tokens_in": 3}


def test_a_journal_answers_as_the_model_did_in_the_order_of_equal_requests(tmp_path):
    turn = {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "begin"}]}
    blob = {"$blob": "abc", "n_bytes": 6}
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "abc").write_text('"long"')
    journal(
        tmp_path,
        {"event": "iteration", "iteration": 1, **turn},
        {"event": "reply", "iteration": 1, "text": "a cell", "tokens_in": 9, "tokens_out": 2},
        *llm("0.1", "same", "first"),
        *llm("0.2", "same", "second"),
        *llm("0.3", "other", {"n": 1}),
        *llm("0.4", "big", blob),
    )
    assert recorded(tmp_path, "same", "big", "other", "same") == ["first", "long", '{"n": 1}', "second"]
    assert recorded(tmp_path / "journal.jsonl", "begin", for_root=True) == ["a cell"]
    with pytest.raises(
        ModelFailed, match=r"no reply left for a sub request .*'begin' \(5 for other requests\)"
    ):
        recorded(tmp_path, "begin")


def test_a_program_that_floods_costs_no_more_memory_than_a_reply_may(monkeypatch):
    code = "import sys\nfor _ in range(80): sys.stdout.write('x' * (1 << 20))"
    with pytest.raises(ModelFailed, match="printed more than 64 MiB") as caught:
        run(code)
    assert (caught.value.fault, caught.value.retryable) == ("junk", False)


def test_a_program_that_reads_nothing_may_be_sent_much():
    assert run("print(1)", messages=(Message("user", "x" * (4 << 20)),)) == Reply("1")
