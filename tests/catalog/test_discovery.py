"""Which skills are found, in which order, and what is said about the others."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.catalog.discover import discover, load_skills
from orchestrator.catalog.select import Catalog
from orchestrator.catalog.walk import find_skills
from orchestrator.errors import UsageError
from orchestrator.workspace import Workspace


def skill(folder: Path, name: str | None = None, *, file: str = "SKILL.md", body: str = "Do it.") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(f"---\nname: {name or folder.name}\ndescription: Does it.\n---\n{body}\n")
    return folder


def found(tmp_path: Path) -> Catalog:
    return discover(Workspace(tmp_path / "ws"), home=tmp_path / "home", bundled=tmp_path / "bundled")


def messages(catalog: Catalog) -> list[str]:
    return [problem.message for problem in catalog.diagnostics]


PLACES = {
    "workspace": "ws/skills",
    "claude": "ws/.claude/skills",
    "agents": "ws/.agents/skills",
    "home-claude": "home/.claude/skills",
    "home-agents": "home/.agents/skills",
    "bundled": "bundled",
}


def test_every_place_is_searched_nearest_first(tmp_path: Path) -> None:
    for source, place in PLACES.items():
        skill(tmp_path / place / f"from-{source}")
    catalog = found(tmp_path)
    assert [(one.name, one.source) for one in catalog.skills] == [
        (f"from-{source}", source) for source in PLACES
    ]
    assert catalog.diagnostics == ()


def test_a_nearer_skill_shadows_a_farther_one_and_both_are_named(tmp_path: Path) -> None:
    for place in PLACES.values():
        skill(tmp_path / place / "same")
    catalog = found(tmp_path)
    assert [one.source for one in catalog.skills] == ["workspace"]
    near, *far = [tmp_path / place / "same" for place in PLACES.values()]
    assert messages(catalog) == [
        f"the skill `same` in `{one}` is shadowed by the one in `{near}`" for one in far
    ]
    assert [problem.path for problem in catalog.diagnostics] == [str(one) for one in far]


@pytest.mark.parametrize("other", ["Word-Count", "word_count", "WORD_count", "\uff57ord-count"])
def test_names_that_differ_only_in_spelling_are_told(tmp_path: Path, other: str) -> None:
    first, second = skill(tmp_path / "ws/skills/a", "word-count"), skill(tmp_path / "ws/skills/b", other)
    catalog = found(tmp_path)
    assert [one.name for one in catalog.skills] == ["word-count", other]
    assert messages(catalog) == [
        f"`{other}` in `{second}` and `word-count` in `{first}` differ only in spelling",
    ]


def test_a_workspace_that_is_also_the_home_and_the_bundle_is_searched_once(tmp_path: Path) -> None:
    skill(tmp_path / "skills/one")
    skill(tmp_path / ".claude/skills/two")
    catalog = discover(Workspace(tmp_path), home=tmp_path, bundled=tmp_path / "skills")
    assert [(one.name, one.source) for one in catalog.skills] == [("one", "workspace"), ("two", "claude")]
    assert catalog.diagnostics == ()


@pytest.mark.parametrize("file", ["SKILL.md", "skill.md", "Skill.MD"])
def test_skill_md_is_found_in_any_case(tmp_path: Path, file: str) -> None:
    skill(tmp_path / "ws/skills/one", file=file)
    assert [one.name for one in found(tmp_path).skills] == ["one"]


def test_of_two_spellings_the_specified_one_is_read(tmp_path: Path) -> None:
    folder = skill(tmp_path / "ws/skills/one", "lower", file="skill.md")
    if (folder / "SKILL.md").exists():
        pytest.skip("the file system does not tell case apart")
    skill(folder, "upper", file="SKILL.md")
    catalog = found(tmp_path)
    assert [one.name for one in catalog.skills] == ["upper"]
    assert messages(catalog) == ["`skill.md` beside it is not read"]


def test_skills_lie_up_to_six_folders_deep_and_also_inside_skills(tmp_path: Path) -> None:
    skill(tmp_path / "ws/skills/1/2/3/4/5/six")
    skill(tmp_path / "ws/skills/1/2/3/4/5/6/seven")
    skill(tmp_path / "ws/skills/pack")
    skill(tmp_path / "ws/skills/pack/skills/inner")
    assert [one.name for one in found(tmp_path).skills] == ["six", "pack", "inner"]


@pytest.mark.parametrize("name", [".git", "node_modules", "__pycache__", ".venv"])
def test_folders_that_tools_fill_are_not_searched(tmp_path: Path, name: str) -> None:
    skill(tmp_path / "ws/skills" / name / "one")
    skill(tmp_path / "ws/skills/real" / name / "two")
    skill(tmp_path / "ws/skills/real")
    assert [one.name for one in found(tmp_path).skills] == ["real"]


def test_a_link_that_leaves_the_root_is_refused_and_named(tmp_path: Path) -> None:
    outside = skill(tmp_path / "outside")
    root = skill(tmp_path / "ws/skills/inside").parent
    (root / "folder").symlink_to(outside)
    (root / "linked").mkdir()
    (root / "linked/SKILL.md").symlink_to(outside / "SKILL.md")
    (root / "inside/scripts").mkdir()
    (root / "inside/scripts/run.py").symlink_to("/etc/hostname")
    catalog = found(tmp_path)
    assert [one.name for one in catalog.skills] == ["inside"]
    assert list(catalog.skills[0].scripts) == []
    refused = [root / "folder", root / "linked/SKILL.md", root / "inside/scripts/run.py"]
    assert sorted(problem.path for problem in catalog.diagnostics) == sorted(map(str, refused))
    assert set(messages(catalog)) == {f"this link leaves `{root}`: it is not followed"}


def test_a_link_into_another_searched_folder_needs_no_diagnostic(tmp_path: Path) -> None:
    real = skill(tmp_path / "ws/.agents/skills/shared")
    (tmp_path / "ws/.claude/skills").mkdir(parents=True)
    (tmp_path / "ws/.claude/skills/shared").symlink_to(real)
    catalog = found(tmp_path)
    assert [(one.name, one.source) for one in catalog.skills] == [("shared", "agents")]
    assert catalog.diagnostics == ()


def test_links_that_loop_or_lead_nowhere_are_survived(tmp_path: Path) -> None:
    root = skill(tmp_path / "ws/skills/one").parent
    (root / "up").symlink_to(root)
    (root / "one/again").symlink_to(root / "one")
    (root / "self").symlink_to(root / "self")
    (root / "one/SKILL.MD").symlink_to(root / "gone")
    (root / "one/scripts.py").symlink_to(root / "one/scripts.py")
    catalog = found(tmp_path)
    assert [one.name for one in catalog.skills] == ["one"]
    assert catalog.diagnostics == ()


def test_a_root_that_is_a_link_is_searched(tmp_path: Path) -> None:
    real = skill(tmp_path / "dotfiles/skills/one").parent
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws/skills").symlink_to(real)
    assert [one.folder for one in found(tmp_path).skills] == [tmp_path / "ws/skills/one"]


def test_a_pipe_is_neither_opened_nor_part_of_a_skill(tmp_path: Path) -> None:
    folder = skill(tmp_path / "ws/skills/one")
    os.mkfifo(folder / "pipe.py")
    (tmp_path / "ws/skills/two").mkdir()
    os.mkfifo(tmp_path / "ws/skills/two/SKILL.md")
    assert [(one.name, list(one.scripts)) for one in found(tmp_path).skills] == [("one", [])]


def test_a_search_ends_at_its_limit_and_says_so(tmp_path: Path) -> None:
    for name in "abcd":
        skill(tmp_path / name)
    result = find_skills(tmp_path, max_folders=3)
    assert [folder.key for folder in result.skills] == ["a", "b"]
    assert [problem.message for problem in result.diagnostics] == [
        "only the first 3 folders are searched; 2 or more are not"
    ]


def test_indexing_runs_and_imports_nothing(tmp_path: Path) -> None:
    folder = skill(
        tmp_path / "ws/skills/trap",
        body=f"!`touch {tmp_path}/told`\n```repl\nopen('{tmp_path}/cell', 'w')\n```",
    )
    trap = f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
    parser = "import argparse\nargparse.ArgumentParser().parse_args()\n"
    (folder / "scripts").mkdir()
    for name in (
        "scripts/a.py",
        "scripts/__init__.py",
        "setup.py",
        "conftest.py",
        "sitecustomize.py",
        "argparse.py",
    ):
        (folder / name).write_text(trap + parser)
    script = folder / "scripts/b.sh"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    script.chmod(0o755)
    (folder / "manifest.yaml").write_text(
        "schema: orchestrate.skill/1\nfunctions: {f: {entry: {python: 'setup.py:f'}}}\n"
        f"x: !!python/object/apply:os.system ['touch {tmp_path}/ran']\n"
    )
    before = {path.name for path in tmp_path.iterdir()}
    [one] = found(tmp_path).skills
    [again] = load_skills(folder)
    assert sorted(one.scripts) == sorted(again.scripts)
    assert "scripts/a.py" in one.scripts
    assert {path.name for path in tmp_path.iterdir()} == before
    assert not list(folder.rglob("__pycache__"))


def test_scripts_are_programs_at_the_top_and_in_their_folders(tmp_path: Path) -> None:
    folder = skill(tmp_path / "one")
    for path in (
        "top.py",
        "scripts/a.sh",
        "scripts/deep/b.js",
        "bin/tool",
        "bin/data",
        "assets/no.py",
        "scripts/no.txt",
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x = 1\n")
    (folder / "bin/tool").chmod(0o755)
    (folder / "bin/data").chmod(0o644)
    [one] = load_skills([tmp_path])
    assert sorted(one.scripts) == ["bin/tool", "scripts/a.sh", "scripts/deep/b.js", "top.py"]


PARSER = "import argparse\np = argparse.ArgumentParser(description='Counts.')\np.add_argument('--n', type=int)\np.parse_args()\n"


def test_a_script_with_readable_options_becomes_a_function(tmp_path: Path) -> None:
    folder = skill(tmp_path / "one")
    (folder / "scripts/x").mkdir(parents=True)
    (folder / "scripts/word-count.py").write_text(PARSER)
    (folder / "scripts/run.py").write_text(PARSER)  # every skill has a `.run` of its own
    (folder / "scripts/twice.py").write_text(PARSER)
    (folder / "scripts/x/twice.py").write_text(PARSER)
    [one] = load_skills([folder])
    [function] = one.functions.values()
    assert (function.name, function.kind, function.entry) == ("word_count", "script", "scripts/word-count.py")
    assert (function.description, function.inferred, function.effects) == ("Counts.", True, "write")
    assert function.input == one.scripts["scripts/word-count.py"].input
    assert function.input is not None
    assert function.input["inferred"] is True


def test_a_manifest_alone_says_what_a_skill_can_do(tmp_path: Path) -> None:
    folder = skill(tmp_path / "one")
    (folder / "tool.py").write_text(PARSER)
    manifest = folder / "manifest.yaml"
    manifest.write_text("schema: orchestrate.skill/1\nfunctions: {count: {entry: {script: tool.py}}}\n")
    assert [list(one.functions) for one in load_skills([folder])] == [["count"]]
    manifest.write_text("schema: orchestrate.skill/1\nfunctions: {count: {entry: {script: gone.py}}}\n")
    assert [list(one.functions) for one in load_skills([folder])] == [[]]


def test_load_skills_takes_skills_and_folders_of_them_at_any_depth(tmp_path: Path) -> None:
    deep = skill(tmp_path / "all/1/2/3/4/5/6/7/8/deep")
    one = skill(tmp_path / "one")
    loaded = load_skills([one, tmp_path / "all", str(deep), one / "SKILL.md"])
    assert [(each.name, each.folder, each.source) for each in loaded] == [
        ("one", one, "folder"),
        ("deep", deep, "folder"),
    ]


def test_load_skills_keeps_skills_of_one_name(tmp_path: Path) -> None:
    skill(tmp_path / "a/same")
    skill(tmp_path / "b/same")
    assert [one.name for one in load_skills(tmp_path)] == ["same", "same"]


def test_a_folder_that_is_none_is_a_usage_error_with_the_closest(tmp_path: Path) -> None:
    (tmp_path / "skills").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="there is no folder") as failure:
        load_skills([tmp_path / "skils"])
    assert failure.value.hint == f"did you mean `{tmp_path / 'skills'}`?"
    with pytest.raises(UsageError, match="is a file"):
        load_skills([tmp_path / "file"])
    assert load_skills([tmp_path / "skills"]) == []
    assert load_skills([]) == []


@given(content=st.binary(max_size=200), name=st.sampled_from(["SKILL.md", "manifest.yaml", "scripts/a.py"]))
def test_no_content_makes_load_skills_raise(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    folder = skill(tmp_path_factory.mktemp("wild") / "one")
    (folder / "scripts").mkdir()
    (folder / name).write_bytes(content)
    assert len(load_skills([folder])) == 1


def test_names_that_are_no_utf8_survive(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    try:
        folder = skill(tmp_path / "ws/skills" / odd, "odd")
    except OSError:
        pytest.skip("the file system refuses such names")
    (folder / f"{odd}.py").write_text("")
    for _ in range(2):
        [one] = found(tmp_path).skills
        assert (one.name, one.folder, list(one.scripts)) == ("odd", folder, [f"{odd}.py"])


def test_a_folder_without_rights_is_told_and_passed_over(tmp_path: Path) -> None:
    folder = skill(tmp_path / "ws/skills/one")
    secret = tmp_path / "ws/skills/secret"
    secret.mkdir(mode=0)
    if os.access(secret, os.R_OK):
        pytest.skip("this user may read everything")
    catalog = found(tmp_path)
    secret.chmod(stat.S_IRWXU)
    assert [one.folder for one in catalog.skills] == [folder]
    assert messages(catalog) == ["this folder can't be read: Permission denied"]


def test_patterns_select_by_name_glob_and_path(tmp_path: Path) -> None:
    for path in ("summarize", "team/alpha", "team/beta", "other/gamma"):
        skill(tmp_path / "ws/skills" / path)
    catalog = found(tmp_path)

    def names(*patterns: str) -> list[str]:
        return [one.name for one in catalog.select(patterns)[0]]

    assert names("team/*") == ["alpha", "beta"]
    assert names("beta", "summarize", "beta") == ["summarize", "beta"]
    assert names("*a", "team/alpha") == ["gamma", "alpha", "beta"]
    assert names() == []
    assert [one.name for one in catalog.select(None)[0]] == ["gamma", "summarize", "alpha", "beta"]
    assert catalog.select(["sumarize", "team/*", "none/*"])[1] == ["sumarize", "none/*"]
    assert catalog.closest("sumarize") == "summarize"
    assert catalog.closest("SUMMARIZE") == "summarize"
    assert catalog.closest("zzz") is None
    assert catalog.get("beta") == catalog.select(["beta"])[0][0]
    assert catalog.get("Beta") is None
