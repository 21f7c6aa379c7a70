import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.documents.types import Function, Requires, Skill, Workflow
from orchestrator.runs.permissions import (
    folders_to_make,
    input_paths,
    located,
    narrowed,
    resolved,
    skill_grants,
    workflow_grants,
    writable,
)
from orchestrator.values import Grants, Permissions
from orchestrator.workspace import Workspace

PATHS = {
    "type": "object",
    "properties": {
        "folder": {"type": "string", "format": "path"},
        "files": {"type": "array", "items": {"type": "string", "format": "path"}},
        "name": {"type": "string"},
    },
}


@pytest.fixture
def workspace(tmp_path):
    for name in ("notes/a.md", "notes/b.md", "notes/deep/c.md", "data.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return Workspace(tmp_path.resolve())


def workflow(**fields) -> Workflow:
    plain = Workflow("w", "", Path("w.md"), "", (), {"type": "object"}, "v")
    return replace(plain, **fields)


def skill(root: Path, **fields) -> Skill:
    return replace(Skill("s", "", root / "skills" / "s", "", "v"), **fields)


def function(**fields) -> Function:
    return replace(Function("f", "python", "s.py:f"), **fields)


def test_patterns_become_folders_and_files(workspace):
    root = workspace.root
    assert resolved(["notes/**"], root) == [root / "notes"]
    assert resolved(["notes/*.md"], root) == [root / "notes/a.md", root / "notes/b.md"]
    assert resolved(["missing.txt"], root) == [root / "missing.txt"]
    assert resolved(["/etc/hosts"], root) == [Path("/etc/hosts")]
    assert resolved(["notes/../data.txt"], root) == [root / "data.txt"]
    assert writable(["out/**", "report.md"], root) == [root / "out", root / "report.md"]


def test_only_missing_folders_of_write_patterns_are_made(workspace):
    root = workspace.root
    assert folders_to_make(["out/**", "notes/**", "a/b/report.md"], root) == [
        root / "out",
        root / "a",
        root / "a/b",
    ]


def test_a_workflow_reads_its_inputs_and_writes_out(workspace):
    root = workspace.root
    granted = workflow_grants(
        workflow(inputs=PATHS), {"folder": "notes", "files": ["data.txt", "/etc/hosts"]}, workspace
    )
    assert granted == Grants(
        read=(root / "notes", root / "data.txt", Path("/etc/hosts")), write=(root / "out",), env={}
    )


def test_a_plain_string_is_readable_only_when_it_names_something_inside_the_workspace(workspace):
    plain = {"type": "object", "properties": {"name": {"type": "string"}}}
    root = workspace.root
    assert input_paths(plain, {"name": "notes"}, root) == [root / "notes"]
    for other in ("missing", "/etc/hosts", ".", "..", "", "a\nb", "x" * 5000):
        assert input_paths(plain, {"name": other}, root) == []


def test_only_declared_variables_are_passed(workspace, monkeypatch):
    monkeypatch.setenv("WANTED", "yes")
    monkeypatch.setenv("OTHER", "no")
    asked = Permissions(env=("WANTED", "ABSENT"), network=("example.org",))
    granted = workflow_grants(workflow(permissions=asked), {}, workspace)
    assert granted.env == {"WANTED": "yes"}
    assert granted.network
    mine = skill(
        workspace.root,
        has_manifest=True,
        functions={"f": function()},
        permissions=Permissions(env=("OTHER",)),
    )
    assert skill_grants(mine, granted, workspace).env == {}
    assert not skill_grants(mine, granted, workspace).network


def test_a_skill_gets_what_it_and_the_workflow_have_in_common(workspace):
    root = workspace.root
    granted = Grants(read=(root / "notes", root / "data.txt"), write=(root / "out",))
    asked = Permissions(read=("notes/deep/**", "/etc/**"), write=("out/mine/**", "notes/**"))
    mine = skill(root, has_manifest=True, functions={"f": function()}, permissions=asked)
    given = skill_grants(mine, granted, workspace)
    assert given.write == (root / "out/mine",)
    assert given.read == (mine.folder, root / "notes/deep", root / "out/mine")
    assert not given.processes


def test_a_skill_whose_functions_take_paths_may_read_what_the_workflow_may(workspace):
    granted = Grants(read=(workspace.root / "notes",), write=(workspace.root / "out",))
    mine = skill(
        workspace.root,
        has_manifest=True,
        functions={"f": function(input=PATHS)},
        requires=Requires(bins=("git",)),
    )
    given = skill_grants(mine, granted, workspace)
    git = Path(shutil.which("git"))
    assert given.read[:3] == (mine.folder, workspace.root / "notes", git)
    assert (given.write, given.processes) == ((), True)


def test_a_skill_without_a_manifest_gets_what_the_cells_may_touch(workspace):
    granted = Grants(
        read=(workspace.root / "notes",), write=(workspace.root / "out",), hosts=("*",), env={"A": "1"}
    )
    given = skill_grants(skill(workspace.root), granted, workspace, program=Path(sys.executable))
    assert (given.write, given.network, given.env, given.processes) == (granted.write, True, {"A": "1"}, True)


def test_nothing_is_narrowed_to_more_than_was_granted():
    one, other = Path("/a"), Path("/b")
    asked = Grants(read=(one, other / "x"), write=(one,), hosts=("*",), env={"K": "1"}, processes=True)
    granted = Grants(read=(one / "y", other), write=(other,), env={})
    assert narrowed(asked, granted) == Grants(read=(one / "y", other / "x"))


def test_a_tilde_is_the_home_folder_only_where_the_schema_says_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/ada")
    given = {"folder": "~/notes", "files": ["~/a", "b"], "name": "~ada"}
    assert located(PATHS, given, tmp_path, tmp_path) == {
        "folder": "/home/ada/notes",
        "files": ["/home/ada/a", "b"],
        "name": "~ada",
    }


def test_a_relative_path_is_the_workspaces_unless_it_is_only_found_where_the_caller_stands(workspace):
    here = workspace.root / "notes"
    given = {"folder": "deep", "files": ["notes", "a.md", "nowhere"], "name": "a.md"}
    assert located(PATHS, given, workspace.root, here) == {
        "folder": str(here / "deep"),
        "files": ["notes", str(here / "a.md"), "nowhere"],
        "name": "a.md",
    }


@pytest.mark.parametrize(
    ("asked", "granted", "both"),
    [
        (("api.example.com",), ("api.example.com",), ("api.example.com",)),
        (("API.example.com:443",), ("*.example.com",), ("api.example.com",)),
        (("*",), ("api.example.com",), ("api.example.com",)),
        (("*.example.com",), ("*.com",), ("*.example.com",)),
        (("evil.example",), ("api.example.com",), ()),
        (("notexample.com",), ("*.example.com",), ()),
        (("a.example",), (), ()),
    ],
)
def test_a_skill_gets_a_network_only_for_hosts_that_its_workflow_names(workspace, asked, granted, both):
    mine = skill(
        workspace.root, has_manifest=True, functions={"f": function()}, permissions=Permissions(network=asked)
    )
    given = skill_grants(mine, Grants(hosts=granted), workspace)
    assert (given.hosts, given.network) == (both, bool(both))
    assert narrowed(Grants(hosts=asked), Grants(hosts=granted)).hosts == both
