"""Where skills lie below a folder: names, sizes and times of files only; no file is opened."""

from __future__ import annotations

import os
import stat
from collections import deque
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.values import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NOT_SEARCHED = frozenset({".git", ".venv", "__pycache__", "node_modules"})
"""Folders that tools make and fill: what looks like a skill in them is a copy of somebody else's."""

NOT_READ = frozenset({".git"})
"""Folders that are no part of a skill (`documents.skill_files`)."""

MAX_DEPTH = 6
"""How far below a root a skill may lie (Agent Skills, client guide: 4 to 6)."""

MAX_FOLDERS = 20_000


_NAME = attrgetter("name")


class FileStamp(NamedTuple):
    """A file of a skill and what changes when its content does. `path` is relative to the skill, with `/`."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int  # can't be set back, as a modification time can
    is_program: bool  # its owner may execute it
    target: str  # of a link, where it leads; of a file, nothing


@dataclass(slots=True)
class SkillFolder:
    """A folder with SKILL.md. `key` is its path below the root it was found in, with `/`; empty for the root."""

    path: str
    key: str
    skill_md: str  # the file's name as it is written on disk
    files: list[FileStamp] = field(default_factory=list)  # also those of the skills below it
    is_complete: bool = True  # all its files were seen
    parent: SkillFolder | None = None  # the skill whose folder this one lies in

    def and_around(self) -> Iterator[SkillFolder]:
        """This skill, then the ones that it lies in, from the inside out."""
        skill: SkillFolder | None = self
        while skill is not None:
            yield skill
            skill = skill.parent


@dataclass(frozen=True, slots=True)
class Found:
    """The skills below a root, in the order of their paths, and what was passed over."""

    skills: tuple[SkillFolder, ...]
    diagnostics: tuple[Problem, ...]


class _Folder(NamedTuple):
    path: str
    key: str
    depth: int
    skill: SkillFolder | None  # the skill that its files belong to
    is_searched: bool  # a skill may begin here


def find_skills(
    root: Path,
    *,
    max_depth: int | None = MAX_DEPTH,
    max_folders: int = MAX_FOLDERS,
    elsewhere: Sequence[Path] = (),
) -> Found:
    """Every skill at or below `root`, none where it is no folder.

    Links to folders are not followed: what is inside the root is found under its own path. Links that leave the root
    are refused with a diagnostic, but for those into `elsewhere`, the other folders that are searched as well.
    """
    walk = _Walk(root, max_depth, [os.path.realpath(other) for other in elsewhere])
    walk.run(max_folders)
    skills = sorted(walk.skills, key=lambda skill: skill.key.split("/"))
    for skill in skills:
        skill.files.sort()
    return Found(tuple(skills), tuple(walk.diagnostics))


class _Walk:
    """One walk, breadth first, so that a limit cuts off what lies deepest."""

    def __init__(self, root: Path, max_depth: int | None, elsewhere: list[str]) -> None:
        self.skills: list[SkillFolder] = []
        self.diagnostics: list[Problem] = []
        self._root = root
        self._real_root = os.path.realpath(root)
        self._elsewhere = elsewhere
        self._max_depth = max_depth

    def run(self, max_folders: int) -> None:
        waiting = deque([_Folder(str(self._root), "", 0, None, is_searched=True)])
        n_folders = 0
        while waiting and n_folders < max_folders:
            waiting.extend(self._visit(waiting.popleft()))
            n_folders += 1
        if waiting:
            message = f"only the first {max_folders:,} folders are searched; {len(waiting):,} or more are not"
            self._tell(str(self._root), message, "keep skills in a folder of their own")
        for folder in waiting:
            for skill in folder.skill.and_around() if folder.skill else ():
                skill.is_complete = False

    def _visit(self, folder: _Folder) -> Iterator[_Folder]:
        try:
            with os.scandir(folder.path) as listing:
                entries = sorted(listing, key=_NAME)
        except OSError as error:
            if folder.key or not isinstance(error, FileNotFoundError | NotADirectoryError):
                self._tell(folder.path, f"this folder can't be read: {error.strerror}")
            return
        skill = self._skill_in(folder, entries) if folder.is_searched else folder.skill
        is_too_deep = self._max_depth is not None and folder.depth >= self._max_depth
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                is_searched = folder.is_searched and not is_too_deep and entry.name not in NOT_SEARCHED
                if is_searched or (skill is not None and entry.name not in NOT_READ):
                    key = f"{folder.key}/{entry.name}" if folder.key else entry.name
                    yield _Folder(entry.path, key, folder.depth + 1, skill, is_searched)
            elif skill is not None or entry.is_symlink():
                self._add(entry, f"{folder.key}/{entry.name}", skill)

    def _skill_in(self, folder: _Folder, entries: list[os.DirEntry[str]]) -> SkillFolder | None:
        """The skill that the folder's files belong to: the one that begins here, else the one around it."""
        found = [
            entry.name for entry in entries if entry.name.lower() == "skill.md" and self._is_document(entry)
        ]
        if not found:
            return folder.skill
        chosen = "SKILL.md" if "SKILL.md" in found else found[0]
        if len(found) > 1:
            others = ", ".join(f"`{name}`" for name in found if name != chosen)
            self._tell(os.path.join(folder.path, chosen), f"{others} beside it is not read")
        skill = SkillFolder(folder.path, folder.key, chosen, parent=folder.skill)
        self.skills.append(skill)
        return skill

    def _is_document(self, entry: os.DirEntry[str]) -> bool:
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            return self._is_inside(target) and os.path.isfile(target)
        return entry.is_file()

    def _is_inside(self, target: str) -> bool:
        return is_below(target, self._real_root)

    def _add(self, entry: os.DirEntry[str], key: str, skill: SkillFolder | None) -> None:
        """Note a file for the skills around it; a link that leaves the root is refused."""
        target = os.path.realpath(entry.path) if entry.is_symlink() else ""
        if target and not self._is_inside(target):
            if not any(is_below(target, other) for other in self._elsewhere):
                hint = "copy what it points to, or give the folder it lies in"
                self._tell(entry.path, f"this link leaves `{self._root}`: it is not followed", hint)
            for around in skill.and_around() if skill else ():
                around.is_complete = (
                    False  # whatever reads through the link would read what is not known here
                )
            return
        facts = _facts(entry)
        if facts is None or not (target or stat.S_ISREG(facts.st_mode)):
            return  # it went away, or is a pipe or device: no part of a skill
        is_program = stat.S_ISREG(facts.st_mode) and bool(facts.st_mode & stat.S_IXUSR)
        for around in skill.and_around() if skill else ():
            path = key[len(around.key) :].lstrip("/") if around.key else key.lstrip("/")
            stamp = FileStamp(path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, is_program, target)
            around.files.append(stamp)

    def _tell(self, path: str, message: str, hint: str = "") -> None:
        self.diagnostics.append(Problem(path, 0, message, hint, "warning"))


def is_below(target: str, folder: str) -> bool:
    """Whether one absolute path is the other or lies in it."""
    return target == folder or target.startswith(folder.rstrip(os.sep) + os.sep)


def _facts(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What a file is, or where a link leads; of a link that leads nowhere, what the link itself is."""
    for follow in (True, False):
        try:
            return entry.stat(follow_symlinks=follow)
        except OSError:
            continue
    return None
