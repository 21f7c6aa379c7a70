"""Finds skills and reads them: the workspace's own, the user's, and those that come with the package."""

from __future__ import annotations

import difflib
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.catalog.index import Index, open_index
from orchestrator.catalog.select import Catalog, fold
from orchestrator.catalog.walk import SkillFolder, find_skills, is_below
from orchestrator.documents.types import Function, Script, Skill
from orchestrator.errors import UsageError
from orchestrator.values import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.workspace import Workspace

PROGRAMS = frozenset({".bash", ".cjs", ".js", ".mjs", ".pl", ".py", ".rb", ".sh", ".ts"})
METHODS = frozenset({"doc", "files", "map", "read", "run", "scripts"})
"""What a skill has in the REPL whatever its author wrote; no inferred function takes such a name."""


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that is searched, and how messages call it (`Skill.source`)."""

    path: Path
    source: str


def discover(workspace: Workspace, *, home: Path | None, bundled: Path, use_index: bool = True) -> Catalog:
    """Every skill that a workspace can call; of two with one name, the nearer.

    `home` is the user's folder (None leaves it out), `bundled` the folder of the package's own skills. Opens no file
    that the index of the workspace knows, and never imports or runs anything. Raises nothing for what it finds.
    """
    roots = _distinct(_roots(workspace.root, home, bundled))
    index = open_index(workspace if use_index else None)
    skills: list[Skill] = []
    diagnostics: list[Problem] = []
    keys: dict[Path, str] = {}
    for root in roots:
        found = find_skills(root.path, elsewhere=[other.path for other in roots if other != root])
        diagnostics += found.diagnostics
        for folder in found.skills:
            skill = _read(folder, root.source, index)
            skills.append(skill)
            keys[skill.folder] = folder.key
    index.save()
    kept, clashes = _without_shadowed(skills)
    return Catalog(tuple(kept), (*diagnostics, *clashes), keys)


def load_skills(folders: str | Path | Iterable[str | Path]) -> list[Skill]:
    """The skills in these folders, each a skill's own or one with skills at any depth, in the order given.

    Never raises for what a skill holds: that is in its `diagnostics`. A folder that is none raises UsageError.
    """
    given = [folders] if isinstance(folders, str | Path) else folders
    paths = [_existing(Path(folder)) for folder in given]
    nowhere = Index(None, {})
    skills: dict[str, Skill] = {}
    for path in paths:
        for folder in find_skills(path, max_depth=None).skills:
            skills.setdefault(os.path.realpath(folder.path), _read(folder, "folder", nowhere))
    return list(skills.values())


def _existing(folder: Path) -> Path:
    if folder.is_dir():
        return folder.absolute()
    if folder.name.lower() == "skill.md" and folder.is_file():
        return folder.absolute().parent
    if folder.exists():
        raise UsageError(f"`{folder}` is a file", hint="give the folder of a skill, or one with skills in it")
    siblings = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
    near = difflib.get_close_matches(folder.name, siblings, n=1)
    hint = (
        f"did you mean `{folder.parent / near[0]}`?"
        if near
        else "give a folder with SKILL.md in it or below it"
    )
    raise UsageError(f"there is no folder `{folder}`", hint=hint)


def _roots(workspace: Path, home: Path | None, bundled: Path) -> Iterator[Root]:
    yield Root(workspace / "skills", "workspace")
    yield Root(workspace / ".claude" / "skills", "claude")
    yield Root(workspace / ".agents" / "skills", "agents")
    if home is not None:
        yield Root(home / ".claude" / "skills", "home-claude")
        yield Root(home / ".agents" / "skills", "home-agents")
    yield Root(bundled, "bundled")


def _distinct(roots: Iterable[Root]) -> list[Root]:
    """The roots without those that are another one by a second name: a workspace may be the home folder, or ours."""
    distinct: dict[str, Root] = {}
    for root in roots:
        distinct.setdefault(os.path.realpath(root.path), root)
    return list(distinct.values())


def _read(folder: SkillFolder, source: str, index: Index) -> Skill:
    known = index.get(folder, source)
    if known is not None:
        return known
    from orchestrator.documents.skill import (
        load_skill,
    )  # brings YAML and Markdown, which a warm start needs not

    read_at_ns = time.time_ns()
    skill = load_skill(Path(folder.path, folder.skill_md), source)
    scripts = dict(_scripts(folder))
    is_declared = skill.functions or any(problem.severity == "error" for problem in skill.diagnostics)
    skill = replace(skill, scripts=scripts, functions=skill.functions if is_declared else _inferred(scripts))
    index.put(folder, skill, read_at_ns)
    return skill


def _scripts(folder: SkillFolder) -> Iterator[tuple[str, Script]]:
    """The programs at the top of a skill and anywhere in its `scripts` and `bin`."""
    from orchestrator.catalog.scripts import read_script  # a warm start needs not

    real_folder = os.path.realpath(folder.path)
    for file in folder.files:
        top, _, rest = file.path.partition("/")
        is_place = not rest or top in ("scripts", "bin")
        suffix = Path(file.path).suffix.lower()
        if not is_place or not (suffix in PROGRAMS or (rest and not suffix and file.is_program)):
            continue
        if file.target and not (is_below(file.target, real_folder) and os.path.isfile(file.target)):
            continue  # a skill's version does not cover what lies outside of it
        try:
            yield file.path, read_script(Path(folder.path, file.path), file.path)
        except OSError as error:
            yield file.path, Script(file.path, unread=(f"it can't be read: {error.strerror}",))


def _inferred(scripts: dict[str, Script]) -> dict[str, Function]:
    """A function for each script whose options could be read, by the script's name; a name taken twice is left out."""
    functions: dict[str, Function] = {}
    names = [_function_name(path) for path in scripts]
    for name, script in zip(names, scripts.values(), strict=True):
        if script.input is None or not name.isidentifier() or name in METHODS or names.count(name) > 1:
            continue
        functions[name] = Function(
            name, "script", script.path, script.description, input=script.input, inferred=True
        )
    return functions


def _function_name(path: str) -> str:
    return Path(path).stem.replace("-", "_")


def _without_shadowed(skills: list[Skill]) -> tuple[list[Skill], list[Problem]]:
    kept: dict[str, Skill] = {}
    alike: dict[str, Skill] = {}
    problems: list[Problem] = []
    for skill in skills:
        nearer = kept.setdefault(skill.name, skill)
        other = alike.setdefault(fold(skill.name), skill)
        if nearer is not skill:
            message = (
                f"the skill `{skill.name}` in `{skill.folder}` is shadowed by the one in `{nearer.folder}`"
            )
            problems.append(_clash(skill, message, "rename one of them to call both"))
        elif other is not skill:
            message = f"`{skill.name}` in `{skill.folder}` and `{other.name}` in `{other.folder}` differ only in spelling"
            problems.append(
                _clash(skill, message, "rename one of them; until then call each by its exact name")
            )
    return list(kept.values()), problems


def _clash(skill: Skill, message: str, hint: str) -> Problem:
    return Problem(str(skill.folder), 0, message, hint, "warning")
