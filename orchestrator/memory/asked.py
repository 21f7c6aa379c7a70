"""What a host's user asked for last, by session, until it is known which skill the agent took for it.

Only the gist of a prompt is kept (see `taught`), under a hash of the session's id, in `memory/cache/asked.json`.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from orchestrator.errors import WorkspaceError
from orchestrator.memory import files
from orchestrator.memory.taught import Gist, gist, is_learning

if TYPE_CHECKING:
    from orchestrator.workspace import Workspace

FILE_NAME = "asked.json"
MAX_SESSIONS = 50


def keep_asked(workspace: Workspace, session: str, prompt: str) -> None:
    """Keep the gist of a session's newest prompt; nothing where that can't be written, or nothing may be learned."""
    if not is_learning(workspace):
        return
    path = workspace.cache / FILE_NAME
    try:
        with files.locked(path.with_suffix(".lock")):
            kept = {key: value for key, value in _read(workspace).items() if key != _key(session)}
            found = gist(prompt)
            kept[_key(session)] = {"words": found.words, "topics": found.topics}
            newest = dict(list(kept.items())[-MAX_SESSIONS:])
            files.replace(path, json.dumps(newest).encode() + b"\n")
    except WorkspaceError:
        return


def last_asked(workspace: Workspace, session: str) -> Gist | None:
    """The gist of the session's newest prompt, where one was kept."""
    found = _read(workspace).get(_key(session))
    if not isinstance(found, dict):
        return None
    words, topics = (
        [one for one in found.get(key) or () if isinstance(one, str)] for key in ("words", "topics")
    )
    return Gist(tuple(words), tuple(topics))


def _read(workspace: Workspace) -> dict[str, Any]:
    try:
        found = json.loads((workspace.cache / FILE_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _key(session: str) -> str:
    return hashlib.sha256(session.encode("utf-8", "replace")).hexdigest()[:16]
