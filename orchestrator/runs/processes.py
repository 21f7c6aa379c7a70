"""Which process is which: told apart also when a number is used again, and on several machines with one workspace."""

from __future__ import annotations

import os
from pathlib import Path


def this_process() -> dict[str, str | int]:
    """This process as the record names it."""
    return described(os.getpid())


def described(pid: int) -> dict[str, str | int]:
    """A process by its number, its machine, and when it began: in clock ticks of this boot, "" where that can't be read."""
    return {"pid": pid, "began": _began(pid), "host": this_machine()}


def this_machine() -> str:
    """This machine as the record names it."""
    return os.uname().nodename


def ancestors() -> list[dict[str, str | int]]:
    """This process and all that it was started by, as far as can be seen."""
    found: list[dict[str, str | int]] = []
    pid = os.getpid()
    while pid > 1 and len(found) < 64:
        found.append(described(pid))
        pid = _parent(pid)
    return found


def _fields(pid: int) -> list[str]:
    """What follows the name in `/proc/PID/stat`, see proc(5): state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int:
    fields = _fields(pid)
    return int(fields[1]) if fields else (os.getppid() if pid == os.getpid() else 0)


def _began(pid: int) -> str:
    fields = _fields(pid)
    return fields[19] if len(fields) > 19 else ""
