"""A skill called by itself, outside of any run: in a workspace that goes when it is done, and with no record."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.documents.types import Workflow
from orchestrator.runs.call import Call
from orchestrator.runs.calls import Server
from orchestrator.runs.engine import Engine
from orchestrator.runs.opening import open_parts
from orchestrator.runs.parts import ModelNames
from orchestrator.runs.plan import Plan
from orchestrator.values import Limits
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from orchestrator.catalog.trust import Trusted
    from orchestrator.documents.types import Skill
    from orchestrator.environments.environment import Environment
    from orchestrator.runs.models import Reach
    from orchestrator.values import Permissions


@dataclass(frozen=True, slots=True)
class Alone:
    """What a skill is called with: `permissions` stand for a workflow's, `known` are skills that it may use.

    Whoever calls a skill by name wants it called, trusted or not; those that it calls have to be on the `lock`.
    """

    skill: Skill
    permissions: Permissions
    reach: Reach
    known: Sequence[Skill] = ()
    models: ModelNames = field(default_factory=ModelNames)
    lock: Mapping[str, Trusted] | None = None
    cwd: Path | None = None


Caller = Callable[[str, "Mapping[str, Any]"], Awaitable[Any]]
"""Calls a function with arguments by name. Raises CallError and Denied."""


@asynccontextmanager
async def opened(alone: Alone, environment: Environment) -> AsyncIterator[Caller]:
    """What calls the skill, with its workers; they have ended when this is left."""
    with tempfile.TemporaryDirectory(prefix="orchestrate-alone-") as folder:
        plan = _plan(alone, Workspace(Path(folder).resolve()))
        async with open_parts(plan, environment, cwd=alone.cwd) as parts:
            root = Call("0", "root", plan.workflow.name)
            server = Server(parts, root, parts.allowed, parts.rights, Engine(parts, {}).solve)

            async def call(function: str, arguments: Mapping[str, Any]) -> Any:
                kwargs = dict(arguments)
                asked = {"skill": alone.skill.name, "function": function, "args": [], "kwargs": kwargs}
                return await server("skill", asked)

            yield call


def _plan(alone: Alone, workspace: Workspace) -> Plan:
    skill = alone.skill
    workflow = Workflow(
        name=f"alone-{skill.name}", description="", path=skill.folder / "manifest.yaml", body="", cells=(),
        inputs={"type": "object"}, version=skill.version, permissions=alone.permissions,
    )  # fmt: skip
    known = tuple(alone.known) or (skill,)
    plan = Plan("alone", workflow, workspace, {}, known, (skill,), Limits(), "", (), alone.reach)
    return replace(plan, models=alone.models, lock=alone.lock or {}, trusts=(skill,))
