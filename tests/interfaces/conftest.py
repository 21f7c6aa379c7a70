"""The real command, run as a person runs it: in a process of its own, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def clean_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a person who has nothing of ours and a terminal of 80 columns."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), "COLUMNS": "80", "TERM": "xterm-256color"}


@pytest.fixture
def orchestrate(clean_env: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command in `tmp_path` and gives what it printed and its exit code."""

    def run(
        *words: str, cwd: Path | None = None, stdin: str = "", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *words],
            cwd=cwd or tmp_path,
            input=stdin,
            env={**clean_env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run
