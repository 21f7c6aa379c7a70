"""`orchestrate resume`: go on with a run that crashed, was stopped, or waits for answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.app import ResumeRequest, plan_resume
from orchestrator.errors import UsageError
from orchestrator.interfaces.asking import asked_inputs
from orchestrator.interfaces.given import read_object
from orchestrator.interfaces.outcome import print_answer, say_warnings
from orchestrator.interfaces.running import run_planned
from orchestrator.interfaces.terminal import clean, say, somebody_is_there
from orchestrator.interfaces.trusting import asked_trust
from orchestrator.runs.inputs import read_typed
from orchestrator.runs.resuming import missing_needs
from orchestrator.values import RunResult

if TYPE_CHECKING:
    import argparse

    from orchestrator.app import Plan


def run(args: argparse.Namespace) -> int:
    """Go on with a run; the value is the exit code."""
    request = ResumeRequest(
        args.run,
        args.workspace,
        read_object("--answers", args.answers, '{"ID": answer, ...}') if args.answers else {},
        tuple(args.approve),
        tuple(args.deny),
        executor=args.executor,
        accepts_prices=args.yes,
        vouching="yes" if args.yes else "none",
    )
    planned = plan_resume(request)
    if isinstance(planned, RunResult):
        unasked = "; it asks nothing any more" if args.answers or args.approve or args.deny else ""
        say(f"run `{planned.run}` has ended{unasked}; this is its recorded result")
        if planned.message:
            say(clean(planned.message))
        print_answer(planned, as_object=args.json)
        return planned.exit_code
    if planned.missing and somebody_is_there():
        planned = plan_resume(replace(request, answers={**request.answers, **_asked(planned)}))
        assert not isinstance(planned, RunResult)
    if asked_trust(planned):
        again = plan_resume(request)
        planned = planned if isinstance(again, RunResult) else again
    say_warnings(planned.warnings)
    return run_planned(planned, as_object=args.json)


def _asked(planned: Plan) -> dict[str, Any]:
    """Answers that the person at the terminal types, for the inputs that are missing."""
    typed = asked_inputs(planned)
    needs = missing_needs(planned.run, planned.workflow, planned.missing)
    try:
        return {need["id"]: read_typed(need["schema"], typed[need["name"]]) for need in needs}
    except ValueError as error:
        raise UsageError(
            f"that is no value of the input: {error}", hint="resume it again, and type another"
        ) from None
