"""Processes by their parents, as /proc tells them; see proc(5)."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as it was seen. A number may be used again: `began` (clock ticks since the boot) tells them apart."""

    pid: int
    parent: int
    began: str
    command: str


def descendants(pid: int) -> list[Seen]:
    """All that a process started, and what these started, parents first. Zombies are left out."""
    children: dict[int, list[Seen]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (seen := look(int(entry.name))) is not None:
            children.setdefault(seen.parent, []).append(seen)
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += [seen.pid for seen in below]
    return found


def look(pid: int) -> Seen | None:
    """A process that lives; None where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return None
    return None if fields[0] in "ZX" else Seen(pid, int(fields[1]), fields[19], command.strip())


def workers(pid: int) -> list[Seen]:
    """The workers of an orchestrator: what its zygote forked, and what else it started itself."""
    seen = descendants(pid)
    zygotes = {one.pid for one in seen if one.parent == pid and "zygote.py" in one.command}
    return [one for one in seen if one.parent in zygotes or (one.parent == pid and one.pid not in zygotes)]


def kill(seen: Seen) -> bool:
    """Kill -9 a process if it still is who it was."""
    now = look(seen.pid)
    if now is None or now.began != seen.began:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(seen.pid, signal.SIGKILL)
        return True
    return False


def kill_below(pid: int) -> None:
    """Kill -9 all that a process started, also what is being started meanwhile."""
    while [seen for seen in descendants(pid) if kill(seen)]:
        pass
