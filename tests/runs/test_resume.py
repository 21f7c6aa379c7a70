"""A run goes on from whatever its journal holds: what is on record is not done again, what is not is."""

import json
import shutil

import pytest

from orchestrator import app
from orchestrator.errors import Denied, UsageError
from orchestrator.runs.history import run_info

CELLS = (
    """
    import random, uuid, concurrent.futures as futures
    first = [skills.maths.double(n=i)["n"] for i in range(3)]
    with futures.ThreadPoolExecutor(3) as pool:
        threads = list(pool.map(lambda n: skills.maths.double(n=n)["n"], range(10, 14)))
    """,
    """
    lucky = random.randrange(10**9)
    name = uuid.uuid4().hex
    batch = [one["n"] for one in skills.maths.double.map([{"n": 20 + i} for i in range(4)])]
    print(lucky, name)
    """,
    "asked = llm_query_batched(['a?', 'b?', 'c?'])",
    "FINAL([first, threads, batch, asked, lucky, name, skills.maths.tripled(n=5)['n']])",
)
HEAD = "skills: [maths]"


def script(place):
    return place.script({"role": "sub", "match": "", "reply": "yes", "times": 0})


def in_flight(lines):
    """Ids of calls that a journal says were begun and not ended."""
    events = [json.loads(line) for line in lines]
    begun = {event["call"] for event in events if event["event"] == "call_started"}
    return begun - {event["call"] for event in events if event["event"] == "call_finished"}


def n_lost(lines):
    """Requests that were sent, and of whose replies nothing is known."""
    open_calls = in_flight(lines)
    events = map(json.loads, lines)
    return sum(event["event"] == "request" and event["call"] in open_calls for event in events)


def begun(events):
    return [event.call for event in events if event.event == "call_started"]


def test_a_run_cut_off_after_any_event_ends_as_if_it_had_not_been(place):
    whole = place.run(*CELLS, head=HEAD, model=script(place))
    assert whole.status == "answered", whole.message
    journal = place.journal(whole.run)
    kept = journal.read_bytes()
    lines = kept.splitlines(keepends=True)
    ids = {event["call"] for event in map(json.loads, lines)}
    for n in range(1, len(lines)):
        place.cut(whole.run, n)
        result = place.resume(whole.run)
        assert (result.status, result.answer) == ("answered", whole.answer), n
        assert result.usage.calls == whole.usage.calls + n_lost(lines[:n]), n
        again = [call for call in begun(place.events) if call != "0"]
        known = {json.loads(line)["call"] for line in lines[:n]}
        assert set(again) & known <= in_flight(lines[:n]), n
        told = {json.loads(line)["call"] for line in journal.read_bytes().splitlines()}
        assert told == ids, n
        journal.write_bytes(kept)


def test_children_of_any_depth_are_gone_on_with(place):
    turn = {"role": "root", "times": 0}
    model = place.script(
        {**turn, "match": "outer", "reply": "```repl\nFINAL([rlm_query('inner', i) for i in range(2)])\n```"},
        {
            **turn,
            "match": "inner",
            "reply": "```repl\nx = llm_query('q')\nn = skills.maths.double(n=context)\n```",
        },
        {**turn, "match": "showed", "reply": "```repl\nFINAL([x, n['n']])\n```"},
        {"role": "sub", "reply": "yes", "times": 0},
    )
    path = place.write("w.md", "")
    path.write_text("---\nname: w\nskills: [maths]\n---\nThe outer task.\n")
    whole = place.execute(app.plan(app.RunRequest(path, workspace=place.root, model=model)))
    assert whole.answer == [["yes", 0], ["yes", 2]], whole.message
    journal = place.journal(whole.run)
    kept = journal.read_bytes()
    for n in range(1, len(kept.splitlines())):
        place.cut(whole.run, n)
        result = place.resume(whole.run)
        assert (result.status, result.answer) == ("answered", whole.answer), n
        assert result.usage.tokens >= whole.usage.tokens, n
        journal.write_bytes(kept)


def test_a_finished_run_gives_its_recorded_result_and_runs_nothing(place):
    whole = place.run("FINAL(skills.maths.double(n=1))", head=HEAD)
    size = place.journal(whole.run).stat().st_size
    assert place.resume(whole.run) == whole
    assert place.journal(whole.run).stat().st_size == size


