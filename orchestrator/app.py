"""The composition root: finds and wires the parts of a run, and is what the command line and programs call."""

from __future__ import annotations

import asyncio
import difflib
import functools
import importlib
import os
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from orchestrator.backends import Backends, prepare_models, unheard_of
from orchestrator.catalog.discover import discover, load_skills
from orchestrator.catalog.trust import read_lock
from orchestrator.catalog.validate import workflow_problems
from orchestrator.documents.workflow import load_workflow, parse_workflow
from orchestrator.environments.default import STRONGER, USUAL, Chosen, choose, why_unusable
from orchestrator.errors import DocumentError, InputError, ModelUnavailable, UsageError
from orchestrator.runs.context import unmatched
from orchestrator.runs.executor import executor_of
from orchestrator.runs.history import end_of_run, find_run
from orchestrator.runs.inputs import missing_inputs, read_inputs
from orchestrator.runs.permissions import located
from orchestrator.runs.plan import Plan
from orchestrator.runs.vouching import stand_ins, vouched
from orchestrator.strategies.choose import NAMES, candidates
from orchestrator.strategies.learned import programs_of
from orchestrator.values import Limits, Problem, RunResult
from orchestrator.workspace import bundled, existing_workspace, workspace_of

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from orchestrator.catalog.select import Catalog
    from orchestrator.documents.types import Skill, Workflow
    from orchestrator.environments.environment import Environment
    from orchestrator.runs.auditing import Audited
    from orchestrator.runs.desk import Need
    from orchestrator.runs.examples import ExampleResult
    from orchestrator.runs.journal import Event
    from orchestrator.runs.rehearsal import Difference
    from orchestrator.runs.resuming import Record
    from orchestrator.runs.vouching import Vouching
    from orchestrator.workspace import Workspace

__all__ = [
    "Plan",
    "ResumeRequest",
    "RunRequest",
    "aresume",
    "arun",
    "execute",
    "load_skills",
    "load_workflow",
    "open_catalog",
    "plan",
    "plan_resume",
    "resume",
    "run",
    "try_examples",
]

P = ParamSpec("P")

ENVIRONMENTS = {
    "confined": "orchestrator.environments.confined:Confined",
    "bubblewrap": "orchestrator.environments.bubblewrap:Bubblewrap",
    "seatbelt": "orchestrator.environments.seatbelt:Seatbelt",
    "docker": "orchestrator.environments.container:Docker",
    "podman": "orchestrator.environments.container:Podman",
    "process": "orchestrator.environments.process:Process",
}
"""Environments by name, imported when one is asked for."""

CLOUDS = {
    "modal": "orchestrator.environments.cloud_modal:environment",
    "e2b": "orchestrator.environments.cloud_e2b:environment",
    "daytona": "orchestrator.environments.cloud_daytona:environment",
    "prime": "orchestrator.environments.cloud_prime:environment",
}
"""The same, for those that cost money: nothing tries them but a run that asks for one."""

