import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from guide import Command, File, fits, needed, steps

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))


def with_group(guide):
    name = needed(guide)
    return pytest.param(guide, marks=[] if name is None else [pytest.mark.xdist_group(name)])


def write_settings(settings, home):
    """Settings of a user, with which an environment is found that belongs to this test run."""
    lines = [f"[environments.{kind}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
             for kind, table in settings.items()]  # fmt: skip
    (home / ".config" / "orchestrate").mkdir(parents=True)
    (home / ".config" / "orchestrate" / "orchestrate.toml").write_text("\n".join(lines))


@pytest.mark.parametrize("guide", list(map(with_group, GUIDES)), ids=lambda path: path.stem)
def test_what_a_guide_shows_is_what_happens(guide, tmp_path, environments_here):
    home = tmp_path / "home"
    work = tmp_path / "work"
    home.mkdir()
    work.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "COLUMNS": "100"}
    env["CLAUDE_PLUGIN_ROOT"] = str(ROOT)  # as a host sets it for hooks
    if (name := needed(guide)) is not None:
        write_settings(environments_here(name), home)
    n_commands = 0
    for step in steps(guide):
        if isinstance(step, File):
            target = work / step.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(step.text, encoding="utf-8")
        elif isinstance(step, Command):
            done = subprocess.run(
                ["bash", "-c", step.line], cwd=work, env=env, capture_output=True, text=True
            )
            shown = done.stdout if done.returncode == 0 else done.stderr
            assert done.returncode == step.exit_code, f"$ {step.line}\n{done.stdout}\n{done.stderr}"
            assert fits(step.shown, shown), f"$ {step.line}\n{shown}\ninstead of\n{step.shown}"
            n_commands += 1
    assert n_commands, f"{guide} shows no command"


def test_a_guide_that_shows_something_else_is_caught():
    assert fits("a ... c", "a b\nb c")
    assert not fits("a ... c", "a b d")
    assert not fits("1 of 1", "1 of 2")


def test_files_and_commands_are_found_in_the_order_of_the_text(tmp_path):
    text = "```yaml file=a/b.yaml\nx: 1\n```\n```console\n$ one\nout\n$ two\nerr\n[exit 2]\n```\n````md file=c.md\n```repl\n1\n```\n````\n"
    (tmp_path / "g.md").write_text(text)
    assert steps(tmp_path / "g.md") == [
        File("a/b.yaml", "x: 1\n"), Command("one", "out", 0), Command("two", "err\n", 2), File("c.md", "```repl\n1\n```\n"),
    ]  # fmt: skip
