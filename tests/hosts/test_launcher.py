"""`bin/orchestrate` finds the installed package from anywhere, or says in one line how to install it."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import __version__

ROOT = Path(__file__).parents[2]
VERSION = f"orchestrate {__version__}\n"
INSTALLED = "from orchestrator.__main__ import main"


@pytest.fixture
def plugin(tmp_path):
    """A plugin folder as a host keeps one: a copy, under a path with spaces, without the package installed beside it."""
    folder = tmp_path / "plugin cache" / "skill orchestrator" / "0.1.0"
    copied(folder)
    return folder


def copied(folder):
    for name in ("bin", ".claude-plugin"):
        shutil.copytree(ROOT / name, folder / name)


@pytest.fixture
def tools(tmp_path):
    """A folder for PATH that has `python3`, a Python without the package, and nothing else."""
    folder = tmp_path / "tools"
    venv = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    folder.mkdir()
    script(folder / "python3", f'exec {shlex.quote(str(venv / "bin" / "python"))} "$@"')
    return folder


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def installed_command(path, says):
    """What an installer writes for a package with the command `orchestrate`, with other words to tell it by."""
    return script(path, f'# {INSTALLED}\necho "{says}" "$@"')


def launch(plugin, *words, path, cwd=None, stdin="", **variables):
    env = {
        "PATH": os.pathsep.join([*map(str, path), "/usr/bin", "/bin"]),
        "HOME": str(plugin.parent),
        **variables,
    }
    return subprocess.run(
        [plugin / "bin" / "orchestrate", *words],
        cwd=cwd or plugin.parent, env=env, input=stdin, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_it_becomes_the_installed_command_with_every_word_as_it_was(plugin, tools, tmp_path):
    installed_command(tmp_path / "home dir" / "bin" / "orchestrate", "installed")
    done = launch(plugin, "a b", "*", "--x='y'", path=[tools, tmp_path / "home dir" / "bin"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "installed a b * --x='y'\n", "")


def test_the_exit_code_and_the_streams_are_those_of_the_command(plugin, tools, tmp_path):
    script(tmp_path / "bin" / "orchestrate", f"# {INSTALLED}\ncat; echo told >&2; exit 3")
    done = launch(plugin, path=[tools, tmp_path / "bin"], stdin="asked")
    assert (done.returncode, done.stdout, done.stderr) == (3, "asked", "told\n")


def test_it_finds_the_package_that_its_python_has(plugin, tmp_path):
    script(tmp_path / "tools" / "python3", f'exec {shlex.quote(sys.executable)} "$@"')
    done = launch(plugin, "--version", path=[tmp_path / "tools"])
    assert (done.returncode, done.stdout, done.stderr) == (0, VERSION, "")


def test_a_folder_of_the_same_name_where_the_agent_works_is_not_run(plugin, tmp_path):
    work = tmp_path / "work"
    (work / "orchestrator").mkdir(parents=True)
    for name in ("__init__.py", "__main__.py"):
        (work / "orchestrator" / name).write_text("raise SystemExit('run from the working directory')")
    script(tmp_path / "tools" / "python3", f'exec {shlex.quote(sys.executable)} "$@"')
    done = launch(plugin, "--version", path=[tmp_path / "tools"], cwd=work)
    assert (done.returncode, done.stdout) == (0, VERSION)


def test_another_package_of_the_same_name_is_not_taken_for_it(plugin, tools, tmp_path):
    (tmp_path / "other" / "orchestrator").mkdir(parents=True)
    (tmp_path / "other" / "orchestrator" / "__init__.py").write_text("raise SystemExit('run')")
    done = launch(plugin, path=[tools], PYTHONPATH=str(tmp_path / "other"))
    assert done.returncode == 69


def test_it_finds_the_environment_that_make_leaves_beside_it(plugin, tools):
    script(plugin / ".venv" / "bin" / "python", f'exec {shlex.quote(sys.executable)} "$@"')
    done = launch(plugin, "--version", path=[tools])
    assert (done.returncode, done.stdout) == (0, VERSION)


def test_neither_itself_nor_a_copy_of_another_version_nor_another_program_of_its_name_is_run(
    plugin, tools, tmp_path
):
    older = tmp_path / "plugin cache" / "skill orchestrator" / "0.0.9"
    copied(older)
    other = script(tmp_path / "other" / "orchestrate", "echo another program").parent
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "orchestrate").symlink_to(plugin / "bin" / "orchestrate")
    path = [tools, plugin / "bin", older / "bin", linked, other]
    assert launch(plugin, path=path).returncode == 69
    installed_command(tmp_path / "bin" / "orchestrate", "installed")
    assert launch(plugin, path=[*path, tmp_path / "bin"]).stdout == "installed\n"


def test_a_command_whose_python_is_gone_is_passed_over(plugin, tools, tmp_path):
    gone = tmp_path / "gone" / "orchestrate"
    gone.parent.mkdir()
    gone.write_text(f"#!{tmp_path}/no/python\n{INSTALLED}\n")
    gone.chmod(0o755)
    installed_command(tmp_path / "bin" / "orchestrate", "installed")
    assert launch(plugin, path=[tools, gone.parent, tmp_path / "bin"]).stdout == "installed\n"


@pytest.mark.parametrize(
    ("tool", "line"), [("", "python3 -m pip install"), ("pipx", "pipx install"), ("uv", "uv tool install")]
)
def test_where_nothing_is_installed_one_line_installs_it(plugin, tools, tool, line):
    if tool:
        script(tools / tool, "")
    done = launch(plugin, "workflow.md", path=[tools])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (69, "", 1)
    *words, folder = shlex.split(done.stderr.partition("install it with: ")[2])
    assert (" ".join(words), Path(folder)) == (line, plugin.resolve())


def test_a_plugin_folder_that_is_read_only_is_enough_and_stays_as_it_is(plugin, tools):
    before = sorted(plugin.rglob("*"))
    for path in (plugin, *before):
        path.chmod(path.stat().st_mode & ~0o222)
    assert launch(plugin, path=[tools]).returncode == 69
    script(tools / "python3", f'exec {shlex.quote(sys.executable)} "$@"')
    assert launch(plugin, "--version", path=[tools]).stdout == VERSION
    assert sorted(plugin.rglob("*")) == before


@pytest.mark.parametrize("name", ["PostToolUse", "PostToolUseFailure", "UserPromptExpansion"])
def test_a_hook_as_the_host_runs_it_records_and_never_fails(plugin, tools, tmp_path, name):
    (hook,) = json.loads((ROOT / "hooks" / "hooks.json").read_text())["hooks"][name][0]["hooks"]
    work = tmp_path / "work space"
    (work / "skills").mkdir(parents=True)
    event = {
        "hook_event_name": name, "cwd": str(work), "tool_name": "Skill", "tool_input": {"skill": "pdf"},
        "expansion_type": "slash_command", "command_name": "pdf", "command_source": "user",
    }  # fmt: skip
    command = hook["command"].replace("${CLAUDE_PLUGIN_ROOT}", str(plugin))
    env = {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(tmp_path)}

    def run():
        return subprocess.run(
            ["sh", "-c", command], input=json.dumps(event), env=env, cwd=work, capture_output=True, text=True
        )

    assert run().returncode == 0, "not installed"
    assert not (work / "memory").exists()
    script(tools / "python3", f'exec {shlex.quote(sys.executable)} "$@"')
    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((work / "memory" / "usage.jsonl").read_text())["skill"] == "pdf"
