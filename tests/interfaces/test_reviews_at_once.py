"""Reviews that meet, or are killed: the record is a pipe here, so that one can be held in the midst of its work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from orchestrator.memory import files

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(workspace: Path, clean_env: dict[str, str]) -> Iterator[Start]:
    """Starts a review of the workspace; each has ended when the test has."""
    started = []

    def begin(*words: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "review", "--json", *words],
            cwd=workspace, env=clean_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(child)
        return child

    yield begin
    for child in started:
        child.kill()
        child.communicate()


@contextmanager
def held(workspace: Path) -> Iterator[BinaryIO]:
    """The record's writing end. When this is entered, a review reads the record, and holds the lock."""
    with (workspace / "memory" / "usage.jsonl").open("wb") as record:
        yield record


@pytest.fixture
def pipe(workspace: Path) -> Path:
    (workspace / "memory").mkdir()
    path = workspace / "memory" / "usage.jsonl"
    os.mkfifo(path)
    return path


def lines() -> bytes:
    """The workspace's skill did well, then did not."""
    calls = [
        {"at": (datetime.now(UTC) - timedelta(days=days)).isoformat(), "run": f"{days}-{n}", "call": "0.1",
         "parent": "0", "depth": 1, "skill": "adder", "outcome": outcome}
        for days, outcome in ((10, "ok"), (3, "error"))
        for n in range(30)
    ]  # fmt: skip
    return b"".join(json.dumps(call).encode() + b"\n" for call in calls)


def kept(workspace: Path) -> list[str]:
    return sorted(path.suffix for path in (workspace / "memory" / "reviews").iterdir())


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who waits for a lock")
def test_a_second_review_waits_and_says_what_the_first_found(
    workspace: Path, pipe: Path, start: Start
) -> None:
    first = start()
    with held(workspace) as record:
        second = start()
        until(lambda: is_waiting(second.pid))
        record.write(lines())
    found, again = first.communicate(timeout=60)[0], second.communicate(timeout=60)[0]
    assert json.loads(found)["proposals"][0]["action"] == "deny"
    assert again == found
    assert kept(workspace) == [".json", ".md"]


def test_a_killed_review_leaves_nothing_that_stops_or_misleads_the_next(
    workspace: Path, pipe: Path, start: Start
) -> None:
    killed = start()
    with held(workspace):
        killed.kill()
        killed.communicate(timeout=60)
    pipe.unlink()
    pipe.write_bytes(lines())
    (workspace / "memory" / "reviews").mkdir()
    (workspace / "memory" / "reviews" / "2026-01-05.md").write_text(
        "# What one left that was killed between its files\n"
    )
    (workspace / "memory" / "reviews" / "2026-01-05.json").write_text('{"window": {"from": ')
    done = start()
    out, said = done.communicate(timeout=60)
    assert (done.returncode, json.loads(out)["proposals"][0]["action"]) == (0, "deny")
    assert said.startswith("the whole review: ")
    with files.locked(workspace / "memory" / "reviews.lock"):
        assert kept(workspace) == [".json", ".json", ".md", ".md"]


def is_waiting(pid: int) -> bool:
    """Whether a process waits for a lock (proc_locks(5): such lines have an arrow)."""
    return any("->" in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines())


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that is bound to come."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
