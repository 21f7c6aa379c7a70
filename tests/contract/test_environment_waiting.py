"""Whether a session can tell that its worker only waits."""

import asyncio
import textwrap
import time

import pytest
from rig import LONG_S

from orchestrator.environments.session import FunctionCall, ScriptCall
from orchestrator.errors import WorkerLost
from orchestrator.values import Cell, Grants

WAITING = {
    "a call": "llm_query('q')",
    "a batched call": "llm_query_batched(['a', 'b'])",
    "a pool that calls": """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(llm_query, range(8)))
    """,
    "a pool with an idle thread": """
        from concurrent.futures import ThreadPoolExecutor, wait
        pool = ThreadPoolExecutor(3)
        wait([pool.submit(int) for _ in range(3)])
        list(pool.map(llm_query, range(2)))
    """,
    "joined threads": """
        import threading
        threads = [threading.Thread(target=llm_query, args=(n,)) for n in range(3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    """,
    "a queue": """
        import queue, threading
        replies = queue.Queue()
        threading.Thread(target=lambda: replies.put(llm_query('q'))).start()
        replies.get()
    """,
    "an asyncio loop": """
        import asyncio
        async def main():
            await asyncio.gather(*(asyncio.to_thread(llm_query, n) for n in range(3)))
        asyncio.run(main())
    """,
}

BUSY = {
    "main computes": """
        threading.Thread(target=llm_query, args=('q',), daemon=True).start()
        while True: pass
    """,
    "main sleeps": """
        threading.Thread(target=llm_query, args=('q',), daemon=True).start()
        time.sleep(1000)
    """,
    "a thread sleeps": """
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        llm_query('q')
    """,
    "a pool's thread sleeps": """
        pool = ThreadPoolExecutor(2)
        pool.submit(time.sleep, 1000)
        llm_query('q')
    """,
    "a thread reads": """
        threading.Thread(target=os.read, args=(os.pipe()[0], 1), daemon=True).start()
        llm_query('q')
    """,
    "a task sleeps": """
        async def main():
            await asyncio.gather(asyncio.to_thread(llm_query, 'q'), asyncio.sleep(1000))
        asyncio.run(main())
    """,
    "a program runs": """
        threading.Thread(target=llm_query, args=('q',), daemon=True).start()
        subprocess.run(['sleep', '1000'], capture_output=True)
    """,
    "an asyncio loop reads": """
        async def main():
            reader = asyncio.StreamReader()
            source = open(os.pipe()[0], 'rb')
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
            await asyncio.gather(asyncio.to_thread(llm_query, 'q'), reader.read())
        asyncio.run(main())
    """,
    "an asyncio program runs": """
        async def main():
            program = await asyncio.create_subprocess_exec('sleep', '1000')
            await asyncio.gather(asyncio.to_thread(llm_query, 'q'), program.wait())
        asyncio.run(main())
    """,
}

IMPORTS = (
    "import asyncio, os, subprocess, threading, time\nfrom concurrent.futures import ThreadPoolExecutor\n"
)


class Held:
    """Answers no call before it is let go."""

    def __init__(self, n_calls):
        self.n_calls = n_calls
        self.go_on = asyncio.Event()
        self.arrived = asyncio.Event()

    async def __call__(self, fn, arguments):
        self.n_calls -= 1
        if self.n_calls <= 0:
            self.arrived.set()
        await self.go_on.wait()
        return "reply"


@pytest.mark.parametrize("name", WAITING)
def test_worker_that_only_waits_says_so(rig, name):
    n_calls = {"a pool that calls": 4, "a pool with an idle thread": 2}.get(name, 1)
    n_calls = 3 if name in ("joined threads", "an asyncio loop") else n_calls

    async def run():
        session = await rig.start()
        held = Held(n_calls)
        cell = asyncio.create_task(session.cell(Cell(1, textwrap.dedent(WAITING[name])), held, LONG_S))
        await held.arrived.wait()
        # The call is here before its thread waits, so it may be asked too early.
        while not await session.is_waiting():
            assert not cell.done()
        facts = (session.in_request, session.n_open)
        held.go_on.set()
        assert (await cell).failure is None
        after = (session.in_request, session.n_open, await session.is_waiting())
        await session.close()
        return facts, after

    assert asyncio.run(run()) == ((True, n_calls), (False, 0, False))


