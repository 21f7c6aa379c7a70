"""The error tree: whose fault it is decides who sees it and which exit code it has.

    OrchestratorError
    ├── UserError            the user's: shown on stderr, exit 2
    │   ├── UsageError       a command line or argument that means nothing
    │   ├── DocumentError    a workflow, SKILL.md or manifest; carries every problem of the file
    │   ├── InputError       inputs that do not meet their schema
    │   └── WorkspaceError   a workspace that can't be read or written (read-only, full)
    ├── CallError            a call of a cell failed: raised there as `SubCallError`, shown to its author
    │   └── SkillError       the same of a skill: raised there as `SkillError`
    ├── WorldError           the machine's: exit 69
    │   ├── EnvironmentUnavailable   no environment of the asked kind works here
    │   ├── ModelUnavailable         nothing answers prompts
    │   ├── ModelFailed              one request to a model failed; most are tried again
    │   └── WorkerLost               a worker ended while it was asked something
    └── PolicyError          the run may not go on
        ├── BudgetExhausted  a limit is reached: exit 4
        ├── Suspended        it waits for answers: exit 3
        ├── Unrepeatable     a replay asks for what was not done before
        └── Denied           not allowed: exit 5

A cell's own exception is no member: it is text in an observation, and never ends the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.values import CallOutcome, Problem


class OrchestratorError(Exception):
    """What every error of this package is. `hint` says how to fix it, in one line, or is empty."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def whole(self) -> str:
        """The message, and the hint on a line of its own."""
        return f"{self}\nhint: {self.hint}" if self.hint else str(self)


class UserError(OrchestratorError):
    """Something the user wrote, typed or pointed at."""

    exit_code = 2


class UsageError(UserError):
    """A command line or an argument that means nothing."""


class DocumentError(UserError):
    """A file that can't be used. `problems` holds all of them, in the order of their lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class InputError(UserError):
    """Inputs that do not meet the workflow's schema. `problems` holds all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class WorkspaceError(UserError):
    """A workspace that can't be read or written: missing rights, a read-only or full disk."""


class CallError(OrchestratorError):
    """A call made by a cell failed. The cell sees it as `SubCallError`.

    `kind` is how the call ended; `retryable` says whether the same call may work later; `partial` is what a
    recursive call had so far.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: CallOutcome = "error",
        retryable: bool = False,
        error_kind: str = "",
        hint: str = "",
        partial: Any = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind: CallOutcome = kind
        self.retryable = retryable
        self.error_kind = error_kind or kind
        self.partial = partial


class SkillError(CallError):
    """A call of a skill failed; the message names the skill. The cell sees it as `SkillError`."""


class WorldError(OrchestratorError):
    """Something around the run: a missing program, model or kernel feature."""

    exit_code = 69


class EnvironmentUnavailable(WorldError):
    """No environment of the asked kind works on this machine."""


class ModelUnavailable(WorldError):
    """No model is configured, or none answers."""


ModelFault = Literal[
    "auth",
    "quota",
    "rate",
    "server",
    "connection",
    "timeout",
    "rejected",
    "too_long",
    "unknown_model",
    "junk",
    "no_schema",
    "not_run",
]
"""Why a request to a model failed. `auth` and `quota` hold for every further request to the same endpoint.

`no_schema`: the endpoint can't hold its reply to this schema; without it the request may work.
`not_run`: it was never sent, because of such a fault before it.
"""


class ModelFailed(WorldError):
    """One request to a model failed.

    `fault` tells why; `retryable` whether the same request may work later, after `retry_after_s` where the endpoint
    said so; `was_sent` whether the endpoint may have done (and charged) the work although no reply came; `was_made`
    whether there was a request at all.
    """

    def __init__(
        self,
        message: str,
        fault: ModelFault,
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
        was_sent: bool = False,
        was_made: bool = True,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.fault: ModelFault = fault
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.was_sent = was_sent
        self.was_made = was_made and fault != "not_run"


class WorkerLost(WorldError):
    """A worker ended, or broke its protocol, while it was asked something.

    `reason` tells a cell's author what happened, as `the worker was killed by signal 9`; `late` says whether it was
    ended for being past its deadline, `killed` whether signal 9 ended it, which may have come from outside.
    """

    def __init__(self, reason: str, *, late: bool = False, killed: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.late = late
        self.killed = killed


class PolicyError(OrchestratorError):
    """The run may not go on."""


class BudgetExhausted(PolicyError):
    """A limit of the budget is reached: which one, how much was spent, how much was allowed.

    `needed` is what did not fit, `last` the last of several errors in a row, `partial` what a reply that it cut off
    had so far.
    """

    exit_code = 4

    def __init__(
        self,
        limit: str,
        spent: float,
        allowed: float,
        *,
        needed: float = 0,
        last: str = "",
        partial: str | None = None,
    ) -> None:
        more = f", and the next request may need {needed:,.10g}" if needed else ""
        more += f"; the last one: {last}" if last else ""
        super().__init__(
            f"budget exhausted: `{limit}` is at {spent:,.10g} of {allowed:,.10g}{more}",
            hint=f"allow more with --budget {limit}=N, or in the workflow's `budget:`",
        )
        self.limit, self.spent, self.allowed = limit, spent, allowed
        self.partial = partial


class Suspended(PolicyError):
    """The run waits for answers: `needs` as the envelope has them."""

    exit_code = 3

    def __init__(self, needs: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(f"waits for {len(needs)} answer{'s' * (len(needs) != 1)}")
        self.needs = tuple(needs)


class Unrepeatable(PolicyError):
    """A replay came to something that the run did not do: it is not done now either."""


class Denied(PolicyError):
    """Something the workflow, the workspace or a person did not allow."""

    exit_code = 5
