"""Runs a workflow: tries strategies until an answer passes, within one budget, and puts on record how it ended.

The same way runs the root of a run and every document called within it.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from orchestrator.errors import (
    BudgetExhausted,
    CallError,
    Denied,
    ModelFailed,
    OrchestratorError,
    SkillError,
    Suspended,
    UsageError,
    UserError,
    WorkspaceError,
    WorldError,
)
from orchestrator.memory.notes import Notes
from orchestrator.runs import results
from orchestrator.runs.attempt import Attempt, Task, Way
from orchestrator.runs.call import Call
from orchestrator.runs.calls import Server
from orchestrator.runs.context import by_file, load_context, n_bytes, recorded, restored
from orchestrator.runs.inputs import read_inputs
from orchestrator.runs.parts import ModelNames, Rights
from orchestrator.runs.past import canonical
from orchestrator.runs.permissions import narrowed, workflow_grants
from orchestrator.runs.processes import this_process
from orchestrator.runs.queries import call_error
from orchestrator.runs.record import diverged
from orchestrator.runs.rehearsal import Rehearsal
from orchestrator.strategies.choose import candidates, document_of, misfit
from orchestrator.values import Attempt as AttemptValue
from orchestrator.values import RunResult

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from orchestrator.documents.types import StrategyDocument
    from orchestrator.runs.parts import Errand, Parts
    from orchestrator.runs.results import Tried
    from orchestrator.values import Status


KEPT_CONTEXT_BYTES = 4 << 20
"""A context of short texts up to this size is kept with the run; of a larger one, a hash. Long texts are kept by theirs."""


class Engine:
    """Runs one run. Made by the composition root; `run` is called once."""

    def __init__(self, parts: Parts, inputs: dict[str, Any], *, strategy: str | None = None) -> None:
        self._parts = parts
        self._inputs = inputs
        self._forced = strategy
        self._tried: list[Tried] = []
        self._partial: Any = None

    async def run(self, header: Mapping[str, Any], answers: Mapping[str, Any]) -> RunResult:
        """Run the workflow, or go on with it. Whatever happens once it began is in the result.

        `header` goes into `run_started`; of a run that has a record, `answers` go into `resumed`.

        Only being cancelled is raised, after the journal has been closed with the status `interrupted`.
        """
        parts = self._parts
        past = parts.journal.past
        root = Call("0", "root", parts.workflow.name, self._inputs, past=past, told=past.told("0")).again()
        if root.told is not None:
            root.charge(root.told.lost, root.told.lost.tokens, 0)
        try:
            if past.header:
                parts.journal.append("resumed", root.id, answers=dict(answers), process=this_process())
            else:
                parts.journal.append("run_started", root.id, **header, process=this_process())
            result = await self._within_time(root)
        except asyncio.CancelledError:
            self._finish(root, self._result("interrupted", "interrupted", 130))
            raise
        except Suspended as suspended:
            return self._suspend(root, suspended)
        except (OrchestratorError, OSError) as error:
            result = self._ended(error)
        except (
            Exception
        ) as error:  # a defect of ours: the record is closed before it goes on to the command line
            self._finish(root, self._result("error", f"{type(error).__name__}: {error}", 1))
            raise
        return self._finish(root, result)

    async def _within_time(self, root: Call) -> RunResult:
        parts = self._parts
        async with parts.ledger.deadline():
            inputs = by_file(self._inputs, parts.workspace.texts)
            context, told = self._context(root, inputs)
            server = Server(parts, root, parts.allowed, parts.rights, self.solve)
            if root.told is None:
                parts.journal.append(
                    "call_started", root.id, parent=None, kind=root.kind, name=root.name,
                    arguments=recorded(inputs), depth=0, **told,
                )  # fmt: skip
            task = Task(server, parts.workflow, inputs, context)
            await self._unless_it_waits(self._try_all(task, self._tried, self._forced))
        best = self._tried[-1]
        if best.succeeded:
            return self._result("answered", "", 0)
        broken_file = not best.answered and best.attempt.outcome == "invalid"
        return self._result("failed", best.attempt.message, 2 if broken_file else 1)

    def _context(self, root: Call, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The context, and how it is recorded: what the run began with, whatever its files hold by now."""
        parts = self._parts
        texts, before = parts.workspace.texts, parts.journal.past.context
        if before is not None and "value" in before:
            return restored(before["value"], texts), {}
        context = load_context(parts.workflow, inputs, parts.workspace, texts)
        if not parts.workflow.context:
            return context, {}  # it is an input, and recorded as one
        told = recorded(context)
        sha256 = hashlib.sha256(canonical(told).encode("utf-8", "surrogatepass")).hexdigest()
        if before is not None and before["sha256"] != sha256:
            diverged(parts, root, "the files of `context:` have changed since the run began")
        n_inline = n_bytes([one for one in context.values() if isinstance(one, str)])
        kept = {"value": told} if n_inline <= KEPT_CONTEXT_BYTES else {}
        return context, {"context": {"sha256": sha256, **kept}}

    async def _unless_it_waits(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work. Raises Suspended when it comes to a stop before its end, for want of answers."""
        desk = self._parts.desk
        at_work, waits = asyncio.create_task(work), asyncio.create_task(desk.quiet())
        try:
            await asyncio.wait({at_work, waits}, return_when=asyncio.FIRST_COMPLETED)
            if not at_work.done():
                needs = [need.shown() for need in waits.result()]
                desk.is_closed = True
                raise Suspended(needs)
        except asyncio.CancelledError:
            desk.is_closed = not self._parts.ledger.is_over
            raise
        finally:
            waits.cancel()
            at_work.cancel()
            await asyncio.gather(at_work, waits, return_exceptions=True)
        at_work.result()

    async def solve(self, server: Server, errand: Errand) -> Any:
        """Answer of a document run as the call that `server` serves, within its rights and the document's own.

        Raises CallError (SkillError, where that call is a skill's) for inputs that it does not take, when no strategy
        passes its checks, and when the budget ends in it, with what it had so far.
        """
        tried: list[Tried] = []
        failure = SkillError if server.call.kind == "skill" else CallError
        name = errand.workflow.name
        try:
            await self._try_all(self._nested(server, errand), tried)
        except WorkspaceError:
            raise
        except (ModelFailed, BudgetExhausted) as error:
            if isinstance(error, BudgetExhausted) and error.limit == "seconds":
                raise
            partial = tried[-1].answer if tried else None
            raise call_error(error, skill=failure is SkillError, partial=partial) from error
        except (UserError, WorldError) as error:
            raise failure(f"`{name}`: {error}", kind="invalid", hint=error.hint) from error
        if not tried[-1].succeeded:
            raise failure(
                f"`{name}`: {tried[-1].attempt.message}", error_kind="checks", partial=tried[-1].answer
            )
        return tried[-1].answer

    def _nested(self, server: Server, errand: Errand) -> Task:
        workspace, scope, workflow = self._parts.workspace, server.scope, errand.workflow
        inputs = read_inputs(workflow, errand.inputs, {})
        if (names := workflow.skills) is not None:
            scope = {
                name: skill for name, skill in scope.items() if any(fnmatchcase(name, one) for one in names)
            }
        granted = errand.granted
        if granted is None:
            granted = narrowed(workflow_grants(workflow, inputs, workspace), server.rights.granted)
        rights = Rights(
            server.rights.approvals.union(workflow.approvals),
            granted,
            Notes(workspace.memory, workflow.remember),
            self._models(workflow.root_model, workflow.sub_model, server.rights.models),
        )
        context = errand.context
        if context is None:
            context = load_context(workflow, inputs, workspace, workspace.texts)
        return Task(
            replace(server, scope=scope, rights=rights), workflow, inputs, context, errand.instructions
        )

    def _models(self, root: str | None, sub: str | None, inherited: ModelNames) -> ModelNames:
        """The models of a nested document: those that it names, as far as a skill may choose them."""
        for name in (root, sub):
            if (
                name is not None
                and name not in (inherited.root, inherited.sub)
                and not self._may_be_named(name)
            ):
                raise UsageError(
                    f"a skill may not choose `{name:.80}` as a model",
                    hint="give it an alias in orchestrate.toml",
                )
        known = self._parts.models.is_known
        return ModelNames(
            root if root is not None and known(root) else inherited.root,
            sub if sub is not None and known(sub) else inherited.sub,
        )

    def _may_be_named(self, name: str) -> bool:
        models = self._parts.models
        return not models.is_known(name) or models.may_be_named(name)

    async def _try_all(self, task: Task, tried: list[Tried], forced: str | None = None) -> None:
        """Try strategies until one passes; then, as often as the workflow allows, one of them again."""
        learning, models = self._parts.learning, task.server.rights.models
        programs = learning.programs(task)
        names = candidates(task.workflow, forced, models.root, models.sub, programs)
        documents = {
            name: programs[name].document if name in programs else document_of(name) for name in names
        }
        misfits = (
            {} if forced else {name: why for name in names if (why := self._misfit(task, documents[name]))}
        )
        fitting = [name for name in names if name not in misfits]
        if not fitting:
            raise UsageError(
                f"no strategy applies: {'; '.join(misfits.values())}", hint="force one with --strategy NAME"
            )
        chosen = learning.choose(task, fitting)
        order = [choice.strategy for choice in chosen.choices]
        again = "rlm" if "rlm" in order else order[-1]  # who sees what failed may do it otherwise
        cut: dict[str, BudgetExhausted] = {}
        for name in [*order, *[again] * task.workflow.max_retries]:
            if name in cut:
                continue  # one root has had all its turns: another would cost as much again
            try:
                passed = await self._tried_one(task, Way(name, documents[name], chosen), tried)
            except BudgetExhausted as error:
                if not _gives_way(task, error):
                    raise
                cut[name] = error
                continue
            if passed:
                await learning.after(task, tried[-1], chosen)
                return
        if cut:
            raise next(iter(cut.values()))

    def _misfit(self, task: Task, document: StrategyDocument | None) -> str | None:
        """Why a strategy with a document does not apply; None when it does."""
        sub = task.server.rights.models.sub
        if document is None or sub is None:  # what is left without a model are programs that ask none
            return None
        target = self._parts.models.target(sub)
        depth = self._parts.ledger.limits.depth
        depth_left = None if depth is None else depth - task.server.call.depth
        return misfit(document, n_bytes(task.context), target.window_tokens, depth_left)

    async def _tried_one(self, task: Task, way: Way, tried: list[Tried]) -> bool:
        """Whether one more try of a strategy passes. It is on record whatever ends it."""
        failures = [failure for one in tried if (failure := one.attempt.message)]
        attempt = Attempt(task, way, failures)
        learning, tape = self._parts.learning, task.server.call.tape
        is_told = not tape.is_empty
        try:
            result = await attempt.run()
        except BaseException as error:
            if self._parts.desk.is_closed:
                raise  # it was not this attempt that ended
            # On record too: who burns every budget would else look like who was never tried.
            outcome, error_kind = results.cut_short(error, self._parts.ledger)
            ended = AttemptValue(way.name, outcome, usage=attempt.usage, message=str(error))
            tried.append(results.Tried(ended, answer=attempt.partial))
            if not is_told or tape.ran_out:
                learning.record(task, ended, error_kind, way.chosen, attempt.tokens)
            raise
        finally:
            if task.server.call.kind == "root" and attempt.partial is not None:
                self._partial = attempt.partial
        tried.append(result)
        if not is_told or tape.ran_out:  # else it was counted when it was made
            kind = results.error_kind(result.attempt)
            learning.record(task, result.attempt, kind, way.chosen, attempt.tokens)
        return result.succeeded

    def _ended(self, error: OrchestratorError | OSError) -> RunResult:
        match error:
            case BudgetExhausted():
                return self._result("budget", str(error), error.exit_code)
            case Denied():
                return self._result("denied", error.whole, error.exit_code)
            case OSError():
                where = f": `{error.filename}`" if error.filename else ""
                message = f"{error.strerror or error}{where}"
                return self._result("error", message, WorkspaceError.exit_code)
            case _:
                code = error.exit_code if isinstance(error, (WorldError, WorkspaceError)) else 2
                return self._result("error", error.whole, code)

    def _result(self, status: Status, message: str, exit_code: int) -> RunResult:
        best = next((one for one in reversed(self._tried) if one.answered), None)
        return RunResult(
            status=status,
            answer=best.answer if best else self._partial,
            run=self._parts.journal.run,
            strategy=self._tried[-1].attempt.strategy if self._tried else None,
            checks=best.attempt.checks if best else (),
            usage=self._parts.ledger.usage,
            attempts=tuple(one.attempt for one in self._tried),
            message=self._parts.journal.hiding.text(message),
            exit_code=exit_code,
            learned=tuple(self._parts.learning.news),
        )

    def _suspend(self, root: Call, suspended: Suspended) -> RunResult:
        """Put on record what the run waits for."""
        result = replace(
            self._result("suspended", str(suspended), suspended.exit_code), needs=suspended.needs
        )
        try:
            self._parts.journal.append(
                "suspended", root.id, needs=list(result.needs), usage=results.usage_fields(result.usage),
                asker=this_process(),
            )  # fmt: skip
            self._parts.journal.sync()
        except WorkspaceError as error:
            return self._ended(error)
        return result

    def _finish(self, root: Call, result: RunResult) -> RunResult:
        """Close the journal's story. A disk that takes no more changes the result, not whether there is one."""
        if isinstance(self._parts.journal, Rehearsal):
            self._parts.journal.compare_result(result, results.finished_fields(result))
            return result
        outcome = (
            results.OUTCOMES[result.status] if result.status != "answered" else result.attempts[-1].outcome
        )
        spent = result.usage
        try:
            self._parts.journal.append(
                "call_finished", root.id, outcome=outcome, value=result.answer, error=result.message or None,
                duration_s=spent.seconds, calls=spent.calls, tokens=spent.tokens, usd=spent.usd,
            )  # fmt: skip
            self._parts.journal.append("run_finished", root.id, **results.finished_fields(result))
            self._parts.journal.sync()
        except WorkspaceError as error:
            return replace(result, status="error", message=error.whole, exit_code=error.exit_code)
        return result


def _gives_way(task: Task, error: BudgetExhausted) -> bool:
    """Whether another strategy may be tried: a root has used up what is its own, and checks will tell of the next."""
    return error.limit in ("iterations", "errors") and bool(task.workflow.checks)
