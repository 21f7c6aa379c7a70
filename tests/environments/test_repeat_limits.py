"""What a worker and its parent each hold to by themselves when a request is to repeat, or is seen to wait."""

import asyncio
import subprocess
import sys
import textwrap

from orchestrator.environments import session, worker
from orchestrator.environments.process import Process
from orchestrator.environments.session import FunctionCall, Repeat, asked_line
from orchestrator.values import Cell, Grants, WorkerSpec

LONG_S = 60.0


async def answer_line(fn, arguments):
    return asked_line()


def test_code_without_a_file_name_is_none_of_a_cell(tmp_path):
    file = tmp_path / "code.py"
    file.write_text(
        "def go(ctx):\n"
        "    names = {'ask': ctx.llm_query}\n"
        "    exec(compile('\\n\\nline = ask(1)', '', 'exec'), names)\n"
        "    return names['line']\n"
    )

    async def run():
        spec = WorkerSpec(scratch=tmp_path, cwd=tmp_path, grants=Grants(read=(tmp_path,)))
        started = await Process().start(spec)
        done = await started.function(FunctionCall(file, "go", {}, tmp_path), answer_line, LONG_S)
        await started.close()
        return done.failure, done.value

    assert asyncio.run(run()) == (None, 0)


def test_worker_itself_records_no_more_readings_than_agreed(tmp_path):
    """Read off its own stream: a parent would cut what is too much, too."""
    cell = {
        "kind": "cell",
        "id": 1,
        "number": 1,
        "source": f"import time\nfor _ in range({worker.READINGS} + 5): time.time_ns()",
        "timeout_s": LONG_S,
        "repeat": {"seed": "a", "clock": [1, 2, 3]},
    }
    start = session._start_frame(WorkerSpec(scratch=tmp_path, cwd=tmp_path))
    sent = b"".join(worker.pack(frame) for frame in (start, cell))
    ran = subprocess.run([sys.executable, "-I", worker.__file__], input=sent, capture_output=True, check=True)
    hello = 4 + worker.piece_of(ran.stdout[:4])[0]
    done = worker.unpack(ran.stdout[hello + 4 :], lambda key, value: value)
    assert (done["kind"], done["failure"], len(done["clock"])) == ("done", None, worker.READINGS - 3)


def test_parent_takes_no_more_readings_than_agreed_from_a_frame_that_is_forged(tmp_path):
    cell = f"""
        import json, os, struct
        forged = {{"kind": "call", "id": 99, "fn": "f", "arguments": {{}}, "line": 0,
                  "clock": list(range({worker.READINGS} + 5))}}
        body = json.dumps(forged).encode()
        for fd in range(200, 220):
            try:
                os.write(fd, struct.pack(">I", len(body)) + body)
                break
            except OSError:
                pass
    """
    told = []

    async def run():
        started = await Process().start(WorkerSpec(scratch=tmp_path, cwd=tmp_path))
        repeat = Repeat("a", [1, 2, 3], told.extend)
        await started.cell(Cell(1, textwrap.dedent(cell)), answer_line, LONG_S, repeat=repeat)
        await started.close()

    asyncio.run(run())
    assert told == list(range(worker.READINGS - 3))


def test_idle_threads_of_a_pool_only_wait(tmp_path):
    """Three threads there are for sure, for each has to meet the others; one of them calls."""
    cell = """
        import threading
        from concurrent.futures import ThreadPoolExecutor, wait
        pool, meeting = ThreadPoolExecutor(3), threading.Barrier(3)
        wait([pool.submit(meeting.wait) for _ in range(3)])
        pool.submit(llm_query, "q").result()
    """

    async def run():
        arrived, go_on = asyncio.Event(), asyncio.Event()

        async def held(fn, arguments):
            arrived.set()
            await go_on.wait()

        started = await Process().start(WorkerSpec(scratch=tmp_path, cwd=tmp_path))
        running = asyncio.create_task(started.cell(Cell(1, textwrap.dedent(cell)), held, LONG_S))
        await arrived.wait()
        async with asyncio.timeout(LONG_S / 2):  # the call is here before its thread waits
            while not await started.is_waiting():
                assert not running.done()
        go_on.set()
        done = await running
        await started.close()
        return done.failure

    assert asyncio.run(run()) is None
