"""`skill-usage.json`: the tallies of a workspace as a TinyDB document, for other programs to read.

Tables `skills`, `strategies` and `workflows` hold one document for each name, shaped as `tallies.Tally`; `meta` holds
one document that says how far the record was counted. Offset and tallies are in one file that is replaced as a
whole, so that every record counts exactly once however often a process is killed here: either both moved or none.
TinyDB's own storage rewrites in place, which readers and killed writers have seen break; its tables and queries
are kept, over a storage that writes once, at `commit`.

A file that is not ours is never overwritten. Where another tool's stands at `skill-usage.json`, the summary is
`skill-usage.orchestrate.json` beside it. Ours are: none, an empty one, `{}`, and one whose `meta` names SCHEMA.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import WorkspaceError
from orchestrator.memory import files, foreign, kept_tallies
from orchestrator.memory.log import Place, is_at_end, read_on
from orchestrator.memory.record import parsed
from orchestrator.memory.tallies import KINDS, Count, Counts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.memory.tallies import Tallies
    from orchestrator.workspace import Workspace

SCHEMA = "orchestrate.usage/1"
BESIDE = "skill-usage.orchestrate.json"
LOCK = "usage.lock"


def fold(workspace: Workspace) -> Tallies:
    """The tallies, with every record counted that is whole by now. What is new is published, if that can be.

    Waits while another process publishes; reads only what was appended since the last time.
    """
    found = _find(workspace)
    if is_at_end(workspace.usage_log, found.state.place):
        return found.tallies()
    try:
        with files.locked(workspace.memory / LOCK):
            found = _find(workspace)  # another process may have counted while we waited
            before = found.state.place
            _count_new(found.state, workspace.usage_log)
            if before != found.state.place:
                _publish(found, workspace.usage_log)
    except WorkspaceError:
        _count_new(found.state, workspace.usage_log)  # figures can be had where nothing can be written
    return found.tallies()


def rebuild(workspace: Workspace) -> None:
    """Publish tallies counted from the first byte of the record. Raises WorkspaceError."""
    with files.locked(workspace.memory / LOCK):
        found = _find(workspace)
        found.state = _State()
        _count_new(found.state, workspace.usage_log)
        _publish(found, workspace.usage_log)


@dataclass(slots=True)
class _State:
    """What was counted, and how far the record was read for it."""

    counts: Counts = field(default_factory=Counts)
    place: Place = field(default_factory=Place)


@dataclass(slots=True)
class _Found:
    """The summary of a workspace as it lies on the disk. `path` None = no name for it is free."""

    path: Path | None
    state: _State
    kept: kept_tallies.BySource  # what was imported without records
    foreign: Any = None  # the JSON value of another tool's file

    def tallies(self) -> Tallies:
        imported = kept_tallies.together([foreign.imported(self.foreign), *self.kept.values()])
        return self.state.counts.frozen(imported)


def _find(workspace: Workspace) -> _Found:
    kept = kept_tallies.read(workspace)
    value, is_ours = _read(workspace.usage_summary)
    if is_ours:
        return _Found(workspace.usage_summary, _state(value), kept)
    beside = workspace.root / BESIDE
    ours, is_ours = _read(beside)
    return _Found(beside if is_ours else None, _state(ours) if is_ours else _State(), kept, foreign=value)


def _read(path: Path) -> tuple[Any, bool]:
    """The JSON value of a file, None where it has none, and whether it may be replaced."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, True
    except OSError:
        return None, False
    if not data.strip():
        return None, True
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None, False
    return value, value == {} or _meta(value).get("schema") == SCHEMA


def _meta(value: Any) -> dict[str, Any]:
    try:
        meta = value["meta"]["1"]
    except (KeyError, TypeError, IndexError):
        return {}
    return meta if isinstance(meta, dict) else {}


def _state(value: Any) -> _State:
    """What a file of ours says was counted; nothing where somebody changed it, so that it is counted anew."""
    meta = _meta(value)
    try:
        tables = {kind: list(value[kind].values()) for kind in KINDS}
    except (KeyError, TypeError, AttributeError):
        return _State()
    if meta.get("digest") != _digest(tables, meta):
        return _State()
    counted = {kind: {doc["name"]: _count(doc) for doc in docs} for kind, docs in tables.items()}
    counts = Counts(**counted, n_records=meta["n_records"], n_skipped=meta["n_skipped"])
    return _State(counts, Place(meta["offset"], meta["mark"]))


def _count(doc: dict[str, Any]) -> Count:
    return Count(**doc | {"versions": {name: _count(one) for name, one in doc["versions"].items()}})


def _publish(found: _Found, record: Path) -> None:
    if found.path is None:
        raise WorkspaceError(
            f"both `skill-usage.json` and `{BESIDE}` are files of another tool, or damaged",
            hint=f"move or delete `{BESIDE}`; it is made anew from the usage record",
        )
    place = found.state.place
    if place.offset:
        files.sync(record)  # a summary must not tell of records that a power cut takes back
    from orchestrator.memory import document  # tinydb: 30 ms that who only reads must not wait

    counts = found.state.counts
    tables: dict[str, list[dict[str, Any]]] = {
        kind: [asdict(count) for count in counts.table(kind).values()] for kind in KINDS
    }
    meta = {"schema": SCHEMA, "offset": place.offset, "mark": place.mark}
    meta |= {"n_records": counts.n_records, "n_skipped": counts.n_skipped}
    document.write(found.path, {**tables, "meta": [meta | {"digest": _digest(tables, meta)}]})


def _digest(tables: Mapping[Any, list[dict[str, Any]]], meta: dict[str, Any]) -> str:
    told = {name: value for name, value in meta.items() if name != "digest"}
    return hashlib.sha256(json.dumps([tables, told]).encode()).hexdigest()[:16]


def _count_new(state: _State, record: Path) -> None:
    """Count what was appended since `state`; everything, where the record is another file or shorter now."""

    def again() -> None:
        state.counts = Counts()

    state.place = read_on(record, state.place, lambda line: state.counts.add(parsed(line)), again)
