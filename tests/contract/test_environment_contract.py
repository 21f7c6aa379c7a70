"""What every environment promises."""

import asyncio
import os
import re
import secrets
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from rig import LONG_S, Parent, Rig, printed

from orchestrator.environments import worker
from orchestrator.environments.session import (
    GRACE_S,
    FunctionCall,
    ScriptCall,
    TextFile,
    uncounted,
)
from orchestrator.errors import BudgetExhausted, CallError, WorkerLost
from orchestrator.values import Cell, Grants, WorkerLimits


def table(name: str, **functions: str) -> dict[str, Any]:
    entries = {key: {"signature": value, "description": f"does {key}"} for key, value in functions.items()}
    return {
        "name": name, "attribute": name.replace("-", "_"), "description": f"The {name} skill.", "functions": entries,
        "default": None, "scripts": {"a.py": {"signature": None, "description": "a script"}},
    }  # fmt: skip


# ------------------------------------------------------------------------------------- cells


@pytest.mark.everywhere
def test_cells_share_names_and_show_their_last_value(rig):
    first, second = rig.cells("x = 20\nprint('hello')\nx + 1", "x * 2")
    assert (printed(first), printed(second)) == ("hello\n21\n", "40\n")
    assert first.failure is None
    assert not first.answered


def test_what_was_bound_before_an_exception_stays(rig):
    first, second = rig.cells("a = 1\nb = a / 0\nc = 2", "a, 'c' in dir()")
    assert (first.failure.type, first.failure.line) == ("ZeroDivisionError", 2)
    assert first.failure.traceback.splitlines()[1:3] == [
        '  File "<cell 1>", line 2, in <module>',
        "    b = a / 0",
    ]
    assert printed(second) == "(1, False)\n"


def test_traceback_shows_source_of_functions_of_earlier_cells_and_nothing_of_ours(rig):
    _, second = rig.cells("def look(key):\n    return {}[key]", "look('a')")
    assert "return {}[key]" in second.failure.traceback
    assert "worker.py" not in second.failure.traceback
    assert second.failure.line == 1


def test_syntax_error_runs_nothing_and_shows_the_place(rig):
    first, second = rig.cells("done = True\nx = (", "'done' in dir()")
    assert (first.failure.type, first.failure.line) == ("SyntaxError", 2)
    assert "^" in first.failure.traceback
    assert "Traceback" not in first.failure.traceback
    assert printed(second) == "False\n"


def test_return_outside_a_function_runs_nothing_either(rig):
    first, second = rig.cells("done = True\nreturn 1", "'done' in dir()")
    assert first.failure.type == "SyntaxError"
    assert printed(second) == "False\n"


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("exit(3)", "SystemExit"),
        ("import sys; sys.exit('bye')", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("def f(n): return f(n + 1)\nf(0)", "RecursionError"),
        ("input('name?')", "RuntimeError"),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E"),
        ("1\0", "SyntaxError"),
        ("(" * 5000, "MemoryError" if sys.version_info < (3, 12) else "SyntaxError"),
    ],
)
def test_whatever_a_cell_raises_costs_that_cell_only(rig, source, kind):
    first, second = rig.cells(source, "1 + 1")
    assert first.failure.type == kind or (
        kind != "RecursionError" and first.failure.type in ("SyntaxError", "ValueError")
    )
    assert printed(second) == "2\n"


def test_names_of_the_protocol_come_back(rig):
    rebinding = "context = inputs = llm_query = FINAL = skills = answer = 1"
    _, second = rig.cells(
        rebinding, "context, llm_query('q'), answer", init={"variables": {"context": "text"}}
    )
    assert printed(second) == "('text', 'reply to q', {'content': '', 'ready': False})\n"


def test_show_vars_tells_types_and_sizes_but_no_content(rig):
    shown = printed(
        rig.cell("secret = 'abc'\nSHOW_VARS()", init={"variables": {"context": {"a.md": "words"}}})
    )
    assert "context: dict of 1 items" in shown
    assert "secret: str of 3 characters" in shown
    assert "abc" not in shown
    assert "words" not in shown


def test_future_imports_dataclasses_and_pickle_work(rig):
    source = """
        from __future__ import annotations
        import pickle
        from dataclasses import dataclass
        @dataclass
        class P:
            x: undefined_name
        pickle.loads(pickle.dumps(P(3)))
    """
    assert printed(rig.cell(source)) == "P(x=3)\n"