DEFAULT_ENVIRONMENT = USUAL


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What somebody asks to be run, before anything is looked up."""

    workflow: Path | str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    typed: Mapping[str, str] = field(default_factory=dict)  # `k=v` as typed, read by the declared type
    workspace: Path | str | None = None
    model: str | None = None
    sub_model: str | None = None
    strategy: str | None = None
    environment: str | None = None
    executor: str | None = None  # `local`, or `ray[:ADDRESS]`
    budget: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    accepts_prices: bool = False
    vouching: Vouching = "program"
    run: str | None = None  # its id, for who has to know it before


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """Which run somebody asks to go on, and what they answer to its needs."""

    run: str  # its id, or the start or end of one
    workspace: Path | str | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    approve: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    executor: str | None = None  # another one than the run began with
    accepts_prices: bool = False
    vouching: Vouching = "program"


async def arun(
    workflow: Path | str,
    *,
    inputs: Mapping[str, Any] | None = None,
    workspace: Path | str | None = None,
    model: str | None = None,
    sub_model: str | None = None,
    strategy: str | None = None,
    environment: str | None = None,
    budget: Mapping[str, Any] | None = None,
    answers: Mapping[str, Any] | None = None,
) -> RunResult:
    """Run a workflow to its end, or until it waits for answers. Raises what `plan` raises; after that the result says all.

    `answers` are inputs too, by their names: what a caller has at hand of the inputs that the workflow would wait for.
    Cancelling it stops the run's workers before CancelledError goes on.
    """
    request = RunRequest(
        workflow,
        {**(answers or {}), **(inputs or {})},
        workspace=workspace,
        model=model,
        sub_model=sub_model,
        strategy=strategy,
        environment=environment,
        budget=budget or {},
    )
    return await execute(plan(request))


async def aresume(
    run: str,
    *,
    workspace: Path | str | None = None,
    answers: Mapping[str, Any] | None = None,
    approve: Iterable[str] = (),
    deny: Iterable[str] = (),
) -> RunResult:
    """Go on with a run that crashed, was stopped, or waits for `answers`. Of a finished one, its recorded result.

    Raises UsageError, Denied, and what `plan` raises.
    """
    request = ResumeRequest(run, workspace, answers or {}, tuple(approve), tuple(deny))
    planned = plan_resume(request)
    return planned if isinstance(planned, RunResult) else await execute(planned)


def _in_own_loop(name: str, awaited: Callable[P, Coroutine[Any, Any, RunResult]]) -> Callable[P, RunResult]:
    """The function with the same parameters that needs not be awaited."""

    @functools.wraps(awaited, assigned=("__module__",))
    def run(*args: P.args, **kwargs: P.kwargs) -> RunResult:
        return asyncio.run(awaited(*args, **kwargs))

    run.__name__ = run.__qualname__ = name
    run.__doc__ = f"`a{name}`, awaited: for programs without an event loop."
    return run


run = _in_own_loop("run", arun)
resume = _in_own_loop("resume", aresume)


def plan(request: RunRequest) -> Plan:
    """Look up all that a run needs. Raises UserError, with every problem of a file at once, and ModelUnavailable."""
    path = find_workflow(Path(request.workflow), request.workspace)
    workspace = workspace_of(request.workspace, path)
    run = request.run or run_id(datetime.now(UTC))
    return _planned(request, load_workflow(path, strict=request.strict), workspace, run)


def plan_resume(request: ResumeRequest) -> Plan | RunResult:
    """Look up all that a run needs to go on; its result, where it has ended. Raises UsageError, Denied and what `plan` does."""
    from orchestrator.runs.results import result_of
    from orchestrator.runs.resuming import checked_answers, read_record

    workspace = existing_workspace(request.workspace)
    folder = find_run(workspace, request.run)
    if (end := end_of_run(folder)) is not None:
        return result_of(folder.name, end)
    reach = Backends(workspace)
    record = read_record(folder, reach.secrets)
    by_asker = reach.approves_by_asker
    answers = checked_answers(record, request.answers, request.approve, request.deny, by_asker=by_asker)
    record.answers |= answers
    planned = _planned_again(
        record, workspace, folder.name, executor=request.executor,
        accepts_prices=request.accepts_prices, vouching=request.vouching,
    )  # fmt: skip
    return replace(planned, answers=answers, warnings=(*planned.warnings, *_changes(record.header, planned)))


def plan_replay(
    run: str,
    workspace: Path | str | None = None,
    *,
    source: str | None = None,
    vouching: Vouching = "program",
) -> Plan:
    """Look up all that it takes to replay a finished run. Raises UsageError for one that is not finished.

    `source` stands in the place of the workflow's recorded text, to see what the run would have come to with it.
    """
    from orchestrator.runs.resuming import read_record

    place = existing_workspace(workspace)
    folder = find_run(place, run)
    end = end_of_run(folder)
    if end is None:
        raise UsageError(
            f"run `{folder.name}` has not ended yet, so there is nothing to compare with",
            hint=f"`orchestrate resume {folder.name}` goes on with it",
        )
    if end.get("status") == "denied" and not end.get("attempts"):
        raise UsageError(
            f"run `{folder.name}` never began: there is nothing to compare with", hint="run the workflow anew"
        )
    record = read_record(folder, Backends(place).secrets)
    if source is not None:
        record.header["source"] = source
    return replace(_planned_again(record, place, folder.name, vouching=vouching), rehearses=True)


async def rehearse(planned: Plan) -> tuple[RunResult, list[Difference]]:
    """Replay a run: what it came to, and where that is not what it was."""
    from orchestrator.runs.engine import Engine
    from orchestrator.runs.opening import open_parts
    from orchestrator.runs.rehearsal import Rehearsal

    environment = environment_factory(planned.environment, planned.environments)()
    async with open_parts(planned, environment) as parts:
        result = await Engine(parts, planned.inputs, strategy=planned.strategy).run({}, {})
        assert isinstance(parts.journal, Rehearsal)
        return result, parts.journal.differences


def _planned_again(
    record: Record,
    workspace: Workspace,
    run: str,
    *,
    executor: str | None = None,
    accepts_prices: bool = False,
    vouching: Vouching = "program",
) -> Plan:
    """The plan of a run that has a record."""
    header = record.header
    workflow = parse_workflow(header["source"], Path(header["path"]))
    names = header["models"]
    again = RunRequest(
        workflow.path, record.inputs, model=names["root"], sub_model=names["sub"],
        strategy=header["strategy"], environment=header["environment"], budget=header["budget"],
        executor=executor or header.get("executor", "local"),
        accepts_prices=accepts_prices or header["accepts_prices"], vouching=vouching,
    )  # fmt: skip
    return replace(_planned(again, workflow, workspace, run), resumes=True)


def _changes(header: Mapping[str, Any], planned: Plan) -> Iterator[Problem]:
    """Warnings of what is not as it was when the run began."""
    path = planned.workflow.path
    try:
        changed = load_workflow(path).version != header["version"]
    except DocumentError:
        changed = True
    if changed:
        said = "the file was changed since the run began: the run goes on as it began"
        yield _said(path, said)
    for skill in planned.skills:
        if header["skills"].get(skill.name, skill.version) != skill.version:
            said = (
                "the skill was changed since the run began: calls that are not made yet use it as it is now"
            )
            yield _said(skill.folder, said)


def _planned(request: RunRequest, workflow: Workflow, workspace: Workspace, run: str) -> Plan:
    catalog = open_catalog(workspace)
    problems = workflow_problems(workflow, catalog, NAMES, strict=request.strict)
    if any(problem.severity == "error" for problem in problems):
        raise DocumentError(problems)
    reach = Backends(workspace)
    if request.environment is not None:
        environment_factory(request.environment)  # a name that is none is told before anything else of a run
    executor = executor_of(request.executor, reach.executor, request.environment or USUAL, USUAL)
    models = reach.names(workflow, request.model, request.sub_model)
    programs, broken = programs_of(workspace, workflow.name) if reach.learns else ({}, [])
    try:
        strategies = candidates(workflow, request.strategy, models.root, models.sub, programs)
    except ModelUnavailable as error:
        odd = "".join(f"\n{one}" for one in (*reach.warnings, *workflow.warnings))  # one of them may be why
        raise ModelUnavailable(str(error), hint=reach.configurable() + odd) from None
    missing = missing_inputs(workflow, request.inputs, request.typed)
    try:
        given = read_inputs(workflow, request.inputs, request.typed, missing)
    except InputError:
        read_inputs(workflow, request.inputs, request.typed)  # names those that are missing too
        raise
    inputs = located(workflow.inputs, given, workspace.root, Path.cwd())
    trust = vouched(workflow, catalog, workspace, request.vouching)
    environment = _environment(request.environment, reach)
    return Plan(
        run=run,
        workflow=workflow,
        workspace=workspace,
        inputs=inputs,
        known=stand_ins(catalog.skills, trust.barred),
        skills=stand_ins(catalog.select(workflow.skills)[0], trust.barred),
        secrets=reach.secrets,
        lock=trust.lock,
        barred=trust.barred,
        trusts=trust.trusts,
        vouched="yes" if request.vouching == "yes" else "program",
        distrusted=trust.distrusted,
        limits=limits_with(workflow.limits, request.budget),
        environment=environment.name,
        environments=reach.environments,
        executor=executor,
        strategies=strategies,
        models=models,
        reach=reach.reach,
        fan_out=reach.fan_out,
        usd_is_set="usd" in workflow.written_limits or "usd" in request.budget,
        accepts_prices=request.accepts_prices,
        learns=reach.learns,
        keeps_replies=reach.keeps_replies,
        strategy=request.strategy,
        budget=dict(request.budget),
        missing=missing,
        warnings=(
            *workflow.warnings,
            *problems,
            *(_unmatched(workflow, inputs, workspace) if not missing else ()),
            *(_said(workflow.path, said) for said in broken),
            *_left_out(workflow, trust.barred),
            *reach.warnings,
            *([_said("environment", environment.said)] if environment.said else ()),
            *(_unbound(workspace) if executor.shared else ()),
            *(unheard_of(models, reach) if strategies[0] != "written" else ()),
        ),
    )


def _environment(asked: str | None, reach: Backends) -> Chosen:
    """The environment that was asked for; else the usual one, or one that is stronger where that can't work."""

    def tried_here(name: str) -> str:
        from orchestrator.environments.trial import tried

        return tried(environment_factory(name, reach.environments)())

    return Chosen(asked) if asked else choose(USUAL, why_unusable(), STRONGER, tried_here)