def test_a_write_that_was_begun_and_not_ended_is_asked_about(place):
    whole = place.run("FINAL(skills.maths.note(path='out/n.txt'))", head=HEAD)
    lines = place.journal(whole.run).read_bytes().splitlines()
    begun = next(n for n, line in enumerate(lines, 1) if b'"maths.note"' in line)
    kept = place.journal(whole.run).read_bytes()

    place.cut(whole.run, begun)
    asked = place.resume(whole.run)
    assert (asked.status, asked.exit_code) == ("suspended", 3)
    (need,) = asked.needs
    assert (need["kind"], need["function"], need["arguments"]) == (
        "in_doubt",
        "maths.note",
        {"path": "out/n.txt"},
    )
    done = place.resume(whole.run, answers={need["id"]: {"done": {"n": 7}}})
    assert (done.status, done.answer) == ("answered", {"n": 7})

    place.journal(whole.run).write_bytes(kept)
    place.cut(whole.run, begun)
    (need,) = place.resume(whole.run).needs
    (place.root / "out/n.txt").unlink()
    again = place.resume(whole.run, answers={need["id"]: "retry"})
    assert again.answer == whole.answer
    assert (place.root / "out/n.txt").exists()


def test_a_retry_that_is_cut_off_too_is_asked_about_again(place):
    whole = place.run("FINAL(skills.maths.note(path='out/n.txt'))", head=HEAD)
    lines = place.journal(whole.run).read_bytes().splitlines()
    place.cut(whole.run, next(n for n, line in enumerate(lines, 1) if b'"maths.note"' in line))
    (first,) = place.resume(whole.run).needs
    place.resume(whole.run, answers={first["id"]: "retry"})
    lines = place.journal(whole.run).read_bytes().splitlines()
    last = max(n for n, line in enumerate(lines, 1) if b'"maths.note"' in line and b"call_started" in line)
    place.cut(whole.run, last)
    (second,) = place.resume(whole.run).needs
    assert second["kind"] == "in_doubt"
    assert second["id"] != first["id"]


def test_a_torn_last_line_is_cut_off_and_nothing_else(place):
    whole = place.run("x = skills.maths.double(n=1)", "FINAL(x)", head=HEAD)
    journal = place.journal(whole.run)
    place.cut(whole.run, 6)
    kept = journal.read_bytes()
    journal.write_bytes(kept + b'{"v": 1, "seq": 6, "at": "2026')
    assert place.resume(whole.run).answer == whole.answer
    assert journal.read_bytes().startswith(kept)
    assert [json.loads(line)["seq"] for line in journal.read_bytes().splitlines()] == list(
        range(len(journal.read_bytes().splitlines()))
    )


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data.replace(b'"v": 1', b'"v": 2'), "journal version 2"),
        (lambda data: b"", "does not say how the run began"),
        (
            lambda data: data.replace(b'{"v": 1, "seq": 2', b'{"w": 1, "seq": 2'),
            "journal.jsonl:3: this line is no event",
        ),
    ],
)
def test_a_journal_that_cannot_be_gone_on_with_says_why_and_is_left_alone(place, damage, said):
    whole = place.run("x = skills.maths.double(n=1)", "FINAL(x)", head=HEAD)
    place.cut(whole.run, 6)
    journal = place.journal(whole.run)
    journal.write_bytes(damage(journal.read_bytes()))
    damaged = journal.read_bytes()
    with pytest.raises(UsageError, match=said):
        place.resume(whole.run)
    assert journal.read_bytes() == damaged


def test_a_missing_value_of_the_record_is_named(place):
    whole = place.run("x = skills.maths.double(n=1)", "print('x' * 20000)", "FINAL(x)", head=HEAD)
    place.cut(whole.run, len(place.journal(whole.run).read_bytes().splitlines()) - 3)
    shutil.rmtree(place.journal(whole.run).parent / "blobs")
    with pytest.raises(UsageError, match="a value of the run"):
        place.resume(whole.run)


def test_the_workflow_as_it_was_goes_on_though_its_file_has_changed(place):
    whole = place.run("x = skills.maths.double(n=1)", "FINAL(x)", head=HEAD)
    place.cut(whole.run, 6)
    (place.root / "w.md").write_text("---\nname: w\n---\n```repl\nFINAL('other')\n```\n")
    planned = app.plan_resume(app.ResumeRequest(whole.run, place.root))
    assert "the file was changed since the run began" in str(planned.warnings[-1])
    assert place.execute(planned).answer == whole.answer