# ------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    "source",
    [
        "FINAL({'n': (1, 2)})",
        "v = {'n': [1, 2]}\nFINAL_VAR('v')",
        "answer['content'] = {'n': [1, 2]}\nanswer['ready'] = True",
        "answer['ready'] = True\nanswer['content'] = {'n': [1, 2]}",
        "answer.update(ready=True, content={'n': [1, 2]})",
        "answer = {'content': {'n': [1, 2]}, 'ready': True}",
    ],
)
def test_every_way_to_answer(rig, source):
    done = rig.cell(source)
    assert (done.answered, done.answer, done.failure) == (True, {"n": [1, 2]}, None)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("FINAL({'items': [1, {2}]})", "FINAL takes a JSON value: $.items[1]: set is no JSON value"),
        ("FINAL(float('nan'))", "FINAL takes a JSON value: $: nan is no JSON value"),
        ("FINAL({1: 2})", "FINAL takes a JSON value: $: the key 1 is int, and keys have to be str"),
        ("x = []\nx.append(x)\nFINAL(x)", "nested more than 200 levels deep, or contains itself"),
        (
            "answer.update(ready=True, content={'a b': object()})",
            "answer[\"content\"] is no JSON value: $['a b']: object is",
        ),
        ("FINAL_VAR(5)", "FINAL_VAR takes the name of a variable"),
        ("value = 1\nFINAL_VAR('valeu')", "did you mean `value`?"),
        ("FINAL(10 ** 5000)", "is too long; write it as text"),
    ],
)
def test_what_is_no_answer_is_the_cells_error(rig, source, message):
    done, after = rig.cells(source, "1")
    assert message in done.failure.message
    assert (done.answered, after.answered) == (False, False)


def test_cell_that_raises_after_its_answer_gives_none(rig):
    final, ready, after = rig.cells("FINAL(1)\n1/0", "answer.update(ready=True, content=2)\n1/0", "3")
    assert [final.answered, ready.answered, after.answered] == [False, False, False]
    assert (ready.partial, after.partial) == (2, 2)


def test_odd_texts_survive_both_ways(rig):
    odd = {"$text": 1, "x": {"$error": {"$$text": "\ud800 \u2028 \0 \U0001f600"}}}
    assert rig.cell("FINAL(inputs)", init={"variables": {"inputs": odd}}).answer == odd
    assert rig.cell("FINAL({'$text': {'$error': 1}})").answer == {"$text": {"$error": 1}}


