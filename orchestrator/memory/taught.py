"""Where lessons lie (see `matching.lessons`): in the workspace, and for all workspaces of a user.

`memory/lessons.json` is the workspace's; the user's is `orchestrate/lessons.json` in the XDG data home. Both are
`{"schema": SCHEMA, "skills": {name: {"right", "wrong", "words", "topics"}}}`, replaced as a whole under a lock, and may
be deleted at any time. Who wants none writes in orchestrate.toml, of the workspace or of the user:

    [suggest]
    learn = false               # no lessons are kept or used
    across_workspaces = false   # none of other workspaces, and none for them
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import WorkspaceError
from orchestrator.memory import files
from orchestrator.memory.matching.lessons import Lessons, decoded, encoded, teach
from orchestrator.memory.matching.terms import terms, weak_terms
from orchestrator.memory.matching.topics import general_topics, topics_of

if TYPE_CHECKING:
    from orchestrator.workspace import Workspace

SCHEMA = "orchestrate.lessons/1"
FILE_NAME = "lessons.json"
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Taught:
    """The lessons of this workspace, and those of all of the user's, this one among them."""

    here: Lessons = field(default_factory=dict)
    everywhere: Lessons = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gist:
    """What is kept of a task: its words that stand in the package's own lists, once each and sorted, and its topics."""

    words: tuple[str, ...]
    topics: tuple[str, ...]


def gist(task: str) -> Gist:
    """What may be kept of a task; nothing of it tells who or what it was about beyond general words."""
    found = terms(task)
    return Gist(
        tuple(sorted(set(found) & _general_words())), tuple(sorted(topics_of(found, general_topics())))
    )


def lessons_of(workspace: Workspace) -> Taught:
    """What was learned so far. Empty where nothing was, or where nothing may be."""
    return Taught(*(_read(path) for path in _places(workspace)))


def is_learning(workspace: Workspace) -> bool:
    """Whether the settings let lessons be kept."""
    return _places(workspace)[0] is not None


def learn(workspace: Workspace, task: str | Gist, skill: str, *, success: bool) -> None:
    """Keep that a skill was right, or wrong, for a task. Does nothing where that can't be written, or must not be.

    Takes some milliseconds, as both files are synced: call it once for a skill in a run, not once for each of its calls.
    """
    kept = gist(task) if isinstance(task, str) else task
    name = skill.rpartition(":")[2]  # hosts name a plugin's skill `plugin:skill`
    if not name or not (kept.words or kept.topics):
        return
    here, everywhere = _places(workspace)
    if everywhere is not None:
        with contextlib.suppress(OSError):
            everywhere.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (here, everywhere):
        if path is not None:
            _add(path, kept, name, success=success)


def _add(path: Path, kept: Gist, skill: str, *, success: bool) -> None:
    try:
        with files.locked(path.with_suffix(".lock")):
            lessons = _read(path)
            teach(lessons, skill, kept.words, kept.topics, success=success)
            text = json.dumps(
                {"schema": SCHEMA, "skills": encoded(lessons)}, ensure_ascii=False, separators=(",", ":")
            )
            files.replace(path, text.encode("utf-8", "backslashreplace") + b"\n")
    except WorkspaceError:
        return


def _places(workspace: Workspace) -> tuple[Path | None, Path | None]:
    """The workspace's file and the user's; None for what the settings rule out."""
    settings = _settings(workspace)
    if settings.get("learn") is False:
        return None, None
    here = workspace.memory / FILE_NAME
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    if settings.get("across_workspaces") is False or not os.path.isabs(home):
        return here, None
    return here, Path(home, "orchestrate", FILE_NAME)


def _read(path: Path | None) -> Lessons:
    try:
        if path is None or path.stat().st_size > MAX_BYTES:
            return {}
        whole = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    is_ours = isinstance(whole, dict) and whole.get("schema") == SCHEMA
    return decoded(whole.get("skills")) if is_ours else {}


def _settings(workspace: Workspace) -> dict[str, Any]:
    """The table `[suggest]` of both files, the workspace's above the user's; where one can't be read, nothing is learned."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    found: dict[str, Any] = {}
    for path in (Path(config, "orchestrate", "orchestrate.toml"), workspace.settings):
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            return {"learn": False}
        if "suggest" not in text:
            continue
        import tomllib  # most have no such table

        try:
            table = tomllib.loads(text).get("suggest")
        except ValueError:
            return {"learn": False}
        found |= table if isinstance(table, dict) else {}
    return found


@cache
def _general_words() -> frozenset[str]:
    return weak_terms() | {word for phrase in general_topics() for word in phrase.split()}
