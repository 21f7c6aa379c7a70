"""How attempts and runs end, as values and as plain JSON."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BudgetExhausted, Denied, ModelFailed
from orchestrator.values import Attempt, CheckResult, RunResult, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.runs.budget import Ledger
    from orchestrator.strategies.strategy import Observation
    from orchestrator.values import Outcome, Status

NO_ANSWER = "no cell gave an answer"

OUTCOMES: dict[Status, Outcome] = {
    "failed": "error",
    "suspended": "unverified",
    "budget": "budget",
    "denied": "denied",
    "error": "error",
    "interrupted": "error",
}
"""What the root call came to in a run that was not answered."""


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


def answered(strategy: str, observation: Observation, checks: list[CheckResult], usage: Usage) -> Tried:
    """An attempt that gave an answer, and what its checks say."""
    outcome, message = _judged(checks)
    return Tried(Attempt(strategy, outcome, tuple(checks), usage, message), True, observation.answer)


def unanswered(strategy: str, observation: Observation | None, usage: Usage) -> Tried:
    """An attempt that gave none."""
    outcome: Outcome = "error"
    message = f"{NO_ANSWER}: end one with `FINAL(value)`"
    if observation is not None and observation.error:
        message = f"{NO_ANSWER}: {observation.error}"
        outcome = "invalid" if observation.broken_skill else "error"
    return Tried(Attempt(strategy, outcome, usage=usage, message=message))


def error_kind(attempt: Attempt) -> str | None:
    """What an attempt failed by, as the usage record has it."""
    if attempt.outcome in ("ok", "unverified"):
        return None
    return "checks" if attempt.checks else "no_answer"


def cut_short(error: BaseException, ledger: Ledger) -> tuple[Outcome, str]:
    """What became of an attempt that was ended from outside, and the kind of its error."""
    if isinstance(error, asyncio.CancelledError):  # the run's own deadline cancels what it contains
        return ("budget", "seconds") if ledger.seconds_left() == 0 else ("error", "cancelled")
    if isinstance(error, BudgetExhausted):
        return "budget", error.limit
    if isinstance(error, ModelFailed):
        return "error", error.fault
    return ("denied" if isinstance(error, Denied) else "error"), type(error).__name__


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


def printed_fields(run: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What `--json` prints, the contract that other programs read: `run_finished` without what is for people."""
    names = ("status", "answer", "run", "strategy", "checks", "usage", "attempts", "needs")
    return {name: {**fields, "run": run}[name] for name in names}


def result_of(run: str, fields: Mapping[str, Any]) -> RunResult:
    """The result that `finished_fields` made these of."""
    return RunResult(
        status=fields["status"],
        answer=fields["answer"],
        run=run,
        strategy=fields["strategy"],
        checks=_checks_of(fields),
        usage=Usage(**fields["usage"]),
        attempts=tuple(
            Attempt(one["strategy"], one["outcome"], _checks_of(one), Usage(**one["usage"]))
            for one in fields["attempts"]
        ),
        needs=tuple(fields["needs"]),
        message=fields.get("message", ""),
        exit_code=fields.get("exit_code", 0),
    )


def _checks_of(fields: Mapping[str, Any]) -> tuple[CheckResult, ...]:
    return tuple(CheckResult(one["name"], one["passed"], one["message"]) for one in fields["checks"])


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