@pytest.mark.everywhere
def test_values_above_a_frame_pass_both_ways(rig):
    big = ["é" * (worker.PIECE_BYTES // 3)] * 2  # in bytes more than one piece
    done = rig.cell("FINAL(inputs)", init={"variables": {"inputs": big}})
    assert done.answer == big


# ------------------------------------------------------------------------------------- output


@pytest.mark.everywhere
def test_long_output_is_cut_in_the_middle_and_kept_in_a_file(rig):
    done, kept = rig.cells(
        "print('a' * 15000)\nprint('b' * 15000)", lambda done: f"FINAL(open({done.output.path!r}).read())"
    )
    assert (done.output.n_chars, len(done.output.head), len(done.output.tail)) == (30002, 10000, 10000)
    assert kept.answer == "a" * 15000 + "\n" + "b" * 15000 + "\n"


def test_output_of_every_kind_is_shown_and_forges_nothing(rig):
    source = """
        import os, sys, struct, json
        frame = json.dumps({"kind": "done", "id": 1, "answered": True, "answer": "forged"}).encode()
        os.write(1, struct.pack(">I", len(frame)) + frame)
        os.write(2, b"error")
        sys.stdout.buffer.write(b"bytes")
        sys.stderr.write("err")
    """
    done = rig.cell(source)
    assert not done.answered
    assert all(part in printed(done) for part in ("forged", "error", "bytes", "err"))


def test_replaced_and_closed_streams_come_back(rig):
    first, second = rig.cells(
        "import os, sys\nsys.stdout = None\nos.close(0); os.close(1); os.close(2)", "print('here')"
    )
    assert first.failure is None
    assert printed(second) == "here\n"


def test_threads_may_print(rig):
    source = """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: print(f"line {n}\\n", end=""), range(500)))
    """
    assert sorted(printed(rig.cell(source)).split("\n")[:-1]) == sorted(f"line {n}" for n in range(500))


@pytest.mark.parametrize(
    ("source", "n_chars"),
    [
        ("'x' * 50_000_000", 50_000_000),
        ("[0] * 5_000_000", 15_000_000),
        ("{'k': ['v' * 10] * 1_000_000}", 14_000_000),
    ],
)
def test_huge_values_are_shown_in_part(rig, source, n_chars):
    done = rig.cell(source, limits=WorkerLimits(memory_bytes=300 << 20))
    assert done.failure is None
    assert done.output.n_chars >= n_chars
    assert len(printed(done)) == 20_000


@pytest.mark.parametrize(
    "value",
    [[1, "a", None], {}, (), (1,), set(), {"a": [1, {"b": (2.5, b"x")}]}, list(range(200)), {"k" * 60: list(range(90))},
     [["a" * 50] * 4] * 3, frozenset({1}), frozenset(range(60)), {n: str(n) for n in range(50)}],
)  # fmt: skip
def test_shown_values_read_back_as_themselves(rig, value):
    shown = printed(rig.cell(f"{value!r}"))
    assert eval(shown) == value
    assert max(map(len, shown.splitlines())) <= 200


# ------------------------------------------------------------------------------------- calls


@pytest.mark.everywhere
def test_calls_answer_and_fail(rig):
    source = """
        assert skills.echo(1, b=2) == {"args": [1], "b": 2}
        try:
            skills.other_skill.go(x=1)
        except SkillError as error:
            caught = (str(error), error.kind, error.retryable, error.hint, isinstance(error, SubCallError))
        good, bad = skills.echo.map([{"a": 1}, {}])
        FINAL([list(caught), good, bool(bad), str(bad), isinstance(bad, str)])
    """
    done = rig.cell(source, init={"skills": [table("echo"), table("other-skill", go="go(x)")]})
    caught = ["there is no `skill`", "invalid", True, "try another", True]
    assert done.answer == [caught, {"a": 1}, False, "no item", False]
    assert rig.parent.asked[1] == (
        "skill", {"skill": "other-skill", "function": "go", "args": [], "kwargs": {"x": 1}}
    )  # fmt: skip


def test_skills_describe_themselves_and_name_the_closest(rig):
    sources = ["skills", "skills.word_count", "list(skills), dir(skills)", "skills.word_cuont", "skills.word_count.cont",
               "'word-count' in skills, skills['word-count'].name, budget.calls, budget['calls']"]  # fmt: skip
    init = {"skills": [table("word-count", count="count(path, unit='words')"), table("1password")]}
    *shown, names, no_skill, no_function, rest = rig.cells(*sources, init=init)
    assert "word-count: The word-count skill." in printed(shown[0])
    assert "count(path, unit='words')" in printed(shown[1])
    assert printed(names) == "(['word-count', '1password'], ['word_count'])\n"
    assert no_skill.failure.message == "there is no skill `word_cuont`; did you mean `word_count`?"
    assert no_function.failure.message == "skill `word-count` has no function `cont`; did you mean `count`?"
    assert printed(rest) == "(True, 'word-count', 7, 7)\n"


def test_arguments_that_are_no_json_are_refused_before_they_are_sent(rig):
    done = rig.cell("skills.echo({'a': [open]})", init={"skills": [table("echo")]})
    assert done.failure.message == "$.args[0].a[0]: builtin_function_or_method is no JSON value"
    assert rig.parent.asked == []


def test_calls_of_many_threads_are_served_side_by_side(rig):
    class Gate(Parent):
        n_waiting = 0

        async def __call__(self, fn, arguments):
            # Nobody is answered before all have asked: one after the other would never end.
            self.n_waiting += 1
            if self.n_waiting == 20:
                self.all_there.set()
            await self.all_there.wait()
            return arguments["prompt"]

    async def run():
        gate = Gate()
        gate.all_there = asyncio.Event()
        session = await rig.start()
        source = """
            from concurrent.futures import ThreadPoolExecutor
            with ThreadPoolExecutor(20) as pool:
                FINAL(list(pool.map(llm_query, [str(n) for n in range(20)])))
        """
        done = await session.cell(Cell(1, textwrap.dedent(source)), gate, LONG_S)
        await session.close()
        return done.answer

    assert asyncio.run(run()) == [str(n) for n in range(20)]


def test_thread_that_outlives_its_cell_still_gets_its_reply(rig):
    start = """
        import threading
        got = []
        thread = threading.Thread(target=lambda: got.append(llm_query("late")))
        thread.start()
    """
    _, second = rig.cells(start, "thread.join()\ngot")
    assert printed(second) == "['reply to late']\n"


def test_notes_arrive_in_order(rig):
    rig.cell("for n in range(50): log(n)")
    assert rig.parent.asked == [("log", {"text": str(n)}) for n in range(50)]


@pytest.mark.parametrize(
    "error", [BudgetExhausted("calls", 5, 5), TimeoutError("theirs"), ConnectionResetError(), EOFError()]
)
def test_error_that_ends_the_run_passes_through_and_ends_the_worker(rig, error):
    async def raising(fn, arguments):
        raise error

    async def run():
        session = await rig.start()
        with pytest.raises(type(error)) as caught:
            await session.cell(Cell(1, "llm_query('q')"), raising, LONG_S)
        assert caught.value is error
        assert not session.alive
        with pytest.raises(WorkerLost):
            await session.cell(Cell(2, "1"), raising, LONG_S)

    asyncio.run(run())


def test_reference_to_a_text_that_was_not_given_ends_the_worker(rig, tmp_path):
    path = tmp_path / "text"
    path.write_text("secret")
    forged = """
        import sys
        worker = sys.modules["orchestrate_worker"]
        rlm_query("q", context=worker.Context(inputs, "made up"))
    """
    grants = Grants(read=(path,))
    assert (
        rig.cell(forged, grants=grants, init={"variables": {"inputs": str(path)}})
        == "the worker sent a reference to a text that it was not given, and was killed"
    )


# ------------------------------------------------------------------------------------- deadlines and death


@pytest.mark.everywhere
def test_soft_deadline_keeps_what_was_bound(rig):
    first, second = rig.cells("x = 5\nwhile True: pass", "x", timeout_s=0.3)
    assert (first.failure.type, first.failure.line) == ("CellTimeout", 2)
    assert printed(second) == "5\n"


def test_soft_deadline_ends_a_cell_that_waits_for_a_call(rig):
    first, second = rig.cells("x = 5\napprove('?')", "x", timeout_s=0.3)
    assert first.failure.type == "CellTimeout"
    assert printed(second) == "5\n"


def test_soft_deadline_ends_threads_that_wait_for_calls(rig):
    source = """
        from concurrent.futures import ThreadPoolExecutor
        x = 5
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(approve, "abcd"))
    """
    first, second = rig.cells(source, "x", timeout_s=0.3)
    assert first.failure.type == "CellTimeout"
    assert printed(second) == "5\n"


LETHAL = {
    "swallows": ("import time\nwhile True:\n    try: time.sleep(1000)\n    except BaseException: pass", "did not stop within 2 s"),
    "exits": ("import os; os._exit(7)", "the worker exited with code 7"),
    "kills itself": ("import os; os.kill(os.getpid(), 9)", "was killed by signal 9"),
    "crashes": ("import os; os.abort()", "was killed by signal 6 (SIGABRT)"),
    "closes everything": ("import os; os.closerange(0, 1000); x = llm_query('q')", "the worker"),
    "sends junk": ("import os\nfor fd in range(200, 210):\n    try: os.write(fd, b'\\0\\0\\0\\2{]')\n    except OSError: pass", "no JSON"),
    "sends a frame too large": (
        "import os\nfor fd in range(200, 210):\n    try: os.write(fd, b'\\xff\\xff\\xff\\xff')\n    except OSError: pass",
        "2,147,483,647 bytes",
    ),
}  # fmt: skip


@pytest.mark.everywhere
@pytest.mark.parametrize("name", LETHAL)
def test_what_costs_the_worker_costs_that_cell_only(rig, name):
    source, reason = LETHAL[name]
    first, second = rig.cells(source, "1 + 1", timeout_s=0.5 if name == "swallows" else LONG_S)
    assert isinstance(first, str), first
    assert reason in first
    assert printed(second) == "2\n"


class Person:
    """Asked with the name of a number of seconds, takes that long to answer."""

    async def __call__(self, fn: str, arguments: dict[str, Any]) -> Any:
        async with uncounted():
            await asyncio.sleep(
                float(arguments["prompt"])
            )  # there is nothing to wait for but a person's time
        return True


LONGER_THAN_ALL_S = 0.3 + GRACE_S + 0.2


@pytest.mark.parametrize(
    ("ending", "failure"), [("'end'", None), ("while True: pass", "CellTimeout")], ids=["ends", "loops"]
)
def test_time_of_a_person_does_not_count_for_any_of_the_threads(rig, ending, failure):
    rig.parent = Person()
    source = f"""
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(approve, ["0.1", "{LONGER_THAN_ALL_S}"]))
        {ending}
    """
    first, second = rig.cells(source, "answers", timeout_s=0.3)
    assert (first.failure and first.failure.type) == failure
    assert printed(second) == "[True, True]\n"


def test_worker_that_loops_after_a_person_answered_is_killed_all_the_same(rig):
    rig.parent = Person()
    source = "approve('0.5')\n" + LETHAL["swallows"][0]
    assert LETHAL["swallows"][1] in rig.cell(source, timeout_s=0.3)


def test_time_of_a_person_asked_by_a_skill_does_not_count_for_who_called_it(rig):
    file = rig.folder / "code.py"
    file.write_text(f"def go(ctx):\n    return ctx.llm_query('{LONGER_THAN_ALL_S}')\n")

    async def run():
        outer = await rig.start()
        inner = await rig.start(grants=Grants(read=(rig.folder,)))

        async def serve(fn, arguments):
            done = await inner.function(FunctionCall(file, "go", {}, rig.folder), Person(), 0.3)
            return done.value

        done = await outer.cell(Cell(1, "FINAL(skills.echo())"), serve, 0.3)
        await asyncio.gather(outer.close(), inner.close())
        return done

    table_ = {"skills": [table("echo")]}
    rig_start = rig.start
    rig.start = lambda **how: rig_start(init=table_, **how)
    done = asyncio.run(run())
    assert (done.failure, done.answer) == (None, True)


def test_worker_that_ends_between_requests_is_known_to_be_dead(rig):
    if not rig.shares_files:
        pytest.skip("it is told to end by a file that this test makes")
    (rig.folder / "code.py").write_text(
        textwrap.dedent("""
        import os, threading, time
        def end(ctx):
            while not os.path.exists("end"): time.sleep(0.01)
            ctx.log("unread")
            os._exit(7)
        def go(ctx):
            threading.Thread(target=end, args=(ctx,)).start()
    """)
    )

    async def run():
        await (await rig.start()).close()
        before = sorted(os.listdir("/dev/fd"))
        session = await rig.start(grants=Grants(read=(rig.folder,)))
        call = FunctionCall(rig.folder / "code.py", "go", {}, rig.folder)
        assert (await session.function(call, rig.parent, LONG_S)).failure is None
        assert session.alive
        (rig.folder / "scratch-2" / "end").touch()
        while session.alive:  # noqa: ASYNC110  (nothing tells of it; the test's own timeout bounds this)
            await asyncio.sleep(0.01)
        with pytest.raises(WorkerLost, match="exited with code 7"):
            await session.expression("1", {}, LONG_S)
        await session.close()
        assert rig.parent.asked == []
        assert sorted(os.listdir("/dev/fd")) == before

    asyncio.run(run())


def test_flood_of_output_stays_bounded(rig):
    size = "import os\nFINAL(os.stat({!r}).st_size)"
    done, kept = rig.cells(
        "while True: print('x' * 1000)", lambda done: size.format(done.output.path), timeout_s=1.0
    )
    assert done.failure.type == "CellTimeout"
    assert len(printed(done)) <= 20_100
    assert kept.answer <= worker.SPILL_BYTES + 2000


def test_flood_through_the_descriptor_stays_bounded(rig):
    limits = WorkerLimits(written_bytes=1 << 20)
    done, after = rig.cells("import os\nwhile True: os.write(1, b'x' * 1000)", "1", limits=limits)
    assert done.failure.type == "OSError"
    assert (done.output.n_chars, len(printed(done))) == (1 << 20, 20_000)
    assert printed(after) == "1\n"


@pytest.mark.parametrize("piece", ["bytearray(10_000_000)", "[object()]", "'a' * 1000 + str(len(x))"])
def test_endless_allocation_is_a_memory_error_and_the_rest_stays(rig, piece):
    source = f"kept = 5\nx = []\nwhile True: x.append({piece})"
    first, second, third = rig.cells(
        source, "kept, len(x) > 5", "del x", limits=WorkerLimits(memory_bytes=100 << 20)
    )
    assert first.failure.type == "MemoryError"
    assert "0.1 GiB" in first.failure.hint
    assert printed(second) == "(5, True)\n"
    assert third.failure is None


@pytest.mark.everywhere
def test_cancelled_request_ends_the_worker(rig):
    async def run():
        session = await rig.start()
        asked = asyncio.Event()

        async def serve(fn, arguments):
            asked.set()
            await asyncio.Event().wait()

        mark = new_mark()
        task = asyncio.create_task(session.cell(Cell(1, marked(mark, "llm_query('q')")), serve, LONG_S))
        await asked.wait()
        assert named(mark)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not session.alive
        assert not is_running(session.pid)
        assert not named(mark)

    asyncio.run(run())


@pytest.mark.everywhere
def test_close_is_idempotent_and_leaves_no_process(rig):
    async def run():
        session = await rig.start()
        await asyncio.gather(session.close(), session.close())
        await session.close()
        assert not is_running(session.pid)

    asyncio.run(run())


@pytest.mark.everywhere
def test_what_a_dead_worker_started_ends_too(rig):
    seconds = long_sleep()
    source = f"""
        import os, subprocess
        subprocess.Popen(["sleep", "{seconds}"])
        llm_query("q")
        os._exit(3)
    """

    class Looks(Parent):
        async def __call__(self, fn, arguments):
            while not with_word(seconds):  # the test's own timeout bounds this
                pass
            return await super().__call__(fn, arguments)

    rig.parent = Looks()
    assert rig.cell(source, grants=Grants(processes=True)) == "the worker exited with code 3"
    assert len(rig.parent.asked) == 1
    assert not with_word(seconds)


@pytest.mark.everywhere
def test_workers_of_a_killed_parent_end(rig):
    marks = [new_mark() for _ in range(3)]
    endless = ["import time; time.sleep(1000)", "while True: pass", "while True: pass"]
    cells = [marked(mark, f"log('there')\n{source}") for mark, source in zip(marks, endless, strict=True)]
    program = f"""
        import asyncio
        from pathlib import Path
        from orchestrator.app import environment_factory
        from orchestrator.values import Cell, WorkerSpec

        async def serve(fn, arguments):
            print(arguments["text"], flush=True)

        async def main():
            environment = environment_factory({rig.name!r}, {rig.settings!r})()
            sessions = []
            for number in range(3):
                scratch = Path({str(rig.folder)!r}) / str(number)
                scratch.mkdir()
                sessions.append(await environment.start(WorkerSpec(scratch=scratch, cwd=scratch)))
            await asyncio.gather(*(s.cell(Cell(1, cell), serve, 1000) for s, cell in zip(sessions, {cells!r})))
        asyncio.run(main())
    """
    argv = [sys.executable, "-c", rig.preparation + textwrap.dedent(program)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as parent:
        assert [parent.stdout.readline() for _ in range(3)] == ["there\n"] * 3
        assert all(map(named, marks))
        parent.send_signal(signal.SIGKILL)
    # The test's own timeout bounds this.
    while any(map(named, marks)):
        pass


def test_many_workers_at_once(rig):
    async def run():
        sessions = await asyncio.gather(*(rig.start() for _ in range(20)))
        cells = [
            session.cell(Cell(1, f"FINAL({n})"), rig.parent, LONG_S) for n, session in enumerate(sessions)
        ]
        done = await asyncio.gather(*cells)
        await asyncio.gather(*(session.close() for session in sessions))
        return [one.answer for one in done]

    assert asyncio.run(run()) == list(range(20))


def test_starting_and_closing_leaves_no_descriptor(rig):
    async def run():
        await (await rig.start()).close()
        before = sorted(os.listdir("/dev/fd"))
        for _ in range(30):
            session = await rig.start()
            await session.cell(Cell(1, "1"), rig.parent, LONG_S)
            await session.close()
        assert sorted(os.listdir("/dev/fd")) == before

    asyncio.run(run())


# ------------------------------------------------------------------------------------- surroundings


@pytest.mark.everywhere
def test_worker_has_no_variables_of_ours_but_those_granted(rig, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    done = rig.cell("import os\nFINAL(dict(os.environ))", grants=Grants(env={"ALLOWED": "yes"}))
    assert set(done.answer) == {
        "ORCHESTRATE_RUN",
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "PYTHONHASHSEED",
        "PYTHONDONTWRITEBYTECODE",
        "ALLOWED",
    }
    assert done.answer["HOME"].startswith(str(rig.folder))


@pytest.mark.everywhere
def test_sets_of_strings_have_the_same_order_in_each_worker(rig):
    orders = [rig.cell("FINAL(list({'a', 'b', 'c', 'd', 'e', 'f', 'g'}))").answer for _ in range(3)]
    assert orders[0] == orders[1] == orders[2]


def test_seed_makes_random_numbers_repeat(rig):
    first, second, other = (
        rig.cell("import random\nFINAL(random.random())", init={"seed": seed}).answer for seed in (1, 1, 2)
    )
    assert first == second != other


@pytest.mark.everywhere
def test_texts_by_file_arrive_whole_and_go_back_by_name(rig, tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    small, large = blobs / "small", blobs / "large"
    small.write_text("kurz, schön\n")
    large.write_bytes(b"line of text\n" * (worker.TEXT_BYTES // 13 + 1))
    variables = {
        "context": {
            "small": TextFile(small, small.stat().st_size, "s"),
            "large": TextFile(large, large.stat().st_size, "l"),
        }
    }
    source = """
        assert context["small"] == "kurz, schön\\n"
        large = context["large"]
        rlm_query("q", context=[large.slice(13, 39), large[13:17]])
        FINAL([type(large).__name__, len(large), large[:4], large.count("text")])
    """
    done = rig.cell(source, init={"variables": variables}, blobs=blobs)
    assert done.failure is None, done.failure
    n_bytes = large.stat().st_size
    assert done.answer == ["Context", n_bytes, "line", n_bytes // 13]
    assert rig.parent.asked[0][1]["context"] == [TextFile(large, 26, "l", offset=13), "line"]


# ------------------------------------------------------------------------------------- functions, scripts, expressions


def function_of(
    rig: Rig, source: str, name: str = "go", *, n_calls: int = 1, timeout_s: float = LONG_S, **arguments: Any
) -> Any:
    folder = rig.folder / "skill"
    folder.mkdir()
    (folder / "code.py").write_text(textwrap.dedent(source))
    (folder / "beside.py").write_text("VALUE = 'from beside'\n")

    async def run():
        session = await rig.start(init={"skills": [table("echo")]}, grants=Grants(read=(folder,)))
        call = FunctionCall(folder / "code.py", name, arguments, folder)
        done = [await session.function(call, rig.parent, timeout_s) for _ in range(n_calls)]
        await session.close()
        assert sorted(path.name for path in folder.iterdir()) == ["beside.py", "code.py"]
        return done[-1]

    return asyncio.run(run())


@pytest.mark.everywhere
def test_function_runs_with_its_neighbours_and_stays_loaded(rig):
    source = """
        from beside import VALUE
        n = 0
        def go(word, times=2):
            global n
            n += 1
            print("said")
            return {"words": (word,) * times, "n": n, "beside": VALUE}
    """
    done = function_of(rig, source, n_calls=3, word="hi")
    assert done.value == {"words": ["hi", "hi"], "n": 3, "beside": "from beside"}
    assert (done.output.head, done.failure) == ("said\n", None)


def test_function_with_ctx_calls_back(rig):
    source = """
        async def go(ctx, n):
            ctx.log("at work")
            return [ctx.skills.echo(n), ctx.llm_query("q")]
    """
    assert function_of(rig, source, n=1).value == [{"args": [1]}, "reply to q"]
    assert rig.parent.asked[0] == ("log", {"text": "at work"})


@pytest.mark.parametrize(
    ("source", "kind", "message", "line"),
    [
        ("def go():\n    raise ValueError('bad')", "ValueError", "bad", 2),
        ("import nothing_like_it", "ModuleNotFoundError", "No module named 'nothing_like_it'", 1),
        ("def goo(): pass", "AttributeError", "`code.py` has no function `go`; did you mean `goo`?", None),
        (
            "def go(): return {'x': {1}}",
            "TypeError",
            "`go` returned what is no JSON value: $.x: set is no JSON value",
            None,
        ),
        ("def go(:", "SyntaxError", "invalid syntax (code.py, line 1)", 1),
        ("def go(needed): pass", "TypeError", "go() missing 1 required positional argument: 'needed'", None),
    ],
)
def test_what_goes_wrong_in_a_function_is_told(rig, source, kind, message, line):
    failure = function_of(rig, source).failure
    assert (failure.type, failure.message, failure.line) == (kind, message, line)


def test_function_that_is_late_is_stopped(rig):
    assert function_of(rig, "def go():\n    while True: pass", timeout_s=0.3).failure.type == "CellTimeout"


SURROUNDINGS = """
    import locale, os, signal, sys

    def look():
        mask = os.umask(0)
        os.umask(mask)
        handlers = [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
        return [os.getcwd(), dict(os.environ), sys.argv, sys.path, mask, handlers, sorted(signal.pthread_sigmask(0, ())),
                locale.setlocale(locale.LC_ALL), sys.getrecursionlimit(), sys.stdin.read(), os.read(0, 1) == b""]

    def spoil():
        os.chdir("/usr")
        os.environ["SPOILT"] = "yes"
        del os.environ["HOME"]
        os.environ = {}
        sys.argv, sys.path[:] = ["spoilt"], ["/usr"]
        sys.stdin.close()
        os.close(0)
        sys.stdin = sys.stdout = sys.stderr = None
        os.umask(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGALRM])
        locale.setlocale(locale.LC_ALL, "C")
        sys.setrecursionlimit(500)
"""


def test_what_a_function_changes_around_it_moves_no_later_request(rig):
    file = rig.folder / "code.py"
    file.write_text(textwrap.dedent(SURROUNDINGS))

    async def run():
        session = await rig.start(grants=Grants(read=(rig.folder,), processes=True))
        looks = ScriptCall(["sh", "-c", "pwd; umask; echo $HOME $SPOILT"], None, Path("."), {})

        async def seen():
            function = await session.function(FunctionCall(file, "look", {}, rig.folder), rig.parent, LONG_S)
            names = "__import__('os').getcwd(), __import__('sys').argv, __import__('sys').path"
            expression = await session.expression(names, {}, LONG_S)
            return (
                function.value,
                function.failure,
                expression.shown,
                (await session.script(looks, LONG_S)).stdout,
            )

        async def spoiled():
            return await session.function(FunctionCall(file, "spoil", {}, rig.folder), rig.parent, LONG_S)

        before = await seen()
        kinds = [(await spoiled()).failure]
        after = await seen()
        await spoiled()
        first_script = (await session.script(looks, LONG_S)).stdout
        await session.close()
        return before, after, kinds, first_script

    before, after, failures, first_script = asyncio.run(run())
    assert before[1] is None
    assert failures == [None]
    assert after == before
    assert first_script == before[3]


def test_what_a_file_sets_when_it_is_imported_is_there_for_each_call(rig):
    source = """
        import os, sys
        os.environ["SET"] = "by import"
        sys.path.insert(0, "/made/up")
        def go():
            found = [os.environ.pop("SET", None), sys.path.pop(0)]
            return found
    """
    assert function_of(rig, source, n_calls=3).value == ["by import", "/made/up"]


def script(
    rig: Rig, argv: list[str], *, stdin: str | None = None, timeout_s: float = LONG_S, **grants: Any
) -> Any:
    async def run():
        session = await rig.start(grants=Grants(processes=True, **grants))
        call = ScriptCall(argv, stdin, rig.folder, {"EXTRA": "yes"})
        try:
            return await session.script(call, timeout_s)
        finally:
            await session.close()

    return asyncio.run(run())


@pytest.mark.everywhere
def test_script_gets_stdin_and_variables_and_gives_its_output(rig):
    done = script(rig, ["sh", "-c", "cat; echo $EXTRA; echo problem >&2; exit 3"], stdin="in: é\n")
    assert (done.returncode, done.stdout, done.stderr, done.truncated) == (
        3,
        "in: é\nyes\n",
        "problem\n",
        False,
    )


def test_script_output_is_capped(rig):
    done = script(rig, ["sh", "-c", "head -c 20000000 /dev/zero"], read=(Path("/dev/zero"),))
    assert (len(done.stdout), done.truncated) == (worker.STDOUT_BYTES, True)


def test_script_that_is_not_there_is_told(rig):
    done = script(rig, ["no-such-program"])
    assert done.returncode == 127
    assert "`no-such-program` could not be started" in done.stderr


@pytest.mark.everywhere
def test_script_that_is_late_is_killed_with_all_it_started(rig):
    seconds = long_sleep()
    with pytest.raises(WorkerLost, match=r"did not end within 1\.5 s, its deadline"):
        script(rig, ["sh", "-c", f"sleep {seconds} & sleep {seconds}; wait"], timeout_s=1.5)
    assert not with_word(seconds)


def test_expression_sees_its_names_only(rig):
    async def run():
        session = await rig.start()
        yes = await session.expression(
            "len(answer['findings']) > n", {"answer": {"findings": [1, 2]}, "n": 1}, LONG_S
        )
        no_json = await session.expression("[{1}, n]", {"n": 1}, LONG_S)
        wrong = await session.expression("answer.nothing", {"answer": 1}, LONG_S)
        await session.close()
        return yes, no_json, wrong

    yes, no_json, wrong = asyncio.run(run())
    assert (yes.value, yes.shown, yes.truth, yes.failure) == (True, "True", True, None)
    assert (no_json.value, no_json.shown, no_json.truth) == (None, "[{1}, 1]", True)
    assert (wrong.failure.type, wrong.truth) == ("AttributeError", False)


def new_mark() -> str:
    """A name that no process has."""
    return f"w-{secrets.token_hex(5)}"


def marked(mark: str, source: str) -> str:
    """The source of a cell whose worker can be found by a name: it may have another number in its own world."""
    return f"import ctypes\nctypes.CDLL(None).prctl(15, {mark!r}.encode(), 0, 0, 0)\n{source}"


def named(mark: str) -> bool:
    """Whether a process of this name lives on this machine."""
    return any(_said(one / "comm").strip() == mark and is_running(int(one.name)) for one in _processes())


def long_sleep() -> str:
    """A number of seconds, for a program that can be told by it."""
    return f"1000.{secrets.randbelow(10**9):09d}"


def with_word(word: str) -> bool:
    """Whether a process with this word on its command line lives."""
    return any(word in _said(one / "cmdline") and is_running(int(one.name)) for one in _processes())


def _processes() -> list[Path]:
    return [path for path in Path("/proc").iterdir() if path.name.isdigit()]


def _said(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def is_running(pid: int) -> bool:
    """Whether it is a process that is not dead; one that waits to be reaped is."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_call_errors_keep_their_class(rig):
    async def serve(fn, arguments):
        raise CallError("no model configured", error_kind="no_model", hint="configure one")

    async def run():
        session = await rig.start()
        done = await session.cell(Cell(1, "llm_query('q')"), serve, LONG_S)
        await session.close()
        return done.failure

    failure = asyncio.run(run())
    assert (failure.type, failure.message, failure.hint) == (
        "SubCallError",
        "no model configured",
        "configure one",
    )


# ------------------------------------------------------------------------------------- bounds of a whole worker


def test_files_that_are_small_each_and_too_much_together_end_the_worker(rig):
    source = """
        for n in range(8):
            with open(f"part-{n}", "wb") as file:
                file.write(b"x" * (4 << 20))
        while True: pass
    """
    limits = WorkerLimits(written_bytes=16 << 20)
    lost, after = rig.cells(source, "'goes on'", limits=limits)
    assert re.fullmatch(
        r"the worker wrote [\d,]+ bytes in its files; 16,777,216 are allowed, and was killed", lost
    )
    assert printed(after) == "'goes on'\n"


def test_what_lay_in_a_granted_folder_before_counts_for_nobody(rig):
    granted = rig.folder / "granted"
    granted.mkdir()
    (granted / "old").write_bytes(b"x" * (8 << 20))
    source = "import time\nend = time.monotonic() + 1.2\nwhile time.monotonic() < end: pass\n'done'"
    limits, grants = WorkerLimits(written_bytes=4 << 20), Grants(write=(granted,))
    assert printed(rig.cell(source, limits=limits, grants=grants)) == "'done'\n"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_processes_that_are_too_many_or_too_large_together_end_the_worker(rig):
    many = """
        import os, signal
        try:
            for _ in range(60):
                if os.fork() == 0: signal.pause()
        except OSError: pass  # where the kernel counts them: all but root's
        if os.geteuid(): raise SystemExit
        while True: pass
    """
    large = """
        import mmap
        shared = mmap.mmap(-1, 300 << 20)
        for at in range(0, 300 << 20, 4096): shared[at] = 1
        while True: pass
    """
    limits = WorkerLimits(memory_bytes=150 << 20, n_processes=20)
    first, second = rig.cells(many, large, limits=limits, grants=Grants(processes=True))
    if os.geteuid() == 0:
        assert re.fullmatch(r"the worker had started \d+ processes; 20 are allowed, and was killed", first)
    assert re.fullmatch(
        r"the worker and its processes held [\d,]+ bytes of memory; 157,286,400 are allowed, and was killed",
        second,
    )
