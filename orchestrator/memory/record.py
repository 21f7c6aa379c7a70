"""The usage record of one call: its fields, how one is checked, how a line of the record is read."""

from __future__ import annotations

import difflib
import json
import math
import reprlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

from orchestrator.errors import UsageError
from orchestrator.values import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXTS = (
    "run",
    "call",
    "parent",
    "skill",
    "strategy",
    "version",
    "workflow",
    "error_kind",
    "verdict",
    "tags",
    "skills",
)
COUNTS = ("depth", "tokens_in", "tokens_out")
AMOUNTS = ("duration_s", "usd", "probability")
FIELDS = (
    "at", "run", "call", "parent", "depth", "skill", "strategy", "version", "workflow", "situation", "outcome",
    "duration_s", "tokens_in", "tokens_out", "usd", "checks_passed", "error_kind",
)  # fmt: skip
"""The fields of every record, in the order in which they are written; None where one was not given."""

OF_ATTEMPTS = ("verdict", "probability", "tags", "skills")
"""Fields that only the record of an attempt of a strategy has, and only where they say something.

The kinds of checks that gave the verdict, the probability with which the strategy was chosen for that place, what the
cells did, and the skills that they called. Several words are separated by spaces.
"""

UNDECIDED = frozenset({"cancelled", "not_run", "no_model", "auth", "quota"})
"""Kinds of ends that say nothing of what was called: it was cut short, or what it needed was not there. No outcome."""

SURROUNDINGS = UNDECIDED | {
    "rate", "server", "connection", "unknown_model", "missing_binary", "missing_env", "missing_package", "network",
    "disk_full",
}  # fmt: skip
"""Kinds of failures that come from where a call was made, and are no evidence against what was called."""

UNVERIFIED_WEIGHT = 0.2
"""What a success counts that no check has verified, beside one that checks have."""

TAGS = frozenset(
    {"peek", "grep", "chunk", "map", "map_reduce", "recurse", "verify", "direct", "skill", "code_only"}
)
"""What cells may be said to have done; `strategies.distilling.tags` says what each means."""

FORGOTTEN = "forgotten"
"""`error_kind` of a line that takes back: what stands before it of the strategy, in the workflow if it names one, is not counted."""

SCHEMA_ALONE = "schema"
"""The verdict of who looked at an answer's form and at nothing else."""

Evidence = tuple[bool, float]
"""Whether it succeeded, and what that counts: above 0, at most 1."""

_MAX_COUNT = 2**53  # what every JSON reader keeps exact


def checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A whole record from the fields given. Raises UsageError that names every problem."""
    unknown = [_unknown(name) for name in fields if name not in (*FIELDS, *OF_ATTEMPTS)]
    record: dict[str, Any] = dict.fromkeys(FIELDS) | {
        name: value for name, value in fields.items() if name in FIELDS or (name in OF_ATTEMPTS and value)
    }
    if record["at"] is None:
        record["at"] = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    problems = unknown + _problems(record)
    if problems:
        raise UsageError("usage record: " + "; ".join(problems), hint=f"the fields are {', '.join(FIELDS)}")
    at = datetime.fromisoformat(record["at"])
    if at.tzinfo is None:
        record["at"] = at.replace(tzinfo=UTC).isoformat()
    return record


def parsed(line: bytes) -> dict[str, Any] | None:
    """The record of one line, None when it is none. What a newer version added is left out."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    record: dict[str, Any] = {name: found.get(name) for name in FIELDS}
    record |= {name: found[name] for name in OF_ATTEMPTS if found.get(name) is not None}
    if _problems(record) or datetime.fromisoformat(record["at"]).tzinfo is None:
        return None
    return record


def evidence(record: Mapping[str, Any]) -> Evidence | None:
    """What a record says of its strategy or skill; None where it says nothing.

    Nothing follows from a failure of the surroundings, from what was cut short, and from what policy or a person denied.
    """
    outcome = record["outcome"]
    if outcome is None or outcome == "denied" or record["error_kind"] in SURROUNDINGS:
        return None
    if outcome == "unverified" or (outcome == "ok" and record.get("verdict") == SCHEMA_ALONE):
        return True, UNVERIFIED_WEIGHT
    return outcome == "ok", 1.0


def _problems(record: Mapping[str, Any]) -> list[str]:
    """What is wrong with the values of a record that has every field."""
    given = {name: value for name, value in record.items() if value is not None or name == "at"}
    wrong = {name: wanted for name, value in given.items() if (wanted := _wanted(name, value))}
    return [f"`{name}` takes {wanted}, not {_shown(record[name])}" for name, wanted in wrong.items()]


def _wanted(name: str, value: Any) -> str:
    """What the field takes, in words; empty when `value` is that."""
    if name in TEXTS:
        return "" if isinstance(value, str) else "a text"
    if name in COUNTS:
        return "" if type(value) is int and 0 <= value <= _MAX_COUNT else "a whole number from 0 to 2^53"
    if name in AMOUNTS:
        return "" if _is_number(value) and 0 <= value <= _MAX_COUNT else "a number from 0"
    if name == "at":
        return "" if _is_moment(value) else "an ISO 8601 time, such as `2026-01-31T12:00:00Z`"
    if name == "outcome":
        outcomes = get_args(Outcome)
        return "" if isinstance(value, str) and value in outcomes else f"one of {', '.join(outcomes)}"
    if name == "checks_passed":
        return "" if isinstance(value, bool) else "true or false"
    return "" if _is_situation(value) else "texts, numbers and bools by name"


def _is_situation(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(isinstance(k, str) and (isinstance(v, (str, bool)) or _is_number(v)) for k, v in value.items())


def _is_number(value: Any) -> bool:
    if type(value) is int:
        return -_MAX_COUNT <= value <= _MAX_COUNT
    return type(value) is float and math.isfinite(value)


def _is_moment(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return False
    return True


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, FIELDS, n=1)
    return f"no field `{name}`" + (f" (did you mean `{close[0]}`?)" if close else "")


def _shown(value: Any) -> str:
    if isinstance(value, (str, float, bool)) or (isinstance(value, int) and abs(value) <= _MAX_COUNT):
        return f"`{reprlib.repr(value)}`"
    return f"this `{type(value).__name__}`"
