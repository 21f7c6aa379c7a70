"""What a workflow names and nobody has: skills, functions of skills, strategies."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.values import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from orchestrator.catalog.select import Catalog
    from orchestrator.documents.types import Check, Skill, Workflow
    from orchestrator.documents.yaml_values import Located, Location
    from orchestrator.values import Severity

SKILLS_HINT = "see `orchestrate skills`"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with one entry of a workflow's frontmatter."""

    location: Location
    message: str
    hint: str
    severity: Severity = "error"


def workflow_problems(
    workflow: Workflow, catalog: Catalog, strategies: Sequence[str], *, strict: bool = False
) -> list[Problem]:
    """All that keeps a workflow from being run with these skills and strategies, and what is odd about its names.

    Also what is wrong with the files of skills that it names. Strict makes errors of all that is odd.
    """
    flaws = [
        *_strategy_flaws(workflow.strategies or (), strategies),
        *_skill_flaws(workflow.skills, catalog),
        *(
            flaw
            for number, check in enumerate(workflow.checks)
            for flaw in _check_flaws(number, check, catalog)
        ),
        *_approval_flaws(workflow.approvals, catalog.skills),
    ]
    problems = [*_placed(flaws, workflow.path), *_broken(workflow, catalog)]
    return [replace(problem, severity="error") for problem in problems] if strict else problems


def _strategy_flaws(named: Iterable[str], known: Sequence[str]) -> Iterator[Flaw]:
    for number, name in enumerate(named):
        if name not in known:
            message = f"no strategy named `{name}` ({len(known)} known: {', '.join(known)})"
            yield Flaw(("strategies", number), message, _meant(name, known))


def _skill_flaws(patterns: Sequence[str] | None, catalog: Catalog) -> Iterator[Flaw]:
    _, unknown = catalog.select(patterns)
    for number, pattern in enumerate(patterns or ()):
        if pattern in unknown:
            yield Flaw(("skills", number), *_unknown_skill(pattern, catalog))


def _check_flaws(number: int, check: Check, catalog: Catalog) -> Iterator[Flaw]:
    if check.kind != "skill":
        return
    name, dot, function = check.text.partition(".")
    skill = catalog.get(name)
    location = ("checks", number, "skill")
    if skill is None:
        yield Flaw(location, *_unknown_skill(name, catalog))
    elif dot and function not in skill.functions and not _errors(skill):
        known = list(skill.functions)
        hint = _meant(function, known) or f"it has: {', '.join(known) or 'none'}"
        yield Flaw(location, f"`{name}` has no function `{function}`", hint)


def _approval_flaws(patterns: Iterable[str], skills: Iterable[Skill]) -> Iterator[Flaw]:
    """One that fits no call is dangerous: its author believes that somebody is asked."""
    known = [pattern for skill in skills for pattern in _approvals_of(skill)]
    for number, pattern in enumerate(patterns):
        if pattern not in known:
            hint = _meant(pattern, known) or f"write `skill:NAME` or `skill:NAME.FUNCTION`; {SKILLS_HINT}"
            message = f"`{pattern}` fits no call, so nothing waits for a person"
            yield Flaw(("approvals", number), message, hint, "warning")


def _approvals_of(skill: Skill) -> list[str]:
    return [
        f"skill:{skill.name}",
        *(f"skill:{skill.name}.{name}" for name in (*skill.functions, *skill.scripts)),
    ]


def _broken(workflow: Workflow, catalog: Catalog) -> Iterator[Problem]:
    """The errors of the skills that a workflow names; of all others that it may call, which ones have any."""
    named = {check.text.partition(".")[0] for check in workflow.checks if check.kind == "skill"}
    if workflow.skills is not None:
        named |= {skill.name for skill in catalog.select(workflow.skills)[0]}
    broken = [skill for skill in catalog.skills if _errors(skill)]
    for skill in broken:
        if skill.name in named:
            yield from _errors(skill)
    others = [skill for skill in broken if skill.name not in named]
    if workflow.skills is None and others:
        names = ", ".join(f"`{skill.name}`" for skill in others)
        message = f"functions are missing from {names}: the manifest has errors"
        hint = f"`orchestrate check {others[0].folder}` tells them"
        yield Problem(str(workflow.path), 0, message, hint, severity="warning")


def _errors(skill: Skill) -> list[Problem]:
    return [problem for problem in skill.diagnostics if problem.severity == "error"]


def _unknown_skill(name: str, catalog: Catalog) -> tuple[str, str]:
    close = catalog.closest(name)
    hint = f"did you mean `{close}`? {SKILLS_HINT}" if close else SKILLS_HINT
    return f"no skill named `{name}` ({len(catalog.skills)} known)", hint


def _meant(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def _placed(flaws: list[Flaw], path: Path) -> list[Problem]:
    """The flaws as problems with the lines of their entries, in that order."""
    if not flaws:
        return []
    located = _located(path)
    problems = [
        Problem(str(path), located.line(flaw.location), flaw.message, flaw.hint, flaw.severity)
        for flaw in flaws
    ]
    return sorted(problems, key=lambda problem: problem.line)


def _located(path: Path) -> Located:
    """The frontmatter of a file that could be read before, with its lines."""
    # Imported here: a workflow without flaws need not have its frontmatter read twice.
    from orchestrator.documents import frontmatter, yaml_values

    parts = frontmatter.split(frontmatter.normalised(path.read_text("utf-8")))
    return yaml_values.read(parts.frontmatter or "", parts.frontmatter_line)
