"""Workers that run skills: each belongs to one skill, stays warm, and is used by one call at a time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from orchestrator.runs.permissions import skill_grants
from orchestrator.runs.table import skill_table
from orchestrator.values import WorkerSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from orchestrator.documents.types import Skill
    from orchestrator.environments.environment import Environment
    from orchestrator.environments.session import Session
    from orchestrator.values import Grants
    from orchestrator.workspace import Workspace


class SkillWorkers:
    """The workers of one run, in whose `folder` their scratch is. The run makes one and closes it.

    Between calls: a worker in `_idle` is alive and initialised; one that is in use is in nobody's list but its
    user's. Workers of the same skill that may start the same program stand in for each other: what else they may
    touch follows from the skill and the run.
    """

    def __init__(
        self, environment: Environment, folder: Path, cwd: Path, workspace: Workspace, granted: Grants
    ) -> None:
        self._environment = environment
        self._folder = folder
        self._cwd = cwd
        self._workspace = workspace
        self._granted = granted
        self._idle: dict[tuple[str, Path | None], list[Session]] = {}
        self._numbers = count(1)

    @asynccontextmanager
    async def use(
        self, skill: Skill, uses: Iterable[Skill] = (), *, program: Path | None = None
    ) -> AsyncIterator[Session]:
        """A worker of this skill for the time of one call; its code may call `uses` and start `program`."""
        idle = self._idle.setdefault((skill.name, program), [])
        session = idle.pop() if idle else await self._new(skill, uses, program)
        try:
            yield session
        except BaseException:
            await session.close()
            raise
        if session.alive:
            idle.append(session)

    async def start(self, grants: Grants, label: str, **init: Any) -> Session:
        """A new worker with a scratch folder of its own, initialised. The caller closes it."""
        scratch = self._folder / "scratch" / f"{next(self._numbers):04d}-{label[:40]}"
        scratch.mkdir(parents=True)
        spec = WorkerSpec(scratch=scratch, cwd=self._cwd, grants=grants, blobs=self._workspace.texts)
        session = await self._environment.start(spec)
        try:
            await session.init(**init)
        except BaseException:
            await session.close()
            raise
        return session

    async def close(self) -> None:
        """End all idle workers."""
        while self._idle:
            _, sessions = self._idle.popitem()
            for session in sessions:
                await session.close()

    async def _new(self, skill: Skill, uses: Iterable[Skill], program: Path | None) -> Session:
        grants = skill_grants(skill, self._granted, self._workspace, program=program)
        return await self.start(grants, f"skill-{skill.attribute}", skills=skill_table(uses))
