"""The catalog on disk: parsed skills, so that a warm start only asks for the sizes and times of files.

`memory/cache/skills-index.json` may be deleted at any time. It is ignored where it can't be read, was written by
other code, or holds a skill whose files have changed since:

    {"format": 1, "code": digest of the modules that make a Skill,
     "skills": {path of SKILL.md: {"files": digest of FileStamps, "read_at_ns": n, "skill": {...}}}}

What was written less than two seconds before it was read is read again: a second change within the clock's tick, or
a coarse file system's second, would leave size and times as they are (git calls such entries racy).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orchestrator
from orchestrator.catalog import codec

if TYPE_CHECKING:
    from orchestrator.catalog.walk import SkillFolder
    from orchestrator.documents.types import Skill
    from orchestrator.workspace import Workspace

FORMAT = 1
RACY_NS = 2_000_000_000


class Index:
    """Skills read before, by the files they were read from. Made by `open_index`; `save` writes what was `put`."""

    def __init__(self, file: Path | None, entries: dict[str, Any]) -> None:
        self._file = file
        self._entries = entries
        self._kept: dict[str, Any] = {}
        self._is_changed = False

    def get(self, folder: SkillFolder, source: str) -> Skill | None:
        """The skill as it was when its files were as they are now."""
        key = os.path.join(folder.path, folder.skill_md)
        entry = self._entries.get(key)
        if entry is None or not folder.is_complete:
            return None
        try:
            if entry["files"] != _digest(folder) or _newest_ns(folder) > entry["read_at_ns"] - RACY_NS:
                return None
            skill = codec.decode(entry["skill"], Path(folder.path), source)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None  # someone else's file: read the skill itself
        self._kept[key] = entry
        return skill

    def put(self, folder: SkillFolder, skill: Skill, read_at_ns: int) -> None:
        """Keep a skill read from these files; `read_at_ns` is the time before the first of them was opened.

        A skill that JSON would change is not kept: a warm load must equal a cold one.
        """
        if not folder.is_complete:
            return
        try:
            encoded = json.loads(json.dumps(codec.encode(skill)))
            is_same = codec.decode(encoded, skill.folder, skill.source) == skill
        except (TypeError, ValueError, RecursionError):
            return
        if is_same:
            entry = {"files": _digest(folder), "read_at_ns": read_at_ns, "skill": encoded}
            self._kept[os.path.join(folder.path, folder.skill_md)] = entry
            self._is_changed = True

    def save(self) -> None:
        """Replace the file by what was found this time; without rights or room for it there is no index."""
        if self._file is None or not (self._is_changed or self._kept.keys() != self._entries.keys()):
            return
        whole = {"format": FORMAT, "code": _code(), "skills": self._kept}
        try:
            put_in_place(self._file, json.dumps(whole, separators=(",", ":")))
        except OSError:
            return


def open_index(workspace: Workspace | None) -> Index:
    """The workspace's index; an empty one that is never written where there is none.

    A folder without any part of a workspace gets none: listing skills must not turn it into one.
    """
    if workspace is None or not (workspace.skills.is_dir() or workspace.memory.is_dir()):
        return Index(None, {})
    file = workspace.cache / "skills-index.json"
    try:
        whole = json.loads(file.read_bytes())
        is_ours = whole["format"] == FORMAT and whole["code"] == _code() and isinstance(whole["skills"], dict)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Index(file, {})
    return Index(file, whole["skills"] if is_ours else {})


def _digest(folder: SkillFolder) -> str:
    text = repr([folder.skill_md, *map(tuple, folder.files)])  # a plain tuple's repr is ten times faster
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _newest_ns(folder: SkillFolder) -> int:
    return max((max(file.mtime_ns, file.ctime_ns) for file in folder.files), default=0)


def _code() -> str:
    """Tells versions of the code apart that makes a Skill, also where a clone is updated under one version number."""
    package = Path(__file__).parent.parent
    modules = sorted([*package.glob("documents/*.py"), *package.glob("catalog/*.py"), package / "values.py"])
    stamps = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in modules]
    return hashlib.sha256(repr((orchestrator.__version__, stamps)).encode()).hexdigest()


def put_in_place(file: Path, text: str) -> None:
    """Put `text` into a cache's file at once: a reader sees the old one or the new one. Not synced: it can be made again."""
    import tempfile  # here: a start with a current index writes none

    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{file.stem}-", dir=file.parent)
    try:
        with open(handle, "w", encoding="ascii") as stream:
            stream.write(text)
        os.replace(name, file)
    except OSError:
        os.unlink(name)
        raise
