"""What `orchestrate watch WORKFLOW --on GLOB` is to run on which files, out of its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.app import find_workflow, load_workflow
from orchestrator.errors import UsageError
from orchestrator.interfaces.feeding import IN_A_ROW
from orchestrator.interfaces.run import pairs
from orchestrator.workspace import workspace_of

if TYPE_CHECKING:
    import argparse

    from orchestrator.documents.types import Workflow
    from orchestrator.workspace import Workspace

N_JOBS = 2
"""Runs at once unless told otherwise: each has workers and a budget of its own."""

PLACE = "{}"
"""In an input: where the file's path goes."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run on which files. `words` are of `orchestrate run`; in `typed`, PLACE stands for the file."""

    workspace: Workspace
    path: Path
    workflow: Workflow
    pattern: str
    typed: Mapping[str, str]
    words: tuple[str, ...]
    n_jobs: int
    n_in_a_row: int
    as_json: bool

    @property
    def name(self) -> str:
        """The workflow's."""
        return self.workflow.name


def order_of(args: argparse.Namespace) -> Order:
    """What the words ask for. Raises UsageError, and DocumentError for a workflow that has problems."""
    typed, budget, word = pairs(args)
    if args.jobs is not None and args.jobs < 1:
        raise UsageError(f"`--jobs {args.jobs}`: not one run could begin", hint="give 1 or more")
    if args.in_a_row is not None and args.in_a_row < 1:
        raise UsageError(f"`--in-a-row {args.in_a_row}`: not one run could begin", hint="give 1 or more")
    path = find_workflow(Path(word or ""), args.workspace)
    _check_pattern(args.on, workspace_of(args.workspace, path))
    workflow = load_workflow(path)
    where = path_input(
        workflow.inputs.get("properties", {}), list(workflow.inputs.get("required", ())), typed
    )
    named = {
        "model": args.model,
        "sub-model": args.sub_model,
        "strategy": args.strategy,
        "environment": args.environment,
    }
    words = [f"--{name}={value}" for name, value in named.items() if value is not None]
    words += [f"--budget={name}={value}" for name, value in budget.items()]
    words += ["--yes"] * args.yes + ["--frozen"] * args.frozen
    return Order(
        workspace=workspace_of(args.workspace, path),
        path=path.absolute(),
        workflow=workflow,
        pattern=args.on,
        typed=typed | ({} if where is None else {where: PLACE}),
        words=tuple(words),
        n_jobs=N_JOBS if args.jobs is None else args.jobs,
        n_in_a_row=IN_A_ROW if args.in_a_row is None else args.in_a_row,
        as_json=args.json,
    )


def path_input(properties: Mapping[str, Any], required: list[str], typed: Mapping[str, str]) -> str | None:
    """The input that the file's path goes to; None where somebody said so with PLACE. Raises UsageError for no single one."""
    if any(PLACE in text for text in typed.values()):
        return None
    paths = [name for name, schema in properties.items()
             if isinstance(schema, dict) and schema.get("format") == "path" and name not in typed]  # fmt: skip
    needed = [name for name in paths if name in required]
    for names in (needed, paths):
        if len(names) == 1:
            return names[0]
    found = (
        f"has {len(paths)} inputs with `format: path` ({', '.join(paths)})"
        if paths
        else "has no input with `format: path`"
    )
    name = (needed or paths or list(properties) or ["NAME"])[0]
    raise UsageError(
        f"the workflow {found}: where does the file's path go?", hint=f"say so with --input {name}={PLACE}"
    )


def _check_pattern(pattern: str, workspace: Workspace) -> None:
    """Raise UsageError for one that names no file, whatever arrives."""
    folder = Path(workspace.root, pattern)
    if pattern.strip() and not folder.is_dir():
        return
    inside = Path(pattern) / "*" if pattern.strip() else "inbox/*"
    raise UsageError(
        f"`--on {pattern}` names a folder, and no files" if pattern.strip() else "`--on` names no files",
        hint=f"write a pattern, quoted: --on '{inside}'",
    )