@pytest.mark.parametrize("name", BUSY)
def test_worker_that_does_something_does_not_only_wait(rig, name):
    async def run():
        session = await rig.start(grants=Grants(processes=True))
        held = Held(1)
        source = IMPORTS + textwrap.dedent(BUSY[name])
        cell = asyncio.create_task(session.cell(Cell(1, source), held, LONG_S))
        await held.arrived.wait()
        ends_at = time.monotonic() + 0.4
        looks = []
        while time.monotonic() < ends_at:
            looks.append(await session.is_waiting())
        await session.close()
        with pytest.raises(WorkerLost):
            await cell
        return looks

    assert not any(asyncio.run(run()))


def test_worker_that_was_answered_goes_on(rig):
    """A reply that is on its way, or read and not taken, is the end of waiting."""
    source = """
        n = 0
        while not llm_query('q'): n += 1
        FINAL(n)
    """

    async def run():
        session = await rig.start()
        n_asked, is_waiting = 0, []

        async def serve(fn, arguments):
            nonlocal n_asked
            n_asked += 1
            return n_asked > 200

        cell = asyncio.create_task(session.cell(Cell(1, textwrap.dedent(source)), serve, LONG_S))
        while not cell.done():
            is_waiting.append(await session.is_waiting())
            await asyncio.sleep(0)
        await session.close()
        return is_waiting

    assert not any(asyncio.run(run()))


def test_session_that_runs_nothing_or_no_code_of_cells_is_not_waiting(rig):
    async def run():
        session = await rig.start()
        looks = [await session.is_waiting(), session.is_ending]
        script = ScriptCall(("sleep", "1000"), None, rig.folder)
        expression = "__import__('threading').Event().wait()"
        for request in (session.expression(expression, {}, 0.2), session.script(script, 0.2)):
            task = asyncio.create_task(request)
            await asyncio.sleep(0)
            looks += [session.n_open, await session.is_waiting()]
            await asyncio.wait([task])
            task.exception()
        await session.close()
        return [*looks, await session.is_waiting(), session.in_request, session.is_ending]

    assert not any(asyncio.run(run()))


def test_late_answer_of_a_look_troubles_no_later_request(rig):
    """The call that is open is a forged one, which no thread reads for: the look is read when the cell is done."""
    if not rig.shares_files:
        pytest.skip("it is told to end by a file that this test makes")
    cell = """
        import json, os, struct
        frame = json.dumps({"kind": "call", "id": 99, "fn": "f", "arguments": {}, "line": 0}).encode()
        for fd in range(200, 220):
            try:
                os.write(fd, struct.pack(">I", len(frame)) + frame)
                break
            except OSError:
                pass
        while not os.path.exists("end"):
            pass
    """

    async def run():
        session = await rig.start()
        held = Held(1)
        first = asyncio.create_task(session.cell(Cell(1, textwrap.dedent(cell)), held, LONG_S))
        await held.arrived.wait()
        is_waiting = await session.is_waiting()
        (rig.folder / "scratch-1" / "end").touch()
        held.go_on.set()
        assert (await first).failure is None
        second = await session.cell(Cell(2, "FINAL(2)"), held, LONG_S)
        await session.close()
        return is_waiting, second.answer

    assert asyncio.run(run()) == (False, 2)


def test_session_tells_that_it_ends(rig):
    async def run():
        session = await rig.start()
        ending = asyncio.create_task(session.close())
        await asyncio.sleep(0)
        is_ending = session.is_ending
        await ending
        return is_ending, session.is_ending

    assert asyncio.run(run()) == (True, False)


def test_function_that_waits_for_its_call_says_so(rig):
    file = rig.folder / "code.py"
    file.write_text("def go(ctx):\n    return ctx.llm_query('q')\n")

    async def run():
        session = await rig.start(grants=Grants(read=(rig.folder,)))
        held = Held(1)
        call = FunctionCall(file, "go", {}, rig.folder)
        function = asyncio.create_task(session.function(call, held, LONG_S))
        await held.arrived.wait()
        while not await session.is_waiting():
            assert not function.done()
        held.go_on.set()
        done = await function
        await session.close()
        return done.value

    assert asyncio.run(run()) == "reply"