def _said(where: Path | str, message: str, hint: str = "") -> Problem:
    return Problem(str(where), 0, message, hint, "warning")


def _unbound(workspace: Workspace) -> Iterator[Problem]:
    """Where several machines share the workspace, and its locks do not keep them apart."""
    from orchestrator.memory.mounts import ONE_OWNER, locks_at

    if (locks := locks_at(workspace.root)) and locks.state != "bind":
        yield _said(workspace.root, f"the shared workspace is {locks}", ONE_OWNER)


def _unmatched(workflow: Workflow, inputs: Mapping[str, Any], workspace: Workspace) -> Iterator[Problem]:
    """Patterns of the context that these inputs leave without a file."""
    for pattern in workflow.context:
        if unmatched(pattern, inputs, workspace):
            yield _said(workflow.path, f"`context: {pattern}` fits no file")


def _left_out(workflow: Workflow, barred: Sequence[str]) -> Iterator[Problem]:
    """A warning of the skills that a workflow does not get, since nobody trusts them."""
    if barred:
        names = ", ".join(f"`{name}`" for name in barred[:5])
        more = f" and {len(barred) - 5} more" if len(barred) > 5 else ""
        said = f"left out, since they are not trusted: {names}{more}"
        hint = "`orchestrate skills trust NAME` after a look at them"
        yield _said(workflow.path, said, hint)


