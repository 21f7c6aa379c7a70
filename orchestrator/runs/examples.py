"""A skill tested by the examples in its own manifest."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.documents.types import Workflow
from orchestrator.errors import CallError, Denied, UsageError
from orchestrator.runs.call import Call
from orchestrator.runs.calls import Server
from orchestrator.runs.engine import Engine
from orchestrator.runs.opening import open_parts
from orchestrator.runs.plan import Plan
from orchestrator.values import Limits
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.catalog.trust import Trusted
    from orchestrator.documents.types import Example, Skill
    from orchestrator.environments.environment import Environment
    from orchestrator.runs.models import Reach
    from orchestrator.runs.parts import ModelNames, Parts


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """What one example came to; `message` is empty when it passed."""

    function: str
    input: Mapping[str, Any]
    passed: bool
    message: str = ""


async def run_examples(
    skill: Skill,
    known: Sequence[Skill],
    environment: Environment,
    models: ModelNames,
    reach: Reach,
    lock: Mapping[str, Trusted],
) -> list[ExampleResult]:
    """One result for each example of the skill, in order.

    They run in the skill's folder with what its manifest asks for, and leave no record: a test proves nothing about
    use. Whoever tests a skill wants its code run, trusted or not; the skills that it calls have to be. Raises UsageError when there is nothing to run.
    """
    if not skill.examples:
        raise UsageError(
            f"`{skill.name}` has no examples to run",
            hint=f"add `examples: [{{input: ..., output: ...}}]` to `{skill.folder / 'manifest.yaml'}`",
        )
    with tempfile.TemporaryDirectory(prefix="orchestrate-test-") as folder:
        plan = _plan(skill, known, Workspace(Path(folder).resolve()), reach)
        plan = replace(plan, models=models, lock=lock, trusts=(skill,))
        async with open_parts(plan, environment, cwd=skill.folder) as parts:
            return [await _one(parts, skill, example) for example in skill.examples]


async def _one(parts: Parts, skill: Skill, example: Example) -> ExampleResult:
    name = example.function or skill.default or next(iter(skill.functions), "")
    server = Server(
        parts, Call("0", "root", "examples"), parts.allowed, parts.rights, Engine(parts, {}).solve
    )
    request = {"skill": skill.name, "function": name, "args": [], "kwargs": dict(example.input)}
    try:
        value = await server("skill", request)
    except (CallError, Denied) as error:
        return ExampleResult(name, example.input, False, str(error))
    if example.output is not None and not _fits(example.output, value):
        got, expected = (json.dumps(part, ensure_ascii=False)[:500] for part in (value, example.output))
        return ExampleResult(name, example.input, False, f"expected {expected}, got {got}")
    return ExampleResult(name, example.input, True)


def _fits(expected: Any, value: Any) -> bool:
    """Equal, where an object may have more keys than the example names."""
    if isinstance(expected, dict):
        return isinstance(value, dict) and all(
            key in value and _fits(expected[key], value[key]) for key in expected
        )
    if isinstance(expected, list):
        return isinstance(value, list) and len(value) == len(expected) and all(map(_fits, expected, value))
    return bool(expected == value)


def _plan(skill: Skill, known: Sequence[Skill], workspace: Workspace, reach: Reach) -> Plan:
    workflow = Workflow(
        name=f"test-{skill.name}",
        description="",
        path=skill.folder / "manifest.yaml",
        body="",
        cells=(),
        inputs={"type": "object"},
        version=skill.version,
        permissions=skill.permissions,
    )
    return Plan("test", workflow, workspace, {}, tuple(known), (skill,), Limits(), "", (), reach)
