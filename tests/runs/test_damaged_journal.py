"""A journal that was damaged, edited or written by another program: read as far as it goes, or refused with its line."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.runs.history import process_of, read_tree, run_info, spent_of_run
from orchestrator.runs.journal import FILE_NAME, Journal, read_journal
from orchestrator.runs.rehearsal import Rehearsal
from orchestrator.runs.resuming import read_record

AT = "2026-01-01T00:00:00.000000Z"
USAGE = {"calls": 1, "tokens": 2, "usd": 0.5, "seconds": 1.5}
NEED = {"id": "a1b2c3d4", "kind": "input", "call": "0", "prompt": "Which?", "name": "folder"}
HEADER = {
    "workflow": "w", "path": "/w.md", "version": "1", "environment": "process", "covers": [], "limits": {"depth": 3},
    "strategies": ["rlm"], "models": {"root": None, "sub": "m"}, "skills": {}, "source": "# W", "inputs": {}, "budget": {},
    "strategy": None, "accepts_prices": False, "seed": 5, "process": {"pid": 1, "began": "1", "host": "h"},
}  # fmt: skip
EVENTS: list[tuple[str, str, dict[str, Any]]] = [
    ("run_started", "0", HEADER),
    ("call_started", "0", {"parent": None, "kind": "root", "name": "w", "arguments": {}, "depth": 0}),
    ("iteration", "0", {"strategy": "rlm", "iteration": 1, "model": "m", "messages": [{"role": "user", "content": "q"}]}),
    ("reply", "0", {"iteration": 1, "text": "t", "calls": 1, "tokens_in": 1, "tokens_out": 1, "usd": 0.1, "problem": None}),
    ("cell_started", "0", {"cell": 1, "source": "1"}),
    ("call_started", "0.1", {"parent": "0", "kind": "llm", "name": "llm_query", "arguments": {}, "depth": 1, "stage": 1}),
    ("request", "0.1", {"model": "m", "tokens_in": 5, "usd": 0.1}),
    ("noted", "0", {"fn": "clock", "value": [1]}),
    ("call_finished", "0.1", {"outcome": "error", "error": "e", "raised": "CallError", "error_kind": "x", "duration_s": 0.1}),
    ("cell_finished", "0", {"cell": 1, "output": "o", "error": None, "answered": True, "duration_s": 0.1, "answer": 1}),
    ("check", "0", {"name": "n", "passed": True, "message": ""}),
    ("diverged", "0", {"cell": 1, "line": 1, "message": "m"}),
    ("suspended", "0", {"needs": [NEED], "usage": USAGE}),
    ("resumed", "0", {"answers": {"a1b2c3d4": "notes"}, "process": {"pid": 1, "began": "1"}}),
    ("call_finished", "0", {"outcome": "ok", "value": 1, "error": None, "duration_s": 1.0, "calls": 1, "tokens": 2, "usd": 0.5}),
    ("run_finished", "0", {"status": "answered", "answer": 1, "strategy": "rlm", "checks": [], "usage": USAGE, "attempts": [
        {"strategy": "rlm", "outcome": "ok", "usage": USAGE, "checks": [{"name": "n", "passed": True, "message": ""}]}]}),
]  # fmt: skip
RECORDS = [
    {"v": 1, "seq": seq, "at": AT, "run": "r", "call": call, "event": event, **fields}
    for seq, (event, call, fields) in enumerate(EVENTS)
]
ODD = [None, True, 0, -1, 1.5, 1e308, float("inf"), 10**400, "", "x", "0.1", "\0", [], {}, [[]], [None], {"a": 1},
       {"$blob": 5, "n_bytes": 1}, {"$blob": "..", "n_bytes": 1}, {"$blob": "0" * 64, "n_bytes": 1}]  # fmt: skip


def written(folder, records) -> None:
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (folder / FILE_NAME).write_text("\n".join(lines) + "\n")


def read_by_all(folder) -> None:
    """Every reader either reads it or refuses it; a list of runs has a line for whatever there is."""
    run_info(folder)
    for read in (read_tree, spent_of_run, process_of, read_record, lambda folder: Rehearsal(folder, "r")):
        with suppress(UsageError):
            read(folder)


def test_what_is_whole_is_read(tmp_path):
    written(tmp_path, RECORDS)
    assert len(list(read_journal(tmp_path / FILE_NAME, strict=True))) == len(EVENTS)
    assert read_record(tmp_path).inputs == {"folder": "notes"}
    assert run_info(tmp_path).usage == USAGE


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    at=st.integers(0, len(RECORDS) - 1),
    name=st.integers(0, 30),
    value=st.sampled_from(ODD),
    goes=st.booleans(),
)
def test_one_odd_value_anywhere_breaks_no_reader(tmp_path, at, name, value, goes):
    record = dict(RECORDS[at])
    key = sorted(record)[name % len(record)]
    if goes:
        del record[key]
    else:
        record[key] = value
    written(tmp_path, [*RECORDS[:at], record, *RECORDS[at + 1 :]])
    read_by_all(tmp_path)
    written(tmp_path, [*RECORDS[:at], record])  # as the last one, which may be torn
    read_by_all(tmp_path)


@pytest.mark.parametrize(
    ("at", "change", "said"),
    [
        (1, {"at": "-01T00:00:00Z"}, "its `at` is not an ISO 8601 time with an offset"),
        (1, {"at": "2026-01-01T00:00:00"}, "its `at` is not an ISO 8601 time with an offset"),
        (1, {"call": "0.x"}, "its `call` is not the id of a call, such as `0.2.1`"),
        (5, {"parent": "0.1"}, "`0.1` does not make the call `0.1`"),
        (2, {"messages": [{"role": 1}]}, "its `messages` is not messages with a role and a content"),
        (3, {"usd": float("nan")}, "its `usd` is not a number from 0"),
        (4, {"event": ["x"]}, "its `event` is not a text"),
        (12, {"needs": [{"id": "a"}]}, "its `needs` is not needs with an id, a kind and a prompt"),
        (12, {"usage": {}}, "its `usage` is not calls, tokens, usd and seconds"),
        (13, {"process": {}}, "its `process` is not a process with its number"),
    ],
)
def test_a_line_that_is_no_event_is_named_with_what_is_wrong(tmp_path, at, change, said):
    written(tmp_path, [*RECORDS[:at], RECORDS[at] | change, *RECORDS[at + 1 :]])
    with pytest.raises(UsageError) as caught:
        list(read_journal(tmp_path / FILE_NAME))
    assert str(caught.value) == f"{tmp_path / FILE_NAME}:{at + 1}: this is no event: {said}"
    read_by_all(tmp_path)


def test_a_field_that_a_reader_needs_is_missed_by_name(tmp_path):
    record = {name: value for name, value in RECORDS[9].items() if name != "answered"}
    written(tmp_path, [*RECORDS[:9], record, *RECORDS[10:]])
    with pytest.raises(UsageError, match=r":10: this is no event: a `cell_finished` without `answered`"):
        list(read_journal(tmp_path / FILE_NAME))


def test_a_line_nested_without_end_is_no_event(tmp_path):
    written(tmp_path, [RECORDS[0], "[" * 50_000, RECORDS[1]])
    with pytest.raises(UsageError, match=r":2: this line is no event"):
        list(read_journal(tmp_path / FILE_NAME))


def test_a_run_that_began_without_what_it_takes_to_go_on_is_refused(tmp_path):
    header = {name: value for name, value in RECORDS[0].items() if name != "inputs"}
    written(tmp_path, [header, *RECORDS[1:]])
    with pytest.raises(UsageError, match="does not say how the run began"):
        read_record(tmp_path)


def test_a_value_that_is_gone_is_shown_as_that(tmp_path):
    with Journal(tmp_path, "r") as journal:
        for event, call, fields in EVENTS:
            journal.append(event, call, **fields)
        journal.append("cell_started", "0", cell=2, source="x" * 50_000)
    for blob in (tmp_path / "blobs").iterdir():
        blob.unlink()
    root = read_tree(tmp_path).root
    assert root is not None
    assert root.cells[-1].source.startswith("(not there: ")
    with pytest.raises(UsageError, match="can't read"):
        list(read_journal(tmp_path / FILE_NAME, strict=True))
