"""Starts one process, kills it or one of its workers at an instant, and waits until nothing of it is left.

`python -P -m crash.keeper` reads an `Order` as JSON from its standard input and prints a `Life` as JSON. It is a process
of its own so that what loses its parent becomes its child: nothing can hide from it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from crash.kills import Kill
from crash.processes import descendants, kill, kill_below, workers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOOK_S = 0.002
"""How long a keeper waits before it looks again; five times as long where it is to kill nobody."""
LONGEST_S = 60.0
"""How long a life may take before it counts as hung."""
GONE_S = 5.0
"""How long it may take until nothing is left of it."""

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Order:
    """What to start, and when to kill it: `journals` is the folder whose growth says that the run lives."""

    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    journals: str
    kill: Kill | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """How a process lived. `ran_s` is from its first event to its end, `gone_s` from there until nothing was left."""

    code: int
    stdout: str
    stderr: str
    is_killed: bool  # by order, at an instant: it or one of its workers
    is_hung: bool
    ran_s: float
    gone_s: float
    left: list[str]  # command lines of what had not gone by then


def lived(order: Order) -> Life:
    """The life of a process, watched by a keeper of its own."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "crash.keeper"],
        input=json.dumps(asdict(order)), env=order.env, stdout=subprocess.PIPE, text=True, check=True,
        timeout=2 * LONGEST_S,
    )  # fmt: skip
    return Life(**json.loads(done.stdout))


def main() -> None:
    """Do what the order on standard input says."""
    given = json.load(sys.stdin)
    given["kill"] = Kill(**given["kill"]) if given["kill"] else None
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        print(json.dumps(asdict(keep(Order(**given), out, err))))


def keep(order: Order, out: IO[bytes], err: IO[bytes]) -> Life:
    """Start the process, and stay until nothing of it is left."""
    before = n_written(order.journals)
    process = subprocess.Popen(
        order.argv, cwd=order.cwd, env=order.env, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        start_new_session=True,
    )  # fmt: skip
    started = time.monotonic()
    began_s = 0.0
    is_killed = is_hung = False
    while process.poll() is None:
        now = time.monotonic()
        if not began_s and n_written(order.journals) > before:
            began_s = now
        if is_due(order.kill, began_s, now) and not is_killed:
            is_killed = strike(process.pid, order.kill)
        if now - started > LONGEST_S and not is_hung:
            is_hung = True
            kill_below(os.getpid())
        time.sleep(LOOK_S if order.kill else 5 * LOOK_S)
    ended = time.monotonic()
    left = leave_nothing()
    return Life(
        process.returncode, read(out), read(err), is_killed, is_hung, ended - (began_s or ended),
        time.monotonic() - ended, left,
    )  # fmt: skip


def n_written(journals: str) -> int:
    """Bytes in all journals of a workspace."""
    total = 0
    for path in Path(journals).glob("*/journal.jsonl"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def is_due(order: Kill | None, began_s: float, now: float) -> bool:
    """Whether the instant has come."""
    return order is not None and order.seq is None and began_s > 0 and now - began_s >= order.after_s


def strike(pid: int, order: Kill | None) -> bool:
    """Kill -9 whom it is about; False where there was nobody, as no worker."""
    assert order is not None
    if order.who == "worker":
        found = workers(pid)
        return bool(found) and kill(found[int(order.pick * len(found))])
    if order.who == "all":
        os.kill(pid, signal.SIGSTOP)  # lest it sees its workers die, and tells the journal
        kill_below(pid)
    os.kill(pid, signal.SIGKILL)
    return True


def leave_nothing() -> list[str]:
    """Wait until no process is left below this one; the command lines of those that had to be killed."""
    until = time.monotonic() + GONE_S
    left: list[str] = []
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(LOOK_S)
        except ChildProcessError:
            return left
        if time.monotonic() > until and not left:
            left = [seen.command or str(seen.pid) for seen in descendants(os.getpid())]
            kill_below(os.getpid())


def read(file: IO[bytes]) -> str:
    """All of a file."""
    file.seek(0)
    return file.read().decode("utf-8", "replace")


if __name__ == "__main__":
    main()
