"""`orchestrate check`: every problem of the files that people write, as `path:line`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.app import check_workflow, load_skills
from orchestrator.errors import DocumentError
from orchestrator.interfaces.terminal import clean, plural, say, show
from orchestrator.values import Problem

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

SKILL_FILES = ("skill.md", "manifest.yaml", "manifest.yml")


def run(args: argparse.Namespace) -> int:
    """Print all problems of all files; the value is 2 when one of them is an error."""
    n_errors = n_warnings = 0
    for name in args.files:
        problems = problems_of(Path(name), workspace=args.workspace, strict=args.strict)
        n_errors += sum(problem.severity == "error" for problem in problems)
        n_warnings += sum(problem.severity == "warning" for problem in problems)
        for problem in problems:
            show(clean(str(problem)))
        if not problems:
            show(f"{clean(name)}: ok")
    if n_errors or n_warnings:
        say(f"\n{plural(n_errors, 'error')}, {plural(n_warnings, 'warning')}")
    return 2 if n_errors or (args.strict and n_warnings) else 0


def problems_of(path: Path, *, workspace: str | None = None, strict: bool = False) -> Sequence[Problem]:
    """What is wrong with a workflow, a skill (by its folder or one of its files) or a folder of skills."""
    if path.is_dir():
        return _skill_problems(path)
    if path.name.lower() in SKILL_FILES and path.is_file():
        return _skill_problems(path.parent)
    try:
        return check_workflow(path, workspace=workspace, strict=strict)
    except DocumentError as error:
        return error.problems


def _skill_problems(folder: Path) -> list[Problem]:
    skills = load_skills([folder])
    if not skills:
        return [Problem(str(folder), 0, "no skill in this folder", "a skill is a folder with a SKILL.md")]
    return [problem for skill in skills for problem in skill.diagnostics]
