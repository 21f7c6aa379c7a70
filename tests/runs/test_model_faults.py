"""What a run makes of models that fail, over a real wire."""

from __future__ import annotations

import json

import pytest
from model_server import Answer, Fault, ModelServer
from test_model_runs import cell, sub

SETTINGS = """
[models.{name}]
model = "{name}"
api_base = "{url}/v1"
key_env = "TEST_KEY"
retries = {retries}
timeout_s = {timeout_s}
window = {window}
usd_in = 1.0
usd_out = 1.0
fallbacks = {fallbacks}
"""


def settings(server, name="m", *, retries=2, timeout_s=10, window=20000, fallbacks=()):
    return SETTINGS.format(
        name=name,
        url=server.url,
        retries=retries,
        timeout_s=timeout_s,
        window=window,
        fallbacks=json.dumps(fallbacks),
    )


@pytest.fixture
def wired(place, monkeypatch):
    """Runs a workflow without cells against a server."""
    monkeypatch.setenv("TEST_KEY", "test-key-of-a-test")

    def run(server, text=None, **request):
        (place.root / "orchestrate.toml").write_text(text or settings(server))
        return place.solve(head=request.pop("head", ""), model=request.pop("model", "m"), **request)

    return run


def root_asks(source: str):
    return lambda seen: Answer(f"```repl\n{source}\n```" if seen.is_root else "fine", 20, 5)


@pytest.mark.parametrize(
    "fault", [Fault("html"), Fault("close"), Fault("status", 503), Fault("hang"), Fault("junk")]
)
def test_a_root_whose_model_never_answers_ends_with_69_and_says_what_was_tried(fault, wired):
    with ModelServer(faults=lambda _: fault) as server:
        result = wired(server, settings(server, retries=1, timeout_s=0.2))
        assert (result.status, result.exit_code, result.answer) == ("error", 69, None)
        assert result.usage.calls == server.counts.requests == 2


def test_a_root_gets_no_further_with_a_refused_key(wired, monkeypatch):
    monkeypatch.setenv("TEST_KEY", "wrong")
    with ModelServer() as server:
        result = wired(server)
        assert (result.status, result.exit_code, server.counts.requests) == ("error", 69, 1)
    assert "401" in result.message
    assert "hint: the key is not accepted" in result.message


def test_a_fallback_answers_for_a_model_that_fails_for_good(wired):
    with (
        ModelServer(faults=lambda _: Fault("status", 500, "0")) as broken,
        ModelServer(root_asks("FINAL(7)")) as works,
    ):
        text = settings(broken, retries=1, fallbacks=["other"]) + settings(works, "other")
        result = wired(broken, text)
        assert (result.status, result.answer) == ("answered", 7)
        assert result.usage.calls == broken.counts.requests + works.counts.requests == 3


def test_a_fallback_that_can_not_be_reached_is_no_news(wired, monkeypatch):
    with ModelServer(faults=lambda _: Fault("status", 500, "0")) as broken:
        text = settings(broken, retries=0, fallbacks=["other"]) + settings(broken, "other").replace(
            "TEST_KEY", "NO_KEY"
        )
        result = wired(broken, text)
        assert (result.exit_code, broken.counts.requests) == (69, 1)
    assert "the endpoint said 500" in result.message


def test_a_cell_that_names_a_model_without_its_key_hears_of_it(wired):
    source = "try:\n    llm_query('q', model='openai/gpt-4o')\nexcept SubCallError as error:\n    FINAL(str(error))"
    with ModelServer(root_asks(source)) as server:
        assert "needs the variable `OPENAI_API_KEY`" in wired(server).answer


def test_a_quota_that_ends_in_a_batch_leaves_the_rest_not_run(wired):
    source = "got = llm_query_batched(['q'] * 40)\nFINAL([sum(map(bool, got)), sorted({one.kind for one in got if not one})])"
    faults = [None, None, None, None, Fault("quota")]
    with ModelServer(root_asks(source), faults=faults) as server:
        result = wired(server, head="budget: {concurrency: 1}")
        assert result.answer == [3, ["error", "not_run"]]
        assert result.usage.calls == server.counts.requests == 5


def test_a_prompt_longer_than_the_window_is_refused_before_it_is_sent(wired):
    source = "try:\n    llm_query('x' * 100_000)\nexcept SubCallError as error:\n    FINAL([error.kind, str(error), error.hint])"
    with ModelServer(root_asks(source)) as server:
        kind, said, hint = wired(server).answer
        assert server.counts.requests == 1
    assert kind == "invalid"
    assert "has about 25,000 tokens (100,000 bytes), and `m` reads 20,000" in said
    assert "rlm_query" in hint


