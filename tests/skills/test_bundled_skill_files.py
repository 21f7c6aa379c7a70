"""Every bundled skill meets the Agent Skills specification, strictly, and stands on its own."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "skills").glob("*/SKILL.md"))
KEYS = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
NAMES = {
    "skill-audit", "text-search", "text-split", "verify-quotes", "git-log", "usage-report", "usage-review", "summarize", "extract", "orchestrate",
}  # fmt: skip


def frontmatter(folder):
    _, front, body = (folder / "SKILL.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), body


def test_all_bundled_skills_are_there():
    assert {folder.name for folder in FOLDERS} >= NAMES


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_frontmatter_meets_the_specification(folder):
    keys, body = frontmatter(folder)
    assert set(keys) <= KEYS
    assert keys["name"] == folder.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", keys["name"])
    assert len(keys["name"]) <= 64
    assert isinstance(keys["description"], str)
    assert 1 <= len(keys["description"]) <= 1024
    assert re.search(r"\bUse (when|to|before|after|at|for)\b", keys["description"]), "says what, but not when"
    assert 1 <= len(keys.get("compatibility", "x")) <= 500
    assert body.count("\n") < 500


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_code_needs_the_standard_library_and_its_own_folder_only(folder):
    own = {path.stem for path in folder.glob("*.py")} | {
        path.name for path in folder.iterdir() if path.is_dir()
    }
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            for module in modules:
                top = module.split(".")[0]
                assert top in sys.stdlib_module_names or top in own, f"{path.name} imports {module}"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_files_named_in_the_text_are_there(folder):
    _, body = frontmatter(folder)
    for name in re.findall(r"\bpython (\w+\.py)", body):
        assert (folder / name).is_file()


def test_audit_program_agrees_that_they_are_sound():
    program = [sys.executable, "-B", str(ROOT / "skills" / "skill-audit" / "skill_audit.py")]
    done = subprocess.run(
        [*program, str(ROOT / "skills"), "--fail-on", "low"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