def test_all_needs_come_at_once_and_answers_may_come_one_by_one(place):
    cell = """
    import concurrent.futures as futures
    with futures.ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(approve, f"{i}?") for i in range(3)]
        n = skills.maths.double(n=4)["n"]
        FINAL([n, *(one.result() for one in asked)])
    """
    result = place.run(cell, head=HEAD)
    assert result.status == "suspended"
    assert sorted(need["prompt"] for need in result.needs) == ["0?", "1?", "2?"]
    assert all(len(need["id"]) == 8 for need in result.needs)
    ids = {need["prompt"]: need["id"] for need in result.needs}
    left = place.resume(result.run, deny=(ids["1?"],))
    assert sorted(need["id"] for need in left.needs) == sorted([ids["0?"], ids["2?"]])
    assert run_info(place.journal(result.run).parent).status == "suspended"
    answered = place.resume(result.run, answers={ids["0?"]: False, ids["2?"]: False})
    assert answered.answer == [8, False, False, False]


def test_wrong_answers_are_refused_and_nothing_is_lost(place):
    result = place.run("FINAL(approve('go?'))")
    (need,) = result.needs
    kept = place.journal(result.run).read_bytes()
    for given in (
        {"answers": {"00000000": True}},
        {"answers": {need["id"]: "yes"}},
        {"approve": ("00000000",)},
        {"approve": (need["id"],), "deny": (need["id"],)},
    ):
        with pytest.raises(UsageError) as refused:
            place.resume(result.run, **given)
        assert need["id"] in refused.value.hint or "both" in str(refused.value)
    assert place.journal(result.run).read_bytes() == kept


def test_the_process_that_asked_may_not_approve_unless_the_workspace_lets_it(place):
    result = place.run("FINAL(approve('go?'))")
    (need,) = result.needs
    with pytest.raises(Denied, match="the process that asked"):
        place.resume(result.run, approve=(need["id"],))
    with pytest.raises(Denied):
        place.resume(result.run, answers={need["id"]: True})
    (place.root / "orchestrate.toml").write_text("[approvals]\nby_asker = true\n")
    assert place.resume(result.run, approve=(need["id"],)).answer is True


def test_missing_inputs_are_needs_and_the_answers_are_read_by_their_schema(place):
    path = place.write("w.md", "")
    path.write_text("---\nname: w\ninputs: {days: integer, name: string}\n---\n```repl\nFINAL(inputs)\n```\n")
    result = place.execute(app.plan(app.RunRequest(path, inputs={"name": "x"}, workspace=place.root)))
    (need,) = result.needs
    assert (result.exit_code, need["kind"], need["name"]) == (3, "input", "days")
    answered = place.resume(result.run, answers={need["id"]: 3})
    assert answered.answer == {"days": 3, "name": "x"}


def test_a_host_is_the_model_of_root_and_sub_calls(place):
    path = place.write("w.md", "")
    path.write_text("---\nname: w\n---\nAsk twice.\n")
    result = place.execute(app.plan(app.RunRequest(path, workspace=place.root, model="host")))
    (root,) = result.needs
    assert (root["kind"], root["role"], root["model"]) == ("model", "root", "host")
    assert root["messages"][-1]["role"] == "user"
    reply = "```repl\nanswers = llm_query_batched(['one', 'two'])\nprint(answers)\n```"
    subs = place.resume(result.run, answers={root["id"]: reply}).needs
    assert [(need["role"], need["messages"][-1]["content"]) for need in subs] == [
        ("sub", "one"),
        ("sub", "two"),
    ]
    (root,) = place.resume(result.run, answers={need["id"]: need["call"] for need in subs}).needs
    assert "['0.1', '0.2']" in root["messages"][-1]["content"]
    last = place.resume(result.run, answers={root["id"]: "```repl\nFINAL(answers)\n```"})
    assert (last.status, last.answer, last.usage.calls) == ("answered", ["0.1", "0.2"], 4)


def test_long_messages_of_a_host_lie_in_a_file(place):
    result = place.run("FINAL(llm_query('x' * 20000))", model="host")
    (need,) = result.needs
    assert "messages" not in need
    with open(need["messages_path"]) as file:
        assert json.load(file) == [{"role": "user", "content": "x" * 20000}]


def test_a_replay_comes_out_the_same_and_says_where_it_does_not(place):
    import asyncio

    whole = place.run(*CELLS, head=HEAD, model=script(place))
    before = place.journal(whole.run).read_bytes()
    result, differences = asyncio.run(app.rehearse(app.plan_replay(whole.run, place.root)))
    assert (result.answer, differences) == (whole.answer, [])
    assert place.journal(whole.run).read_bytes() == before
    changed = before.replace(b"first = [skills", b"first = [1 + 0 * skills")
    assert changed != before
    place.journal(whole.run).write_bytes(before.replace(b'"output": "', b'"output": "Not ', 1))
    _, differences = asyncio.run(app.rehearse(app.plan_replay(whole.run, place.root)))
    assert any("showed" in one.message for one in differences)


