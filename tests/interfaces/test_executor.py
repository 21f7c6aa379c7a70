"""`--executor ray` where the package is missing, and what `doctor` says of it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WITHOUT = "import runpy, sys; sys.modules['ray'] = None; sys.argv[0] = 'orchestrate'; runpy.run_module('orchestrator', run_name='__main__')"


def test_without_the_package_a_run_says_which_extra_to_install(
    workspace: Path, clean_env: dict[str, str]
) -> None:
    (workspace / "w.md").write_text("# W\n```repl\nFINAL(1)\n```\n")
    argv = [sys.executable, "-c", WITHOUT, "run", "w.md", "--executor", "ray"]
    done = subprocess.run(argv, cwd=workspace, env=clean_env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (69, "")
    assert "error: `--executor ray` needs a package that is not installed" in done.stderr
    assert "hint: install it with: python -m pip install 'skill-orchestrator[ray]'" in done.stderr


def test_settings_name_the_executor_and_a_word_goes_first(workspace: Path, clean_env: dict[str, str]) -> None:
    (workspace / "w.md").write_text("# W\n```repl\nFINAL(1)\n```\n")
    (workspace / "orchestrate.toml").write_text('[executor]\nkind = "ray"\naddress = "10.0.0.1:6379"\n')
    codes = []
    for words in ((), ("--executor", "local")):
        argv = [sys.executable, "-c", WITHOUT, "run", "w.md", *words]
        codes.append(
            subprocess.run(argv, cwd=workspace, env=clean_env, capture_output=True, check=False).returncode
        )
    assert codes == [69, 0]


def test_doctor_says_whether_runs_could_be_spread(
    orchestrate: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    (line,) = [line for line in orchestrate("doctor").stdout.splitlines() if "executor ray" in line]
    assert line.startswith("none" if find_spec("ray") is None else "ok")
