"""What stands beside our trees on Ray nodes: the same trees in Ray itself, and the memory that each way takes.

Memory is the most that all processes on the nodes had together, beyond what they had before. It is of proportional set sizes,
so that what processes share counts once. Looking takes processor time: trees that are timed are other ones.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.ray_nodes import Nodes

LOOK_S = 0.1
MOST_S = 600.0
"""All trees of one form; a single one that takes over 120 s ends itself."""


class Held(NamedTuple):
    """What the processes on all nodes have."""

    n_bytes: int = 0
    n_processes: int = 0

    def __str__(self) -> str:
        return f"{self.n_bytes / 1e6:,.0f} MB in {self.n_processes} processes"


class Watch:
    """Looks at the nodes while it is open. True then: `most` has the most of each that was seen, beyond `idle`."""

    def __init__(self, nodes: Nodes) -> None:
        self.idle = held(nodes)
        self.most = Held()
        self._nodes = nodes
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ends.wait(LOOK_S):
            now = held(self._nodes)
            self.most = Held(
                max(self.most.n_bytes, now.n_bytes - self.idle.n_bytes),
                max(self.most.n_processes, now.n_processes - self.idle.n_processes),
            )


def held(nodes: Nodes) -> Held:
    """What they have now."""
    sizes = [_n_bytes(pid) for node in nodes.processes for pid in nodes.pids(node)]
    return Held(sum(sizes), len(sizes))


def plain(nodes: Nodes, form: str, n_rounds: int) -> list[float]:
    """How long each tree of `plain_ray.py` took, in seconds; fewer than were asked for where one took too long."""
    argv = [sys.executable, str(Path(__file__).with_name("plain_ray.py")), form, nodes.address, str(n_rounds)]
    running = subprocess.Popen(
        nodes.inside(argv), env=nodes.variables, text=True, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        out, _ = running.communicate(timeout=MOST_S)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        out, _ = running.communicate()
    else:
        if running.returncode:
            sys.exit(f"the plain form `{form}` ended with code {running.returncode}")
    return [float(line.split()[1]) for line in out.splitlines() if line.startswith("took ")]


def _n_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:  # it has ended
        return 0
    return sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Pss:"))
