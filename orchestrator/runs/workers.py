"""Workers that run skills: each belongs to one skill, stays warm, and is used by one call at a time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from orchestrator.values import Grants, WorkerSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from orchestrator.documents.types import Skill
    from orchestrator.environments.environment import Environment
    from orchestrator.environments.session import Session


@dataclass(frozen=True, slots=True)
class Kind:
    """Workers of the same kind may stand in for each other."""

    skill: str
    version: str
    grants: Grants = field(hash=False)


class SkillWorkers:
    """The warm workers of a run, in whose folder are their scratch and blobs. The run makes one and closes it.

    Between calls: a worker in `_idle` is alive and initialised; one that is in use is in nobody's list but its user's.
    """

    def __init__(self, environment: Environment, folder: Path, cwd: Path) -> None:
        self._environment = environment
        self._scratch = folder / "scratch"
        self._blobs = folder / "blobs"
        self._cwd = cwd
        self._idle: dict[Kind, list[Session]] = {}
        self._numbers = count(1)

    @asynccontextmanager
    async def use(self, skill: Skill, grants: Grants, table: list[dict[str, Any]]) -> AsyncIterator[Session]:
        """A worker of this skill for the time of one call; `table` lists the skills that it may call."""
        kind = Kind(skill.name, skill.version, grants)
        idle = self._idle.setdefault(kind, [])
        session = idle.pop() if idle else await self.start(grants, f"skill-{skill.attribute}", skills=table)
        try:
            yield session
        except BaseException:
            await session.close()
            raise
        if session.alive:
            idle.append(session)

    async def start(self, grants: Grants, label: str, **init: Any) -> Session:
        """A new worker with a scratch folder of its own, initialised. The caller closes it."""
        scratch = self._scratch / f"{next(self._numbers):04d}-{label[:40]}"
        scratch.mkdir(parents=True)
        spec = WorkerSpec(scratch=scratch, cwd=self._cwd, grants=grants, blobs=self._blobs)
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
