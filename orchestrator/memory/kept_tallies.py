"""`memory/imported.json`: counts of other tools that tell of no single use, as `orchestrate import` last saw them.

A tally of 40 uses has no 40 times and outcomes, so no records are made of it: it stays a tally, beside those of the usage
record. It is kept by the file that it came from, so that a tally that has grown takes the place of the old one.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator.errors import WorkspaceError
from orchestrator.memory import files
from orchestrator.memory.tallies import Imported

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.workspace import Workspace

SCHEMA = "orchestrate.imported/1"
FILE_NAME = "imported.json"

BySource = dict[str, dict[str, Imported]]
"""Tallies by skill, by the file that they came from."""


def read(workspace: Workspace) -> BySource:
    """What is kept; nothing where there is no file, or one that is not ours."""
    try:
        value = json.loads((workspace.memory / FILE_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if (
        not isinstance(value, dict)
        or value.get("schema") != SCHEMA
        or not isinstance(value.get("files"), dict)
    ):
        return {}
    return {
        source: {one.name: one for entry in tallies if (one := _tally(entry)) is not None}
        for source, tallies in value["files"].items()
        if isinstance(tallies, list)
    }


def write(workspace: Workspace, kept: BySource) -> None:
    """Keep these, and no others. Under a lock that the caller holds. Raises WorkspaceError."""
    path = workspace.memory / FILE_NAME
    if path.exists() and not read(workspace) and path.read_bytes().strip() not in (b"", b"{}"):
        raise WorkspaceError(f"`{path}` is damaged, or no file of ours", hint="move it away and import again")
    value = {
        "schema": SCHEMA,
        "files": {source: [asdict(one) for one in tallies.values()] for source, tallies in kept.items()},
    }
    text = json.dumps(value, ensure_ascii=False, indent=1)
    files.replace(path, text.encode("utf-8", "backslashreplace") + b"\n")


def together(found: Iterable[Mapping[str, Imported]]) -> dict[str, Imported]:
    """The tallies of several files, added up by skill."""
    added: dict[str, Imported] = {}
    for tallies in found:
        for name, one in tallies.items():
            added[name] = _added(added[name], one) if name in added else one
    return added


def _added(one: Imported, other: Imported) -> Imported:
    return Imported(
        one.name,
        one.calls + other.calls,
        _sum(one.ok, other.ok),
        _sum(one.failed, other.failed),
        max(filter(None, (one.last_used, other.last_used)), default=None),
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


def _tally(entry: Any) -> Imported | None:
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("name"), str)
        or not _is_count(entry.get("calls"))
    ):
        return None
    ok, failed, last_used = entry.get("ok"), entry.get("failed"), entry.get("last_used")
    if not all(n is None or _is_count(n) for n in (ok, failed)):
        return None
    if not (last_used is None or isinstance(last_used, str)):
        return None
    return Imported(entry["name"], entry["calls"], ok, failed, last_used)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0
