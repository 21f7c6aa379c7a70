"""Records of uses that another tool noted one by one, each with a time."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from orchestrator.memory import foreign, hosts

_OK = frozenset({"ok", "success", "succeeded", "successful", "completed", "passed"})
_FAILED = frozenset({"error", "failure", "failed", "fail"})
_OUTCOMES = (
    {"timeout": "timeout", "denied": "denied"} | dict.fromkeys(_OK, "ok") | dict.fromkeys(_FAILED, "error")
)
_SAID = ("outcome", "status", "result")
_SESSIONS = ("session_id", "sessionId", "session")
_MS_FROM = 1e11
"""A time in numbers from here on is in milliseconds: in seconds it would be the year 5138."""


class Maker:
    """Makes records out of the entries of one file, in its order. Entries that say the same are told apart by their count."""

    def __init__(self) -> None:
        self._same: Counter[str] = Counter()

    def use(self, name: str | None, entry: Any) -> tuple[dict[str, Any] | None, str]:
        """The fields of a record, or None and why there are none."""
        skill = hosts.skill_name(name)
        if skill is None:
            return None, "it names no skill"
        at = _time(entry)
        if at is None:
            return None, "it has no time"
        outcome, duration_s = _outcome(entry), _duration(entry)
        session = foreign.text_of(entry, _SESSIONS)
        told = f"{skill} {at} {outcome} {duration_s} {session}"
        self._same[told] += 1
        # Uses of one session lean on each other; where none is told, those of one day are taken to.
        run = f"{hosts.IMPORT}:{hosts.digest(session) if session else at[:10]}"
        return {
            "at": at,
            "run": run,
            "call": hosts.digest(f"{told} {self._same[told]}"),
            "skill": skill,
            "outcome": outcome,
            "duration_s": duration_s,
            "situation": {"host": "another tool"},
        }, ""


def is_use(value: Any) -> bool:
    """Whether a line looks like a record of a use."""
    return foreign.name_of(value) is not None and _time(value) is not None


def is_name(name: str) -> bool:
    """Whether this may be a skill's name."""
    return hosts.skill_name(name) is not None


def moment(value: Any) -> str | None:
    """A time as the usage record has it, from ISO 8601 or seconds or milliseconds since 1970; None where it is none."""
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value.strip())
        elif type(value) in (int, float) and math.isfinite(value) and value > 0:
            at = datetime.fromtimestamp(value / 1000 if value >= _MS_FROM else value, UTC)
        else:
            return None
        return (
            (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat().replace("+00:00", "Z")
        )
    except (ValueError, OverflowError, OSError):
        return None


def _time(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return None
    found = (moment(entry[key]) for key in foreign.TIMES if key in entry)
    return next((at for at in found if at), None)


def _outcome(entry: dict[str, Any]) -> str | None:
    if isinstance(entry.get("success"), bool):
        return "ok" if entry["success"] else "error"
    said = foreign.text_of(entry, _SAID)
    return _OUTCOMES.get(said.lower()) if said else None


def _duration(entry: dict[str, Any]) -> float | None:
    for key, unit in (("duration_s", 1), ("duration_ms", 1000), ("durationMs", 1000)):
        value = entry.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**53:
            return value / unit
    return None