def test_a_root_reply_of_megabytes_is_told_to_be_too_long(wired, place):
    with ModelServer(root_asks("FINAL(1)"), faults=[Fault("big")]) as server:
        result = wired(server, settings(server, window=5_000_000))
    assert result.answer == 1
    assert "it has 10,485,760 characters; at most 1,000,000 are read" in place.shown_to_root()[1]


def test_near_the_window_a_root_is_summarised_and_goes_on(wired, place):
    def policy(seen):
        n_turns = sum(role == "assistant" for role, _ in seen.messages)
        if "only what you write now" in seen.last:
            return Answer("SUMMARY of all", 10, 5)
        done = "SUMMARY of all" in seen.messages[1][1]
        return Answer(
            "```repl\nFINAL(len(history))\n```" if done else f"```repl\nprint('z' * 9000)  # {n_turns}\n```",
            10,
            5,
        )

    with ModelServer(policy) as server:
        result = wired(server, settings(server, window=20000))
    assert result.status == "answered"
    assert result.answer >= 6
    compacted = [event.fields["compacted"] for event in place.events if event.event == "iteration"]
    assert compacted.count(True) == 1


def test_what_is_reported_is_what_the_server_saw_in_a_tree_with_failures(wired):
    def policy(seen):
        task = seen.messages[1][1] if seen.is_root else ""
        if "LEAF" in task:
            return Answer("```repl\nFINAL(llm_query('deep'))\n```", 30, 7)
        return Answer(
            "```repl\nFINAL(rlm_query_batched(['LEAF ' + str(n) for n in range(6)]))\n```"
            if seen.is_root
            else "ok",
            30,
            7,
        )

    with ModelServer(policy, faults=lambda n: Fault("status", 500, "0") if n % 4 == 0 else None) as server:
        result = wired(server, settings(server, retries=8))
        assert result.answer == ["ok"] * 6
        assert result.usage.calls == server.counts.requests
        assert result.usage.tokens == server.counts.tokens_in + server.counts.tokens_out
        assert result.usage.usd == pytest.approx(result.usage.tokens / 1e6)


def test_a_run_without_a_known_price_counts_nothing_and_says_so_unless_dollars_are_limited(wired, place):
    with ModelServer(root_asks("FINAL(1)")) as server:
        text = settings(server).replace("usd_in = 1.0\nusd_out = 1.0\n", "")
        result = wired(server, text)
        assert (result.answer, result.usage.usd) == (1, 0.0)
        assert any(
            "price of `m` is unknown" in str(event.fields) for event in place.events if event.event == "log"
        )
        refused = wired(server, text, head="budget: {usd: 1.0}")
        assert (refused.status, refused.exit_code) == ("error", 69)
        assert "the price of `m` is unknown, and the budget sets `usd`" in refused.message
        assert server.counts.requests == 1


def test_no_key_is_in_anything_that_a_run_leaves_behind(wired, place):
    with ModelServer(
        root_asks("import os\nFINAL([llm_query('q'), dict(os.environ)])"), faults=[Fault("status", 500, "0")]
    ) as server:
        result = wired(server)
    assert result.status == "answered"
    assert "test-key-of-a-test" not in json.dumps(result.answer)
    for path in place.root.rglob("*"):
        assert (
            path.name == "orchestrate.toml"
            or not path.is_file()
            or b"test-key-of-a-test" not in path.read_bytes()
        )


def test_a_deadline_in_the_middle_of_a_request_costs_the_cell_and_not_the_run(wired):
    def policy(seen):
        if not seen.is_root:
            return Answer("late", delay_s=30)
        slow = "Cell 1 showed" not in seen.last
        return Answer("```repl\nllm_query('slow')\n```" if slow else "```repl\nFINAL(budget.calls)\n```")

    with ModelServer(policy) as server:
        result = wired(server, head="cell_timeout_s: 0.5")
        assert (result.status, result.usage.calls) == ("answered", 3)
        assert server.counts.requests == 3


