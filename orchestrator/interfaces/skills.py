"""`orchestrate skills`: what workflows can call here, one skill in full, and tests of their examples."""

from __future__ import annotations

import json
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from orchestrator.app import open_catalog, try_examples
from orchestrator.catalog.trust import read_lock, standing
from orchestrator.errors import UsageError
from orchestrator.interfaces.auditing import audit_named
from orchestrator.interfaces.terminal import as_json, clean, columns, one_line, plural, say, show, table
from orchestrator.interfaces.trusting import trust_named
from orchestrator.runs.table import signature
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from orchestrator.catalog.select import Catalog
    from orchestrator.documents.types import Skill
    from orchestrator.workspace import Workspace

ACTIONS = ("list", "show", "test", "trust", "audit")


def run(args: argparse.Namespace) -> int:
    """List, show or test skills; the value is the exit code."""
    workspace = existing_workspace(args.workspace)
    catalog = open_catalog(workspace)
    if args.action == "list" and not args.names:
        return _list(catalog, workspace, as_object=args.json)
    if args.action == "show" and args.names:
        return _show([catalog.named(name) for name in args.names], as_object=args.json)
    if args.action == "test":
        named = [catalog.named(name) for name in args.names]
        return _test(
            named or [skill for skill in catalog.skills if skill.examples], workspace, as_object=args.json
        )
    if args.action == "audit":
        return audit_named(args.names, catalog, workspace, as_object=args.json)
    if args.action == "trust" and args.names:
        return trust_named(args, catalog, workspace)
    if args.action in ACTIONS:
        what = "takes no names" if args.action == "list" else "needs the name of a skill"
        raise UsageError(f"`orchestrate skills {args.action}` {what}", hint="`orchestrate skills` lists them")
    raise UsageError(f"`orchestrate skills` has no `{args.action}`", hint=_meant(args.action))


def _meant(action: str) -> str:
    if action in ("distrust", "revoke", "untrust"):
        return "did you mean `orchestrate skills trust --revoke NAME`?"
    close = get_close_matches(action, ACTIONS, n=1)
    return f"did you mean `{close[0]}`?" if close else f"it has: {', '.join(ACTIONS)}"


def _list(catalog: Catalog, workspace: Workspace, *, as_object: bool) -> int:
    lock = read_lock(workspace)
    if as_object:
        show(as_json([{**_object(skill), "trust": standing(skill, lock)} for skill in catalog.skills]))
        return 0
    if not catalog.skills:
        say(f"no skills for `{clean(str(workspace.root))}`\nhint: `orchestrate init` makes a first one")
        return 0
    rows = [
        [skill.name, skill.source, standing(skill, lock), _calls(skill), skill.description]
        for skill in catalog.skills
    ]
    for line in table(["SKILL", "FROM", "TRUST", "CALLS", "DESCRIPTION"], rows, width=columns(sys.stdout)):
        show(line)
    n_odd = len(catalog.diagnostics) + sum(bool(skill.diagnostics) for skill in catalog.skills)
    for problem in catalog.diagnostics[:5]:
        say(clean(str(problem)))
    if n_odd:
        say(f"{plural(n_odd, 'diagnostic')}; `orchestrate check FOLDER` shows those of a skill")
    return 0


def _calls(skill: Skill) -> str:
    """What kind of calls a skill takes, in a word or two; the number of its errors where there are some."""
    if n_errors := sum(problem.severity == "error" for problem in skill.diagnostics):
        return f"✗ {plural(n_errors, 'error')}"
    if skill.functions:
        return plural(len(skill.functions), "function")
    return plural(len(skill.scripts), "script") if skill.scripts else "prose"


def _show(skills: Sequence[Skill], *, as_object: bool) -> int:
    if as_object:
        objects = [_object(skill) | {"body": skill.body} for skill in skills]
        show(as_json(objects[0] if len(objects) == 1 else objects))
        return 0
    for skill in skills:
        for line in _described(skill):
            show(clean(line))
    return 0


def _described(skill: Skill) -> list[str]:
    lines = [
        skill.name,
        f"  {skill.description}",
        f"  {skill.folder} ({skill.source}, version {skill.version[:12]})",
    ]
    for function in skill.functions.values():
        default = " (default)" if function.name == skill.default else ""
        lines.append(f"  skills.{skill.attribute}.{signature(function.name, function.input)}{default}")
        lines.append(f"    {function.description or function.entry}; effects: {function.effects}")
    for script in skill.scripts.values():
        lines.append(f'  skills.{skill.attribute}.run("{script.path}")  {signature("takes", script.input)}')
        lines += [f"    {text}" for text in (script.description, *script.unread) if text]
    if skill.uses:
        lines.append(f"  uses: {', '.join(skill.uses)}")
    if skill.examples:
        lines.append(f"  {plural(len(skill.examples), 'example')}: `orchestrate skills test {skill.name}`")
    return [*lines, *(f"  {problem}" for problem in skill.diagnostics)]


def _test(skills: Sequence[Skill], workspace: Workspace, *, as_object: bool) -> int:
    results = {skill.name: try_examples(workspace, skill.name) for skill in skills}
    n_failed = sum(not one.passed for found in results.values() for one in found)
    if as_object:
        show(as_json([{"skill": name, **_result(one)} for name, found in results.items() for one in found]))
        return 1 if n_failed else 0
    for name, found in results.items():
        for one in found:
            show(
                one_line(
                    f"{'✓' if one.passed else '✗'} {name}.{one.function} {_short(one.input)}",
                    columns(sys.stdout),
                )
            )
            if not one.passed:
                show(clean(f"    {one.message}"))
    say(f"{plural(sum(map(len, results.values())), 'example')}, {n_failed} failed")
    return 1 if n_failed else 0


def _result(one: Any) -> dict[str, Any]:
    return {"function": one.function, "input": dict(one.input), "passed": one.passed, "message": one.message}


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _object(skill: Skill) -> dict[str, Any]:
    return {
        "name": skill.name,
        "description": skill.description,
        "path": str(skill.folder),
        "source": skill.source,
        "version": skill.version,
        "functions": {
            name: {"signature": signature(name, function.input), "description": function.description, "effects": function.effects,
                   "input": function.input, "output": function.output}
            for name, function in skill.functions.items()
        },
        "default": skill.default,
        "scripts": {path: {"description": script.description, "input": script.input} for path, script in skill.scripts.items()},
        "uses": list(skill.uses),
        "examples": len(skill.examples),
        "diagnostics": [
            {"path": problem.path, "line": problem.line, "severity": problem.severity, "message": problem.message, "hint": problem.hint}
            for problem in skill.diagnostics
        ],
    }  # fmt: skip