def test_readings_of_the_clock_that_went_into_calls_are_given_again(place):
    cell = """
    import time, datetime
    n = time.time_ns() % 10**6 + datetime.datetime.now().microsecond
    FINAL([n, skills.maths.double(n=n)["n"]])
    """
    whole = place.run(cell, head=HEAD)
    lines = place.journal(whole.run).read_bytes().splitlines()
    place.cut(whole.run, next(n for n, line in enumerate(lines, 1) if b'"maths.double"' in line))
    assert place.resume(whole.run).answer == whole.answer
    assert not any(event.event == "diverged" for event in place.events)


def test_an_approval_lets_only_its_own_call_through(place):
    (place.root / "orchestrate.toml").write_text("[approvals]\nby_asker = true\n")
    head = 'skills: [maths]\napprovals: ["skill:maths.double"]'
    cell = """
    made = []
    for _ in range(2):
        try:
            made.append(skills.maths.double(n=1)["n"])
        except SkillError as error:
            made.append(error.kind)
    FINAL(made)
    """
    result = place.run(cell, head=head)
    (first,) = result.needs
    (second,) = place.resume(result.run, approve=(first["id"],)).needs
    assert second["id"] != first["id"]
    assert place.resume(result.run, deny=(second["id"],)).answer == [2, "denied"]
    assert not any(event.event == "diverged" for event in place.events)


def test_requests_lost_in_several_lives_are_all_counted(place):
    whole = place.run("FINAL(llm_query('a'))", model=script(place))
    for life in range(2):
        lines = place.journal(whole.run).read_bytes().splitlines()
        place.cut(whole.run, max(n for n, line in enumerate(lines, 1) if b'"request"' in line))
        result = place.resume(whole.run)
        assert (result.answer, result.usage.calls) == ("yes", 2 + life)
        assert result.attempts[0].usage.calls == 2 + life


def test_turns_lost_in_several_lives_are_all_counted(place):
    turn = {"role": "root", "reply": "```repl\nFINAL(approve('go?'))\n```"}
    result = place.solve(turn)
    lines = place.journal(result.run).read_bytes().splitlines()
    place.cut(result.run, next(n for n, line in enumerate(lines, 1) if b'"request"' in line))
    (need,) = place.resume(result.run).needs
    assert place.resume(result.run, deny=(need["id"],)).usage.calls == 2


def test_a_cell_whose_worker_is_killed_from_outside_is_run_once_more(place):
    result = place.run(
        """
        import os, signal
        n = skills.maths.double(n=4)["n"]
        if not os.path.exists("out/once"):
            open("out/once", "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        FINAL(n)
        """,
        head='skills: [maths]\npermissions: {write: ["out/**"], read: ["out/**"]}',
    )
    assert result.answer == 8
    assert sum(event.event == "call_started" and event.call != "0" for event in place.events) == 1


KILLED_ONCE = """
import os, signal, threading, time
def kill():
    time.sleep({after})
    os.kill(os.getpid(), signal.SIGKILL)
if not os.path.exists("out/once"):
    open("out/once", "w").close()
    threading.Thread(target=kill).start()
"""
WRITES = 'skills: [maths]\npermissions: {write: ["out/**"], read: ["out/**"]}'


def test_a_child_whose_callers_worker_is_killed_goes_on_from_its_record(place):
    (place.root / "skills/maths/tripled.md").write_text(
        "---\nname: tripled\ninputs: {n: integer}\nskills: [maths]\n---\n"
        "```repl\nskills.maths.note(path='out/n.txt')\n```\n"
        "```repl\nimport time\ntime.sleep(1.5)\nFINAL({'n': 3 * inputs['n']})\n```\n"
    )
    result = place.run(KILLED_ONCE.format(after=0.8) + "FINAL(skills.maths.tripled(n=1))", head=WRITES)
    assert result.answer == {"n": 3}
    assert [one["outcome"] for one in place.calls("skill") if one["call"] == "0.1.1"] == ["ok"]


def test_a_refused_fan_out_stays_refused_when_its_cell_is_run_again(place):
    (place.root / "orchestrate.toml").write_text("[fan_out]\ncalls = 5\n")
    result = place.run(
        """
        import os
        try:
            llm_query_batched(["q"] * 20)
        except SubCallError as error:
            refused = error.kind
        one = llm_query("single")
        """,
        "os._exit(3)",
        "FINAL([refused, one])",
        model=script(place),
    )
    assert (result.answer, result.usage.calls) == (["denied", "yes"], 1)


