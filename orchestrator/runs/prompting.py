"""The first two messages of a recursive call: how to work, and what the task is.

Values go in by type and size and never with their content, so that the prompt is the same whether the context has a
thousand characters or a thousand million. What others wrote (skills, notes) stands in the second message, marked
as such: it is material and gives no instructions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.documents.template import fill
from orchestrator.environments.frames import TextFile
from orchestrator.memory.matching.stored import index_in_memory
from orchestrator.models.model import Message
from orchestrator.runs.table import signature
from orchestrator.strategies.material import material

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.documents.types import Schema, Skill, Workflow
    from orchestrator.memory.tallies import Tallies, Tally

N_SKILLS = 12
"""Skills described in the table: with many more, models choose worse. The others are named."""

NAMES_CHARS = 1_500
"""Length of the line that names them."""

RANKED_CHARS = 4_000
"""Of a longer task, the beginning says which skills fit."""

N_FUNCTIONS = 6
"""Functions of one skill in the table."""

TASK_CHARS = 30_000
"""Of a longer task, the message holds the beginning, and the REPL the whole as `task`."""

VALUE_CHARS = 300
"""An input above this stands in the task by its name, not by its value."""

LINE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Brief:
    """What a recursive call is told at its beginning. `instructions` come from a skill, not from who gave the task."""

    task: str
    variables: Mapping[str, Any]
    output: Schema | None
    skills: Sequence[Skill]
    left: Mapping[str, Any]
    n_turns: int | None
    depth_left: int | None
    instructions: str = ""
    failures: Sequence[str] = ()
    tallies: Tallies | None = None
    advice: str = ""  # how ways of working did before


def opening(brief: Brief) -> tuple[Message, Message]:
    """The system message, which is always the same, and the one that gives the task."""
    return Message("system", prompt_text("system")), Message("user", "\n\n".join(_sections(brief)))


@cache
def prompt_text(name: str) -> str:
    """The text of a file in `prompts/`."""
    return (Path(__file__).parent / "prompts" / f"{name}.md").read_text("utf-8")


def task_text(workflow: Workflow, inputs: Mapping[str, Any]) -> str:
    """The prose of a workflow with its inputs filled in; long ones stand by name. Cells are left in: they show a way."""
    shown = {
        name: f'(the variable inputs["{name}"], {described(value)})' if _is_long(value) else value
        for name, value in inputs.items()
    }
    return fill(workflow.body, shown).strip() or workflow.description or workflow.name


def described(value: Any) -> str:
    """Type and size of a value, never its content."""
    if isinstance(value, TextFile):
        kind = "Context" if value.n_bytes > (64 << 20) else "str"
        return f"{kind} of {value.n_bytes:,} bytes"
    if isinstance(value, str):
        return f"str of {len(value):,} characters"
    if isinstance(value, (list, dict)):
        parts = list(value.values()) if isinstance(value, dict) else value
        n_texts = sum(_n_chars(part) for part in parts)
        inside = f", {n_texts:,} characters of text in all" if n_texts else ""
        of = f" ({_kinds(parts)})" if parts else ""
        return f"{type(value).__name__} of {len(parts):,} items{of}{inside}"
    return type(value).__name__


def _sections(brief: Brief) -> Iterable[str]:
    yield f"# Task\n{_cut(brief.task)}"
    if brief.instructions:
        yield f"# Instructions of the skill\n{material('skill', _cut(brief.instructions.strip()))}"
    if brief.output is not None:
        yield f"The answer has to meet this JSON Schema:\n{json.dumps(brief.output, ensure_ascii=False)}"
    if brief.failures:
        listed = "\n".join(f"- {_line(failure, 500)}" for failure in brief.failures)
        yield f"# What was tried before, and why it was not accepted\n{material('failures', listed)}"
    lines = [f"- `{name}`: {described(value)}" for name, value in _flat(brief.variables)]
    yield "# Variables\n" + "\n".join(lines)
    if brief.skills:
        yield f"# Skills\n{material('skills', skill_lines(brief))}"
    if brief.advice:
        yield f"# How it went before\n{brief.advice}"
    yield f"# Budget\n{left_line(brief.left)}. {_turns(brief)}"


def skill_lines(brief: Brief) -> str:
    """The skills that fit the task best, a line for each function, and how they did so far."""
    ordered = _by_fit(brief.task, brief.skills)
    lines = [line for skill in ordered[:N_SKILLS] for line in _of_skill(skill, brief.tallies)]
    if others := ordered[N_SKILLS:]:
        lines.append(_named(others))
    return "\n".join(lines)


def left_line(left: Mapping[str, Any]) -> str:
    """What is left of the budget, on one line."""
    units = {"calls": "model requests", "tokens": "tokens", "usd": "usd", "seconds": "seconds"}
    parts = [f"{left[name]:,} {unit}" for name, unit in units.items() if left.get(name) is not None]
    return "Left: " + (", ".join(parts) or "no limits")


def _turns(brief: Brief) -> str:
    turns = "Turns are not limited" if brief.n_turns is None else f"You have {brief.n_turns} turns"
    if brief.depth_left is None:
        return f"{turns}."
    if brief.depth_left <= 0:
        return f"{turns}. `rlm_query` can't be used from here: the depth that is allowed is reached; `llm_query` can."
    return f"{turns}; `rlm_query` may go {brief.depth_left} levels deeper."


def _flat(variables: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in variables.items():
        if name == "inputs" and isinstance(value, dict):
            for key, part in value.items():
                yield f'inputs["{key}"]', part
        else:
            yield name, value


def _by_fit(task: str, skills: Sequence[Skill]) -> list[Skill]:
    """The skills, best first where there are too many to describe.

    By what is said of them only: a run that goes on has to come to the same text, whatever was recorded since.
    """
    if len(skills) <= N_SKILLS:
        return list(skills)
    index = index_in_memory(skills)
    fit = index.scores(index.asked(task[:RANKED_CHARS]))
    return [
        skills[number] for number in sorted(range(len(skills)), key=lambda number: (-fit[number], number))
    ]


def _named(skills: Sequence[Skill]) -> str:
    """One line for skills that are not described: they can be called all the same."""
    names: list[str] = []
    room = NAMES_CHARS
    for skill in skills:
        room -= len(skill.attribute) + 4
        if room < 0:
            break
        names.append(f"`{skill.attribute}`")
    n_more = len(skills) - len(names)
    rest = f" and {n_more} more, which `print(skills)` lists" if n_more else ""
    return f"- also callable (`print(skills.NAME)` tells what it does): {', '.join(names)}{rest}"


def _of_skill(skill: Skill, tallies: Tallies | None) -> Iterable[str]:
    did = _did(tallies.skills.get(skill.name)) if tallies else ""
    about = _line(skill.description, LINE_CHARS)
    if not skill.functions:
        yield f'- `skills.{skill.attribute}("<task>", ...)`: {about}{did}'
        for path in list(skill.scripts)[:N_FUNCTIONS]:
            yield f'  - `skills.{skill.attribute}.run("{path}", ...)`: {_line(skill.scripts[path].description, 100)}'
        return
    yield f"- `skills.{skill.attribute}`: {about}{did}"
    for name, function in list(skill.functions.items())[:N_FUNCTIONS]:
        mark = " (what calling the skill itself does)" if name == skill.default else ""
        shown = signature(name, function.input)
        yield f"  - `skills.{skill.attribute}.{shown}`{mark}: {_line(function.description, 120)}"


def _did(tally: Tally | None) -> str:
    if tally is None or not tally.calls:
        return ""
    return f" [{tally.calls} calls before, {tally.failed} failed]"


def _is_long(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) > VALUE_CHARS
    return isinstance(value, TextFile) or len(json.dumps(value, default=str)) > VALUE_CHARS


def _n_chars(value: Any) -> int:
    if isinstance(value, TextFile):
        return value.n_bytes
    return len(value) if isinstance(value, str) else 0


def _kinds(parts: Sequence[Any]) -> str:
    kinds = dict.fromkeys("str" if isinstance(part, TextFile) else type(part).__name__ for part in parts)
    return ", ".join(list(kinds)[:3]) + (", ..." if len(kinds) > 3 else "")


def _cut(text: str) -> str:
    if len(text) <= TASK_CHARS:
        return text
    return f"{text[:TASK_CHARS]}\n[... {len(text) - TASK_CHARS:,} characters left out; `task` has all ...]"


def _line(text: str, n_chars: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= n_chars else flat[: n_chars - 1] + "…"
