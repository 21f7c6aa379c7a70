"""The index of a workspace's skills on disk, so that a suggestion in a new process need not read what is said of them.

`memory/cache/suggest-index.json` may be deleted at any time, and is ignored where it was made of other skills or by
other code. It holds the general topics too: reading `topics.txt` takes longer than all else.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import orchestrator
from orchestrator.catalog.index import put_in_place
from orchestrator.memory.matching.index import SkillIndex, Subject, index_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.documents.types import Skill
    from orchestrator.workspace import Workspace

FILE_NAME = "suggest-index.json"


def index_in_memory(skills: Iterable[Skill]) -> SkillIndex:
    """The index of these skills; asked for again, it is the same."""
    return _made(tuple(Subject(skill.name, skill.description, skill.body) for skill in skills))


def index_on_disk(workspace: Workspace, skills: Sequence[Skill]) -> SkillIndex:
    """The index of these skills, from the workspace's cache where it is current there; else made and put there."""
    file = workspace.cache / FILE_NAME
    key = _key(skills)
    try:
        whole = json.loads(file.read_bytes())
        if whole["key"] == key:
            return SkillIndex(**whole["index"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        pass  # none, or someone else's
    index = index_in_memory(skills)
    if workspace.skills.is_dir() or workspace.memory.is_dir():  # looking at skills makes no workspace
        fields = {name: getattr(index, name) for name in SkillIndex.__slots__}
        with suppress(OSError):  # without rights or room there is no cache
            put_in_place(file, json.dumps({"key": key, "index": fields}, separators=(",", ":")))
    return index


@lru_cache(maxsize=8)
def _made(subjects: tuple[Subject, ...]) -> SkillIndex:
    return index_of(subjects)


def _key(skills: Sequence[Skill]) -> str:
    """Tells other skills and other code apart, also where a clone is updated under one version number."""
    here = Path(__file__).parent
    made_by = sorted([*here.glob("*.py"), *here.glob("*.txt")])
    code = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in made_by]
    named = [(skill.name, skill.version) for skill in skills]
    return hashlib.sha256(
        repr((orchestrator.__version__, code, named)).encode("utf-8", "replace")
    ).hexdigest()
