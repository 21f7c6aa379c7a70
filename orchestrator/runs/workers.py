"""Workers that run skills: each belongs to one skill, stays warm, and is used by one call at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakSet

from orchestrator.errors import EnvironmentUnavailable, WorkerLost
from orchestrator.runs.permissions import skill_grants, unmet
from orchestrator.runs.table import skill_table
from orchestrator.values import WorkerSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from orchestrator.documents.types import Skill
    from orchestrator.environments.environment import Environment
    from orchestrator.environments.session import Session
    from orchestrator.runs.parts import Rights
    from orchestrator.values import Grants
    from orchestrator.workspace import Workspace

    Key = tuple[str, Rights, Path | None]

Role = Literal["here", "skill", "child"]
"""What a worker is for: a workflow's own cells and checks stay with the run's owner, the others may be elsewhere."""


class SkillWorkers:
    """The workers of one run, with their scratch in `folder`. The run makes one and closes it.

    Between calls: at most `n_idle` workers are idle, each in `_idle` and once in `_order`; one that is in use is in
    neither. Workers of the same skill, rights and program stand in for each other.
    """

    def __init__(
        self, environment: Environment, workspace: Workspace, folder: Path, cwd: Path, n_idle: int
    ) -> None:
        self._environment = environment
        self._workspace = workspace
        self._folder = folder
        self._cwd = cwd
        self._n_idle = n_idle
        self._idle: dict[Key, list[Session]] = {}
        self._order: deque[tuple[Key, Session]] = deque()  # of all idle workers, the longest idle first
        self._numbers = count(1)
        self._made: WeakSet[Session] = WeakSet()
        self._n_starting = 0

    @asynccontextmanager
    async def use(
        self, skill: Skill, rights: Rights, uses: Iterable[Skill] = (), *, program: Path | None = None
    ) -> AsyncIterator[Session]:
        """A worker of this skill for the time of one call; its code may call `uses` and start `program`."""
        key = (skill.name, rights, program)
        session = await self._taken(key)
        if session is None:
            grants = skill_grants(skill, rights.granted, self._workspace, program=program)
            if (missing := unmet(skill, grants)) is not None:
                raise missing
            session = await self.start(grants, f"skill-{skill.attribute}", "skill", skills=skill_table(uses))
        try:
            yield session
        except BaseException:
            await session.close()
            raise
        await self._kept(key, session)

    async def start(self, grants: Grants, label: str, role: Role = "here", **init: Any) -> Session:
        """A new worker with a scratch folder of its own, initialised. The caller closes it. `role` says where it may be.

        One that is killed before it can do anything is started anew: nothing has happened in it.
        """
        try:
            return await self._started(grants, label, role, **init)
        except (WorkerLost, EnvironmentUnavailable):
            return await self._started(grants, label, role, **init)

    async def _started(self, grants: Grants, label: str, role: Role, **init: Any) -> Session:
        scratch = self._folder / f"{next(self._numbers):04d}-{label[:40]}"
        scratch.mkdir(parents=True)
        spec = WorkerSpec(
            scratch, self._cwd, grants, blobs=self._workspace.texts,
            travels=role != "here", drops_writes=role == "child",
        )  # fmt: skip
        self._n_starting += 1
        try:
            session = await self._environment.start(spec)
            self._made.add(session)
            try:
                await session.init(**init)
            except BaseException:
                await session.close()
                raise
        finally:
            self._n_starting -= 1
        return session

    async def only_wait(self) -> bool:
        """Whether each worker that was asked something only waits for the answers of its own calls."""
        if self._n_starting or any(session.is_ending for session in self._made):
            return False
        for session in [session for session in self._made if session.in_request]:
            if not session.n_open or not await session.is_waiting():
                return False
        return True

    async def close(self) -> None:
        """End all idle workers."""
        sessions = [session for _, session in self._order]
        self._order.clear()
        self._idle.clear()
        await asyncio.gather(*(session.close() for session in sessions))

    async def _taken(self, key: Key) -> Session | None:
        """An idle worker that lives; those found dead are let go."""
        while sessions := self._idle.get(key):
            session = sessions.pop()
            self._order.remove((key, session))
            if session.alive:
                return session
            await session.close()
        return None

    async def _kept(self, key: Key, session: Session) -> None:
        """Keep a worker for the next call, and no more of them than may work at the same time."""
        if not session.alive:
            await session.close()
            return
        self._idle.setdefault(key, []).append(session)
        self._order.append((key, session))
        while len(self._order) > self._n_idle:
            oldest_key, oldest = self._order.popleft()
            self._idle[oldest_key].remove(oldest)
            await oldest.close()
