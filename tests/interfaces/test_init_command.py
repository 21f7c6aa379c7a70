from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

Orchestrate = Callable[..., subprocess.CompletedProcess[str]]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_init_makes_the_parts_of_a_workspace(orchestrate: Orchestrate, tmp_path: Path) -> None:
    done = orchestrate("init", "mine")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nnext: cd mine && orchestrate workflows/count-words.md\n")
    assert sorted(name for name in contents(tmp_path / "mine") if not name.startswith("memory/cache/")) == [
        "memory/.gitignore",
        "memory/README.md",
        "memory/trust.lock",
        "notes/first.md",
        "notes/second.md",
        "skill-usage.json",
        "skills.lock",
        "skills/word-count/SKILL.md",
        "skills/word-count/examples/short.md",
        "skills/word-count/manifest.yaml",
        "skills/word-count/skill.py",
        "workflows/count-words.md",
    ]


def test_init_overwrites_nothing(orchestrate: Orchestrate, tmp_path: Path) -> None:
    (tmp_path / "skill-usage.json").write_text('{"mine": 1}')
    (tmp_path / "skills/word-count").mkdir(parents=True)
    (tmp_path / "skills/word-count/SKILL.md").write_text("mine")
    done = orchestrate("init")
    assert done.returncode == 0
    assert "kept  skill-usage.json" in done.stdout
    assert "kept  skills/word-count/SKILL.md" in done.stdout
    assert done.stdout.endswith("next: orchestrate workflows/count-words.md\n")
    assert contents(tmp_path)["skill-usage.json"] == b'{"mine": 1}'
    before = contents(tmp_path)
    assert "made" not in orchestrate("init").stdout
    assert contents(tmp_path) == before


def test_what_init_makes_has_no_problem(orchestrate: Orchestrate, tmp_path: Path) -> None:
    orchestrate("init")
    done = orchestrate("check", "--strict", "workflows/count-words.md", "skills/word-count")
    assert (done.stdout, done.stderr, done.returncode) == (
        "workflows/count-words.md: ok\nskills/word-count: ok\n",
        "",
        0,
    )