def test_the_context_is_the_one_that_the_run_began_with(place):
    head = 'context: ["notes/a.txt"]'
    result = place.run("FINAL([approve('go?'), context['notes/a.txt']])", head=head)
    (place.root / "notes/a.txt").write_text("something else")
    (need,) = result.needs
    assert place.resume(result.run, deny=(need["id"],)).answer == [False, "one two three"]


def test_an_answer_that_was_given_stays(place):
    path = place.write("w.md", "")
    path.write_text(
        "---\nname: w\ninputs: {who: string}\n---\n```repl\nFINAL([approve('go?'), inputs['who']])\n```\n"
    )
    first = place.execute(app.plan(app.RunRequest(path, workspace=place.root)))
    (who,) = first.needs
    (go,) = place.resume(first.run, answers={who["id"]: "bob"}).needs
    with pytest.raises(UsageError, match="answered already"):
        place.resume(first.run, answers={who["id"]: "eve"}, deny=(go["id"],))
    assert place.resume(first.run, answers={who["id"]: "bob"}, deny=(go["id"],)).answer == [False, "bob"]


def test_items_of_a_map_may_be_approved_in_any_order(place):
    (place.root / "orchestrate.toml").write_text("[approvals]\nby_asker = true\n")
    head = 'skills: [maths]\napprovals: ["skill:maths.note"]'
    cell = "FINAL([one['n'] for one in skills.maths.note.map([{'path': 'out/a'}, {'path': 'out/b'}])])"
    result = place.run(cell, head=head)
    ids = {need["arguments"]["path"]: need["id"] for need in result.needs}
    assert place.resume(result.run, approve=(ids["out/b"],)).status == "suspended"
    assert place.resume(result.run, approve=(ids["out/a"],)).answer == [1, 1]
    assert not any(event.event == "diverged" for event in place.events)


def test_a_function_that_writes_nothing_is_called_once_more_when_its_worker_is_killed(place):
    code = place.root / "skills/maths/maths.py"
    killed = "    import os, signal\n    if os.path.isdir('out') and not os.path.exists('out/killed'):\n"
    killed += "        open('out/killed', 'w').close()\n        os.kill(os.getpid(), signal.SIGKILL)\n"
    code.write_text(code.read_text().replace('    return {"n": 2 * n}', killed + '    return {"n": 2 * n}'))
    result = place.run("FINAL(skills.maths.double(n=4))", head=WRITES)
    assert (place.root / "out/killed").exists()
    assert result.answer == {"n": 8}


@pytest.mark.parametrize(("answer", "n", "written"), [("retry", 1, "xx"), ({"done": {"n": 7}}, 7, "x")])
def test_a_function_that_writes_is_asked_about_when_its_worker_is_killed(place, answer, n, written):
    code = place.root / "skills/maths/maths.py"
    killed = "    import os, signal\n    if os.path.getsize(path) == 1:\n        os.kill(os.getpid(), signal.SIGKILL)\n"
    code.write_text(code.read_text().replace('    return {"n": 1}', killed + '    return {"n": 1}'))
    first = place.run("FINAL(skills.maths.note(path='out/n.txt')['n'])", head=WRITES)
    assert first.status == "suspended"
    (need,) = first.needs
    assert (need["kind"], need["function"]) == ("in_doubt", "maths.note")
    assert "its worker was killed" in need["prompt"]
    assert place.resume(first.run, answers={need["id"]: answer}).answer == n
    assert (place.root / "out/n.txt").read_text() == written


def test_a_call_that_a_cell_makes_only_when_it_is_run_again_is_made_once(place):
    head = 'skills: [maths]\npermissions: {write: ["out/**"], read: ["out/**"]}'
    (place.root / "out").mkdir(exist_ok=True)
    result = place.run(
        "import os\nif os.path.exists('out/more'):\n    skills.maths.note(path='out/n.txt')",
        "FINAL(approve('go?'))",
        head=head,
    )
    (place.root / "out/more").touch()
    for made in (1, 0, 0):
        assert place.resume(result.run).status == "suspended"
        assert sum("maths.note" in str(event.fields.get("name")) for event in place.events) == made
        told = [event.fields for event in place.events if event.event == "diverged"]
        assert [(one["cell"], one["line"]) for one in told] == [(1, 3)] * made
