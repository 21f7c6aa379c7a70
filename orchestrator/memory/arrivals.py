"""Which files a workflow was run on: one line before a run begins and one once it has ended, in `memory/arrivals/`.

    {"at": iso, "event": "begun" | "ended" | "stopped", "run": id, "path": text, "digest": sha256, "status": text}

A file is its path and its content: the same name with other content arrives anew. The first line of a run is on the disk
before the run begins, so a run that nobody ended is found again by its id, and its journal says how far it came.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from orchestrator.memory import files
from orchestrator.memory.log import Place, read_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

_RUN = re.compile(r"[A-Za-z0-9_-]+")
"""A run's id is the name of its folder, which is made and taken away: no path that leads elsewhere."""

Event = Literal["begun", "ended", "stopped"]

REFUSED = "refused"
"""The status of a run that never began: its workflow, or a skill's trust, has to be put in order first."""

N_TRIES = 3
"""A run whose process died is gone on with so often; then it is left to a person."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file with its content, and the run that is its own. `status` is empty until that has ended."""

    path: str
    digest: str
    run: str
    status: str = ""
    n_begun: int = 0  # since it was stopped by us, last


class Arrivals:
    """The arrivals of one workflow. Made by the one watcher that holds `alone`; what it was told is on the disk."""

    def __init__(self, memory: Path, workflow: str) -> None:
        self._file = memory / "arrivals" / f"{workflow}.jsonl"
        self._lock = memory / f"arrivals-{workflow}.lock"
        self.known: dict[tuple[str, str], Arrival] = {}

    def alone(self) -> AbstractContextManager[bool]:
        """Holds the workflow's lock; the value is False where another process has it."""
        return files.locked_now(self._lock)

    def load(self) -> None:
        """Read what is on record. Raises WorkspaceError."""
        lines: list[bytes] = []
        read_on(self._file, Place(), lines.append, lines.clear)
        self.known = {(one.path, one.digest): one for one in arrivals_of(map(_fields, lines))}

    def note(self, arrival: Arrival, event: Event, at: str, status: str = "") -> Arrival:
        """The arrival after this has happened to it, which is on the disk then. Raises WorkspaceError."""
        fields = {
            "at": at,
            "event": event,
            "run": arrival.run,
            "path": arrival.path,
            "digest": arrival.digest,
        }
        files.append(self._file, (json.dumps(fields | {"status": status}) + "\n").encode())
        files.sync(self._file)
        after = after_event(arrival, event, status)
        self.known[after.path, after.digest] = after
        return after

    def unfinished(self) -> list[Arrival]:
        """Those whose run is not known to have ended, in the order of their arrival."""
        return [one for one in self.known.values() if not one.status]


def arrivals_of(events: Iterable[Mapping[str, Any]]) -> Iterator[Arrival]:
    """What the lines of a record come to, in the order of the first line of each; a line that is none is passed over."""
    known: dict[tuple[str, str, str], Arrival] = {}
    for fields in events:
        if not {"path", "digest", "run", "event"} <= fields.keys() or not _RUN.fullmatch(str(fields["run"])):
            continue
        key = str(fields["path"]), str(fields["digest"]), str(fields["run"])
        known[key] = after_event(
            known.get(key, Arrival(*key)), fields["event"], str(fields.get("status", ""))
        )
    yield from known.values()


def after_event(arrival: Arrival, event: str, status: str = "") -> Arrival:
    """The arrival once this has happened."""
    if event == "ended":
        return replace(arrival, status=status)
    return replace(arrival, status="", n_begun=arrival.n_begun + 1 if event == "begun" else 0)


def _fields(line: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError:  # a killed writer's
        return {}
    return fields if isinstance(fields, dict) else {}
