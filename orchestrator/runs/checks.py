"""Acceptance tests of a workflow: whether an answer is one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.documents.template import fill, fill_shell, fill_value
from orchestrator.errors import CallError, WorkerLost
from orchestrator.runs import surroundings
from orchestrator.runs.batch import all_of
from orchestrator.runs.by_model import judge
from orchestrator.values import CheckResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents.types import Check, Schema, Workflow
    from orchestrator.runs.calls import Server

TIMEOUT_S = 60.0
"""How long one check may take."""


class Checker:
    """Runs the checks of one workflow on one answer, in workers with the workflow's own permissions."""

    def __init__(self, server: Server, workflow: Workflow, names: Mapping[str, Any]) -> None:
        self._server = server
        self._workflow = workflow
        self._grants = server.rights.granted
        self._names = dict(names)  # inputs and context

    async def run(self, answer: Any) -> list[CheckResult]:
        """One result for the output schema, if there is one, and for each check, in order; each journaled at once."""
        results = schema_results(self._workflow.output, answer)
        for result in results:
            if self._told(result.name) is None:
                self._journal(result)
        for check in self._workflow.checks:
            results.append(self._told(check.name) or await self._made(check, answer))
        return results

    async def _made(self, check: Check, answer: Any) -> CheckResult:
        result = await self._one(check, answer)
        self._journal(result)
        return result

    def _told(self, name: str) -> CheckResult | None:
        """What the record says of a check."""
        step = self._server.call.tape.take("check", name=name)
        if step is None:
            return None
        return CheckResult(name, step.event.fields["passed"], step.event.fields.get("message", ""))

    def _journal(self, result: CheckResult) -> None:
        self._server.parts.journal.append(
            "check", self._server.call.id, name=result.name, passed=result.passed, message=result.message
        )

    async def _one(self, check: Check, answer: Any) -> CheckResult:
        try:
            match check.kind:
                case "expr":
                    message = await self._expression(check, answer)
                case "shell":
                    message = await self._shell(check)
                case "skill":
                    message = await self._skill(check, answer)
                case "judge":
                    message = await self._judge(check, answer)
        except WorkerLost as lost:
            message = lost.reason
        return CheckResult(check.name, not message, message)

    async def _expression(self, check: Check, answer: Any) -> str:
        session = await self._server.parts.workers.start(self._grants, "check")
        try:
            names = {**self._names, "answer": answer}
            done = await session.expression(check.text, names, self._server.parts.ledger.within(TIMEOUT_S))
        finally:
            await session.close()
        if done.failure is not None:
            return f"`{check.text}` raised {done.failure.type}: {done.failure.message}"
        return "" if done.truth else f"`{check.text}` is {done.shown}"

    async def _shell(self, check: Check) -> str:
        # Imported here: only a workflow with such a check needs the session's request types.
        from orchestrator.environments.session import ScriptCall

        parts = self._server.parts
        command, variables = fill_shell(check.text, self._names["inputs"])
        request = ScriptCall(argv=["/bin/sh", "-c", command], stdin=None, cwd=parts.cwd, env=variables)
        session = await parts.workers.start(replace(self._grants, processes=True), "check")
        try:
            done = await session.script(request, parts.ledger.within(TIMEOUT_S))
        finally:
            await session.close()
        if not done.returncode:
            return ""
        end = (done.stderr or done.stdout).strip()[-500:]
        if done.returncode in surroundings.EXIT_CODES:  # what a check says itself is its verdict
            self._server.call.blame(surroundings.EXIT_CODES[done.returncode])
        return f"`{check.text}` exited with code {done.returncode}" + (f": {end}" if end else "")

    async def _skill(self, check: Check, answer: Any) -> str:
        known = {**self._names["inputs"], "context": self._names["context"], "answer": answer}
        arguments = fill_value(dict(check.arguments), known)
        skill, _, function = check.text.partition(".")
        request = {"skill": skill, "function": function or None, "args": [], "kwargs": arguments}
        try:
            value = await self._server("skill", request)
        except CallError as error:
            return str(error)
        return verdict(check.text, value)

    async def _judge(self, check: Check, answer: Any) -> str:
        """Ask the sub model `runs` times, side by side; each question is a call of its own."""
        claim = fill(check.text, self._names["inputs"])
        async with self._server.waiting():
            said = await all_of([judge(self._server, claim, answer) for _ in range(check.runs)])
        n_passed = sum(passed for passed, _ in said)
        if n_passed >= check.passes:
            return ""
        why = next(why for passed, why in said if not passed)
        counted = (
            f"{n_passed} of {check.runs} judgements passed, {check.passes} are needed: "
            if check.runs > 1
            else ""
        )
        return f"{counted}{why}"


def schema_results(schema: Schema | None, answer: Any) -> list[CheckResult]:
    """What the workflow's `output:` says of an answer: nothing where there is none."""
    if schema is None:
        return []
    # Imported here: jsonschema takes longer to import than a workflow without schemas takes to run.
    from orchestrator.documents.schemas import compiled

    problems = compiled(schema).problems(answer)
    message = "; ".join(
        f"{problem.path}: expected {problem.expected}, got {problem.got}" for problem in problems[:5]
    )
    return [CheckResult("output", not problems, message)]


def verdict(name: str, value: Any) -> str:
    """Why a skill's value is no pass; empty when it is: `true`, or an object whose `passed` is true."""
    if value is True or (isinstance(value, dict) and value.get("passed") is True):
        return ""
    if isinstance(value, dict) and "passed" in value:
        return str(value.get("message") or f"`{name}` says it did not pass")
    if value is False:
        return f"`{name}` returned false"
    return f"`{name}` returned neither true nor an object with `passed`"
