"""The harness that kills runs finds what it is there to find."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from crash import record
from crash.answering import truth
from crash.keeper import Life, Order, lived
from crash.kills import Kill
from crash.places import TOOLS, TURN
from crash.trial import Played
from crash.verdict import judge, unsound

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

DONE = Life(0, "{}", "", is_killed=False, is_hung=False, ran_s=1.0, gone_s=0.0, left=[])


def event(seq, name, call="0", **fields):
    return {"seq": seq, "event": name, "call": call, **fields}


def llm(seq, call, prompt):
    return event(seq, "call_started", call, kind="llm", arguments={"prompt": prompt})


def played(**fields):
    usual = {
        "result": {"answer": 1, "usage": {"calls": 1}},
        "n_requests": 1,
        "asked": Counter(["a?"]),
        "effects": Counter(["x"]),
        "lives": [DONE],
    }
    return Played(**{**usual, **fields})


def test_requests_are_in_flight_from_their_announcement_to_their_end():
    told = [
        llm(0, "0.1", "a?"),
        llm(1, "0.2", "b?"),
        event(2, "request", "0.1"),
        event(3, "request", "0.2"),
        event(4, "request", "0.3"),
        event(5, "call_finished", "0.1"),
    ]
    assert record.in_flight(told) == Counter(["b?", TURN])
    assert record.in_flight([*told, event(6, "reply", "0.3")]) == Counter(["b?"])
    assert record.in_flight([*told, event(6, "resumed")]) == Counter()
    assert record.in_flight([*told, event(6, "resumed"), event(7, "request", "0.2")]) == Counter(["b?"])


def test_a_journal_with_a_gap_or_a_call_that_begins_after_its_end_is_found():
    ended = event(1, "call_finished", "0.1")
    assert record.problems([llm(0, "0.1", "a?"), ended]) == []
    assert record.problems([llm(0, "0.1", "a?"), {**ended, "seq": 2}]) == ["event 1 has the number 2"]
    assert record.problems([llm(0, "0.1", "a?"), ended, llm(2, "0.1", "a?")]) == [
        "event 2: call 0.1 had ended, and begins again"
    ]
    assert record.problems([llm(0, "0.1", "a?"), {**ended, "cut": True}, llm(2, "0.1", "a?")]) == []


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"result": {"answer": 2, "usage": {"calls": 1}}}, "exit 0, answer 2"),
        ({"code": 1}, "exit 1"),
        ({"effects": Counter(["x", "x"])}, "effects too often: {'x': 1}"),
        ({"effects": Counter()}, "missing: {'x': 1}"),
        ({"asked": Counter(["a?", "a?"]), "n_requests": 2, "result": {"answer": 1, "usage": {"calls": 2}}}, "again"),
        ({"result": {"answer": 1, "usage": {"calls": 0}}}, "reported"),
        ({"asked": Counter(["a?", "b?"])}, "the model saw 2 requests"),
        ({"problems": ["left alive"]}, "left alive"),
        ({"diverged": ["event 3"]}, "diverged"),
    ],
)  # fmt: skip
def test_what_a_kill_changed_is_a_fault(fields, fault):
    kills = (Kill("all", 3),)
    assert judge(kills, played(), played()).faults == []
    assert fault in "; ".join(judge(kills, played(**fields), played()).faults)


def test_a_request_that_was_in_flight_may_be_made_again():
    twice = played(
        asked=Counter(["a?", "a?"]), n_requests=2, result={"answer": 1, "usage": {"calls": 2}}, in_flight=Counter(["a?"])
    )  # fmt: skip
    verdict = judge((Kill("all", 3),), twice, played())
    assert (verdict.faults, verdict.n_repeated, verdict.n_beyond) == ([], 1, 0)


def test_a_lost_worker_excuses_a_missing_effect_and_never_a_second_one():
    kills = (Kill("worker", after_s=0.1),)
    assert judge(kills, played(code=1, effects=Counter()), played()).faults == []
    assert judge(kills, played(effects=Counter(["x", "x"])), played()).faults != []
    assert judge(kills, played(code=69), played()).faults != []


def test_only_a_sound_run_measures_others():
    assert unsound(played()) == []
    assert unsound(played(effects=Counter(["x", "x"]))) != []
    assert unsound(played(code=1)) != []


def test_the_truth_about_a_call_is_what_the_ledger_has():
    assert truth("ledger.append", {"key": "a"}, Counter(["a"])) == {"done": {"written": "a"}}
    assert truth("ledger.append", {"key": "a"}, Counter(["b"])) == "retry"
    assert truth("publish.entry", {"name": "a"}, Counter(["a-1", "a-2"])) == "retry"
    assert truth("publish.entry", {"name": "a"}, Counter(["a-1", "a-2", "put a"])) == {
        "done": {"published": ["a-1", "a-2", "a"]}
    }
    with pytest.raises(ValueError, match="may be repeated"):
        truth("ledger.put", {"key": "a"}, Counter())


@linux_only
def test_a_keeper_finds_and_ends_what_left_its_parent(tmp_path):
    left = life(tmp_path, "import os, time\nif not os.fork():\n    os.setsid()\n    time.sleep(60)\n")
    assert (left.code, len(left.left)) == (0, 1)
    assert life(tmp_path, "print('done')").left == []


@linux_only
def test_a_keeper_kills_at_the_instant_and_all_below(tmp_path):
    (tmp_path / "runs/r").mkdir(parents=True)
    code = """
import os, time
open("runs/r/journal.jsonl", "w").write("begun")
os.fork()
time.sleep(60)
"""
    killed = life(tmp_path, code, Kill("all", after_s=0.05))
    assert (killed.code, killed.is_killed, killed.left) == (-9, True, [])
    assert 0.05 <= killed.ran_s < 60


def life(folder: Path, code: str, kill: Kill | None = None) -> Life:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TOOLS)}
    return lived(Order([sys.executable, "-c", code], str(folder), env, str(folder / "runs"), kill))


@linux_only
def test_a_run_dies_at_its_event_and_not_before(tmp_path):
    (tmp_path / "w.md").write_text("# W\n\n```repl\nFINAL(1)\n```\n")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TOOLS), "HOME": str(tmp_path)}
    for moment, n_whole, is_torn in (("after", 4, False), ("before", 3, False), ("torn", 3, True)):
        words = ["3", moment, "all", "w.md", "--workspace", "."]
        argv = [sys.executable, "-P", "-m", "crash.runner", *words]
        runs = tmp_path / "memory/runs"
        assert lived(Order(argv, str(tmp_path), env, str(runs))).code == -9
        data = max(runs.glob("*/journal.jsonl")).read_bytes()
        assert [json.loads(line)["seq"] for line in data.split(b"\n")[:-1]] == list(range(n_whole))
        assert bool(data.split(b"\n")[-1]) is is_torn
