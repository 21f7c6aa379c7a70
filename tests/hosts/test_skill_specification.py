"""Every bundled skill is valid for the reference validator of the Agent Skills specification."""

from pathlib import Path

import pytest
from skills_ref import validate

FOLDERS = sorted(path.parent for path in (Path(__file__).parents[2] / "skills").glob("*/SKILL.md"))


def test_there_are_skills():
    assert "orchestrate" in {folder.name for folder in FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_bundled_skill_is_valid(folder):
    assert validate(folder) == []


def test_a_skill_that_is_not_valid_is_caught(tmp_path):
    (tmp_path / "SKILL.md").write_text("---\nname: Other\ndescription: x\ncolour: red\n---\n")
    assert validate(tmp_path) != []
