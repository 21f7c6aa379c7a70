"""What all calls of one run share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from orchestrator.documents.types import Skill, Workflow
    from orchestrator.environments.environment import Environment
    from orchestrator.memory.notes import Notes
    from orchestrator.memory.usage import UsageStore
    from orchestrator.runs.budget import Ledger
    from orchestrator.runs.call import Call
    from orchestrator.runs.journal import Journal
    from orchestrator.runs.workers import SkillWorkers
    from orchestrator.values import Grants
    from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Approval:
    """A question that only a person may answer."""

    prompt: str
    function: str | None = None
    arguments: Any = None


class Solve(Protocol):
    """Runs a document as a call of the tree and gives its answer."""

    async def __call__(
        self, call: Call, workflow: Workflow, inputs: dict[str, Any], scope: Mapping[str, Skill]
    ) -> Any:
        """The answer; `scope` are the skills that it may call."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """One run's parts, made by the composition root and handed to every call of the tree.

    `known` are all skills of the catalog by name: a skill's `uses` are looked up there. `allowed` are those that
    the workflow may call. Who made a part closes it.
    """

    workspace: Workspace
    folder: Path  # of the run: journal, blobs and scratch
    cwd: Path  # of its workers: the workspace, but for a skill that is tested in its own folder
    workflow: Workflow
    known: Mapping[str, Skill]
    allowed: Mapping[str, Skill]
    granted: Grants
    ledger: Ledger
    journal: Journal
    usage: UsageStore
    notes: Notes
    environment: Environment
    workers: SkillWorkers
    ask: Callable[[Approval], Awaitable[bool]] | None = None