def run_id(now: datetime) -> str:
    """An id for a run that begins now. Sorted, ids are in the order of time, but for runs of one millisecond."""
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}{secrets.randbelow(16**3):03x}"


def check_workflow(
    path: Path, *, workspace: Path | str | None = None, strict: bool = False, catalog: Catalog | None = None
) -> list[Problem]:
    """Everything wrong or odd with a workflow file, without its inputs. Raises DocumentError as `load_workflow` does.

    `catalog` is the workspace's, where it is open already.
    """
    workflow = load_workflow(path, strict=strict)
    catalog = catalog or open_catalog(workspace_of(workspace, path))
    return [*workflow.warnings, *workflow_problems(workflow, catalog, NAMES, strict=strict)]


async def execute(
    planned: Plan,
    *,
    listen: Callable[[Event], None] | None = None,
    person: Callable[[Need], Awaitable[Any]] | None = None,
) -> RunResult:
    """Run what was planned. `listen` hears every event; `person` is somebody to put questions to.

    Raises EnvironmentUnavailable, ModelUnavailable and WorkspaceError before the run begins; after that the result
    says it all.
    """
    # Imported here, so that planning, checking and listing need no workers.
    from orchestrator.runs.engine import Engine
    from orchestrator.runs.opening import begun, open_parts, refused
    from orchestrator.runs.results import result_of
    from orchestrator.runs.trusting import trust

    if planned.distrusted:
        return refused(planned, _header(planned, ()), listen=listen)
    if planned.trusts:
        trust(planned.workspace, planned.trusts, planned.vouched)
    if planned.missing:
        return begun(planned, _header(planned, ()), listen=listen)
    prepare_models(planned)
    async with (
        _spread(planned) as (spread, environment),
        open_parts(spread, environment, listen=listen, person=person) as parts,
    ):
        past = parts.journal.past
        if past.finished is not None and past.is_over:  # another process was quicker
            return result_of(planned.run, past.finished)
        engine = Engine(parts, planned.inputs, strategy=planned.strategy)
        result = await engine.run(_header(planned, environment.covers), planned.answers)
        parts.usage.tallies()  # publishes what this run added: readers of skill-usage.json find it there
        return result


