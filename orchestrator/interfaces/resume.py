"""`orchestrate resume`: go on with a run that crashed, was stopped, or waits for answers."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.app import ResumeRequest, plan_resume
from orchestrator.errors import UsageError
from orchestrator.interfaces.asking import asked_inputs
from orchestrator.interfaces.outcome import print_answer, say_warnings
from orchestrator.interfaces.running import run_planned
from orchestrator.interfaces.terminal import is_terminal, say
from orchestrator.runs.inputs import read_json, read_typed
from orchestrator.runs.resuming import missing_needs
from orchestrator.values import RunResult

if TYPE_CHECKING:
    import argparse

    from orchestrator.app import Plan

ANSWERS = '{"ID": answer, ...}, with the ids of its needs'


def run(args: argparse.Namespace) -> int:
    """Go on with a run; the value is the exit code."""
    request = ResumeRequest(
        args.run,
        args.workspace,
        read_answers(args.answers) if args.answers else {},
        tuple(args.approve),
        tuple(args.deny),
        accepts_prices=args.yes,
    )
    planned = plan_resume(request)
    if isinstance(planned, RunResult):
        say(f"run `{planned.run}` has ended; this is its recorded result")
        print_answer(planned, as_object=args.json)
        return planned.exit_code
    if planned.missing and is_terminal(sys.stderr) and sys.stdin.isatty():
        planned = plan_resume(replace(request, answers={**request.answers, **_asked(planned)}))
        assert not isinstance(planned, RunResult)
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


def read_answers(where: str) -> dict[str, Any]:
    """The answers in a file, or on stdin where that is `-`. Raises UsageError."""
    try:
        answers = read_json(sys.stdin.read() if where == "-" else Path(where).read_text("utf-8"))
    except OSError as error:
        raise UsageError(
            f"can't read `--answers {where}`: {error.strerror}", hint=f"name a file with {ANSWERS}, or -"
        ) from error
    except (json.JSONDecodeError, ValueError) as error:
        raise UsageError(
            f"`--answers {where}` holds no JSON: {error}", hint=f"it has to be {ANSWERS}"
        ) from error
    if not isinstance(answers, dict):
        raise UsageError(f"`--answers {where}` holds no JSON object", hint=f"it has to be {ANSWERS}")
    return answers
