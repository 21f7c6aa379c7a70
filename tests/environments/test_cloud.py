"""What holds of workers in cloud sandboxes, beyond what every environment promises. The sandboxes are stand-ins."""

import asyncio
import base64
import inspect
import pydoc
import subprocess
import sys
import textwrap

import cloud_stand_ins
import pytest

from orchestrator.app import CLOUDS, environment_factory
from orchestrator.environments import relay
from orchestrator.errors import EnvironmentUnavailable, WorkerLost
from orchestrator.values import Cell, Grants, WorkerSpec

LONG_S = 60.0


@pytest.fixture(params=CLOUDS)
def cloud(request, monkeypatch, tmp_path_factory):
    """The name of a provider whose stand-in is found."""
    cloud_stand_ins.install(monkeypatch, request.param, tmp_path_factory.mktemp("cloud"))
    monkeypatch.setattr(cloud_stand_ins.Box, "made", [])
    return request.param


async def no_calls(fn, arguments):
    raise AssertionError(fn)


def asked(name, folder, ask, settings=None, **grants):
    """What `ask(session)` gives, for a worker whose working folder is the given one."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)

    async def run():
        environment = environment_factory(name, {name: {"python": sys.executable, **(settings or {})}})()
        session = await environment.start(WorkerSpec(scratch=scratch, cwd=folder, grants=Grants(**grants)))
        try:
            return await ask(session)
        finally:
            await session.close()

    return asyncio.run(run())


def ran(name, folder, source, settings=None, **grants):
    async def ask(session):
        await session.init()
        return await session.cell(Cell(1, textwrap.dedent(source)), no_calls, LONG_S)

    return asked(name, folder, ask, settings, **grants)


def the_box():
    (box,) = cloud_stand_ins.Box.made
    return box


def test_granted_files_are_there_and_nothing_of_our_variables_or_the_providers(cloud, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "sk-secret")
    (tmp_path / "notes.md").write_text("text")
    source = "import os\nFINAL([open('notes.md').read(), dict(os.environ)])"
    done = ran(cloud, tmp_path, source, read=(tmp_path / "notes.md",))
    assert done.failure is None, done.failure
    assert done.answer[0] == "text"
    for secret in ("sk-secret", "OF_THE_PROVIDER", *cloud_stand_ins.KEYS[cloud].values()):
        assert secret not in str(done.answer[1])


def test_sandbox_has_no_network_unless_granted(cloud, tmp_path):
    ran(cloud, tmp_path, "1")
    ran(cloud, tmp_path, "1", hosts=("*",))
    without, granted = (cloud_stand_ins.has_network(cloud, box.wanted) for box in cloud_stand_ins.Box.made)
    assert (without, granted) == (False, True)


def test_sandbox_lives_no_longer_than_is_set(cloud, tmp_path):
    ran(cloud, tmp_path, "1", {"timeout_s": 600})
    assert cloud_stand_ins.lifetime_s(cloud, the_box().wanted) == 600


def test_sandbox_ends_with_its_worker(cloud, tmp_path):
    async def ask(session):
        assert not the_box().has_ended
        await session.init()
        with pytest.raises(WorkerLost, match="exited with code 7"):
            await session.cell(Cell(1, "import os; os._exit(7)"), no_calls, LONG_S)
        return the_box().has_ended

    assert asked(cloud, tmp_path, ask)


def test_sandbox_that_is_gone_in_the_middle_is_a_lost_worker(cloud, tmp_path):
    async def ask(session):
        async def end(fn, arguments):
            await the_box().end()
            await asyncio.Event().wait()

        await session.init()
        with pytest.raises(WorkerLost):
            await session.cell(Cell(1, "llm_query('q')"), end, LONG_S)

    asked(cloud, tmp_path, ask)


def test_python_that_is_not_there_is_told_and_ends_the_sandbox(cloud, tmp_path):
    with pytest.raises(EnvironmentUnavailable, match=r"(?s)no worker could be started by.*python9") as caught:
        ran(cloud, tmp_path, "1", {"python": "python9"})
    assert f"[environments.{cloud}]" in caught.value.hint
    assert the_box().has_ended


def test_missing_client_is_told_with_what_installs_it(cloud, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, cloud_stand_ins.PACKAGES[cloud], None)
    with pytest.raises(EnvironmentUnavailable, match="needs a package that is not installed") as caught:
        ran(cloud, tmp_path, "1")
    assert f"'skill-orchestrator[{cloud}]'" in caught.value.hint
    assert caught.value.exit_code == 69


def test_missing_key_is_told_with_its_variable(cloud, tmp_path, monkeypatch):
    for variable in cloud_stand_ins.KEYS[cloud]:
        monkeypatch.delenv(variable)
    with pytest.raises(EnvironmentUnavailable, match="needs a key") as caught:
        ran(cloud, tmp_path, "1")
    assert all(variable in str(caught.value) for variable in cloud_stand_ins.KEYS[cloud])
    assert not cloud_stand_ins.Box.made


def test_grant_to_write_is_refused_before_a_sandbox_is_paid_for(cloud, tmp_path):
    with pytest.raises(EnvironmentUnavailable, match="brings no files back"):
        ran(cloud, tmp_path, "1", write=(tmp_path / "notes",))
    assert not cloud_stand_ins.Box.made


@pytest.mark.parametrize("path", cloud_stand_ins.COMPARED)
def test_stand_in_has_the_parameters_of_the_real_one(path):
    pytest.importorskip(path.partition(".")[0])
    theirs = inspect.signature(pydoc.locate(path)).parameters
    stand_in = cloud_stand_ins.COMPARED[path]
    for parameter in inspect.signature(stand_in).parameters.values():
        known = theirs[parameter.name]
        assert (parameter.kind, parameter.default) == (known.kind, known.default), parameter


# ------------------------------------------------------------------------------------- the relay


def relayed(silence_s, *argv, **how):
    command = [sys.executable, relay.__file__, str(silence_s), *argv]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **how)


def test_relay_passes_bytes_both_ways_and_heeds_no_other_line():
    sent = bytes(range(256)) * 1000
    with relayed(LONG_S, "cat") as program:
        said, _ = program.communicate(b"noise\n<bm8=\n>\n>" + base64.b64encode(sent) + b"\r\n.\n>bm8=\n")
    *lines, last = said.splitlines()
    assert b"".join(base64.b64decode(line.removeprefix(b"<")) for line in lines) == sent
    assert last == b"=0 "


def test_relay_tells_the_code_and_what_was_said_on_standard_error():
    with relayed(LONG_S, "sh", "-c", "echo why >&2; kill -9 $$") as program:
        assert program.stdout.read() == b"=-9 " + base64.b64encode(b"why\n") + b"\n"


def test_relay_ends_its_program_when_nobody_says_a_word():
    with relayed(0.1, "cat") as program:
        assert program.stdout.read() == b"=0 \n"  # its input is open all the time


def test_relay_passes_no_variable_on(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "sk-secret")
    with relayed(
        LONG_S, sys.executable, "-c", "import os; os.write(1, str(dict(os.environ)).encode())"
    ) as program:
        said = base64.b64decode(program.stdout.readline().removeprefix(b"<"))
    assert b"PATH" in said
    assert b"SECRET_KEY" not in said