@asynccontextmanager
async def _spread(planned: Plan) -> AsyncIterator[tuple[Plan, Environment]]:
    """The plan and environment of a run, over the nodes of a cluster where it has one. Raises EnvironmentUnavailable."""
    environment = environment_factory(planned.environment, planned.environments)()
    executor = planned.executor
    if executor.address is None:
        yield planned, environment
        return
    from orchestrator.environments.cluster import Cluster  # here: most runs have none
    from orchestrator.environments.cluster_ray import connected
    from orchestrator.models.on_nodes import Clients, over

    reach = await asyncio.to_thread(connected, executor.address, planned.run, Clients)
    cluster = Cluster(executor.name, reach, environment, shared=executor.shared)
    if executor.models != "owner":
        opened = over(cluster.ask, planned.reach.open, os.environ, every=executor.models == "nodes")
        planned = replace(planned, reach=replace(planned.reach, open=opened))
    try:
        await cluster.open()
        yield planned, cluster
    finally:
        await cluster.close()


def try_examples(workspace: Workspace, name: str, environment: str | None = None) -> list[ExampleResult]:
    """What each example of a skill came to. Raises UsageError for an unknown skill or one without examples."""
    from orchestrator.runs.examples import run_examples

    catalog = open_catalog(workspace)
    skill = catalog.named(name)
    reach = Backends(workspace)
    factory = environment_factory(_environment(environment, reach).name, reach.environments)
    lock = read_lock(workspace)
    return asyncio.run(run_examples(skill, catalog.skills, factory(), reach.usual, reach.reach, lock))


def audit_skills(
    workspace: Workspace, skills: Sequence[Skill], environment: str | None = None
) -> list[Audited]:
    """What the package's own `skill-audit` finds in each skill. Nothing of them is run; nothing is recorded."""
    from orchestrator.runs.auditing import AUDITOR, audit

    if not skills:
        return []
    # Not the catalog's: a nearer skill of that name would judge itself.
    (auditor,) = load_skills(bundled() / "skills" / AUDITOR)
    known = {skill.name: skill for skill in (*open_catalog(workspace).skills, *skills)}
    reach = Backends(workspace)
    factory = environment_factory(_environment(environment, reach).name, reach.environments)
    return asyncio.run(audit(skills, auditor, known, factory(), reach.reach))


