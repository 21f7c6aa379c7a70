"""Fills the disk under a usage store: `full_disk_child.py WORKSPACE MODE`, started where that harms nobody.

`limit`: this process may write files of at most 40,000 bytes. `tmpfs`: WORKSPACE is a small file system.
`read-only`: the same, and it is then mounted read-only. Ends with 0 when all that has to hold does.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import WorkspaceError
from orchestrator.memory.notes import Notes
from orchestrator.memory.usage import UsageStore


def until_full(store: UsageStore) -> tuple[int, WorkspaceError]:
    for n in range(10_000):
        try:
            store.record(skill="a", call=str(n), situation={"pad": "x" * (1 + n % 997)})
        except WorkspaceError as error:
            return n, error
    raise AssertionError("the disk took 10,000 records")


def whole_lines(store: UsageStore) -> int:
    data = store.workspace.usage_log.read_bytes()
    assert data.endswith(b"\n"), "a torn line stayed"
    return len([json.loads(line) for line in data.splitlines()])


def full(store: UsageStore, mode: str) -> None:
    ballast = store.workspace.root / "ballast"
    ballast.write_bytes(b"x" * 8_000)
    store.record(skill="a")
    store.tallies()
    published = store.workspace.usage_summary.read_bytes()

    n, error = until_full(store)

    assert "disk is full" in str(error), str(error)
    assert error.hint
    assert whole_lines(store) == n + 1
    assert store.tallies().skills["a"].calls == n + 1
    if mode == "tmpfs":
        assert store.workspace.usage_summary.read_bytes() == published, "there was no room to publish"
        assert list(store.workspace.root.glob(".*.part")) == []
        refused_note(store, "disk is full")
        ballast.unlink()
        store.record(skill="a")
        assert store.tallies().skills["a"].calls == whole_lines(store) == n + 2
        assert store.workspace.usage_summary.read_bytes() != published


def read_only(store: UsageStore) -> None:
    store.record(skill="a")
    store.tallies()
    store.record(skill="a")
    subprocess.run(["mount", "-o", "remount,ro", store.workspace.root], check=True)
    for action in (lambda: store.record(skill="b"), store.rebuild):
        with pytest.raises(WorkspaceError, match="Read-only") as caught:
            action()
        assert "--workspace" in caught.value.hint
    assert store.tallies().skills["a"].calls == 2
    refused_note(store, "Read-only")


def refused_note(store: UsageStore, reason: str) -> None:
    for append in (False, True):
        with pytest.raises(WorkspaceError, match=reason):
            Notes(store.workspace.memory, ["*"]).write("new.md", "x" * 60_000, append=append)
    assert not (store.workspace.memory / "new.md").exists()


if __name__ == "__main__":
    root, mode = Path(sys.argv[1]), sys.argv[2]
    if mode == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
    if mode == "read-only":
        read_only(UsageStore(root))
    else:
        full(UsageStore(root), mode)
