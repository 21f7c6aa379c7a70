"""`orchestrate strategies`: how strategies did by workflow and why they stand in this order, one of them, and forgetting."""

from __future__ import annotations

import sys
from dataclasses import asdict
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError
from orchestrator.interfaces.terminal import (
    as_json,
    clean,
    columns,
    duration,
    money,
    one_line,
    plural,
    say,
    show,
    table,
)
from orchestrator.memory.editions import original
from orchestrator.memory.experience import experience_of
from orchestrator.memory.record import FORGOTTEN
from orchestrator.memory.usage import UsageStore
from orchestrator.strategies.choose import NAMES, document_of, ordered
from orchestrator.strategies.learned import PREFIX, folder_of, is_learned, named, programs_of, promoted
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from orchestrator.documents.types import StrategyDocument
    from orchestrator.memory.experience import Experience, Row
    from orchestrator.strategies.choose import Choice
    from orchestrator.workspace import Workspace

ACTIONS = ("list", "show", "forget")


def run(args: argparse.Namespace) -> int:
    """List, show or forget strategies; the value is the exit code."""
    workspace = existing_workspace(args.workspace)
    if args.action == "list":
        return _list(workspace, args.workflow or args.name, as_object=args.json)
    if args.action not in ACTIONS:
        raise UsageError(
            f"`orchestrate strategies` has no `{args.action}`", hint=_meant(args.action, workspace)
        )
    if args.name is None:
        raise UsageError(
            f"`orchestrate strategies {args.action}` needs the name of a strategy",
            hint="`orchestrate strategies` lists them",
        )
    name = args.name
    if _files(workspace, f"{PREFIX}{name}"):
        name = f"{PREFIX}{name}"  # its hash alone
    if args.action == "show":
        return _show(workspace, name)
    return _forget(workspace, name, args.workflow)


def _meant(word: str, workspace: Workspace) -> str:
    """What a word may have been meant for that is no action: a mistyped one, or a workflow to be listed."""
    if word in workflows_of(workspace, experience_of(workspace)):
        return f"`orchestrate strategies list {word}` shows those of the workflow"
    close = get_close_matches(word, ACTIONS, n=1)
    return f"did you mean `{close[0]}`? " * bool(close) + f"it has: {', '.join(ACTIONS)}"


def _list(workspace: Workspace, workflow: str | None, *, as_object: bool) -> int:
    experience = experience_of(workspace)
    names = [workflow] if workflow else sorted(name for name in workflows_of(workspace, experience) if name)
    tables = {name: order_of(workspace, name, experience) for name in names}
    tables = {name: choices for name, choices in tables.items() if choices}
    if as_object:
        show(as_json([_object(name, choices, experience) for name, choices in tables.items()]))
        return 0
    if not tables:
        where = f"of `{clean(workflow)}`" if workflow else f"in `{clean(str(workspace.root))}`"
        say(f"no strategy was tried {where} yet\nhint: `orchestrate WORKFLOW` tries them")
        return 0
    for name, choices in tables.items():
        _print(name, choices, experience)
    return 0


def workflows_of(workspace: Workspace, experience: Experience) -> set[str]:
    """The workflows of which strategies were tried or learned."""
    folders = (workspace.memory / "strategies").glob("*/")
    return {*experience.rows, *(folder.name for folder in folders)}


def order_of(workspace: Workspace, workflow: str, experience: Experience) -> list[Choice]:
    """The strategies of a workflow that were tried or learned, as they would be tried in its next run."""
    programs, _ = programs_of(workspace, workflow)
    rows = experience.rows.get(workflow, {})
    names = [*programs, *(name for name in NAMES if name in rows)]
    version = next((row.version for row in reversed(rows.values())), "")
    return (
        ordered(
            workflow, version, names, experience, experience.situations.get(workflow, {}), promoted(programs)
        )
        if names
        else []
    )


