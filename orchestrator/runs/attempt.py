"""One strategy's try at one document: its REPL, its strategy, the loop between them, and its checks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BudgetExhausted
from orchestrator.models.model import Message
from orchestrator.runs import results
from orchestrator.runs.checks import Checker, schema_results
from orchestrator.runs.prompting import Brief, opening, task_text
from orchestrator.runs.repl import Repl
from orchestrator.runs.seat import ModelSeat
from orchestrator.strategies.rlm import Rlm
from orchestrator.strategies.strategy import Observation
from orchestrator.strategies.written import Written
from orchestrator.values import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.documents.types import StrategyDocument, Workflow
    from orchestrator.runs.calls import Server
    from orchestrator.runs.learning import Chosen
    from orchestrator.runs.parts import Parts
    from orchestrator.runs.results import Tried
    from orchestrator.strategies.strategy import Strategy

SMALLEST_CHUNK = 2_000
LARGEST_CHUNK = 200_000
CHUNK_SHARE = 0.6
"""How many bytes `chunk_bytes` says: so much of the sub model's window, between these bounds."""


@dataclass(frozen=True, slots=True)
class Task:
    """One document to be run as one call: what it is given and what it may use."""

    server: Server
    workflow: Workflow
    inputs: dict[str, Any]
    context: Any
    instructions: str = ""

    @property
    def parts(self) -> Parts:
        """The parts of the run."""
        return self.server.parts

    def variables(self, failures: Sequence[str] = ()) -> dict[str, Any]:
        """What every strategy finds bound in its REPL; `failures` say why earlier attempts were none."""
        named: dict[str, Any] = {
            "inputs": self.inputs, "context": self.context, "failures": list(failures), "history": [],
            "task": task_text(self.workflow, self.inputs),
        }  # fmt: skip
        if (sub := self.server.rights.models.sub) is not None:
            window = self.parts.models.target(sub).window_tokens
            named["chunk_bytes"] = int(min(LARGEST_CHUNK, max(SMALLEST_CHUNK, window * 3 * CHUNK_SHARE)))
        return named


@dataclass(frozen=True, slots=True)
class Way:
    """A strategy that is to be tried, its document if it has one, and the order that it was chosen in."""

    name: str
    document: StrategyDocument | None
    chosen: Chosen


class Attempt:
    """One try of one strategy. Made by the engine; `run` is called once. `partial` is what it had when it ended."""

    def __init__(self, task: Task, way: Way, failures: list[str]) -> None:
        self._task = task
        self._way = way
        self._name = way.name
        self._failures = failures
        self._document = way.document
        self._began = _spent(task)
        call = task.server.call
        self._tokens_before = call.tokens_in, call.tokens_out
        call.world_fault = ""
        self.partial: Any = None

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens in and out that it spent so far."""
        call = self._task.server.call
        return call.tokens_in - self._tokens_before[0], call.tokens_out - self._tokens_before[1]

    @property
    def usage(self) -> Usage:
        """What it spent so far."""
        began, now = self._began, _spent(self._task)
        return Usage(
            now.calls - began.calls,
            now.tokens - began.tokens,
            round(now.usd - began.usd, 9),
            round(now.seconds - began.seconds, 3),
        )

    async def run(self) -> Tried:
        """The answer with what the checks say, or why there is none."""
        task = self._task
        repl = Repl(task.server, task.server.rights.granted, self._variables(), task.workflow.cell_timeout_s)
        try:
            observation = await self._loop(self._strategy(repl), repl)
        finally:
            self.partial = repl.partial
            await repl.close()
        if observation is None or not observation.answered:
            return results.unanswered(self._name, observation, self.usage)
        checks = await self._checked(observation.answer)
        return results.answered(self._name, observation, checks, self.usage)

    async def _loop(self, strategy: Strategy, repl: Repl) -> Observation | None:
        observation, n_errors, limit = None, 0, self._task.parts.ledger.limits.errors
        while (step := await strategy.next_cell(observation)) is not None:
            observation = step if isinstance(step, Observation) else await repl.run_cell(step)
            if observation.answered and strategy.revises:
                observation = self._fitting(observation)
            if observation.answered:
                break
            n_errors = n_errors + 1 if observation.error else 0
            if limit is not None and n_errors >= max(1, limit):
                raise BudgetExhausted("errors", n_errors, limit, last=observation.error or "")
        return observation

    def _fitting(self, observation: Observation) -> Observation:
        """The observation; where its answer is not of the form that was asked for, one that says so and goes on."""
        results = schema_results(self._task.workflow.output, observation.answer)
        failed = next((result for result in results if not result.passed), None)
        if failed is None:
            return observation
        call = self._task.server.call
        if call.tape.take("check", name=failed.name, passed=False) is None:
            self._task.parts.journal.append(
                "check", call.id, name=failed.name, passed=False, message=failed.message
            )
        problem = f"the answer does not meet its schema: {failed.message}"
        text = f"{observation.text}\nYour answer was not taken: {problem}. Correct it and call FINAL again."
        return Observation(text, problem)

    def _strategy(self, repl: Repl) -> Strategy:
        task, server = self._task, self._task.server
        if self._name == "rlm":
            repl.warm()  # the worker starts while the model is asked
            model = server.rights.models.root or ""
            seat = ModelSeat(task.parts, server.call, repl, model, server.slot)
            return Rlm(seat, self._told_opening() or opening(self._brief()))
        if server.call.tape.take("iteration", strategy=self._name, iteration=1) is None:
            task.parts.journal.append("iteration", server.call.id, strategy=self._name, iteration=1)
        if self._document is not None:
            return Written(self._name, self._document.cells, goes_on=False)
        return Written(self._name, task.workflow.cells)

    def _told_opening(self) -> list[Message]:
        """The messages that the model was first shown, where this attempt is on record: what is left has changed."""
        step = self._task.server.call.tape.next("iteration", strategy="rlm", iteration=1)
        told = step.event.fields.get("messages", ()) if step else ()
        return [Message(one["role"], one["content"]) for one in told]

    def _variables(self) -> dict[str, Any]:
        named = self._task.variables(self._failures)
        return {**named, "output": self._task.workflow.output} if self._document is not None else named

    def _brief(self) -> Brief:
        task, ledger = self._task, self._task.parts.ledger
        depth = ledger.limits.depth
        return Brief(
            task=task_text(task.workflow, task.inputs),
            variables={"context": task.context, "inputs": task.inputs},
            output=task.workflow.output,
            skills=[one for one in task.server.scope.values() if one.name not in task.parts.trust.barred],
            left=ledger.left(),
            n_turns=ledger.limits.iterations,
            depth_left=None if depth is None else depth - task.server.call.depth,
            instructions=task.instructions,
            failures=self._failures,
            tallies=task.parts.tallies(),
            advice=self._way.chosen.advice,
        )

    async def _checked(self, answer: Any) -> list[Any]:
        task, server = self._task, self._task.server
        named = {check.text.partition(".")[0] for check in task.workflow.checks if check.kind == "skill"}
        known = task.parts.known
        scope = dict(server.scope) | {name: known[name] for name in named if name in known}
        names = {"inputs": task.inputs, "context": task.context}
        return await Checker(replace(server, scope=scope), task.workflow, names).run(answer)


def _spent(task: Task) -> Usage:
    spent = task.server.call.spent
    return Usage(spent.calls, spent.tokens, spent.usd, task.parts.ledger.seconds)
