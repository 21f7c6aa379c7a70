"""Whether an environment works on this machine: tried, and not guessed from what is installed."""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import EnvironmentUnavailable, WorkerLost
from orchestrator.values import WorkerSpec

if TYPE_CHECKING:
    from orchestrator.environments.environment import Environment

TRIAL_S = 60.0


def tried(environment: Environment) -> str:
    """Start a worker, have it compute something, and end it. Why that failed; empty when it works.

    It takes a thread of its own, so that a caller may have an event loop or none.
    """
    try:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _tried(environment)).result()
    except EnvironmentUnavailable as error:
        return error.whole
    except (WorkerLost, TimeoutError) as error:
        return f"the worker of a trial was lost: {error}"


async def _tried(environment: Environment) -> str:
    with tempfile.TemporaryDirectory(prefix="orchestrate-") as folder:
        scratch = Path(folder).resolve()
        async with asyncio.timeout(TRIAL_S):
            session = await environment.start(WorkerSpec(scratch=scratch, cwd=scratch))
            try:
                done = await session.expression("6 * 7", {}, TRIAL_S)
            finally:
                await session.close()
    return "" if done.value == 42 else f"a worker computed {done.shown} where 42 is right"
