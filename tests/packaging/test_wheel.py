"""The wheel, installed where nothing of this repository is, runs from an empty folder with an empty home.

Offline: the wheel is built with the locked backend, and its declared dependencies, those and no others, are linked
from the running environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=100)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a fresh virtual environment with the wheel and what it declares."""
    venv = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=60)
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", "--no-index", str(wheel)], check=True, timeout=100)
    site = sysconfig.get_path("purelib", vars={"base": str(venv), "platbase": str(venv)})
    for declared in runtime_closure():
        link_into(declared, Path(site))
    return venv / "bin"


def runtime_closure() -> list[Distribution]:
    """What the package declares, and what those declare in turn."""
    found: dict[str, Distribution] = {}
    waiting = list(distribution("skill-orchestrator").requires or [])
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.name in found or (
            requirement.marker and not requirement.marker.evaluate({"extra": ""})
        ):
            continue
        found[requirement.name] = distribution(requirement.name)
        waiting += found[requirement.name].requires or []
    return list(found.values())


def link_into(declared: Distribution, site: Path) -> None:
    """Link a distribution's packages, modules and metadata into another site-packages."""
    tops = {file.parts[0] for file in declared.files or [] if file.parts[0] not in ("..", "__pycache__")}
    for top in tops:
        target = site / top
        if not target.exists():
            target.symlink_to(Path(str(declared.locate_file(top))))


def test_wheel_carries_the_bundled_skills_and_workflows(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("skills", "workflows"):
        files = [path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()]
        assert {f"orchestrator/bundled/{path}" for path in files if "__pycache__" not in path.parts} <= names
    assert "orchestrator/py.typed" in names
    assert "orchestrator/environments/worker.py" in names
    assert [
        name for name in names if "__pycache__" in name or name.startswith(("tests", "tools", "docs"))
    ] == []


def test_installed_command_runs_a_workspace_of_its_own(installed: Path, tmp_path: Path) -> None:
    folder, home = tmp_path / "empty", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    env = {"PATH": f"{installed}:/usr/bin:/bin", "HOME": str(home), "LANG": os.environ.get("LANG", "C.UTF-8")}

    def orchestrate(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["orchestrate", *words], cwd=folder, env=env, capture_output=True, text=True, timeout=100
        )

    assert orchestrate("init").returncode == 0
    done = orchestrate("workflows/count-words.md")
    assert (done.returncode, done.stderr if done.returncode else "") == (0, "")
    assert '"notes/first.md"' in done.stdout
    assert orchestrate("usage").stdout.startswith("SKILL")
    assert "bundled" in orchestrate("skills").stdout
    kept = [
        path.relative_to(home).as_posix()
        for path in home.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    ]
    assert kept == [".local/share/orchestrate/lessons.json"]  # what all workspaces share, and nothing else
    served = orchestrate("mcp")
    assert (served.returncode, served.stdout) == (69, "")
    assert served.stderr.splitlines()[1] == (
        "hint: install it with: python -m pip install 'skill-orchestrator[mcp]'   (from a clone: '.[mcp]')"
    )


def test_installed_package_is_not_the_repository(installed: Path) -> None:
    code = "import orchestrator, sys; sys.stdout.write(orchestrator.__file__)"
    done = subprocess.run(
        [installed / "python", "-c", code], cwd="/", capture_output=True, text=True, check=True
    )
    assert Path(done.stdout).is_relative_to(installed.parent)
