"""A warm load equals a cold one, whatever happened in between; and opens no file of a skill."""

from __future__ import annotations

import datetime
import json
import math
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orchestrator.catalog import index as index_module
from orchestrator.catalog.discover import discover
from orchestrator.catalog.index import Index
from orchestrator.catalog.select import Catalog
from orchestrator.catalog.walk import find_skills
from orchestrator.workspace import Workspace

PARSER = "# /// script\n# dependencies = ['rich']\n# ///\nimport argparse\np = argparse.ArgumentParser()\np.add_argument('--n', type=int, default=load())\np.parse_args()\n"
MANIFEST = """schema: orchestrate.skill/1
functions:
  count: {entry: {script: tool.py}, input: {type: object}, timeout_s: 3, effects: read}
default: count
uses: [other]
permissions: {read: [a], env: [B]}
requires: {bins: [git]}
examples: [{input: {n: 1}, output: {total: [1.5, null]}}]
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    plain, rich = tmp_path / "skills/plain", tmp_path / "skills/rich"
    for folder in (plain, rich):
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text(
            f"---\nname: {folder.name}\nmetadata: {{a: [1, x]}}\n---\nÜber alles.\n"
        )
        (folder / "tool.py").write_text(PARSER)
    (rich / "manifest.yaml").write_text(MANIFEST)
    return Workspace(tmp_path)


def load(workspace: Workspace, *, use_index: bool = True) -> Catalog:
    return discover(workspace, home=None, bundled=workspace.root / "none", use_index=use_index)


def stored(workspace: Workspace) -> Any:
    return json.loads((workspace.cache / "skills-index.json").read_text())


def mark(workspace: Workspace) -> None:
    """Change what the index says, so that a skill that comes from it can be told."""
    whole = stored(workspace)
    for entry in whole["skills"].values():
        entry["skill"]["description"] = "from the index"
        entry["read_at_ns"] = time.time_ns() + index_module.RACY_NS  # as if the files had been old when read
    (workspace.cache / "skills-index.json").write_text(json.dumps(whole))


def from_index(workspace: Workspace) -> list[str]:
    return [skill.name for skill in load(workspace).skills if skill.description == "from the index"]


def test_an_unchanged_skill_comes_from_the_index(workspace: Workspace) -> None:
    cold = load(workspace)
    assert load(workspace) == cold == load(workspace, use_index=False)
    mark(workspace)
    assert from_index(workspace) == ["plain", "rich"]
    assert not [
        skill for skill in load(workspace, use_index=False).skills if skill.description == "from the index"
    ]


@pytest.mark.parametrize(
    "name", ["SKILL.md", "tool.py", "data.bin", "deep/er/data.bin", ".venv/x", "node_modules/y"]
)
def test_any_change_of_any_file_reads_the_skill_again(workspace: Workspace, name: str) -> None:
    file = workspace.skills / "plain" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    before = "#" * 40 if not file.exists() else file.read_text()
    file.write_text(before)
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    load(workspace)
    mark(workspace)
    assert from_index(workspace) == ["plain", "rich"]
    file.write_text(before.replace("#", "%").replace("l", "L"))  # of the same length,
    os.utime(file, ns=times)  # and with the old time
    assert from_index(workspace) == ["rich"]
    mark(workspace)
    file.unlink()
    assert from_index(workspace) == ["rich"]


def test_a_skill_written_just_before_it_was_read_is_read_again(workspace: Workspace) -> None:
    load(workspace)
    whole = stored(workspace)
    for entry in whole["skills"].values():
        entry["skill"]["description"] = "from the index"
    (workspace.cache / "skills-index.json").write_text(json.dumps(whole))
    assert from_index(workspace) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\x80\x04pickle",
        b"[]",
        b"{}",
        b'{"format": 1}',
        b"null",
        b"[" * 100_000,
        b'{"format":99,"skills":{}}',
    ],
)
def test_an_index_that_is_none_is_ignored_and_replaced(workspace: Workspace, content: bytes) -> None:
    cold = load(workspace)
    (workspace.cache / "skills-index.json").write_bytes(content)
    assert load(workspace) == cold
    assert stored(workspace)["format"] == index_module.FORMAT


@pytest.mark.parametrize(
    "metadata", [{"a": (1, 2)}, {1: "x"}, {"at": datetime.date(2024, 1, 1)}, {"n": math.nan}]
)
def test_a_skill_that_json_would_change_is_not_kept(workspace: Workspace, metadata: Any) -> None:
    [folder, _] = find_skills(workspace.skills).skills
    skill = load(workspace).skills[0]
    file = workspace.cache / "own.json"
    for kept in (skill, replace(skill, metadata=metadata)):
        index = Index(file, {})
        index.put(folder, kept, time.time_ns())
        index.save()
        assert file.exists() is (kept is skill)
        file.unlink(missing_ok=True)


def _without(entry: dict[str, Any]) -> None:
    del entry["skill"]["name"]


def _unknown(entry: dict[str, Any]) -> None:
    entry["skill"]["new"] = 1


def _wrong(entry: dict[str, Any]) -> None:
    entry["skill"]["functions"] = [1]


def _timeless(entry: dict[str, Any]) -> None:
    entry["read_at_ns"] = "soon"


@pytest.mark.parametrize("damage", [_without, _unknown, _wrong, _timeless])
def test_an_entry_that_is_none_is_read_again(workspace: Workspace, damage: Any) -> None:
    cold = load(workspace)
    mark(workspace)
    whole = stored(workspace)
    for entry in whole["skills"].values():
        damage(entry)
    (workspace.cache / "skills-index.json").write_text(json.dumps(whole))
    assert load(workspace) == cold


@pytest.mark.parametrize("key", ["format", "code"])
def test_an_index_of_other_code_is_not_used(workspace: Workspace, key: str) -> None:
    load(workspace)
    mark(workspace)
    whole = stored(workspace)
    whole[key] = "other"
    (workspace.cache / "skills-index.json").write_text(json.dumps(whole))
    assert from_index(workspace) == []


def test_a_workspace_that_cannot_be_written_loads_without_an_index(workspace: Workspace) -> None:
    workspace.memory.write_text("a file where the folder should be")
    assert [skill.name for skill in load(workspace).skills] == ["plain", "rich"]


def test_a_folder_that_is_no_workspace_is_left_as_it_is(tmp_path: Path) -> None:
    skill = tmp_path / "bundled/one"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("Text.")
    (tmp_path / "cwd").mkdir()
    assert len(discover(Workspace(tmp_path / "cwd"), home=None, bundled=tmp_path / "bundled").skills) == 1
    assert list((tmp_path / "cwd").iterdir()) == []


def test_skills_that_are_gone_leave_the_index_and_no_file_is_left_beside_it(workspace: Workspace) -> None:
    load(workspace)
    shutil.rmtree(workspace.skills / "plain")
    load(workspace)
    assert [Path(path).parent.name for path in stored(workspace)["skills"]] == ["rich"]
    assert [path.name for path in workspace.cache.iterdir()] == ["skills-index.json"]


TEXTS = st.sampled_from(
    [
        "---\nname: one\ndescription: A.\n---\nBody.",
        "---\nname: two\ndescription: B.\n---\nBody.",
        "---\nname: one\ndate: 2024-01-01\nn: .nan\n2: x\nbig: 1e400\n---\n",
        "---\nname: [1\n---\n",
        "",
        MANIFEST,
        PARSER,
        PARSER.replace("--n", "--m"),
        "schema: orchestrate.skill/1\nfunctions: {f: {entry: {script: tool.py}, input: {type: object, default: 2024-01-01}}}\n",
    ]
)
FILES = st.sampled_from(
    ["SKILL.md", "skill.md", "manifest.yaml", "tool.py", "scripts/tool.py", "x/SKILL.md", "x/tool.py"]
)
FOLDERS = st.sampled_from(["a", "b", "b/c"])


class WarmEqualsCold(RuleBasedStateMachine):
    """Any changes to a workspace's skills, with an index kept from step to step."""

    @initialize()
    def start(self) -> None:
        import tempfile

        self.root = Path(tempfile.mkdtemp(prefix="warm-equals-cold-"))
        self.workspace = Workspace(self.root)
        self.workspace.skills.mkdir()

    @rule(folder=FOLDERS, name=FILES, text=TEXTS)
    def write(self, folder: str, name: str, text: str) -> None:
        file = self.workspace.skills / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_symlink():
            file.unlink()
        file.write_text(text)

    @rule(folder=FOLDERS, name=FILES, other=FILES)
    def link(self, folder: str, name: str, other: str) -> None:
        file = self.workspace.skills / folder / name
        if not file.is_symlink() and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.symlink_to(os.path.relpath(self.workspace.skills / "a" / other, file.parent))

    @rule(folder=FOLDERS, name=FILES)
    def remove(self, folder: str, name: str) -> None:
        (self.workspace.skills / folder / name).unlink(missing_ok=True)

    @rule(folder=FOLDERS)
    def remove_folder(self, folder: str) -> None:
        shutil.rmtree(self.workspace.skills / folder, ignore_errors=True)

    @rule()
    def age(self) -> None:
        """As if all that is in the index had been read long after it was written."""
        file = self.workspace.cache / "skills-index.json"
        if file.exists():
            whole = json.loads(file.read_text())
            for entry in whole["skills"].values():
                entry["read_at_ns"] += index_module.RACY_NS
            file.write_text(json.dumps(whole))

    @invariant()
    def warm_equals_cold(self) -> None:
        if hasattr(self, "workspace"):
            assert load(self.workspace) == load(self.workspace, use_index=False)

    def teardown(self) -> None:
        if hasattr(self, "root"):
            shutil.rmtree(self.root)


TestWarmEqualsCold = WarmEqualsCold.TestCase
TestWarmEqualsCold.settings = settings(
    max_examples=30, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
