"""The worker file runs on every CPython that it promises, whatever Python we run on."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.environments import command, parcel, session, worker
from orchestrator.environments.process import Process
from orchestrator.environments.session import FunctionCall, Repeat, asked_line
from orchestrator.errors import EnvironmentUnavailable
from orchestrator.values import Cell, WorkerSpec


def interpreter(version):
    candidates = [
        *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")),
        shutil.which(f"python{version}"),
    ]
    # Tried and not only found: a version manager's stand-in may be there without the version.
    return next(
        (
            one
            for one in candidates
            if one and not subprocess.run([one, "-c", ""], capture_output=True).returncode
        ),
        None,
    )


async def serve(fn, arguments):
    return [fn, arguments["prompts"]]


VERSIONS = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]

REPEATED = """
import copy, os, pickle, secrets, time, uuid
from datetime import date, datetime, timedelta, timezone
now = datetime.now(timezone.utc)
assert isinstance(now + timedelta(1), datetime) and isinstance(now.date(), date) and type(now) == datetime
assert pickle.loads(pickle.dumps([now, date.today()])) == [now, date.today()] and copy.copy(now) == now
assert datetime.strptime("2024", "%Y") == datetime.fromisoformat("2024-01-01") == datetime(2024, 1, 1)
FINAL([
    os.urandom(8).hex(), secrets.token_hex(), str(uuid.uuid4()), str(uuid.uuid1()), now.isoformat(),
    str(datetime.now()), str(datetime.today()), str(date.today()), time.time(), time.ctime(), time.strftime("%c"),
    llm_query_batched(["q"]),
])
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_request_repeats_on_this_python(version, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no python{version} here")

    async def run(repeat):
        session = await Process((python, "-I")).start(WorkerSpec(scratch=tmp_path, cwd=tmp_path))
        done = await session.cell(Cell(1, REPEATED), line, 60, repeat=repeat)
        await session.close()
        assert done.failure is None, done.failure
        return done.answer

    async def line(fn, arguments):
        return asked_line()

    readings, more = [], []
    first = asyncio.run(run(Repeat("a", (), readings.extend)))
    assert asyncio.run(run(Repeat("a", readings, more.extend))) == first
    assert (first[-1], len(readings), more) == (11, 9, [])


@pytest.mark.parametrize("version", VERSIONS)
def test_worker_serves_on_this_python(version, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no python{version} here")
    file = tmp_path / "code.py"
    file.write_text("async def go(ctx, n: int):\n    return {'n': n}\n")

    async def run():
        session = await Process((python, "-I")).start(WorkerSpec(scratch=tmp_path, cwd=tmp_path))
        await session.init(variables={"context": "text"})
        cells = [
            "from __future__ import annotations\nimport sys\nprint(sys.version_info[:2])\nllm_query_batched(['q'])",
            "def f(x): return {}[x]\nf('a')",
            "while True: pass",
            "x = (",
            "FINAL([context, list(range(100))])",
        ]
        done = [
            await session.cell(Cell(n, cell), serve, 0.5 if "True" in cell else 60)
            for n, cell in enumerate(cells, 1)
        ]
        function = await session.function(FunctionCall(file, "go", {"n": 3}, tmp_path), serve, 60)
        expression = await session.expression("len(x)", {"x": [1]}, 60)
        await session.close()
        return done, function, expression

    (first, *failed, last), function, expression = asyncio.run(run())
    major, minor = version.split(".")
    assert first.output.head == f"({major}, {minor})\n['llm_query_batched', ['q']]\n"
    assert [one.failure.type for one in failed] == ["KeyError", "CellTimeout", "SyntaxError"]
    assert all("worker.py" not in one.failure.traceback for one in failed)
    assert last.answer == ["text", list(range(100))]
    assert (function.value, function.failure, expression.value) == ({"n": 3}, None, 1)


def test_worker_is_started_by_its_path_alone_too(tmp_path):
    """As a container or a far machine starts it, with its two streams and nothing else."""
    spec = WorkerSpec(scratch=tmp_path, cwd=tmp_path)
    start = session._start_frame(spec)
    cell = {
        "kind": "cell",
        "id": 1,
        "number": 1,
        "source": "import os\nos.write(1, b'raw')\nFINAL(2)",
        "timeout_s": 60,
    }
    frames = b"".join(worker.pack(frame) for frame in (start, cell))
    done = subprocess.run(
        [sys.executable, "-I", worker.__file__], input=frames, capture_output=True, check=True
    )
    assert (done.stderr, b'"answer":2' in done.stdout, done.stdout.count(b'"raw"')) == (b"", True, 1)


def test_interpreter_that_is_none_is_told_with_what_it_said(tmp_path):
    with pytest.raises(EnvironmentUnavailable, match="exited with code") as caught:
        asyncio.run(Process(("/bin/sh", "/no/such/script")).start(WorkerSpec(scratch=tmp_path, cwd=tmp_path)))
    assert "/no/such/script" in str(caught.value)


def test_interpreter_that_is_missing_is_told(tmp_path):
    with pytest.raises(EnvironmentUnavailable, match="no-such-python"):
        asyncio.run(Process(("no-such-python",)).start(WorkerSpec(scratch=tmp_path, cwd=tmp_path)))


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8"])
@pytest.mark.parametrize("program", [command.STARTER, parcel.BOOT], ids=["here", "there"])
def test_python_that_is_too_old_says_so(version, program):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no python{version} here")
    done = subprocess.run([python, "-s", "-c", program, "1"], capture_output=True, text=True)
    assert done.stderr.startswith(f"CPython 3.9 or newer is needed, and this is {version}.")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
