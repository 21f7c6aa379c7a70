"""A process of its own that works on a usage store: `usage_child.py ROLE WORKSPACE NAME`, mostly killed by its test."""

import itertools
import json
import os
import signal
import sys
from pathlib import Path

from orchestrator.memory.usage import UsageStore


def acknowledge(text: str) -> None:
    os.write(1, text.encode() + b"\n")


def write(workspace: Path, name: str) -> None:
    """Record and tell the id of each record that was accepted."""
    store = UsageStore(workspace)
    for n in range(400):
        store.record(run=name, call=str(n), skill=f"skill-{n % 7}", outcome="ok")
        acknowledge(f"{name} {n}")
    signal.pause()  # its end is always the kill


def fold(workspace: Path, name: str) -> None:
    """Publish for ever, from the start every few times."""
    store = UsageStore(workspace)
    for n in itertools.count():
        if n % 3 == 2:
            store.rebuild()
        else:
            store.tallies()
        acknowledge(f"{name} {n}")


def read(workspace: Path, name: str) -> None:
    """Read the published file for ever as another program would; a broken one ends this process."""
    newest = -1
    for n in itertools.count():
        document = json.loads((workspace / "skill-usage.json").read_bytes() or b"{}")
        meta = document["meta"]["1"] if document else {"n_records": 0}
        counted = sum(skill["calls"] for skill in document.get("skills", {}).values())
        assert counted == meta["n_records"], (counted, meta)
        assert counted >= newest, "a record was counted and then forgotten"
        newest = counted
        if n == 0:
            acknowledge(name)


def tear(workspace: Path, name: str) -> None:
    """Die of kill -9 in the middle of a line."""
    UsageStore(workspace).record(run=name, skill="whole")
    fd = os.open(workspace / "memory" / "usage.jsonl", os.O_WRONLY | os.O_APPEND)
    os.write(fd, b'{"at":"2026-01-31T12:00:00Z","ru')
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    {"write": write, "fold": fold, "read": read, "tear": tear}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
