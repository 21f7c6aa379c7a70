"""Bounds that the kernel keeps for one process or one file, kept for a whole worker by looking at it now and then.

RLIMIT_FSIZE is of one file, RLIMIT_DATA of one process and silent about shared memory, RLIMIT_NPROC silent about root; and a
cgroup, which would count all of it, can seldom be made in a container. So while a request runs, its parent looks at what the
worker holds in its folders, and at the processes of its group.

Covered: files, processes and memory beyond the limits for longer than a second or so. Not covered: what goes beyond them and
back between two looks; files without a name that are held open; processes of containers, which
the engine bounds, or on another machine.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.values import WorkerSpec

LOOK_S = 0.5
"""Between two looks; longer where looking takes long."""

_OLD_S = 0.3
"""How old a look at all processes may be that another worker's watch has taken."""


N_AROUND = 3
"""Processes that an environment may put around a worker: a launcher, the first one of a namespace, a keeper."""


class Watch:
    """Looks at one worker: the process that it was started by, its group, and all that descends from it.

    Belongs to its session; one thread at a time looks.
    """

    def __init__(self, pid: int, spec: WorkerSpec) -> None:
        self._pid, self._limits = pid, spec.limits
        self._scratch, self._granted = spec.scratch, spec.grants.write
        self._before: tuple[int, int] | None = (
            None  # bytes in what was granted, and in memory, at the first look
        )

    def beyond(self) -> str:
        """What the worker has too much of, in words; empty where nothing."""
        if self._before is None:
            self._is_ours = _is_ours(self._pid)
            self._before = _n_bytes(self._granted), _anonymous(self._pid)
        granted, memory = self._before
        group = _looked().of(self._pid) if self._is_ours else []
        written = _n_bytes([self._scratch]) + max(0, _n_bytes(self._granted) - granted)
        if written > self._limits.written_bytes:
            return f"wrote {written:,} bytes in its files; {self._limits.written_bytes:,} are allowed"
        n_started = len(group) - 1 - N_AROUND * (len(group) > 1)
        if n_started > self._limits.n_processes:
            return f"had started {n_started:,} processes; {self._limits.n_processes:,} are allowed"
        held = _memory(group, self._limits.memory_bytes + memory)
        if held > self._limits.memory_bytes + memory:
            return (
                f"and its processes held {held:,} bytes of memory; {self._limits.memory_bytes:,} are allowed"
            )
        return ""


def _n_bytes(roots: Iterable[Path]) -> int:
    """What files take on the disk; holes take nothing, and what can't be looked at counts nothing."""
    total = 0
    left = [os.fspath(root) for root in roots]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except NotADirectoryError:
            continue  # a file that was granted: its own limit is enough
        except OSError:
            continue
    return total


def _is_ours(pid: int) -> bool:
    """Whether a process descends from this one. A worker behind namespaces or another machine tells a number of theirs."""
    for _ in range(16):
        if pid == os.getpid():
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
        except OSError:
            return False
    return False


def _memory(group: list[int], enough: int) -> int:
    """Memory of a group that is in no file. Pages that several share count once, which takes a closer look."""
    held = sum(_sizes(pid, "status", "RssAnon", "RssShmem") for pid in group)
    if held <= enough:
        return held
    closer = [_sizes(pid, "smaps_rollup", "Pss_Anon", "Pss_Shmem") for pid in group]
    return sum(closer) if any(closer) else held


def _anonymous(pid: int) -> int:
    return _sizes(pid, "status", "RssAnon")


def _sizes(pid: int, file: str, *names: str) -> int:
    """The sum of such lines of a file of /proc, which are in kB; 0 where the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text("utf-8", "replace").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.partition(":")[0] in names)


@dataclass(slots=True)
class _Processes:
    """All living processes at one moment, by group and by parent."""

    groups: dict[int, list[int]] = field(default_factory=dict)
    children: dict[int, list[int]] = field(default_factory=dict)

    def of(self, pid: int) -> list[int]:
        """The process's group and all that descends from one of it."""
        found = dict.fromkeys([pid, *self.groups.get(pid, ())])
        left = list(found)
        while left:
            new = [one for one in self.children.get(left.pop(), ()) if one not in found]
            found.update(dict.fromkeys(new))
            left += new
        return list(found)


@dataclass(slots=True)
class _Seen:
    """The last look at all processes, which the watches of this process share."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float = float("-inf")
    processes: _Processes = field(default_factory=_Processes)


_SEEN = _Seen()


def _looked() -> _Processes:
    """The living processes, as of a moment ago."""
    with _SEEN.lock:
        if time.monotonic() - _SEEN.at > _OLD_S:
            _SEEN.processes = _look()
            _SEEN.at = time.monotonic()
        return _SEEN.processes


def _look() -> _Processes:
    found = _Processes()
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] != b"Z":
            found.groups.setdefault(int(fields[2]), []).append(int(name))
            found.children.setdefault(int(fields[1]), []).append(int(name))
    return found