def open_catalog(workspace: Workspace) -> Catalog:
    """All skills that a run in this workspace can see."""
    return discover(workspace, home=Path.home(), bundled=bundled() / "skills")


def find_workflow(path: Path, workspace: Path | str | None = None) -> Path:
    """The file that a person names: a path, or the name of a workflow of the workspace or of the package."""
    if path.exists() or path.suffix or len(path.parts) != 1:
        return path
    folders = [workspace_of(workspace, path).root / "workflows", bundled() / "workflows"]
    named = (folder / f"{path.name}.md" for folder in folders)
    return next((found for found in named if found.is_file()), path)


def limits_with(limits: Limits, budget: Mapping[str, Any]) -> Limits:
    """The limits with some replaced. Raises UsageError for a limit that is none, or that is no number."""
    known = Limits.__dataclass_fields__
    changed: dict[str, Any] = {}
    for name, given in budget.items():
        if name not in known:
            raise UsageError(f"no limit named `{name}`", hint=f"the limits are: {', '.join(known)}")
        try:
            number = float(given)
        except (TypeError, ValueError):
            number = -1.0
        if not 0 <= number < float("inf") or (name == "concurrency" and number < 1):
            raise UsageError(f"limit `{name}` is `{given}`", hint=f"give a number, as --budget {name}=10")
        changed[name] = number if name in ("usd", "seconds") else int(number)
    return replace(limits, **changed)


def environment_factory(
    name: str, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> Callable[[], Environment]:
    """What makes the environment of this name, or of `your.module:Factory`. Raises UsageError, naming the known ones.

    `settings` are those of each environment, by its name.
    """
    kind, _, host = name.partition(":")
    if kind == "ssh":
        if not host or host.startswith("-"):
            raise UsageError(
                f"can't use the environment `{name}`: it names no host",
                hint="write it as ssh:HOST, where HOST is what you would give to `ssh`",
            )
        from orchestrator.environments.ssh import Ssh

        return functools.partial(Ssh, host, **(settings or {}).get("ssh", {}))
    known = {**ENVIRONMENTS, **CLOUDS}
    target = known.get(name, name)
    module, colon, attribute = target.partition(":")
    if not colon:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean `{close[0]}`? " if close else ""
        raise UsageError(
            f"no environment named `{name}`",
            hint=f"{hint}the environments are: {', '.join(known)}, ssh:HOST",
        )
    try:
        factory: Callable[..., Environment] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        hint = f"`{kind}` is one by itself; its settings are [environments.{kind}] of orchestrate.toml"
        raise UsageError(
            f"can't use the environment `{name}`: {error}",
            hint=hint if kind in known else "write it as your.module:Factory",
        ) from error
    return functools.partial(factory, **(settings or {}).get(name, {}))


def _header(planned: Plan, covers: Iterable[str]) -> dict[str, Any]:
    """What is on record of how a run began: enough to go on with it, whatever becomes of its files."""
    return {
        "workflow": planned.workflow.name,
        "path": str(planned.workflow.path.absolute()),
        "version": planned.workflow.version,
        "environment": planned.environment,
        **({"executor": planned.executor.name} if planned.executor.address is not None else {}),
        "covers": covers,
        "limits": {name: getattr(planned.limits, name) for name in Limits.__dataclass_fields__},
        "strategies": list(planned.strategies),
        "models": {"root": planned.models.root, "sub": planned.models.sub},
        "skills": {skill.name: skill.version for skill in planned.skills},
        "source": planned.workflow.source,
        "inputs": planned.inputs,
        "budget": planned.budget,
        "strategy": planned.strategy,
        "accepts_prices": planned.accepts_prices,
        "seed": secrets.randbits(64),
    }
