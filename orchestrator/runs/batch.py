"""Many calls side by side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from orchestrator.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence


async def all_of(jobs: Sequence[Awaitable[Any]]) -> list[Any]:
    """Values of all jobs in order, run side by side; a job that failed with CallError leaves the error in its place."""

    async def kept(job: Awaitable[Any]) -> Any:
        try:
            return await job
        except CallError as error:
            return error

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(kept(job)) for job in jobs]
    except BaseExceptionGroup as group_error:  # what ends the run ends it as itself
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]
