"""What holds of workers on another machine, beyond what every environment promises. The other machine is this one."""

import asyncio
import shlex
import subprocess
import textwrap
from pathlib import Path

import pytest

from orchestrator.app import environment_factory
from orchestrator.environments import parcel, ssh
from orchestrator.environments.frames import FunctionCall, ScriptCall
from orchestrator.environments.places import Places
from orchestrator.environments.ssh import Ssh
from orchestrator.errors import EnvironmentUnavailable, UsageError
from orchestrator.values import Cell, Grants, WorkerSpec

LONG_S = 60.0
FAR = Path.home() / ".cache" / "orchestrate" / "workers"

pytestmark = pytest.mark.xdist_group("ssh:127.0.0.1")


@pytest.fixture
def here(environments_here):
    """Settings with which this machine is reached."""
    return environments_here("ssh:127.0.0.1")


async def no_calls(fn, arguments):
    raise AssertionError(fn)


def asked(here, folder, ask, **grants):
    """What `ask(session)` gives, for a worker whose working folder is the given one."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)

    async def run():
        environment = environment_factory("ssh:127.0.0.1", here)()
        session = await environment.start(WorkerSpec(scratch=scratch, cwd=folder, grants=Grants(**grants)))
        try:
            return await ask(session)
        finally:
            await session.close()

    return asyncio.run(run())


def ran(here, folder, source, **grants):
    async def ask(session):
        await session.init(variables={"inputs": {"folder": str(folder / "notes")}})
        return await session.cell(Cell(1, textwrap.dedent(source)), no_calls, LONG_S)

    return asked(here, folder, ask, **grants)


def test_granted_files_are_there_under_paths_that_are_translated_both_ways(here, tmp_path):
    (tmp_path / "notes" / "deep").mkdir(parents=True)
    (tmp_path / "notes" / "deep" / "a.md").write_text("text")
    source = """
        import os
        there = inputs["folder"]
        FINAL([there + "/deep/a.md", open("notes/deep/a.md").read(), os.getcwd().endswith(os.path.dirname(there)), {there: there + "x"}])
    """
    done = ran(here, tmp_path, source, read=(tmp_path / "notes",))
    assert done.failure is None, done.failure
    notes = str(tmp_path / "notes")
    assert done.answer[:3] == [f"{notes}/deep/a.md", "text", True]
    assert done.answer[3][notes] == f"{notes}x"


def test_call_of_a_cell_names_our_path_and_is_answered_in_its_own(here, tmp_path):
    (tmp_path / "notes").mkdir()
    heard = []

    async def serve(fn, arguments):
        heard.append(arguments["prompt"])
        return arguments["prompt"]

    async def ask(session):
        await session.init(variables={"inputs": {"folder": str(tmp_path / "notes")}})
        return await session.cell(
            Cell(1, "FINAL(llm_query(inputs['folder']) == inputs['folder'])"), serve, LONG_S
        )

    assert asked(here, tmp_path, ask, read=(tmp_path / "notes",)).answer is True
    assert heard == [str(tmp_path / "notes")]


def test_function_and_script_of_a_granted_folder_run_there(here, tmp_path):
    skill = tmp_path / "skill"
    skill.mkdir()
    (skill / "code.py").write_text("def go(path):\n    return [open(path).read(), __file__]\n")
    (skill / "go.sh").write_text('#!/bin/sh\ncat; cat "${1#--file=}"; echo $SKILL_DIR\n')
    (skill / "go.sh").chmod(0o755)
    text = tmp_path / "text"
    text.write_text("read\n")

    async def ask(session):
        function = await session.function(
            FunctionCall(skill / "code.py", "go", {"path": str(text)}, skill), no_calls, LONG_S
        )
        words, stdin = [str(skill / "go.sh"), f"--file={text}"], f'{{"path": "{text}"}}'
        script = await session.script(ScriptCall(words, stdin, tmp_path, {"SKILL_DIR": str(skill)}), LONG_S)
        return function, script

    function, script = asked(here, tmp_path, ask, read=(skill, text), processes=True)
    assert function.value == ["read\n", str(skill / "code.py")]
    stdin, _, folder = script.stdout.splitlines()[0].partition("}")
    root = script.stdout.splitlines()[-1].removesuffix(f"/files{skill}")
    assert root.startswith(str(FAR.resolve()))
    assert (stdin, folder) == (f'{{"path": "{root}/files{text}"', "read")


def test_what_may_not_be_written_is_an_error_there_and_leaves_nothing_here(here, tmp_path):
    done = ran(here, tmp_path, "open('out/a', 'w')", write=(tmp_path / "out",))
    assert done.failure.type in ("FileNotFoundError", "PermissionError")
    assert not (tmp_path / "out").exists()


def test_grant_to_write_is_refused(here, tmp_path):
    with pytest.raises(
        EnvironmentUnavailable, match=r"brings no files back, and `.*/notes` is granted"
    ) as caught:
        ran(here, tmp_path, "1", write=(tmp_path / "notes",))
    assert "permissions: {write: ...}" in caught.value.hint


def test_nothing_of_our_variables_goes_there(here, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "sk-secret")
    monkeypatch.setenv("LC_SECRET", "sk-secret")
    sent = ssh._variables()
    assert "sk-secret" not in sent.values()
    done = ran(here, tmp_path, "import os\nFINAL(dict(os.environ))")
    assert "sk-secret" not in str(done.answer)


def test_folder_there_is_gone_when_the_worker_is(here, tmp_path):
    done = ran(
        here, tmp_path, "import os\nFINAL(['in ' + os.environ['HOME'], os.path.exists(os.environ['HOME'])])"
    )
    there = Path(done.answer[0].removeprefix("in ")).parent
    assert (there.parent, done.answer[1]) == (FAR.resolve(), True)
    assert not there.exists()
    assert not there.with_name(f"{there.name}.lock").exists()


def test_more_than_may_be_copied_is_refused(here, tmp_path):
    with open(tmp_path / "big", "wb") as file:
        file.truncate(parcel.COPY_BYTES + 1)
    with pytest.raises(EnvironmentUnavailable, match="more than 256 MiB would have to be copied"):
        ran(here, tmp_path, "1", read=(tmp_path / "big",))


def test_python_that_is_not_there_is_told(here, tmp_path):
    with pytest.raises(EnvironmentUnavailable, match=r"`ssh` ended with code 127(.|\n)*python9") as caught:
        ran({"ssh": {**here["ssh"], "python": "python9"}}, tmp_path, "1")
    words = shlex.join(["ssh", "-o", "BatchMode=yes", *here["ssh"]["options"], "127.0.0.1", "python9", "-V"])
    assert caught.value.hint == f"see that `{words}` works; name options and Python under [environments.ssh]"


def test_host_that_lets_nobody_in_is_told_with_what_ssh_said(here, tmp_path):
    options = [word for word in here["ssh"]["options"] if not word.startswith("/")]
    options = [*options[:2], "-F", "none", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentityAgent=none"]
    with pytest.raises(EnvironmentUnavailable, match="Host key verification failed") as caught:
        asyncio.run(Ssh("127.0.0.1", options).start(WorkerSpec(scratch=tmp_path, cwd=tmp_path)))
    login = shlex.join(["ssh", *options, "127.0.0.1"])
    assert caught.value.hint.startswith(f"`{login}` once in a terminal shows the key of that machine")


def test_key_that_is_not_let_in_is_told_with_the_line_that_has_to_work(here, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    options = list(here["ssh"]["options"])
    options[options.index("-i") + 1] = str(tmp_path / "other")
    with pytest.raises(EnvironmentUnavailable, match=r"Permission denied \(publickey\)") as caught:
        asyncio.run(Ssh("127.0.0.1", options).start(WorkerSpec(scratch=tmp_path, cwd=tmp_path)))
    login = shlex.join(["ssh", *options, "127.0.0.1"])
    assert (
        caught.value.hint
        == f"a run can't type a password: `{login}` has to work without one, by a key or an agent"
    )


def test_only_whole_names_of_folders_are_translated():
    places = Places("python3", "/bin", (("/a/b", "/far"), ("/a", "/near")), (("/far", "/a/b"),))
    assert [places.moved(path) for path in ("/a/b", "/a/b/c", "/a/bc", "/ab", "x /a/b")] == [
        "/far",
        "/far/c",
        "/near/bc",
        "/ab",
        "x /a/b",
    ]


@pytest.mark.parametrize("name", ["ssh", "ssh:", "ssh:-oProxyCommand=touch"])
def test_name_without_a_host_is_told_how_to_write_one(name):
    with pytest.raises(UsageError, match=f"can't use the environment `{name}`: it names no host") as caught:
        environment_factory(name)
    assert caught.value.hint == "write it as ssh:HOST, where HOST is what you would give to `ssh`"
