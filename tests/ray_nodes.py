"""Ray nodes in network namespaces of this machine: a cluster of several machines as far as Ray can tell.

Needs Linux, root and `ip`. Every name, address, folder and process is this cluster's own, and is taken away with it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START_S = 60
PORT = 6379
STORE_BYTES = 200 << 20


def why_not() -> str:
    """Why no such cluster can be started here; empty when it can."""
    if find_spec("ray") is None:
        return "ray is not installed"
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("ip") is None:
        return "network namespaces need Linux, root and `ip`"
    name = f"orch{secrets.token_hex(3)}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"no network namespace can be made here: {tried.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=False)
    return ""


@dataclass
class Nodes:
    """A cluster that runs. `inside` makes a command run on its first node, `variables` are what it needs."""

    address: str
    variables: dict[str, str]
    namespaces: list[str]
    folder: Path
    n_processors: int
    pinned: bool
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def inside(self, argv: Sequence[str], node: int = 0) -> list[str]:
        """The command as it is run on a node."""
        return ["ip", "netns", "exec", self.namespaces[node], *argv]

    def start(self, node: int) -> None:
        """Have a node join; the first one is the head."""
        host = self.address.rpartition(".")[0]
        head = ["--head", f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={self.folder}"]
        argv = [
            *(["taskset", "-c", str(node % (os.cpu_count() or 1))] if self.pinned else []),
            sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats",
            f"--node-ip-address={host}.{10 + node}", f"--num-cpus={self.n_processors}",
            f"--object-store-memory={STORE_BYTES}", *([f"--address={self.address}"] if node else head),
        ]  # fmt: skip
        log = self.folder / f"node{node}.log"
        with log.open("wb") as file:
            process = self.processes[node] = subprocess.Popen(
                self.inside(argv, node), env=self.variables, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True,
            )  # fmt: skip
        _wait_for(b"Ray runtime started", log, process)

    def kill(self, node: int) -> None:
        """End all of a node at once, without a word to anybody."""
        for pid in self.pids(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.processes.pop(node).wait()

    def cut(self, node: int) -> None:
        """Cut all cables of a node: what is sent is lost, and nobody is told."""
        self._cables(node, "down")

    def mend(self, node: int) -> None:
        """Undo `cut`."""
        self._cables(node, "up")
        ends = [(node, other) for other in range(len(self.namespaces)) if other != node]
        host = self.address.rpartition(".")[0]
        for here, there in (*ends, *((there, here) for here, there in ends)):  # routes went with the cable
            words = ["route", "replace", f"{host}.{10 + there}/32", "dev", f"to{there}"]
            subprocess.run(["ip", "-n", self.namespaces[here], *words], check=True)

    def _cables(self, node: int, state: str) -> None:
        for other in range(len(self.namespaces)):
            if other != node:
                words = ["link", "set", f"to{node}", state]
                subprocess.run(["ip", "-n", self.namespaces[other], *words], check=True)

    def pids(self, node: int) -> list[int]:
        """All processes on a node."""
        told = subprocess.run(
            ["ip", "netns", "pids", self.namespaces[node]], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in told.stdout.split()]


@contextlib.contextmanager
def ray_nodes(n_nodes: int, *, n_processors: int = 2, pinned: bool = False) -> Iterator[Nodes]:
    """A cluster of so many nodes; `pinned` gives each one processor of this machine, in turn."""
    name = secrets.token_hex(3)
    subnet = f"10.{60 + secrets.randbelow(180)}.{secrets.randbelow(250)}"
    with contextlib.ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="or", dir="/tmp", ignore_cleanup_errors=True)
            )
        )
        spaces = _network(stack, name, subnet, n_nodes)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        variables = {
            **clean, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(folder), "HOME": str(folder), "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        nodes = Nodes(f"{subnet}.10:{PORT}", variables, spaces, folder, n_processors, pinned=pinned)
        stack.callback(_end, nodes)
        for number in range(n_nodes):
            nodes.start(number)
        yield nodes


def _network(stack: contextlib.ExitStack, name: str, subnet: str, n_nodes: int) -> list[str]:
    """Namespaces with a cable between each two: a bridge would need more of the kernel."""

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def space(suffix: str) -> str:
        made = f"orch{name}{suffix}"
        ip("netns", "add", made)
        stack.callback(subprocess.run, ["ip", "netns", "del", made], check=False, capture_output=True)
        ip("-n", made, "link", "set", "lo", "up")
        return made

    spaces = [space(str(number)) for number in range(n_nodes)]
    for number, alone in enumerate(spaces):  # also of a node without others
        ip("-n", alone, "addr", "add", f"{subnet}.{10 + number}/32", "dev", "lo")
    for one in range(n_nodes):
        for other in range(one + 1, n_nodes):
            far = ("peer", "name", f"to{one}", "netns", spaces[other])
            ip("-n", spaces[one], "link", "add", f"to{other}", "type", "veth", *far)
            for here, there in ((one, other), (other, one)):
                ip("-n", spaces[here], "addr", "add", f"{subnet}.{10 + here}/32", "dev", f"to{there}")
                ip("-n", spaces[here], "link", "set", f"to{there}", "up")
        for other in range(one):
            ip("-n", spaces[one], "route", "add", f"{subnet}.{10 + other}/32", "dev", f"to{other}")
            ip("-n", spaces[other], "route", "add", f"{subnet}.{10 + one}/32", "dev", f"to{one}")
    return spaces


def _wait_for(line: bytes, log: Path, process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + START_S
    while line not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > ends_at:
            raise RuntimeError(f"a Ray node did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")
        time.sleep(0.1)


def _end(nodes: Nodes) -> None:
    for number in list(nodes.processes):
        nodes.kill(number)
