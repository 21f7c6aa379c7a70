"""The `process` environment: each worker is a child process, started by a command line.

Covered: a crash, an endless loop or a flood of output costs the worker only; resource limits; no variables of ours
(so no keys); it is killed with its process group, and by the kernel when we die (Linux).
Not covered: it may read and write every file that the user may, use the network, start processes that leave its
group, and signal others. As root, it may read this process's memory and environment. Ask for `confined` instead.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.environments import worker
from orchestrator.environments.command import ISOLATED, STARTER, spawn
from orchestrator.environments.session import Session, open_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.values import WorkerSpec


class Process:
    """Workers as plain child processes, weaker than `confined`; see this module's text for what is not covered.

    `python` is the interpreter to start, with its options; another one has to be CPython 3.9 or newer.
    """

    name = "process"
    covers = "limits memory and time, passes on no keys; keeps workers from no file and no network"

    def __init__(self, python: Sequence[str] = (sys.executable, *ISOLATED)) -> None:
        self._argv = (*python, "-c", STARTER, str(Path(worker.__file__)))

    async def start(self, spec: WorkerSpec) -> Session:
        """A new worker."""
        ours, child = spawn(self._argv, spec, cwd=spec.cwd)
        return await open_session(ours, child, spec)

    async def close(self) -> None:
        """Nothing is held."""
