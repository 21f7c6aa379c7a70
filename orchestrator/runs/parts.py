"""What all calls of one run share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.documents.types import Skill, Workflow
    from orchestrator.memory.notes import Notes
    from orchestrator.memory.tallies import Tallies
    from orchestrator.memory.usage import UsageStore
    from orchestrator.runs.budget import Ledger
    from orchestrator.runs.desk import Desk
    from orchestrator.runs.fan_out import FanOut
    from orchestrator.runs.journal import Journal
    from orchestrator.runs.learning import Learning
    from orchestrator.runs.models import Models
    from orchestrator.runs.trusting import Trust
    from orchestrator.runs.workers import SkillWorkers
    from orchestrator.values import Grants
    from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ModelNames:
    """The models of a document, None where none is configured: `root` writes cells, `sub` answers `llm_query`."""

    root: str | None = None
    sub: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rights:
    """What the cells of one document, and the skills that they call, may do. One for each run of a document.

    `approvals` are the document's and those of all that it is called by: what waits for a person waits at any depth.
    """

    approvals: frozenset[str]
    granted: Grants
    notes: Notes
    models: ModelNames


@dataclass(frozen=True, slots=True)
class Errand:
    """A document to be run as the call that a server serves.

    `granted` None is what the document itself asks for, as far as its caller may grant it. `context` None is what its
    own `context:` loads, or the inputs. `instructions` are a skill's.
    """

    workflow: Workflow
    inputs: dict[str, Any]
    granted: Grants | None = None
    context: Any = None
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """One run's parts, made by the composition root and handed to every call of the tree.

    `known` are all skills of the catalog by name: a skill's `uses` are looked up there. `allowed` are those that
    the workflow may call, `rights` what its cells may do. `accepts_prices`: somebody said beforehand that many calls
    at once may cost what they cost. Who made a part closes it.
    """

    workspace: Workspace
    folder: Path  # of the run: journal and blobs
    cwd: Path  # of its workers: the workspace, but for a skill that is tested in its own folder
    workflow: Workflow
    known: Mapping[str, Skill]
    allowed: Mapping[str, Skill]
    rights: Rights
    ledger: Ledger
    journal: Journal
    usage: UsageStore
    tallies: Callable[
        [], Tallies | None
    ]  # of the record as it was when the run first asked; None where there is none
    workers: SkillWorkers
    models: Models
    fan_out: FanOut
    desk: Desk
    learning: Learning
    trust: Trust
    accepts_prices: bool = False
