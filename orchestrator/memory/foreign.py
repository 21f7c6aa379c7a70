"""What other tools' `skill-usage.json` says of skills. Five shapes are known; anything else counts nothing.

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

TIMES = ("last_used", "lastUsed", "timestamp", "at", "ts")
"""Where a time may stand."""

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
        named = [(text_of(entry, _NAMES), entry) for entry in entries if isinstance(entry, dict)]
        return _by_name(_from_entry(name, entry) for name, entry in named if name)
    return _by_name(_from_entry(name, entry) for name, entry in _table(value).items())


def shape(value: Any) -> str | None:
    """Which of the shapes a JSON value has, by its key; `by name` where it has none. None where it has no shape."""
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("events"), list):
        return "events"
    if isinstance(value.get("top_skills"), list):
        return "top_skills"
    if isinstance(value.get("skills"), dict):
        return "skills"
    return "by name" if imported(value) else None


def happened(value: Any) -> Iterator[tuple[str, str | None, Any]]:
    """The uses that a value tells one by one: where it stands, the skill's name and the record, none of them checked."""
    if not isinstance(value, dict) or shape(value) == "top_skills":
        return
    if isinstance(value.get("events"), list):
        for n, event in enumerate(value["events"]):
            yield f"events[{n}]", name_of(event), event
        return
    for name, entry in _table(value).items():
        for n, record in enumerate(_records(entry)):
            yield f"{name}[{n}]", name, record


def tallied(value: Any) -> Mapping[str, Imported]:
    """What a value counts without telling of each use."""
    if shape(value) == "events":
        return {}
    told = {name for _, name, _ in happened(value)}
    return {name: one for name, one in imported(value).items() if name not in told and one.calls}


def name_of(entry: Any) -> str | None:
    """The skill that an entry names."""
    return text_of(entry, _NAMES)


def _table(value: dict[str, Any]) -> dict[str, Any]:
    return value["skills"] if isinstance(value.get("skills"), dict) else value


def _records(entry: Any) -> list[Any]:
    return (
        entry if isinstance(entry, list) else _list(entry.get("records")) if isinstance(entry, dict) else []
    )


def _by_name(found: Iterable[Imported | None]) -> dict[str, Imported]:
    return {one.name: one for one in found if one is not None}


def _from_events(events: list[Any]) -> Iterator[Imported]:
    grouped: dict[str, list[Any]] = {}
    for event in events:
        name = text_of(event, _NAMES)
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
    return Imported(name, calls, ok, failed, text_of(entry, TIMES))


def _from_records(name: str, records: list[Any]) -> Imported:
    verdicts = [
        one["success"] for one in records if isinstance(one, dict) and isinstance(one.get("success"), bool)
    ]
    times = [time for one in records if (time := text_of(one, TIMES))]
    return Imported(
        name,
        len(records),
        ok=verdicts.count(True) if verdicts else None,
        failed=verdicts.count(False) if verdicts else None,
        last_used=max(times, default=None),
    )


def text_of(entry: Any, keys: tuple[str, ...]) -> str | None:
    """The first of these keys' values that is a text."""
    if not isinstance(entry, dict):
        return None
    return next((entry[key] for key in keys if isinstance(entry.get(key), str) and entry[key]), None)


def _number(entry: dict[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((entry[key] for key in keys if type(entry.get(key)) is int and entry[key] >= 0), None)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
