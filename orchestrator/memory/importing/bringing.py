"""Bringing what files say of skills into a workspace's record, and nothing twice.

What was brought in before is read from the usage record itself: each use has a `run` and a `call` made from the host's own
ids, or from what the entry says, so that the same file again, a copy, or a transcript that has grown add only what is new.
So do uses that the hooks of `orchestrate record` noted already. Whoever deletes the record can import again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.memory import files, kept_tallies
from orchestrator.memory.hosts import CLAUDE_CODE, IMPORT
from orchestrator.memory.log import Place, read_on
from orchestrator.memory.usage import UsageStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from orchestrator.memory.importing.reading import Reading
    from orchestrator.workspace import Workspace

LOCK = "import.lock"
_MARKS = tuple(f'"run":"{kind}:'.encode() for kind in (CLAUDE_CODE, IMPORT))


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of one file's reading: uses that are new, uses that were on record, and skills with a tally kept."""

    n_new: int
    n_known: int
    n_tallies: int


def bring(
    workspace: Workspace, readings: Mapping[Path, Reading], *, dry: bool = False
) -> dict[Path, Brought]:
    """Record what is new of each file, by its path; `dry` writes nothing. Raises WorkspaceError.

    One import at a time: another waits. One that is killed leaves what it has recorded; the next one goes on from there.
    """
    if dry:
        return _bring(workspace, readings, dry=True)
    with files.locked(workspace.memory / LOCK):
        return _bring(workspace, readings, dry=False)


def _bring(workspace: Workspace, readings: Mapping[Path, Reading], *, dry: bool) -> dict[Path, Brought]:
    known = _known(workspace.usage_log)
    store = UsageStore(workspace)
    brought = {}
    for path, reading in readings.items():
        new = []
        for use in reading.uses:
            if use["call"] not in known:
                known.add(use["call"])
                new.append(use)
        if not dry:
            for use in new:
                store.record(**use)
        brought[path] = Brought(len(new), len(reading.uses) - len(new), len(reading.tallies))
    if not dry:
        _keep(workspace, readings)
    return brought


def _keep(workspace: Workspace, readings: Mapping[Path, Reading]) -> None:
    """Keep tallies; a copy of a file whose tallies are kept is not counted a second time."""
    kept = kept_tallies.read(workspace)
    before = dict(kept)
    for path, reading in readings.items():
        source, tallies = str(path.resolve()), dict(reading.tallies)
        if tallies and not _is_kept(tallies, (one for name, one in kept.items() if name != source)):
            kept[source] = tallies
    if kept != before:
        kept_tallies.write(workspace, kept)


def _is_kept(tallies: object, others: Iterable[object]) -> bool:
    return any(tallies == one for one in others)


def _known(record: Path) -> set[str]:
    """The `call` of every use that a hook or an import has put on record."""
    known: set[str] = set()

    def take(line: bytes) -> None:
        if any(mark in line for mark in _MARKS):
            try:
                value = json.loads(line)
            except ValueError:
                return
            if isinstance(value, dict) and isinstance(value.get("call"), str):
                known.add(value["call"])

    read_on(record, Place(), take, again=known.clear)
    return known
