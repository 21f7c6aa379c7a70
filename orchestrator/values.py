"""Frozen values that the floors exchange. They hold no behaviour beyond describing themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Outcome = Literal["ok", "error", "invalid", "timeout", "denied", "budget", "unverified"]
"""How a call ended: `invalid` broke a schema, `unverified` ended well with nothing to prove it."""

CallOutcome = Outcome | Literal["not_run"]
"""How a call ended, where one that was never begun (`not_run`) is told apart. Such a call proves nothing of anybody."""

Status = Literal["answered", "failed", "suspended", "budget", "denied", "error", "interrupted"]
"""How a run ended."""

Effects = Literal["none", "read", "write"]
"""What a function does to the world; `write` is never repeated silently."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file: where, what and why, and how to fix it."""

    path: str
    line: int  # 1-based; 0 where no line can be named
    message: str
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        note = "" if self.severity == "error" else "warning: "
        return f"{where}: {note}{self.message}" + (f"\nhint: {self.hint}" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Cell:
    """One code block of a document or a reply; `line` is where its first code line stands (1-based)."""

    number: int
    source: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a document asks to be allowed, as written: path patterns, host names, variable names."""

    network: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """A run's budget. `None` is no limit; `depth` counts the root as 0, `errors` consecutive failed cells."""

    depth: int | None = 3
    iterations: int | None = 30
    calls: int | None = 500
    tokens: int | None = 2_000_000
    usd: float | None = 5.0
    seconds: float | None = 1800.0
    errors: int | None = 10
    concurrency: int = 16


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run or a call spent: model requests of the whole tree, tokens, dollars, seconds."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one acceptance test of a workflow said; `message` is empty when it passed."""

    name: str
    passed: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One strategy's try at a run."""

    strategy: str
    outcome: Outcome
    checks: tuple[CheckResult, ...] = ()
    usage: Usage = field(default_factory=Usage)
    message: str = ""  # why it did not succeed; empty when it did


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to. The contract of `--json` and of `orchestrator.run()`."""

    status: Status
    answer: Any
    run: str
    strategy: str | None = None
    checks: tuple[CheckResult, ...] = ()
    usage: Usage = field(default_factory=Usage)
    attempts: tuple[Attempt, ...] = ()
    needs: tuple[Mapping[str, Any], ...] = ()
    message: str = ""  # why there is no good answer; empty when there is one
    exit_code: int = 0
    learned: tuple[str, ...] = ()  # what this run taught, a sentence each; only the run itself says it


@dataclass(frozen=True, slots=True)
class Grants:
    """What a worker may touch, resolved: absolute paths, values of the variables it gets.

    `processes` allows starting programs. `hosts` are names and patterns (`*`, `*.example.com`): any of them allows
    sockets to every host, since no kernel tells them apart, but a skill has none that its workflow does not name.
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    processes: bool = False
    hosts: tuple[str, ...] = ()

    @property
    def network(self) -> bool:
        """Whether sockets are allowed."""
        return bool(self.hosts)


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """Resource limits of one worker; memory is counted beyond its context."""

    memory_bytes: int = 2 << 30
    written_bytes: int = 1 << 30
    n_processes: int = 256


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """All that an environment needs to start a worker. `scratch` exists and belongs to this worker alone.

    `blobs` is the folder that TextFiles for this worker lie in: it can open those whose name it was told, not list them.
    """

    scratch: Path
    cwd: Path
    grants: Grants = field(default_factory=Grants)
    limits: WorkerLimits = field(default_factory=WorkerLimits)
    blobs: Path | None = None
    travels: bool = False  # it may be placed on another machine, where an executor has some
    drops_writes: bool = False  # and goes there without what it may write here
