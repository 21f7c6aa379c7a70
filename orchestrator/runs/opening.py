"""Opens the parts of a run and closes them again, whatever happens in between."""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING

from orchestrator.memory.files import workspace_error
from orchestrator.memory.notes import Notes
from orchestrator.memory.usage import UsageStore
from orchestrator.runs.budget import Ledger
from orchestrator.runs.context import forget_texts
from orchestrator.runs.journal import Journal, is_alive
from orchestrator.runs.models import Models
from orchestrator.runs.parts import Parts, Rights
from orchestrator.runs.permissions import folders_to_make, workflow_grants, write_patterns
from orchestrator.runs.replies import ReplyCache
from orchestrator.runs.workers import SkillWorkers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from orchestrator.environments.environment import Environment
    from orchestrator.runs.journal import Event
    from orchestrator.runs.parts import Approval
    from orchestrator.runs.plan import Plan
    from orchestrator.workspace import Workspace


@asynccontextmanager
async def open_parts(
    plan: Plan,
    environment: Environment,
    *,
    listen: Callable[[Event], None] | None = None,
    ask: Callable[[Approval], Awaitable[bool]] | None = None,
    cwd: Path | None = None,
) -> AsyncIterator[Parts]:
    """The parts of one run; its workers start in `cwd`, the workspace where none is given.

    Raises WorkspaceError when the run's record can't be begun.

    On leaving, workers have ended, the journal is on disk, and scratch and folders left empty are gone.
    """
    folder = plan.workspace.runs / plan.run
    granted = workflow_grants(plan.workflow, plan.inputs, plan.workspace)
    async with AsyncExitStack() as stack:
        _make_folders(plan.workspace, folder)
        stack.enter_context(_made(plan))
        journal = stack.enter_context(Journal(folder, plan.run, listen))
        scratch = plan.workspace.scratch / plan.run
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        cwd = cwd or plan.workspace.root
        workers = SkillWorkers(environment, plan.workspace, scratch, cwd, plan.limits.concurrency)
        stack.push_async_callback(workers.close)
        usage = UsageStore(plan.workspace)
        ledger = Ledger(plan.limits)
        kept = ReplyCache(plan.workspace.replies) if plan.keeps_replies else None
        models = Models(ledger, journal, plan.reach, strict_usd=plan.usd_is_set, cache=kept)
        stack.push_async_callback(models.close)
        yield Parts(
            workspace=plan.workspace,
            folder=folder,
            cwd=cwd,
            workflow=plan.workflow,
            known={skill.name: skill for skill in plan.known},
            allowed={skill.name: skill for skill in plan.skills},
            rights=Rights(
                frozenset(plan.workflow.approvals),
                granted,
                Notes(plan.workspace.memory, plan.workflow.remember),
                plan.models,
            ),
            ledger=ledger,
            journal=journal,
            usage=usage,
            tallies=cache(lambda: usage.tallies() if usage.has_records else None),
            workers=workers,
            models=models,
            fan_out=plan.fan_out,
            accepts_prices=plan.accepts_prices,
            ask=ask,
        )


def _make_folders(workspace: Workspace, folder: Path) -> None:
    """The run's folder, and the place for long texts."""
    try:
        folder.mkdir(parents=True, mode=0o700)
        workspace.texts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise workspace_error(folder, error) from error
    forget_texts(workspace.texts)
    _sweep(workspace)


def _sweep(workspace: Workspace) -> None:
    """Take away the scratch of runs that were killed before they could."""
    for scratch in workspace.scratch.glob("*"):
        if not is_alive(workspace.runs / scratch.name):
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _made(plan: Plan) -> Iterator[None]:
    """The folders that write permissions name; those that stay empty are taken away again."""
    patterns = write_patterns(plan.workflow, plan.inputs)
    with ExitStack() as stack:
        for folder in folders_to_make(patterns, plan.workspace.root):
            with suppress(OSError):  # a worker that then can't write says which path and which permission
                folder.mkdir()
                stack.callback(_remove_if_empty, folder)
        yield


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