def test_replies_are_kept_and_taken_where_that_is_asked_for(wired):
    with ModelServer(root_asks("FINAL(llm_query_batched(['q', 'q']))")) as server:
        for text, n_requests in ((settings(server), 3), (settings(server) + "[cache]\nreplies = true\n", 3)):
            server.reset()
            result = wired(server, text)
            assert (result.answer, result.usage.calls, server.counts.requests) == (
                ["fine", "fine"],
                n_requests,
                n_requests,
            )
        server.reset()
        again = wired(server, text)
        assert (again.answer, again.usage.calls, again.usage.tokens, server.counts.requests) == (
            ["fine", "fine"],
            0,
            0,
            0,
        )


def test_a_model_that_the_endpoint_does_not_know_gets_the_closest_names(wired):
    with ModelServer(faults=lambda _: Fault("status", 404)) as server:
        result = wired(
            server, settings(server, "gpt-4o-minni") + settings(server, "mine"), model="gpt-4o-minni"
        )
        assert (result.exit_code, server.counts.requests) == (69, 1)
    assert "hint: did you mean" in result.message
    assert "`gpt-4o-mini`" in result.message


def test_sub_calls_with_one_place_for_all_come_to_an_end(place):
    result = place.solve(
        cell("FINAL(rlm_query_batched(['A', 'B', 'C'], contexts=['a', 'b', 'c']))", match="Do it"),
        cell("FINAL([llm_query('q'), rlm_query('DEEP ' + context)])", match=r"# Task\n[ABC]\n", times=3),
        cell("FINAL(llm_query_batched(['q', 'q']))", match=r"# Task\nDEEP", times=3),
        sub("ok"),
        head="budget: {concurrency: 1, depth: 3}",
    )
    assert result.status == "answered", result.message


def test_the_journal_of_a_run_answers_the_same_run_again(place):
    replies = (
        cell("a = llm_query('one')\nprint(a)", match="Do it"),
        {"role": "root", "match": "Cell 1 showed", "reply": "hm"},
        cell("FINAL([a, rlm_query('CHILD', context='x')])", match="could not be used"),
        cell("FINAL(llm_query('two') + context)", match=r"# Task\nCHILD"),
        sub("said"),
    )
    first = place.solve(*replies)
    again = place.solve(model=f"recorded:{place.root / 'memory/runs' / first.run}")
    assert (again.status, again.answer, again.usage.calls) == (
        "answered",
        ["said", "saidx"],
        first.usage.calls,
    )


def test_a_batch_of_one_bad_prompt_makes_the_others(wired):
    source = "got = llm_query_batched(['a', 3, 'b'])\nFINAL([got[0], got[1].kind, got[2]])"
    with ModelServer(root_asks(source)) as server:
        assert wired(server).answer == ["fine", "invalid", "fine"]


def test_a_rate_limit_holds_all_requests_to_its_model_and_loses_none(wired):
    source = "got = llm_query_batched(['q'] * 24)\nFINAL(sum(map(bool, got)))"
    busy = {3, 4, 5, 9, 15}
    with ModelServer(
        root_asks(source), faults=lambda n: Fault("status", 429, "0.05") if n in busy else None
    ) as server:
        result = wired(server, settings(server, retries=6), head="budget: {concurrency: 4}")
        assert result.answer == 24
        assert result.usage.calls == server.counts.requests == 25 + len(busy)


def test_a_refused_connection_is_no_request(wired):
    with ModelServer() as server:
        gone = settings(server, retries=1)
    result = wired(server, gone)
    assert (result.exit_code, result.usage.calls, result.usage.tokens) == (69, 0, 0)


def test_a_skill_may_not_choose_a_file_or_code_as_a_model(place):
    (place.root / "skills/maths/tripled.md").write_text(
        "---\nname: tripled\ninputs: {n: integer}\nmodel: {sub: 'recorded:/etc/hostname'}\n---\n```repl\nFINAL(llm_query('q'))\n```\n"
    )
    result = place.run(
        "try:\n    skills.maths.tripled(n=1)\nexcept SkillError as error:\n    FINAL(str(error))",
        head="skills: [maths]",
        model=place.script(sub("x")),
    )
    assert "a skill may not choose `recorded:/etc/hostname` as a model" in result.answer


def test_a_cell_may_not_choose_an_address_to_send_to(place):
    source = (
        "said = []\nfor name in ('litellm:oobabooga/http://127.0.0.1:1/v1', 'json.decoder:JSONDecoder', 'command:x'):\n"
        "    try:\n        llm_query('secret', model=name)\n    except SubCallError as error:\n        said.append(error.kind)\nFINAL(said)"
    )
    assert place.solve(cell(source)).answer == ["denied", "denied", "invalid"]
