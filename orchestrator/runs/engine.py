"""The loop: ask a strategy for a cell, run it, hand back what it showed, until there is an answer that passes.

The same loop runs the root of a run and every document called within it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from orchestrator.errors import (
    BudgetExhausted,
    Denied,
    OrchestratorError,
    SkillError,
    UserError,
    WorkspaceError,
    WorldError,
)
from orchestrator.memory.notes import Notes
from orchestrator.runs.call import Call
from orchestrator.runs.calls import Server
from orchestrator.runs.checks import Checker
from orchestrator.runs.context import by_file, load_context, n_bytes, recorded
from orchestrator.runs.inputs import read_inputs
from orchestrator.runs.parts import Rights
from orchestrator.runs.permissions import narrowed, workflow_grants
from orchestrator.runs.repl import Repl, seed_of
from orchestrator.strategies.choose import candidates
from orchestrator.strategies.situation import situation
from orchestrator.values import Attempt, RunResult, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents.types import Skill, Workflow
    from orchestrator.runs.budget import Ledger
    from orchestrator.runs.parts import Parts
    from orchestrator.strategies.strategy import Observation, Strategy
    from orchestrator.values import CheckResult, Outcome, Status

NO_ANSWER = "no cell gave an answer"


@dataclass(frozen=True, slots=True)
class Task:
    """One document to be run as one call: what it is given and what it may use."""

    call: Call
    workflow: Workflow
    inputs: dict[str, Any]
    context: Any
    scope: Mapping[str, Skill]
    rights: Rights


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt and its answer."""

    attempt: Attempt
    answered: bool = False
    answer: Any = None

    @property
    def succeeded(self) -> bool:
        """Whether there is an answer and no check says it is none."""
        return self.attempt.outcome in ("ok", "unverified")


