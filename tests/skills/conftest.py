"""The bundled skills' code, loaded from its files as a worker does: the orchestrator package is not involved."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKILLS = ROOT / "skills"


def load(skill, module):
    folder = SKILLS / skill
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    if module in sys.modules:
        return sys.modules[module]
    spec = importlib.util.spec_from_file_location(module, folder / f"{module}.py")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[module] = loaded
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(loaded)
    finally:
        sys.dont_write_bytecode = before
    return loaded


@pytest.fixture(scope="session")
def skills_folder():
    return SKILLS


@pytest.fixture(scope="session")
def downloaded():
    return ROOT / "examples" / "downloaded-skills"


@pytest.fixture(scope="session")
def skill_audit():
    return load("skill-audit", "skill_audit")


@pytest.fixture(scope="session")
def plain_yaml(skill_audit):
    return sys.modules["audit_rules.plain_yaml"]


@pytest.fixture(scope="session")
def text_search():
    return load("text-search", "text_search")


@pytest.fixture(scope="session")
def text_split():
    return load("text-split", "text_split")


@pytest.fixture(scope="session")
def verify_quotes():
    return load("verify-quotes", "verify_quotes")


@pytest.fixture(scope="session")
def git_log():
    return load("git-log", "git_log")


@pytest.fixture(scope="session")
def usage_report():
    return load("usage-report", "usage_report")


@pytest.fixture(scope="session")
def usage_review():
    return load("usage-review", "usage_review")
