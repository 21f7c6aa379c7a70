"""How a run's plan, its answer and its ending are printed."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError
from orchestrator.interfaces.drawing import FINE, spent
from orchestrator.interfaces.needs import need_lines
from orchestrator.interfaces.terminal import (
    as_json,
    clean,
    columns,
    duration,
    is_terminal,
    plural,
    say,
    show,
)
from orchestrator.values import RunResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.app import Plan
    from orchestrator.runs.tree import Tree
    from orchestrator.values import Problem


MAX_NAMED = 5
"""So many failed cells are named at the end of a run."""


def say_warnings(warnings: Iterable[Problem]) -> None:
    """Print what is odd about a file that can be used all the same."""
    for problem in warnings:
        say(clean(str(problem)))


def print_answer(result: RunResult, *, as_object: bool) -> None:
    """Print the answer: a text as it is, anything else as JSON; with `as_object` the whole result as one object."""
    from orchestrator.runs.results import finished_fields, printed_fields  # loaded by now: there was a run

    if as_object:
        show(as_json(printed_fields(result.run, finished_fields(result))))
    elif isinstance(result.answer, str):
        show(clean(result.answer) if is_terminal(sys.stdout) else result.answer)
    elif result.answer is not None or result.status == "answered":
        show(as_json(result.answer))


def print_interrupted(planned: Plan, tree: Tree, *, as_object: bool) -> None:
    """Print what became of a run that was stopped; with `as_object` as one object too, as its record has it."""
    from orchestrator.runs.results import finished_fields, printed_fields  # loaded by now: there was a run

    if as_object:
        fields = tree.finished or finished_fields(RunResult("interrupted", None, planned.run))
        show(as_json(printed_fields(planned.run, fields)))
    say(f"interrupted\n  orchestrate show {planned.run}\n  orchestrate resume {planned.run}")


def say_ending(result: RunResult, tree: Tree, planned: Plan) -> None:
    """Print how a run ended, why if it failed, and where its record is."""
    for check in result.checks:
        if not check.passed:
            say(clean(f"✗ check `{check.name}` failed: {check.message}"))
    if (
        result.message
        and result.status != "answered"
        and not any(not check.passed for check in result.checks)
    ):
        say(f"error: {clean(result.message)}")
    say(_ending(result, tree, _unpriced(tree, planned)))
    for sentence in result.learned:
        say(clean(sentence))
    folder = planned.workspace.runs / result.run
    again = f"\n  orchestrate resume {result.run}" if result.status == "error" else ""
    say(f"record: {clean(str(folder))}\n  orchestrate show {result.run}{again}")


def say_needs(result: RunResult, planned: Plan) -> None:
    """Print what a run waits for, and how it is answered."""
    say(f"suspended: it waits for {plural(len(result.needs), 'answer')}")
    for line in need_lines(result.run, result.needs, columns(sys.stderr)):
        say(line)
    say(f"record: {clean(str(planned.workspace.runs / result.run))}")


def _unpriced(tree: Tree, planned: Plan) -> list[str]:
    """Models that answered, charged nothing and are not known to be free. A recording has no price to be known."""
    names = []
    for name, usd in tree.by_model.items():
        try:
            target = planned.reach.resolve(name)
        except OrchestratorError:
            continue  # it was named by a program of the workspace's own, which is gone by now
        if usd <= 0 and target.usd_in is None and target.backend != "recorded":
            names.append(name)
    return names


def _became(result: RunResult) -> str:
    """What became of the attempts, as "`written` failed its checks, answered by `rlm`"."""
    is_last_good = result.status == "answered"
    said = []
    for attempt in result.attempts[:-1] if is_last_good else result.attempts:
        failed = any(not check.passed for check in attempt.checks)
        said.append(f"`{attempt.strategy}` {'failed its checks' if failed else 'gave no answer'}")
    end = f"{result.status} by `{result.strategy}`" if is_last_good else result.status
    return ", ".join([*dict.fromkeys(said), end])


def _of_checks(result: RunResult) -> str:
    """How many checks passed; of an answer that is none, whose it is."""
    n_passed = sum(check.passed for check in result.checks)
    passed = f"{n_passed} of {plural(len(result.checks), 'check')} passed"
    owner = next((one.strategy for one in reversed(result.attempts) if one.checks == result.checks), None)
    return passed if result.status == "answered" or owner is None else f"the answer of `{owner}`: {passed}"


def _ending(result: RunResult, tree: Tree, unpriced: list[str]) -> str:
    from orchestrator.runs.results import usage_fields  # loaded by now: there was a run

    parts: list[str] = [_became(result)]
    if result.checks:
        parts.append(_of_checks(result))
    cells = tree.root.cells if tree.root else []
    if failed := [str(cell.number) for cell in cells if cell.error]:
        named = ", ".join([*failed[:MAX_NAMED], *(["…"] if len(failed) > MAX_NAMED else [])])
        which = f" ({named})" if len(result.attempts) < 2 else ""  # each attempt counts its cells from 1
        parts.append(f"{len(failed)} of {plural(len(cells), 'cell')} failed{which}")
    calls = [node for node in tree.root.walk() if node.kind == "skill"] if tree.root else []
    n_failed = sum(node.outcome not in (None, *FINE) for node in calls)
    if calls or not result.usage.calls:
        parts.append(plural(len(calls), "skill call") + (f" ({n_failed} failed)" if n_failed else ""))
    parts += spent(usage_fields(result.usage), unpriced)
    parts.append(duration(result.usage.seconds))
    return " · ".join(parts)


def print_plan(planned: Plan, *, as_object: bool) -> None:
    """Print what would run."""
    fields = _plan_object(planned)
    if as_object:
        show(as_json(fields))
        return
    for name, value in fields.items():
        lines = textwrap.wrap(clean(_listed(value)), max(columns(sys.stdout) - 13, 20)) or ["-"]
        show(f"{name:12} {lines[0]}")
        for line in lines[1:]:
            show(f"{'':12} {line}")


def _listed(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{name}={part if isinstance(part, str) else json.dumps(part)}" for name, part in value.items()
        )
    return ", ".join(value) if isinstance(value, list) else str(value)


def _plan_object(planned: Plan) -> dict[str, Any]:
    limits = {name: getattr(planned.limits, name) for name in planned.limits.__dataclass_fields__}
    return {
        "workflow": planned.workflow.name,
        "path": str(planned.workflow.path),
        "workspace": str(planned.workspace.root),
        "environment": planned.environment,
        "strategies": list(planned.strategies),
        "models": {"root": planned.models.root, "sub": planned.models.sub},
        "inputs": planned.inputs,
        "skills": [skill.name for skill in planned.skills],
        "context": list(planned.workflow.context),
        "checks": [check.name for check in planned.workflow.checks],
        "budget": limits,
    }
