"""A skill tested by the examples in its own manifest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import CallError, Denied, UsageError
from orchestrator.runs.alone import Alone, opened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.catalog.trust import Trusted
    from orchestrator.documents.types import Example, Skill
    from orchestrator.environments.environment import Environment
    from orchestrator.runs.alone import Caller
    from orchestrator.runs.models import Reach
    from orchestrator.runs.parts import ModelNames


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
    use. Raises UsageError when there is nothing to run.
    """
    if not skill.examples:
        raise UsageError(
            f"`{skill.name}` has no examples to run",
            hint=f"add `examples: [{{input: ..., output: ...}}]` to `{skill.folder / 'manifest.yaml'}`",
        )
    alone = Alone(skill, skill.permissions, reach, known, models, lock, cwd=skill.folder)
    async with opened(alone, environment) as call:
        return [await _one(call, skill, example) for example in skill.examples]


async def _one(call: Caller, skill: Skill, example: Example) -> ExampleResult:
    name = example.function or skill.default or next(iter(skill.functions), "")
    try:
        value = await call(name, example.input)
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