class Engine:
    """Runs one run. Made by the composition root; `run` is called once."""

    def __init__(self, parts: Parts, inputs: dict[str, Any], *, strategy: str | None = None) -> None:
        self._parts = parts
        self._inputs = inputs
        self._forced = strategy
        self._tried: list[Tried] = []
        self._partial: Any = None

    async def run(self, header: Mapping[str, Any]) -> RunResult:
        """Run the workflow; `header` goes into `run_started`. Whatever happens once it began is in the result.

        Only being cancelled is raised, after the journal has been closed with the status `interrupted`.
        """
        parts = self._parts
        root = Call("0", "root", parts.workflow.name, self._inputs)
        try:
            parts.journal.append("run_started", root.id, **header, seed=seed_of(parts.journal.run))
            result = await self._within_time(root)
        except asyncio.CancelledError:
            self._finish(root, self._result("interrupted", "interrupted", 130))
            raise
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
            context = load_context(parts.workflow, inputs, parts.workspace, parts.workspace.texts)
            task = Task(root, parts.workflow, inputs, context, parts.allowed, parts.rights)
            parts.journal.append(
                "call_started", root.id, parent=None, kind=root.kind, name=root.name,
                arguments=recorded(task.inputs), depth=0,
            )  # fmt: skip
            await self._try_all(task, self._tried)
        best = self._tried[-1]
        if best.succeeded:
            return self._result("answered", "", 0)
        broken_file = not best.answered and best.attempt.outcome == "invalid"
        return self._result("failed", best.attempt.message, 2 if broken_file else 1)

    async def solve(self, server: Server, workflow: Workflow) -> Any:
        """Answer of a document run as the call that `server` serves, within its rights and the document's own.

        Raises SkillError for inputs that it does not take, and when no strategy passes its checks.
        """
        tried: list[Tried] = []
        try:
            await self._try_all(self._nested(server, workflow), tried)
        except WorkspaceError:
            raise
        except (UserError, WorldError) as error:
            raise SkillError(f"`{workflow.name}`: {error}", kind="invalid", hint=error.hint) from error
        if not tried[-1].succeeded:
            raise SkillError(f"`{workflow.name}`: {tried[-1].attempt.message}", error_kind="checks")
        return tried[-1].answer

    def _nested(self, server: Server, workflow: Workflow) -> Task:
        workspace, scope, names = self._parts.workspace, server.scope, workflow.skills
        inputs = read_inputs(workflow, server.call.arguments, {})
        if names is not None:
            scope = {
                name: skill for name, skill in scope.items() if any(fnmatchcase(name, one) for one in names)
            }
        granted = narrowed(workflow_grants(workflow, inputs, workspace), server.rights.granted)
        approvals = server.rights.approvals.union(workflow.approvals)
        rights = Rights(approvals, granted, Notes(workspace.memory, workflow.remember))
        context = load_context(workflow, inputs, workspace, workspace.texts)
        return Task(server.call, workflow, inputs, context, scope, rights)

    async def _try_all(self, task: Task, tried: list[Tried]) -> None:
        """Try strategies until one passes; then, as often as the workflow allows, the last one again."""
        forced = self._forced if task.call.kind == "root" else None
        ways = candidates(task.workflow, forced)
        again = [next(reversed(ways))] * task.workflow.max_retries
        for name in (*ways, *again):
            failures = [failure for one in tried if (failure := one.attempt.message)]
            began_s = self._parts.ledger.seconds
            try:
                result = await self._attempt(task, ways[name](task.workflow), failures)
            except BaseException as error:
                # On record too: who burns every budget would else look like who was never tried.
                outcome, error_kind = _cut_short(error, self._parts.ledger)
                cut_short = Attempt(name, outcome, usage=self._since(began_s), message=str(error))
                tried.append(Tried(cut_short))
                self._record(task, cut_short, error_kind)
                raise
            tried.append(result)
            self._record(task, result.attempt, _error_kind(result.attempt))
            if result.succeeded:
                return

    async def _attempt(self, task: Task, strategy: Strategy, failures: list[str]) -> Tried:
        parts, began_s = self._parts, self._parts.ledger.seconds
        parts.journal.append("iteration", task.call.id, strategy=strategy.name, iteration=1)
        server = Server(parts, task.call, task.scope, task.rights, self.solve)
        variables = {"inputs": task.inputs, "context": task.context, "failures": failures, "history": []}
        repl = Repl(server, task.rights.granted, variables, task.workflow.cell_timeout_s)
        try:
            observation = await self._loop(strategy, repl)
        finally:
            if task.call.kind == "root" and repl.partial is not None:
                self._partial = repl.partial
            await repl.close()
        if observation is None or not observation.answered:
            return self._unanswered(strategy, observation, began_s)
        checks = await self._checked(task, observation.answer)
        outcome, message = _judged(checks)
        attempt = Attempt(strategy.name, outcome, tuple(checks), self._since(began_s), message)
        return Tried(attempt, True, observation.answer)

    def _unanswered(self, strategy: Strategy, observation: Observation | None, began_s: float) -> Tried:
        message, outcome = f"{NO_ANSWER}: end one with `FINAL(value)`", _UNANSWERED[False]
        if observation is not None and observation.error:
            message = f"{NO_ANSWER}: {observation.error}"
            outcome = _UNANSWERED[observation.broken_skill]
        return Tried(Attempt(strategy.name, outcome, usage=self._since(began_s), message=message))

    def _since(self, began_s: float) -> Usage:
        return Usage(seconds=round(self._parts.ledger.seconds - began_s, 3))

    async def _loop(self, strategy: Strategy, repl: Repl) -> Observation | None:
        observation, n_errors, limit = None, 0, self._parts.ledger.limits.errors
        while (cell := await strategy.next_cell(observation)) is not None:
            observation = await repl.run_cell(cell)
            if observation.answered:
                break
            n_errors = n_errors + 1 if observation.error else 0
            if limit is not None and n_errors >= max(1, limit):
                raise BudgetExhausted("errors", n_errors, limit)
        return observation

    async def _checked(self, task: Task, answer: Any) -> list[CheckResult]:
        named = {check.text.partition(".")[0] for check in task.workflow.checks if check.kind == "skill"}
        scope = dict(task.scope) | {
            name: self._parts.known[name] for name in named if name in self._parts.known
        }
        server = Server(self._parts, task.call, scope, task.rights, self.solve)
        names = {"inputs": task.inputs, "context": task.context}
        return await Checker(server, task.workflow, names).run(answer)

    def _record(self, task: Task, attempt: Attempt, error_kind: str | None) -> None:
        parts, call = self._parts, task.call
        n_items = len(task.context) if isinstance(task.context, (dict, list)) else 1
        parts.usage.record(
            run=parts.journal.run, call=call.id, parent=call.parent.id if call.parent else None, depth=call.depth,
            strategy=attempt.strategy, version=task.workflow.version, workflow=task.workflow.name,
            situation=situation(
                task.workflow, list(task.scope), n_context_bytes=n_bytes(task.context), n_items=n_items, depth=call.depth
            ),
            outcome=None if error_kind == "cancelled" else attempt.outcome, duration_s=attempt.usage.seconds, tokens_in=0, tokens_out=0, usd=0.0,
            checks_passed=all(check.passed for check in attempt.checks) if attempt.checks else None,
            error_kind=error_kind,
        )  # fmt: skip

    def _ended(self, error: OrchestratorError | OSError) -> RunResult:
        match error:
            case BudgetExhausted():
                return self._result("budget", str(error), error.exit_code)
            case Denied():
                return self._result("denied", str(error), error.exit_code)
            case OSError():
                where = f": `{error.filename}`" if error.filename else ""
                message = f"{error.strerror or error}{where}"
                return self._result("error", message, WorkspaceError.exit_code)
            case _:
                code = error.exit_code if isinstance(error, (WorldError, WorkspaceError)) else 2
                hint = f"\nhint: {error.hint}" if error.hint else ""
                return self._result("error", f"{error}{hint}", code)

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
            message=message,
            exit_code=exit_code,
        )

    def _finish(self, root: Call, result: RunResult) -> RunResult:
        """Close the journal's story. A disk that takes no more changes the result, not whether there is one."""
        outcome = _OUTCOMES[result.status] if result.status != "answered" else result.attempts[-1].outcome
        spent = result.usage
        try:
            self._parts.journal.append(
                "call_finished", root.id, outcome=outcome, value=result.answer, error=result.message or None,
                duration_s=spent.seconds, calls=spent.calls, tokens=spent.tokens, usd=spent.usd,
            )  # fmt: skip
            self._parts.journal.append("run_finished", root.id, **finished_fields(result))
            self._parts.journal.sync()
        except WorkspaceError as error:
            return replace(
                result, status="error", message=f"{error}\nhint: {error.hint}", exit_code=error.exit_code
            )
        return result


