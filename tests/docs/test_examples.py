"""Every example runs as its README says, with the model that was recorded for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/recorded.yaml"))


def test_there_are_examples():
    assert NAMES == ["long-document", "many-notes", "research"]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_answers_and_passes_its_checks(name, tmp_path):
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    words = ["workflow.md", "--workspace", ".", "--model", "recorded:recorded.yaml", "--json", "--strict"]
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["status"], result["strategy"], len(result["attempts"])) == ("answered", "rlm", 1)
    assert result["checks"]
    assert all(check["passed"] for check in result["checks"])
    assert result["usage"]["calls"] > 1


@pytest.mark.parametrize("name", NAMES)
def test_an_example_says_how_to_run_it_with_either_model(name):
    text = (EXAMPLES / name / "README.md").read_text()
    assert "orchestrate workflow.md --workspace . --model recorded:recorded.yaml" in text
    assert "orchestrate workflow.md --workspace . --model openai/gpt-5-mini" in text
