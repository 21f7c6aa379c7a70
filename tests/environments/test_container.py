"""What holds of workers in containers, without the confinement that is put on inside of them.

Each test of what a worker can't do was seen to fail with the option that it stands on left out.
"""

import asyncio
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from orchestrator.app import environment_factory
from orchestrator.environments.container import LABEL, Docker, Podman
from orchestrator.errors import EnvironmentUnavailable, UsageError, WorkerLost
from orchestrator.values import Cell, Grants, WorkerLimits, WorkerSpec

LONG_S = 60.0
ENGINES = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("docker", "podman")]


@pytest.fixture(params=ENGINES)
def engine(request, environments_here):
    """The name of an engine, and the settings with which it works here."""
    return request.param, environments_here(request.param)[request.param]


async def no_calls(fn, arguments):
    raise AssertionError(fn)


def ran(engine, folder, source, **spec):
    """How a cell ended in a worker whose working folder is the given one, which is not granted as such."""
    name, settings = engine
    scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=folder))

    async def run():
        environment = environment_factory(name, {name: {**settings, "is_alone": True}})()
        session = await environment.start(WorkerSpec(scratch=scratch, cwd=folder, **spec))
        try:
            return await session.cell(Cell(1, textwrap.dedent(source)), no_calls, LONG_S)
        finally:
            await session.close()

    return asyncio.run(run())


def containers(engine, owner=""):
    """Containers of ours that there are, in any state."""
    wanted = f"label={LABEL}={owner}" if owner else f"label={LABEL}"
    argv = [*engine[1]["command"], "ps", "-aq", "--filter", wanted]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


def test_it_sees_the_image_and_the_grants_and_can_write_where_it_may(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "sk-secret")
    (tmp_path / "secret").write_text("secret")
    for name in ('in, "odd"', "out"):
        (tmp_path / name).mkdir()
    (tmp_path / 'in, "odd"' / "a").write_text("read")
    source = f"""
        import glob, os
        seen = [os.path.exists(path) for path in ({str(tmp_path / "secret")!r}, {sys.prefix!r}, "/etc/shadow")]
        environ = "".join(open(path).read() for path in glob.glob("/proc/[0-9]*/environ") if os.access(path, os.R_OK))
        open("out/b", "w").write(open('in, "odd"/a').read())
        failed = []
        for path in ("beside", "/beside", 'in, "odd"/a'):
            try:
                open(path, "w")
            except OSError as error:
                failed.append(path)
        FINAL([seen, "sk-secret" in environ, failed, os.getuid(), len([one for one in os.listdir("/sys/class/net")])])
    """
    grants = Grants(read=(tmp_path / 'in, "odd"', Path("/sys")), write=(tmp_path / "out",))
    done = ran(engine, tmp_path, source, grants=grants)
    assert done.failure is None, done.failure
    assert done.answer[:4] == [[False] * 3, False, ["beside", "/beside", 'in, "odd"/a'], os.getuid()]
    assert (tmp_path / "out" / "b").read_text() == "read"


def test_memory_is_bounded_over_all_that_it_starts(engine, tmp_path):
    source = """
        import subprocess, sys
        large = "import sys; x = bytearray(50 << 20); print('there', flush=True); sys.stdin.read()"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started = [subprocess.Popen([sys.executable, "-c", large], **pipes) for _ in range(10)]
        FINAL([one.stdout.readline() for one in started].count("there\\n"))
    """
    limits = WorkerLimits(memory_bytes=64 << 20)  # each of them keeps to it, and all together do not
    try:
        n_there = ran(engine, tmp_path, source, limits=limits, grants=Grants(processes=True)).answer
    except WorkerLost:
        return  # it was among those that the kernel chose to end
    assert n_there < 10


def test_nothing_is_left_of_a_worker_that_was_closed_or_killed(engine, tmp_path):
    ran(engine, tmp_path, "1")
    with pytest.raises(WorkerLost):
        ran(engine, tmp_path, "import os\nos._exit(3)")
    assert containers(engine) == []


def test_container_of_an_owner_that_is_gone_is_removed_by_the_next_run(engine, tmp_path):
    _, settings = engine
    command = settings["command"]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    gone, other = f"{os.uname().nodename}/{boot}/{os.getpid()}/1", f"elsewhere/{boot}/1/1"
    here = (
        f"{os.uname().nodename}/{boot}/{os.getpid()}/"
        + Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    )
    for owner in (gone, other, here):
        argv = [
            *command,
            "run",
            "-d",
            "--network",
            "none",
            *settings.get("options", ()),
            "--label",
            f"{LABEL}={owner}",
        ]
        subprocess.run([*argv, settings["image"], "sleep", "1000"], check=True, capture_output=True)
    try:
        ran(engine, tmp_path, "1")
        assert [len(containers(engine, owner)) for owner in (gone, other, here)] == [0, 1, 1]
    finally:
        subprocess.run([*command, "rm", "-f", *containers(engine)], check=True, capture_output=True)


def test_image_that_is_not_there_is_told_and_not_fetched(engine, tmp_path):
    name, settings = engine
    with pytest.raises(EnvironmentUnavailable, match="no-such-image") as caught:
        ran((name, {**settings, "image": "no-such-image:local"}), tmp_path, "1")
    assert "pull no-such-image:local`, or name another image under [environments." in caught.value.hint


def test_image_without_that_python_is_told(engine, tmp_path):
    name, settings = engine
    with pytest.raises(EnvironmentUnavailable, match="python9") as caught:
        ran((name, {**settings, "python": "python9"}), tmp_path, "1")
    assert (
        caught.value.hint
        == f"name one that the image has as `python` under [environments.{name}], or another image"
    )


def test_option_that_the_engine_does_not_take_is_no_matter_of_the_image(engine, tmp_path):
    name, settings = engine
    with pytest.raises(EnvironmentUnavailable, match="--cpus") as caught:
        ran((name, {**settings, "options": ["--cpus", "many"]}), tmp_path, "1")
    trial = shlex.join([*settings["command"], "run", "--rm", settings["image"], "python3", "-V"])
    assert caught.value.hint == f"see that `{trial}` works here"


def test_service_that_does_not_answer_is_told(tmp_path):
    if shutil.which("docker") is None:
        pytest.skip("docker not installed")
    there = ["docker", "-H", f"unix://{tmp_path}/no.sock"]
    with pytest.raises(EnvironmentUnavailable) as caught:
        asyncio.run(Docker(command=there).start(WorkerSpec(scratch=tmp_path, cwd=tmp_path)))
    assert (
        caught.value.hint
        == "start the service of the engine, or name where it is: `command` under [environments.docker]"
    )


@pytest.mark.parametrize("kind", [Docker, Podman])
def test_engine_that_is_missing_is_told(kind, tmp_path):
    with pytest.raises(EnvironmentUnavailable, match="`no-such-engine` is not on PATH") as caught:
        asyncio.run(kind(command=["no-such-engine"]).start(WorkerSpec(scratch=tmp_path, cwd=tmp_path)))
    assert f"[environments.{kind.name}]" in caught.value.hint


def test_image_after_the_name_is_told_where_it_stands():
    with pytest.raises(UsageError, match="can't use the environment `docker:no-such-image`") as caught:
        environment_factory("docker:no-such-image")
    assert (
        caught.value.hint
        == "`docker` is one by itself; its settings are [environments.docker] of orchestrate.toml"
    )
