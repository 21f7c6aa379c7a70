"""The reference implementation's log of a run: every field that its visualiser reads, for real runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from test_model_runs import cell, sub

from orchestrator.runs.export import rlm_lines
from orchestrator.runs.history import read_tree
from orchestrator.runs.journal import Journal
from orchestrator.strategies.reply import read_reply

# What the visualiser's TypeScript types demand.
CALL: dict[str, Any] = {
    "type": "object",
    "required": ["prompt", "response", "prompt_tokens", "completion_tokens", "execution_time"],
    "properties": {
        "prompt": {"type": ["string", "object", "array"]},  # written as JSON where it is no text
        "response": {"type": "string"},
        "prompt_tokens": {"type": "integer"},
        "completion_tokens": {"type": "integer"},
        "execution_time": {"type": "number"},
    },
}
BLOCK = {
    "type": "object",
    "required": ["code", "result"],
    "properties": {
        "code": {"type": "string"},
        "result": {
            "type": "object",
            "required": ["stdout", "stderr", "locals", "execution_time", "rlm_calls"],
            "properties": {
                "stdout": {"type": "string"},
                "stderr": {"type": "string"},
                "locals": {"type": "object"},
                "execution_time": {"type": "number"},
                "rlm_calls": {"type": "array", "items": CALL},
            },
        },
    },
}
ITERATION = {
    "type": "object",
    "required": [
        "type",
        "iteration",
        "timestamp",
        "prompt",
        "response",
        "code_blocks",
        "final_answer",
        "iteration_time",
    ],
    "properties": {
        "type": {"const": "iteration"},
        "iteration": {"type": "integer"},
        "timestamp": {"type": "string"},
        "prompt": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "required": ["role", "content"]},
        },
        "response": {"type": "string"},
        "code_blocks": {"type": "array", "items": BLOCK},
        "final_answer": {"type": ["string", "null"]},
        "iteration_time": {"type": ["number", "null"]},
    },
}
METADATA = {
    "type": "object",
    "required": [
        "type", "root_model", "max_depth", "max_iterations", "backend", "backend_kwargs", "environment_type",
        "environment_kwargs", "other_backends",
    ],
}  # fmt: skip


def exported(place) -> list[dict[str, Any]]:
    folder = max((place.root / "memory/runs").iterdir())
    first, *iterations = [json.loads(line) for line in rlm_lines(read_tree(folder))]
    Draft202012Validator(METADATA).validate(first)
    for iteration in iterations:
        Draft202012Validator(ITERATION).validate(iteration)
    return [first, *iterations]


def test_a_run_of_a_model_is_what_the_visualiser_reads(place):
    result = place.solve(
        {"role": "root", "reply": "no cell", "match": "Do it"},
        cell("a = llm_query('one')\nprint(a)", match="could not be used"),
        cell("FINAL([a, rlm_query('CHILD', context='x')])", match="Cell 1 showed"),
        cell("FINAL(llm_query('two'))", match=r"# Task\nCHILD"),
        sub("said", tokens_in=10, tokens_out=2),
    )
    assert result.answer == ["said", "said"]
    metadata, malformed, first, last = exported(place)
    assert (metadata["max_depth"], metadata["max_iterations"], metadata["environment_type"]) == (
        3,
        30,
        "confined",
    )
    assert malformed["code_blocks"] == []
    assert malformed["response"] == "no cell"
    assert [one["role"] for one in first["prompt"]] == ["system", "user", "assistant", "user"]
    assert [one["role"] for one in last["prompt"]] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    call = first["code_blocks"][0]["result"]["rlm_calls"][0]
    assert (call["prompt"], call["response"], call["prompt_tokens"], call["completion_tokens"]) == (
        "one",
        "said",
        10,
        2,
    )
    assert (first["final_answer"], last["final_answer"]) == (None, '["said", "said"]')
    child = last["code_blocks"][0]["result"]["rlm_calls"][0]
    inner = child["metadata"]["iterations"]
    Draft202012Validator(ITERATION).validate(inner[0])
    assert inner[0]["code_blocks"][0]["result"]["rlm_calls"][0]["prompt"] == "two"
    assert child["usage_summary"]["model_usage_summaries"][child["root_model"]]["total_calls"] == 2


def test_a_run_of_written_cells_is_exported_too(place):
    assert place.run("x = 1\nprint(x)", "FINAL(x / 0)").status == "failed"
    _, only = exported(place)
    assert only["response"] == "```repl\nx = 1\nprint(x)\n```\n\n```repl\nFINAL(x / 0)\n```"
    assert [one["result"]["stderr"] for one in only["code_blocks"]] == [
        "",
        "ZeroDivisionError: division by zero",
    ]
    assert only["final_answer"] is None


def test_failed_calls_are_marked(place):
    place.solve(
        cell("try:\n    llm_query('bad')\nexcept SubCallError:\n    FINAL(1)"),
        {"role": "sub", "error": {"fault": "rejected", "message": "no"}},
    )
    call = exported(place)[1]["code_blocks"][0]["result"]["rlm_calls"][0]
    assert (call["response"], call["error"]) == ("[error] no", "no")


def test_each_model_of_a_child_is_counted_by_its_own_name(place):
    (place.root / "orchestrate.toml").write_text(
        f'[models.small]\nmodel = "{place.script(sub("said", tokens_in=10, tokens_out=2), name="sub.json")}"\n'
    )
    result = place.solve(
        cell("FINAL(rlm_query('CHILD', context='x'))", match="Do it", tokens_in=100, tokens_out=5),
        cell("FINAL(llm_query('two'))", match=r"# Task\nCHILD", tokens_in=50, tokens_out=5),
        sub_model="small",
    )
    assert result.answer == "said"
    child = exported(place)[1]["code_blocks"][0]["result"]["rlm_calls"][0]
    sums = child["usage_summary"]["model_usage_summaries"]
    root = child["root_model"]
    assert {name: one["total_input_tokens"] for name, one in sums.items()} == {root: 50, "small": 10}
    assert {name: one["total_calls"] for name, one in sums.items()} == {root: 1, "small": 1}
    assert (child["prompt_tokens"], child["completion_tokens"]) == (60, 7)


def journal_of(tmp_path, *events) -> list[dict[str, Any]]:
    """What is exported of a run with these events."""
    with Journal(tmp_path, "run-1") as journal:
        limits = {"depth": 3, "iterations": 30}
        journal.append(
            "run_started", "0", workflow="w", environment="confined", limits=limits, models={"root": "m"}
        )
        journal.append("call_started", "0", parent=None, kind="root", name="w", arguments={}, depth=0)
        for name, call, fields in events:
            journal.append(name, call, **fields)
    lines = list(rlm_lines(read_tree(tmp_path)))
    assert all(line.isascii() for line in lines)
    return [json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) for line in lines]


def turn(number: int, messages: list[str], reply: str, *, compacted: bool = False) -> list[Any]:
    told = [{"role": "user", "content": text} for text in messages]
    return [
        ("iteration", "0", {"strategy": "rlm", "iteration": number, "model": "m", "messages": told, "compacted": compacted}),
        ("reply", "0", {"iteration": number, "text": reply, "model": "m", "calls": 1, "tokens_in": 1, "tokens_out": 1, "usd": 0.0,
                            "duration_s": 1.0, "problem": None}),
    ]  # fmt: skip


def ran(number: int, *, answered: bool = False, source: str = "1", inside: Any = ()) -> list[Any]:
    return [
        ("cell_started", "0", {"cell": number, "source": source}),
        *inside,
        (
            "cell_finished",
            "0",
            {"cell": number, "output": "", "error": None, "answered": answered, "duration_s": 0.5},
        ),
    ]


def test_messages_are_rebuilt_and_begin_anew_where_they_were_replaced(tmp_path):
    _, *turns = journal_of(
        tmp_path,
        *turn(1, ["task"], "A"),
        *turn(2, ["seen 1"], "B"),
        *turn(3, ["summary"], "C", compacted=True),
        *turn(4, ["seen 3"], "D"),
    )
    assert [[one["content"] for one in each["prompt"]] for each in turns] == [
        ["task"],
        ["task", "A", "seen 1"],
        ["summary"],
        ["summary", "C", "seen 3"],
    ]


def test_an_answer_that_did_not_count_is_no_final_answer(tmp_path):
    events = [
        *turn(1, ["task"], "A"),
        *ran(1, answered=True),
        *turn(2, ["again"], "B"),
        *ran(2, answered=True),
    ]
    finished = (
        "call_finished",
        "0",
        {"outcome": "ok", "value": [1, float("nan")], "error": None, "duration_s": 3.0},
    )
    _, first, last = journal_of(tmp_path, *events, finished)
    assert [first["final_answer"], last["final_answer"]] == [None, "[1, NaN]"]
    assert first["code_blocks"][0]["result"]["final_answer"] is None


def test_a_run_that_was_cut_short_has_no_final_answer(tmp_path):
    started = (
        "call_started",
        "0.1",
        {"parent": "0", "kind": "llm", "name": "llm_query", "arguments": {"prompt": "q"}, "depth": 1},
    )
    nothing = (
        "call_started",
        "0.2",
        {
            "parent": "0",
            "kind": "llm",
            "name": "llm_query",
            "arguments": {"prompt": float("inf")},
            "depth": 1,
        },
    )
    refused = ("call_finished", "0.2", {"outcome": "not_run", "value": None, "error": "not run: no key", "duration_s": 0.0,
                                            "calls": 0, "tokens": 0, "usd": 0.0, "model": "", "tokens_in": 0, "tokens_out": 0})  # fmt: skip
    _, only = journal_of(
        tmp_path,
        *turn(1, ["\u2028\x9b\ud800"], "A"),
        *ran(1, answered=True, inside=[started, nothing, refused]),
    )
    assert only["final_answer"] is None
    under_way, not_made = only["code_blocks"][0]["result"]["rlm_calls"]
    assert (under_way["response"], under_way["error"]) == ("[not finished] ", "not finished")
    assert (not_made["response"], not_made["error"]) == ("[not run] not run: no key", "not run: no key")
    assert not_made["usage_summary"] == {"model_usage_summaries": {}, "total_cost": 0.0}


def test_a_fence_in_a_written_cell_does_not_end_it(tmp_path):
    source = 'x = """\n```\n"""'
    begun = ("iteration", "0", {"strategy": "written", "iteration": 1})
    _, only = journal_of(tmp_path, begun, *ran(1, source=source))
    assert read_reply(only["response"]).cells == (source + "\n",)


def test_a_judge_stands_with_the_last_cell_before_it(place):
    result = place.solve(
        cell("FINAL('x')"),
        {"role": "sub", "json": {"passed": True, "why": "it does"}, "times": 0},
        head="checks: [{name: tone, judge: Is it short?}]",
    )
    assert result.status == "answered"
    _, only = exported(place)
    [call] = only["code_blocks"][0]["result"]["rlm_calls"]
    assert "Is it short?" in call["prompt"]
    assert json.loads(call["response"])["passed"] is True
