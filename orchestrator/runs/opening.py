"""Opens the parts of a run and closes them again, whatever happens in between."""

from __future__ import annotations

import os
import shutil
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from orchestrator.errors import Suspended
from orchestrator.memory.files import workspace_error
from orchestrator.memory.notes import Notes
from orchestrator.memory.usage import UsageStore
from orchestrator.runs.budget import Ledger
from orchestrator.runs.context import forget_texts
from orchestrator.runs.desk import Desk
from orchestrator.runs.hiding import Hiding
from orchestrator.runs.journal import FILE_NAME, Journal, is_alive
from orchestrator.runs.learning import Learning
from orchestrator.runs.models import Models
from orchestrator.runs.parts import Parts, Rights
from orchestrator.runs.permissions import folders_to_make, workflow_grants, write_patterns
from orchestrator.runs.processes import this_process
from orchestrator.runs.rehearsal import Rehearsal
from orchestrator.runs.replies import ReplyCache
from orchestrator.runs.results import finished_fields, usage_fields
from orchestrator.runs.resuming import missing_needs
from orchestrator.runs.trusting import Trust, denied
from orchestrator.runs.workers import SkillWorkers
from orchestrator.values import RunResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from orchestrator.environments.environment import Environment
    from orchestrator.runs.desk import Need
    from orchestrator.runs.journal import Event
    from orchestrator.runs.plan import Plan
    from orchestrator.workspace import Workspace

FORKS = "confined"
IDLE_WORKERS = 4
"""So many are kept for each call that may work at the same time, in the environment `FORKS`: skills that wait for their own
calls hold no place, so more workers live than calls work, and the next fan-out wants all of them. One costs 4 MB there, and
starting it 5 ms of a processor. In others, of which one may be a container or cost money, it is one.
"""


@asynccontextmanager
async def open_parts(
    plan: Plan,
    environment: Environment,
    *,
    listen: Callable[[Event], None] | None = None,
    person: Callable[[Need], Awaitable[Any]] | None = None,
    cwd: Path | None = None,
) -> AsyncIterator[Parts]:
    """The parts of one run; its workers start in `cwd`, the workspace where none is given.

    Raises WorkspaceError when the run's record can't be begun.

    On leaving, workers have ended, the journal is on disk, and scratch and folders left empty are gone.
    """
    folder = plan.workspace.runs / plan.run
    granted = workflow_grants(plan.workflow, plan.inputs, plan.workspace)
    async with AsyncExitStack() as stack:
        _make_folders(plan.workspace, folder, resumes=plan.resumes)
        stack.enter_context(_made(plan))
        journal = stack.enter_context(_journal(plan, listen))
        scratch = stack.enter_context(_scratch(plan))
        cwd = cwd or plan.workspace.root
        n_idle = plan.limits.concurrency * (IDLE_WORKERS if plan.environment == FORKS else 1)
        workers = SkillWorkers(environment, plan.workspace, scratch, cwd, n_idle)
        stack.push_async_callback(workers.close)
        usage = UsageStore(plan.workspace)
        past = journal.past
        ledger = Ledger(plan.limits, past.spent, past.seconds)
        desk = Desk(past.answers, ledger, workers.only_wait, person)
        kept = ReplyCache(plan.workspace.replies) if plan.keeps_replies else None
        models = Models(ledger, journal, plan.reach, strict_usd=plan.usd_is_set, desk=desk, cache=kept)
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
            desk=desk,
            learning=Learning(plan.workspace, usage, is_on=plan.learns),
            trust=Trust(plan.lock, plan.trusts, plan.barred),
            accepts_prices=plan.accepts_prices,
        )


def begun(
    plan: Plan, header: Mapping[str, Any], *, listen: Callable[[Event], None] | None = None
) -> RunResult:
    """The result of a run that waits for inputs before anything else: on record, with nothing opened."""
    folder = plan.workspace.runs / plan.run
    _make_folders(plan.workspace, folder, resumes=plan.resumes)
    with _journal(plan, listen) as journal:
        if journal.past.header:
            journal.append("resumed", "0", answers=dict(plan.answers))
        else:
            journal.append("run_started", "0", **header)
        needs = missing_needs(plan.run, plan.workflow, plan.missing)
        result = RunResult(
            "suspended", None, plan.run, needs=tuple(needs), message="", exit_code=Suspended.exit_code
        )
        journal.append("suspended", "0", needs=needs, usage=usage_fields(result.usage), asker=this_process())
    return result


def refused(
    plan: Plan, header: Mapping[str, Any], *, listen: Callable[[Event], None] | None = None
) -> RunResult:
    """The result of a run that may not begin, since skills that it names are not trusted. One with a record keeps it open."""
    why = denied(plan.distrusted)
    result = RunResult("denied", None, plan.run, message=why.whole, exit_code=why.exit_code)
    if plan.resumes:
        return result
    folder = plan.workspace.runs / plan.run
    _make_folders(plan.workspace, folder, resumes=False)
    with _journal(plan, listen) as journal:
        journal.append("run_started", "0", **header)
        journal.append("run_finished", "0", **finished_fields(result))
    return result


def _journal(plan: Plan, listen: Callable[[Event], None] | None) -> Journal:
    """The run's log, or of a replay what reads it."""
    folder = plan.workspace.runs / plan.run
    hiding = Hiding(plan.run, os.environ, plan.secrets)
    return (Rehearsal if plan.rehearses else Journal)(folder, plan.run, listen, hiding)


@contextmanager
def _scratch(plan: Plan) -> Iterator[Path]:
    """The folder of the run's scratch, which is gone when this is left."""
    with ExitStack() as stack:
        scratch = plan.workspace.scratch / plan.run
        if plan.rehearses:  # beside a run that may be going on, and several at once
            folder = stack.enter_context(TemporaryDirectory(prefix="orchestrate-"))
            scratch = Path(folder).resolve() / plan.run
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        yield scratch


def _make_folders(workspace: Workspace, folder: Path, *, resumes: bool) -> None:
    """The run's folder, and the place for long texts."""
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=resumes or not (folder / FILE_NAME).exists())
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
