"""SKILL.md files as they are found: every one loads, and each repair is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.documents.skill import load_skill
from orchestrator.documents.skill_files import folder_version
from orchestrator.documents.skill_text import MAX_BYTES
from orchestrator.documents.types import Skill
from orchestrator.values import Problem

QUOTE = "quote values that hold `: ` or ` #`"
NO_YAML = "this is no YAML: mapping values are not allowed in this context"


def load(tmp_path: Path, content: bytes | str, *, folder: str = "demo", name: str = "SKILL.md") -> Skill:
    path = tmp_path / folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_skill(path)


def test_a_skill_by_the_specification_loads_without_a_word(tmp_path: Path) -> None:
    text = (
        "---\nname: demo\ndescription: >-\n  Does it.\n  Use when asked.\nlicense: MIT\n"
        "allowed-tools: Bash(git:*) Read\nmetadata:\n  version: '1.0'\n---\n# Demo\n\nDo it.\n"
    )
    skill = load(tmp_path, text)

    assert skill == Skill(
        name="demo",
        description="Does it. Use when asked.",
        folder=tmp_path / "demo",
        body="# Demo\n\nDo it.\n",
        version=folder_version(tmp_path / "demo"),
        metadata={"license": "MIT", "allowed-tools": "Bash(git:*) Read", "metadata": {"version": "1.0"}},
    )


# Each row: what the file holds, the name, description, body and other keys read from it, and (line, message, hint).
WILD: dict[str, tuple[bytes | str, tuple[str, str, str, dict[str, Any]], list[tuple[int, str, str]]]] = {
    "a colon in the description": (
        "---\nname: demo\ndescription: Use when: asked\nversion: 1\n---\nB\n",
        ("demo", "Use when: asked", "B\n", {"version": 1}),
        [(3, f"{NO_YAML}; read with its values quoted", QUOTE)],
    ),
    "a colon beside a list that is well": (
        "---\nname: demo\ndescription: A: b\nallowed-tools: [Read, Bash]\n---\n",
        ("demo", "A: b", "", {"allowed-tools": ["Read", "Bash"]}),
        [(3, f"{NO_YAML}; read with its values quoted", QUOTE)],
    ),
    "bold text that looks like an alias": (
        "---\nname: demo\ndescription: **Bold** words\n---\nB\n",
        ("demo", "**Bold** words", "B\n", {}),
        [(3, "this is no YAML: while scanning an alias, did not find expected alphabetic or numeric character; "
             "read with its values quoted", QUOTE)],
    ),
    "an alias": (
        "---\nname: demo\ndescription: *all\n---\nB\n",
        ("demo", "*all", "B\n", {}),
        [(3, "the alias `*all` is not followed; read with its values quoted", QUOTE)],
    ),
    "a backtick": (
        "---\nname: demo\ndescription: `code` it\n---\nB\n",
        ("demo", "`code` it", "B\n", {}),
        [(3, "this is no YAML: while scanning for the next token, found character that cannot start any token; "
             "read with its values quoted", QUOTE)],
    ),
    "an open quote": (
        '---\nname: demo\ndescription: "Says "hello" often\n---\nB\n',
        ("demo", 'Says "hello" often', "B\n", {}),
        [(3, "this is no YAML: while parsing a block mapping, did not find expected key; "
             "read with its values quoted", QUOTE)],
    ),
    "a continuation that is not YAML": (
        "---\nname: demo\ndescription: Use when: asked\n  or: told: to\n---\nB\n",
        ("demo", "Use when: asked or: told: to", "B\n", {}),
        [(3, f"{NO_YAML}; read line by line", QUOTE)],
    ),
    "tabs": (
        "---\nname: demo\ndescription: D\nmetadata:\n\ta: 1\n---\nB\n",
        ("demo", "D", "B\n", {"metadata": {"a": 1}}),
        [(5, "this is no YAML: while scanning for the next token, found character that cannot start any token; "
             "read with its values quoted", QUOTE)],
    ),
    "a key twice": (
        "---\nname: demo\ndescription: A\ndescription: B\n---\n",
        ("demo", "B", "", {}),
        [(4, "`description` stands twice, first on line 3", "keep one of them")],
    ),
    "a tag": (
        "---\nname: demo\ndescription: !important Do it\n---\n",
        ("demo", "Do it", "", {}),
        [(3, "the tag `!important` is not read", "remove it; quote text that starts with `!`")],
    ),
    "no frontmatter": (
        "# Demo\n\nDo it\nwell.\n\nMore.\n",
        ("demo", "Do it well.", "# Demo\n\nDo it\nwell.\n\nMore.\n", {}),
        [(1, "there is no frontmatter", "start it with `---`, `name:`, `description:`, `---`"),
         (1, "it has no name; `demo` is its folder's", "add `name: demo`"),
         (1, "it has no description; its first paragraph is used", "add `description:` with what and when")],
    ),
    "an empty file": (
        "",
        ("demo", "", "", {}),
        [(1, "there is no frontmatter", "start it with `---`, `name:`, `description:`, `---`"),
         (1, "it has no name; `demo` is its folder's", "add `name: demo`"),
         (1, "it has no description; its first paragraph is used", "add `description:` with what and when")],
    ),
    "frontmatter that is never closed": (
        "---\nname: demo\ndescription: D\n\n# Demo\nText: here\n",
        ("demo", "D", "\n# Demo\nText: here\n", {}),
        [(1, "the frontmatter is never closed", "put `---` below its last key")],
    ),
    "blank lines above": (
        "\n\n---\nname: demo\ndescription: D\n---\nB\n",
        ("demo", "D", "B\n", {}),
        [(1, "the frontmatter does not start on the first line", "remove what stands above it")],
    ),
    "frontmatter that is a list": (
        "---\n- name\n- description\n---\n# T\n\nBody text\n",
        ("demo", "Body text", "# T\n\nBody text\n", {}),
        [(1, "it has no name; `demo` is its folder's", "add `name: demo`"),
         (1, "it has no description; its first paragraph is used", "add `description:` with what and when"),
         (2, "the frontmatter is no mapping; read line by line", QUOTE)],
    ),
    "a name that breaks the pattern": (
        "---\nname: My Skill\ndescription: D\n---\n",
        ("My Skill", "D", "", {}),
        [(1, "the name `My Skill` is not what the specification allows", "up to 64 of a-z, 0-9 and single `-`"),
         (1, "the name `My Skill` is not the folder's, `demo`", "give both the same name")],
    ),
    "a name that is a number": (
        "---\nname: 7\ndescription: D\n---\n",
        ("7", "D", "", {}),
        [(1, "the name `7` is read as text", 'write `name: "7"`'),
         (1, "the name `7` is not the folder's, `demo`", "give both the same name")],
    ),
    "a description that is a list": (
        "---\nname: demo\ndescription: [a, b]\n---\n",
        ("demo", '["a", "b"]', "", {}),
        [(1, "the description is no text; it is used as written", "quote it")],
    ),
    "a long description": (
        "---\nname: demo\ndescription: " + "x" * 1025 + "\n---\n",
        ("demo", "x" * 1025, "", {}),
        [(1, "the description has 1,025 characters, not up to 1,024", "shorten it")],
    ),
    "byte order mark and CRLF": (
        b"\xef\xbb\xbf---\r\nname: demo\r\ndescription: D\r\n---\r\nB\r\n",
        ("demo", "D", "B\n", {}),
        [],
    ),
    "Latin-1": (
        b"---\nname: demo\ndescription: Caf\xe9\n---\n",
        ("demo", "Café", "", {}),
        [(3, "byte 31 is no UTF-8; read as Latin-1", "save it as UTF-8")],
    ),
    "UTF-16": (
        "\ufeff---\nname: demo\ndescription: Größe\n---\nB\n".encode("utf-16-le"),
        ("demo", "Größe", "B\n", {}),
        [(1, "read as UTF-16", "save it as UTF-8")],
    ),
    "NUL bytes": (
        b"---\nname: de\0mo\ndescription: D\n---\nB\0\n",
        ("demo", "D", "B\n", {}),
        [(2, "NUL bytes were removed", "save it as UTF-8")],
    ),
    "a control character": (
        "---\nname: demo\ndescription: Bell \x07\n---\n",
        ("demo", "Bell \x07", "", {}),
        [(2, "this is no YAML: control characters are not allowed; read with its values quoted", QUOTE)],
    ),
    "a bomb": (
        "---\nname: demo\ndescription: D\na: &a [x]\nb: [*a, *a]\n---\n",
        ("demo", "D", "", {"a": ["x"], "b": "[*a, *a]"}),
        [(5, "the alias `*a` is not followed; read with its values quoted", QUOTE)],
    ),
    "metadata on one line as OpenClaw writes it": (
        '---\nname: demo\ndescription: D\nmetadata: {"openclaw":{"emoji":"x","requires":{"bins":["gh"]}}}\n---\n',
        ("demo", "D", "", {"metadata": {"openclaw": {"emoji": "x", "requires": {"bins": ["gh"]}}}}),
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WILD)
def test_a_skill_found_in_the_wild_loads_with_a_diagnostic_for_each_repair(tmp_path: Path, case: str) -> None:
    content, (name, description, body, metadata), diagnostics = WILD[case]

    skill = load(tmp_path, content)

    path = str(tmp_path / "demo" / "SKILL.md")
    assert skill == Skill(
        name=name,
        description=description,
        folder=tmp_path / "demo",
        body=body,
        version=skill.version,
        metadata=metadata,
        diagnostics=tuple(Problem(path, *found, severity="warning") for found in diagnostics),
    )


def test_a_huge_file_is_read_to_its_limit(tmp_path: Path) -> None:
    skill = load(tmp_path, "---\nname: demo\ndescription: D\n---\n" + "é" * MAX_BYTES)

    assert skill.description == "D"
    assert len(skill.body.encode()) <= MAX_BYTES
    assert [problem.message for problem in skill.diagnostics] == [
        "it is larger than 1,048,576 bytes; the rest is not read"
    ]


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "broken link"])
def test_what_is_no_file_is_an_error_and_no_exception(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "SKILL.md"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "broken link":
        path.symlink_to("nowhere")

    skill = load_skill(path)

    assert (skill.name, skill.description) == (tmp_path.name, "")
    first = skill.diagnostics[0]
    assert (first.severity, first.message) == ("error", "there is no such file")


def test_the_version_covers_every_file_of_the_skill_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    load(tmp_path, "---\nname: demo\ndescription: D\n---\n")
    (tmp_path / "outside").write_text("1")

    def change(relative: str, text: str) -> str:
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        (folder / relative).write_text(text)
        return folder_version(folder)

    first = folder_version(folder)
    assert change(".git/HEAD", "x") == first
    assert change("__pycache__/a.pyc", "x") == first
    assert change("__pycache__/a.cpython-311.pyc.123", "x") == first

    assert len({first, change("a/b.py", "1"), change("a/b.py", "2"), change("ab.py", "2")}) == 4
    before = folder_version(folder)
    (folder / "link").symlink_to("a/b.py")
    linked = folder_version(folder)
    (folder / "link").unlink()
    (folder / "link").symlink_to("ab.py")
    assert len({before, linked, folder_version(folder)}) == 3

    versions = {folder_version(folder), change("__pycache__/a.py", "x")}
    (folder / "leaving").symlink_to(tmp_path / "outside")
    versions.add(folder_version(folder))
    (tmp_path / "outside").write_text("2")
    assert len({*versions, folder_version(folder)}) == 3


def test_the_version_is_the_same_wherever_the_folder_lies(tmp_path: Path) -> None:
    versions = set()
    for place in ("one", "two"):
        (tmp_path / place / "s" / "sub").mkdir(parents=True)
        for name in ("b", "a", "sub/c"):
            (tmp_path / place / "s" / name).write_text(name)
        versions.add(folder_version(tmp_path / place / "s"))

    assert len(versions) == 1


def test_a_loop_of_links_and_files_without_rights_are_survived(tmp_path: Path) -> None:
    load(tmp_path, "---\nname: demo\ndescription: D\n---\n")
    folder = tmp_path / "demo"
    (folder / "loop").symlink_to("loop")
    (folder / "up").symlink_to(".")
    os.mkfifo(folder / "pipe")

    assert load_skill(folder / "SKILL.md").name == "demo"
