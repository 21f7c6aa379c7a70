"""What a worker in a namespace of its own can't see, without the confinement that is put on inside of it.

Each was seen to fail with the option that it stands on left out.
"""

import asyncio
import os
import socket
import sys
import textwrap
from pathlib import Path

import pytest

from orchestrator.environments.bubblewrap import Bubblewrap
from orchestrator.errors import EnvironmentUnavailable
from orchestrator.values import Cell, Grants, WorkerSpec

LONG_S = 60.0


@pytest.fixture(autouse=True)
def _works(environments_here):
    environments_here("bubblewrap")


async def no_calls(fn, arguments):
    raise AssertionError(fn)


def ran(folder, source, **spec):
    """How a cell ended in a worker whose working folder is the given one, which is not granted as such."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)

    async def run():
        session = await Bubblewrap(is_alone=True).start(WorkerSpec(scratch=scratch, cwd=folder, **spec))
        try:
            return await session.cell(Cell(1, textwrap.dedent(source)), no_calls, LONG_S)
        finally:
            await session.close()

    return asyncio.run(run())


def test_files_that_were_not_granted_are_not_there(tmp_path):
    (tmp_path / "secret").write_text("secret")
    home = os.path.expanduser("~")
    source = f"import os\nFINAL([os.path.exists(p) for p in ({str(tmp_path / 'secret')!r}, '/etc/shadow', {home + '/.ssh'!r}, '/etc/hostname')])"
    assert ran(tmp_path, source).answer == [False] * 4


def test_our_variables_are_nowhere_in_its_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "sk-secret")
    source = """
        import glob
        FINAL([open(path).read() for path in glob.glob("/proc/[0-9]*/environ")])
    """
    found = ran(tmp_path, source).answer
    assert found[0] == ""  # of the first process, which is `bwrap`
    assert "sk-secret" not in str(found)


def test_it_sees_no_process_of_ours(tmp_path):
    done = ran(tmp_path, f"import os\nFINAL(os.path.exists('/proc/{os.getpid()}'))")
    assert done.answer is False


def test_what_is_written_beside_the_grants_is_an_error_and_not_lost(tmp_path):
    (tmp_path / "out").mkdir()
    done = ran(
        tmp_path, "open('out/a', 'w').write('kept')\nopen('b', 'w')", grants=Grants(write=(tmp_path / "out",))
    )
    assert (tmp_path / "out" / "a").read_text() == "kept"
    assert (done.failure.type, done.failure.line) in (("PermissionError", 2), ("OSError", 2))


def test_file_that_may_be_written_need_not_exist_and_is_gone_when_it_stays_empty(tmp_path):
    wanted, other = tmp_path / "wanted", tmp_path / "other"
    done = ran(tmp_path, "open('wanted', 'w').write('x')", grants=Grants(write=(wanted, other)))
    assert done.failure is None
    assert (wanted.read_text(), other.exists()) == ("x", False)


def test_everything_may_be_granted_and_still_no_process_of_ours_is_seen(tmp_path):
    (tmp_path / "file").write_text("read")
    source = f"import os\nFINAL([open('file').read(), os.path.exists('/etc/shadow'), os.path.exists('/proc/{os.getpid()}')])"
    assert ran(tmp_path, source, grants=Grants(read=(Path("/"), tmp_path))).answer == ["read", True, False]


def test_network_is_there_only_when_granted(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = (
            f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)\nFINAL(1)"
        )
        assert ran(tmp_path, source).failure is not None
        assert ran(tmp_path, source, grants=Grants(hosts=("*",))).answer == 1


def test_missing_program_is_told_with_a_hint(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentUnavailable, match="`bwrap` is not on PATH") as caught:
        asyncio.run(Bubblewrap().start(WorkerSpec(scratch=tmp_path, cwd=tmp_path)))
    assert "install `bubblewrap`" in caught.value.hint


def test_refusal_quotes_what_the_program_said(tmp_path):
    spec = WorkerSpec(scratch=tmp_path, cwd=Path(sys.executable).resolve() / "below")
    with pytest.raises(EnvironmentUnavailable, match="bwrap: Can't mkdir"):
        asyncio.run(Bubblewrap().start(spec))
