"""What lies in a workspace that people edit, as stamps: two looks that are equal say that nothing was touched.

A look opens no file but the beginning of Markdown at the top of the workspace. It goes to the disk itself, so it sees
what no event told of: a folder that was renamed, the target of a link, a change from another machine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.catalog.walk import NOT_SEARCHED, find_skills

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.workspace import Workspace

Stamp = tuple[object, ...]
"""Changes when a file does: sizes, times and, since times can be set back, times of change and inodes."""

SKILL_ROOTS = ("skills", ".claude/skills", ".agents/skills")
MANIFEST_OR_SKILL = frozenset({"skill.md", "manifest.yaml", "manifest.yml"})


def skills_in(workspace: Workspace) -> dict[Path, Stamp]:
    """The folders of the workspace's skills with their files' stamps, nearer roots first."""
    roots = [workspace.root / root for root in SKILL_ROOTS]
    found: dict[Path, Stamp] = {}
    for root in roots:
        elsewhere = [other for other in roots if other != root]
        for skill in find_skills(root, elsewhere=elsewhere).skills:
            found.setdefault(Path(skill.path), tuple(skill.files))
    return found


def workflows_in(workspace: Workspace) -> dict[Path, Stamp]:
    """The workspace's workflows: Markdown in `workflows/`, and at the top what begins with frontmatter."""
    found = {}
    for path in (*_markdown_below(workspace.root / "workflows"), *_with_frontmatter(workspace.root)):
        if (stamp := stamp_of(path)) is not None:
            found[path] = stamp
    return found


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of a file, after links; None of what is no file."""
    try:
        facts = path.stat()
    except OSError:
        return None
    if not os.path.isfile(path):
        return None
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, facts.st_dev


def touched(before: Mapping[Path, Stamp], now: Mapping[Path, Stamp]) -> set[Path]:
    """What is new, gone, or has another stamp."""
    return {path for path in {*before, *now} if before.get(path) != now.get(path)}


def is_on_the_way(name: str) -> bool:
    """Whether a file's name is one that programs give to what they have not finished writing, or keep beside it."""
    return name.startswith((".", "#")) or name.endswith(
        ("~", ".tmp", ".part", ".partial", ".swp", ".crdownload", ".download", ".bak")
    )


def _markdown_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in NOT_SEARCHED)
        yield from (Path(parent, name) for name in sorted(names) if _is_markdown(name))


def _with_frontmatter(root: Path) -> Iterator[Path]:
    try:
        paths = sorted(path for path in root.iterdir() if _is_markdown(path.name))
    except OSError:
        return
    for path in paths:
        try:
            with path.open("rb") as file:
                begins = file.read(3)
        except OSError:
            continue
        if begins == b"---":
            yield path


def _is_markdown(name: str) -> bool:
    return name.endswith(".md") and not is_on_the_way(name) and name.lower() not in MANIFEST_OR_SKILL