def _print(workflow: str, choices: list[Choice], experience: Experience) -> None:
    rows = [_row(choice, experience.row(workflow, choice.strategy)) for choice in choices]
    header = [workflow, "TRIED", "PASSED", "TIME EACH", "TOKENS EACH", "COST EACH", "SCORE"]
    width = columns(sys.stdout)
    for line in table(header, rows, right=[1, 2, 3, 4, 5, 6], width=width):
        show(line)
    for place, choice in enumerate(choices, 1):
        if choice.why:
            show(one_line(f"{place}. {choice.strategy}: {choice.why}", width))
    if gap := _gap(choices):
        show(gap)
    if best := sorted(experience.ways.get(workflow, {}).items(), key=lambda one: -one[1].passed)[:3]:
        show(
            "what models' cells did: "
            + "; ".join(f"{way}: {row.succeeded} of {row.tried}" for way, row in best)
        )
    show("")


def _row(choice: Choice, row: Row) -> list[str]:
    return [
        choice.strategy,
        f"{row.tried:,}",
        f"{row.passed:,}" + (f" (+{row.unverified:,} unverified)" if row.unverified else ""),
        (duration(row.duration_s / row.tried) if row.tried else "") or "-",
        f"{row.tokens / row.tried:,.0f}" if row.tried else "-",
        money(row.mean_usd) or "-",
        f"{choice.score:.2f}" if choice.score is not None else "-",
    ]


def _gap(choices: list[Choice]) -> str:
    """How far behind the runner-up is."""
    if len(choices) < 2 or choices[0].score is None or choices[1].score is None:
        return ""
    behind, second = choices[0].score - choices[1].score, choices[1].strategy
    if behind < 0:
        return (
            f"runner-up: `{second}`, {-behind:.2f} ahead in score; a program that has not failed goes first"
        )
    return f"runner-up: `{second}`, {behind:.2f} behind"


def _object(workflow: str, choices: list[Choice], experience: Experience) -> dict[str, Any]:
    strategies = [
        {**asdict(choice), **asdict(experience.row(workflow, choice.strategy))} for choice in choices
    ]
    ways = {way: asdict(row) for way, row in experience.ways.get(workflow, {}).items()}
    return {"workflow": workflow, "strategies": strategies, "ways": ways}


def _show(workspace: Workspace, name: str) -> int:
    document = _document(workspace, name)
    show(clean(document.path.read_text("utf-8")))
    say(clean(str(document.path)))
    return 0


def _document(workspace: Workspace, name: str) -> StrategyDocument:
    """The file of a learned or built-in strategy. Raises UsageError where it has none."""
    if (built_in := document_of(name)) is not None:
        return built_in
    for path in _files(workspace, name):
        programs, problems = programs_of(workspace, path.parent.name)
        if (there := named(name, programs)) in programs:
            return programs[there].document
        raise UsageError("; ".join(problems), hint="correct it, or `orchestrate strategies forget` it")
    known = "has no file: its cells are the workflow's own" if name == "written" else "is not known here"
    known = "has no file: a model writes its cells" if name == "rlm" else known
    raise UsageError(f"`{name}` {known}", hint="`orchestrate strategies` lists what was tried and learned")


def _files(workspace: Workspace, name: str, workflow: str | None = None) -> list[Path]:
    """The files of a learned program, in the folder of one workflow or of all."""
    if not is_learned(name):
        return []
    folder = folder_of(workspace, workflow).name if workflow else "*"
    stem = original(name).partition(":")[2]
    return [path for path in (workspace.memory / "strategies").glob(f"{folder}/*.md") if path.stem == stem]


def _forget(workspace: Workspace, name: str, workflow: str | None) -> int:
    """Take back the record of a strategy, and the file of a learned one with that of each of its editions."""
    experience = experience_of(workspace)
    files = _files(workspace, name, workflow)
    here = [rows for one, rows in experience.rows.items() if workflow in (None, one)]
    editions = {name, *(one for rows in here for one in rows if original(one) == original(name))}
    rows = [rows[one] for rows in here for one in editions if one in rows]
    if not rows and not files:
        where = f" in `{workflow}`" if workflow else ""
        raise UsageError(
            f"nothing is known of a strategy `{name}`{where}", hint="`orchestrate strategies` lists what is"
        )
    for one in sorted(editions):
        UsageStore(workspace).record(strategy=one, workflow=workflow, error_kind=FORGOTTEN)
    for path in files:
        path.unlink(missing_ok=True)
    UsageStore(workspace).tallies()
    n_tried = sum(row.tried for row in rows)
    gone = "".join(f"; deleted {clean(str(path))}" for path in files)
    say(f"forgot `{clean(name)}`: {plural(n_tried, 'attempt')} counted no more{gone}")
    return 0