_OUTCOMES: dict[Status, Outcome] = {
    "failed": "error",
    "suspended": "unverified",
    "budget": "budget",
    "denied": "denied",
    "error": "error",
    "interrupted": "error",
}


def finished_fields(result: RunResult) -> dict[str, Any]:
    """A result as plain JSON values: the fields of `run_finished`, and of `--json` but for its exit code."""
    return {
        "status": result.status,
        "answer": result.answer,
        "strategy": result.strategy,
        "checks": [_check_fields(check) for check in result.checks],
        "usage": usage_fields(result.usage),
        "attempts": [
            {
                "strategy": attempt.strategy,
                "outcome": attempt.outcome,
                "checks": [_check_fields(check) for check in attempt.checks],
                "usage": usage_fields(attempt.usage),
            }
            for attempt in result.attempts
        ],
        "needs": list(result.needs),
        "message": result.message,
        "exit_code": result.exit_code,
    }


def usage_fields(usage: Usage) -> dict[str, float]:
    """A usage as plain JSON values."""
    return {"calls": usage.calls, "tokens": usage.tokens, "usd": usage.usd, "seconds": usage.seconds}


def _check_fields(check: CheckResult) -> dict[str, Any]:
    return {"name": check.name, "passed": check.passed, "message": check.message}


def _judged(checks: list[CheckResult]) -> tuple[Outcome, str]:
    failed = [check for check in checks if not check.passed]
    if failed:
        listed = "; ".join(f"check `{check.name}` failed: {check.message}" for check in failed)
        return ("invalid" if failed[0].name == "output" else "error"), listed
    return ("ok" if checks else "unverified"), ""


def _error_kind(attempt: Attempt) -> str | None:
    if attempt.outcome in ("ok", "unverified"):
        return None
    return "checks" if attempt.checks else "no_answer"


def _cut_short(error: BaseException, ledger: Ledger) -> tuple[Outcome, str]:
    """What became of an attempt that was ended from outside, and the kind of its error."""
    if isinstance(error, asyncio.CancelledError):  # the run's own deadline cancels what it contains
        return ("budget", "seconds") if ledger.seconds_left() == 0 else ("error", "cancelled")
    if isinstance(error, BudgetExhausted):
        return "budget", error.limit
    return ("denied" if isinstance(error, Denied) else "error"), type(error).__name__


_UNANSWERED: dict[bool, Outcome] = {False: "error", True: "invalid"}
"""Outcome of an attempt without an answer, by whether a skill's own files were to blame."""
