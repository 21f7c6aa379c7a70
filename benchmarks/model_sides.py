"""Both sides of the model benchmarks: our runs, the programs we compare with, and the server that both ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import Timing, summarised, users_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
N_CALLS = 5_000  # more than any run here makes
ENDS_S = 300.0


class Server:
    """The server of `model_policy.py`, and what it saw."""

    def __init__(self, url: str) -> None:
        self.url = url

    def use(self) -> None:
        """Let our runs ask it."""
        os.environ |= {"OPENAI_BASE_URL": f"{self.url}/v1", "OPENAI_API_KEY": "test-key"}

    def stats(self) -> dict[str, Any]:
        """What it counted since `reset`."""
        with urllib.request.urlopen(f"{self.url}/stats", timeout=ENDS_S) as response:
            stats: dict[str, Any] = json.load(response)
        return stats

    def reset(self) -> None:
        """Count from the beginning."""
        request = urllib.request.Request(f"{self.url}/reset", method="POST", data=b"")
        urllib.request.urlopen(request, timeout=ENDS_S).close()

    def first_requests(self, command: list[str], cwd: Path, n: int) -> Timing:
        """Seconds from the start of a process to the arrival of its first request, by the machine's one clock."""
        return summarised([self._first_request(command, cwd) for _ in range(n + 1)][1:])

    def _first_request(self, command: list[str], cwd: Path) -> float:
        self.reset()
        began = time.monotonic()
        subprocess.run(
            command, cwd=cwd, env=users_environment(), capture_output=True, timeout=ENDS_S, check=True
        )
        arrivals: list[float] = self.stats()["arrivals"]
        return arrivals[0] - began


@contextmanager
def served(*options: str) -> Iterator[Server]:
    """A server in a process of its own, which our runs ask."""
    command = [sys.executable, str(HERE / "model_policy.py"), "--serve", *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        server = Server(process.stdout.readline().strip())
        server.use()
        yield server
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def ran(workspace: Path, model: str, **budget: Any) -> Any:
    """The result of our run of `w.md` by a model; it has answered."""
    import orchestrator

    limits = {"calls": N_CALLS, **budget}
    result = orchestrator.run(workspace / "w.md", model=f"openai/{model}", workspace=workspace, budget=limits)
    assert result.status == "answered", result
    return result


class Peers:
    """The other side, in the environment of `peers/set_up.sh`. Without one, everything is None."""

    def __init__(self, folder: str | None, server: Server) -> None:
        self._python = None if folder is None else Path(folder) / "bin" / "python"
        self._server = server

    @property
    def is_there(self) -> bool:
        """Whether there is anything to compare with."""
        return self._python is not None

    def first(self, script: str, *words: str, n: int) -> Timing | None:
        """Seconds from the start of a process to its first request."""
        if self._python is None:
            return None
        return self._server.first_requests(self._command(script, *words), HERE, n)

    def times(self, script: str, *words: str) -> Timing | None:
        """Durations that the script measured."""
        value = self.value(script, *words)
        return summarised(value) if isinstance(value, list) else None

    def value(self, script: str, *words: str) -> Any:
        """What the script printed last; None when it failed, with its reason on stderr."""
        if self._python is None:
            return None
        done = subprocess.run(
            self._command(script, *words),
            capture_output=True,
            text=True,
            timeout=ENDS_S,
            env=users_environment(),
            check=False,
        )
        value = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"error": done.stderr}
        if isinstance(value, dict) and "error" in value:
            sys.stderr.write(f"{script} {words}: {value['error'][-2000:]}\n")
            return None
        return value

    def _command(self, script: str, *words: str) -> list[str]:
        return [str(self._python), str(HERE / "peers" / script), self._server.url, *words]
