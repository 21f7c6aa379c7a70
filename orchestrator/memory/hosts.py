"""How a use of a skill by a host stands in the usage record, whoever tells of it: a hook, a transcript, another tool."""

from __future__ import annotations

import hashlib
import re
from typing import Any

CLAUDE_CODE = "claude-code"
IMPORT = "import"

# Names as hosts write them, `skill` or `plugin:skill`, in any script. What does not fit is no name, and might be a text.
_NAME = re.compile(r"[\w.@/-]{1,128}(?::[\w.@/-]{1,128})?")

_UNIQUE_CHARS = 20
"""An id this long is a host's own, which it gives once; a shorter one may come again in another session."""


def skill_name(value: Any) -> str | None:
    """The skill's name, without the `/` of a command; None where the value is no name."""
    if isinstance(value, str) and _NAME.fullmatch(value.removeprefix("/")):
        return value.removeprefix("/")
    return None


def situation(used_by: str) -> dict[str, str]:
    """What tells a host's own use from a call of a run; `used_by` is who chose the skill: `model` or `person`."""
    return {"host": CLAUDE_CODE, "used_by": used_by}


def place(session: Any, use: Any) -> dict[str, str]:
    """`run` and `call` for a use in a session, from the host's ids, which can't be read back; empty without both.

    The same use has the same `call` whoever tells of it, also where the host copied the session's history into another.
    """
    if not (isinstance(session, str) and session and isinstance(use, str) and use):
        return {}
    told = use if len(use) >= _UNIQUE_CHARS else f"{session} {use}"
    return {"run": f"{CLAUDE_CODE}:{digest(session)}", "call": digest(told)}


def digest(text: str) -> str:
    """A short name for a text that does not tell the text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
