"""The reference implementation's log of a run: every field that its visualiser reads, for real runs."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator
from test_model_runs import cell, sub

from orchestrator.runs.export import rlm_lines
from orchestrator.runs.history import read_tree

# What the visualiser's TypeScript types demand.
CALL: dict[str, Any] = {
    "type": "object",
    "required": ["prompt", "response", "prompt_tokens", "completion_tokens", "execution_time"],
    "properties": {
        "prompt": {"type": ["string", "object"]},
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
