"""Counts out of other tools' `skill-usage.json`. Five shapes are known; anything else counts nothing.

{"top_skills": [{"name", "uses"}], "underutilized": [...], ...}                 workspace notes of an agent
{"skills": {name: {"times_used", "successes", "failures", "last_used"}}}        per-skill statistics
{"events": [{"skill", "timestamp"}], "generatedAt"}                             an event list
{name: {"used", "lastUsed", "outcomes": {"success", "partial", "failure"}}}     a skill graph
{name: [record, ...]}, also below "skills"; a record's "success" may be a bool  records by skill
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.memory.tallies import Imported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_TIMES = ("last_used", "lastUsed", "timestamp", "at", "ts")
_NAMES = ("name", "skill", "skillName")
_CALLS = ("times_used", "used", "uses", "calls", "count")


def imported(value: Any) -> Mapping[str, Imported]:
    """What a JSON value of another tool says of skills, by name. Never raises on any value."""
    if not isinstance(value, dict):
        return {}
    if isinstance(value.get("events"), list):
        return _by_name(_from_events(value["events"]))
    if isinstance(value.get("top_skills"), list):
        entries = value["top_skills"] + _list(value.get("underutilized"))
        named = [(_text(entry, _NAMES), entry) for entry in entries if isinstance(entry, dict)]
        return _by_name(_from_entry(name, entry) for name, entry in named if name)
    table = value["skills"] if isinstance(value.get("skills"), dict) else value
    return _by_name(_from_entry(name, entry) for name, entry in table.items())


def _by_name(found: Iterable[Imported | None]) -> dict[str, Imported]:
    return {one.name: one for one in found if one is not None}


def _from_events(events: list[Any]) -> Iterator[Imported]:
    grouped: dict[str, list[Any]] = {}
    for event in events:
        name = _text(event, _NAMES)
        if name:
            grouped.setdefault(name, []).append(event)
    return (_from_records(name, group) for name, group in grouped.items())


def _from_entry(name: str, entry: Any) -> Imported | None:
    if isinstance(entry, list):
        return _from_records(name, entry)
    if not isinstance(entry, dict):
        return None
    if isinstance(entry.get("records"), list):
        return _from_records(name, entry["records"])
    calls = _number(entry, _CALLS)
    if calls is None:
        return None
    outcomes = entry["outcomes"] if isinstance(entry.get("outcomes"), dict) else entry
    ok, failed = _number(outcomes, ("successes", "success")), _number(outcomes, ("failures", "failure"))
    return Imported(name, calls, ok, failed, _text(entry, _TIMES))


def _from_records(name: str, records: list[Any]) -> Imported:
    verdicts = [
        one["success"] for one in records if isinstance(one, dict) and isinstance(one.get("success"), bool)
    ]
    times = [time for one in records if (time := _text(one, _TIMES))]
    return Imported(
        name,
        len(records),
        ok=verdicts.count(True) if verdicts else None,
        failed=verdicts.count(False) if verdicts else None,
        last_used=max(times, default=None),
    )


def _text(entry: Any, keys: tuple[str, ...]) -> str | None:
    if not isinstance(entry, dict):
        return None
    return next((entry[key] for key in keys if isinstance(entry.get(key), str) and entry[key]), None)


def _number(entry: dict[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((entry[key] for key in keys if type(entry.get(key)) is int and entry[key] >= 0), None)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
