"""What a host's user asked for last, by session, until it is known which skill the agent took for it.

Only the gist of a prompt is kept (see `taught`), and the names of the skills that were offered for it, under a hash of the
session's id, in `memory/cache/asked.json`. That skills were offered is a line in `memory/offers.jsonl` too, with their
names and the time: who reads the usage record beside it knows which were offered and not used.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.errors import WorkspaceError
from orchestrator.memory import files
from orchestrator.memory.taught import Gist, gist, is_learning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.workspace import Workspace

FILE_NAME = "asked.json"
OFFERS = "offers.jsonl"
MAX_SESSIONS = 50


def keep_asked(workspace: Workspace, session: str, prompt: str, offered: Sequence[str] = ()) -> None:
    """Keep the gist of a session's newest prompt, and which skills were offered for it.

    Nothing where that can't be written, or nothing may be learned.
    """
    if not is_learning(workspace):
        return
    path = workspace.cache / FILE_NAME
    try:
        with files.locked(path.with_suffix(".lock")):
            kept = {key: value for key, value in _read(workspace).items() if key != _key(session)}
            found = gist(prompt)
            kept[_key(session)] = {"words": found.words, "topics": found.topics, "offered": list(offered)}
            newest = dict(list(kept.items())[-MAX_SESSIONS:])
            files.replace(path, json.dumps(newest).encode() + b"\n")
        if offered:
            at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            line = json.dumps({"at": at, "skills": list(offered)}, separators=(",", ":"))
            files.append(workspace.memory / OFFERS, line.encode() + b"\n")
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


def last_offered(workspace: Workspace, session: str) -> list[str] | None:
    """The skills that were offered for the session's newest prompt; None where nothing is known of one."""
    found = _read(workspace).get(_key(session))
    names = found.get("offered") if isinstance(found, dict) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else None


def _read(workspace: Workspace) -> dict[str, Any]:
    try:
        found = json.loads((workspace.cache / FILE_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _key(session: str) -> str:
    return hashlib.sha256(session.encode("utf-8", "replace")).hexdigest()[:16]
