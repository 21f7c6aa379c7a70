"""The runs of a workspace, as their journals tell them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import UsageError
from orchestrator.runs.journal import FILE_NAME, is_alive, read_ends, read_journal
from orchestrator.runs.past import RESUMABLE, Past
from orchestrator.runs.processes import described, this_machine
from orchestrator.runs.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.runs.journal import Event
    from orchestrator.values import Status
    from orchestrator.workspace import Workspace

RunStatus = Literal["running", "crashed"]
"""What a run that has not ended is: its process lives, or died without a word."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run in a list of runs."""

    run: str
    workflow: str
    status: Status | RunStatus
    started: str
    usage: dict[str, Any]
    message: str = ""
    needs: tuple[Mapping[str, Any], ...] = ()


def list_runs(workspace: Workspace, newest: int | None = None) -> list[RunInfo]:
    """The runs of a workspace, newest first: all or so many. A damaged journal gives a run with what could be read."""
    return [run_info(folder) for folder in islice(_folders(workspace), newest)]


def count_runs(workspace: Workspace) -> int:
    """How many runs there are."""
    return sum(1 for _ in _folders(workspace))


def find_run(workspace: Workspace, prefix: str) -> Path:
    """Folder of the run whose id is, or alone begins or ends with, `prefix`. `latest` is the newest run."""
    folders = list(_folders(workspace))
    if prefix == "latest":
        if folders:
            return folders[0]
        raise UsageError(f"no runs in `{workspace.root}`", hint="`orchestrate WORKFLOW` makes one")
    hits = [folder for folder in folders if folder.name == prefix]
    hits = hits or [
        folder for folder in folders if folder.name.startswith(prefix) or folder.name.endswith(prefix)
    ]
    if len(hits) == 1:
        return hits[0]
    names = [folder.name for folder in hits or folders]
    if hits:
        raise UsageError(
            f"`{prefix}` fits {len(hits)} runs", hint=f"type more of the id: {', '.join(names[:5])}"
        )
    close = difflib.get_close_matches(prefix, names, n=1, cutoff=0.5)
    hint = f"did you mean `{close[0]}`? " if close else ""
    raise UsageError(
        f"no run `{prefix}` in `{workspace.root}` ({len(names)} known)",
        hint=f"{hint}`orchestrate status` lists the runs",
    )


def run_info(folder: Path) -> RunInfo:
    """What the first and the last line of the journal say: a list of runs does not read what happened in them."""
    started, message = None, ""
    try:
        started, last = read_ends(folder / FILE_NAME)
    except (UsageError, OSError) as error:
        message, last = str(error), None
    name = started.fields.get("workflow", "?") if started else "?"
    since = started.at if started else ""
    if last is not None and last.event == "run_finished":
        fields = last.fields
        return RunInfo(folder.name, name, fields["status"], since, fields["usage"], fields.get("message", ""))
    alive = is_alive(folder)
    if last is not None and last.event == "suspended" and not alive:
        needs = tuple(last.fields["needs"])
        return RunInfo(folder.name, name, "suspended", since, last.fields["usage"], needs=needs)
    usage = {"calls": 0, "tokens": 0, "usd": 0.0, "seconds": _seconds(started, last)}
    return RunInfo(folder.name, name, "running" if alive else "crashed", since, usage, message)


def result_of_run(folder: Path) -> dict[str, Any] | None:
    """The fields of `run_finished` of a run that has ended; None of any other."""
    last = read_ends(folder / FILE_NAME)[1]
    return last.fields if last is not None and last.event == "run_finished" else None


def end_of_run(folder: Path) -> dict[str, Any] | None:
    """The same of a run whose end stands; None of one that may go on."""
    fields = result_of_run(folder)
    return None if fields is None or fields["status"] in RESUMABLE else fields


def process_of(folder: Path) -> int | None:
    """The number of the process that began the run or resumed it last, if that one still is who it was, and here."""
    process = _process(folder)
    if process is None or described(process["pid"]) != process:
        return None
    pid: int = process["pid"]
    return pid


def machine_of(folder: Path) -> str:
    """The machine on which the run began or was resumed last; this one where the record does not say."""
    process = _process(folder)
    return this_machine() if process is None else str(process["host"])


def _process(folder: Path) -> dict[str, Any] | None:
    process: dict[str, Any] | None = None
    for event in read_journal(folder / FILE_NAME, only=frozenset({"run_started", "resumed"})):
        process = event.fields.get("process", process)
    return None if process is None else {"host": this_machine(), **process}


def spent_of_run(folder: Path) -> dict[str, Any]:
    """What a run that has not ended has spent so far, as far as its journal tells."""
    past = Past()
    for event in read_journal(folder / FILE_NAME):
        past.add(event)
    past.close_count()
    spent = past.spent
    return {"calls": spent.calls, "tokens": spent.tokens, "usd": round(spent.usd, 9), "seconds": past.seconds}


def read_tree(folder: Path) -> Tree:
    """The tree of a run from its folder. Raises UsageError as `read_journal` does."""
    tree = Tree()
    recall(folder, tree)
    return tree


def recall(folder: Path, tree: Tree) -> None:
    """Feed a tree with what happened in a run so far. Raises UsageError as `read_journal` does."""
    for event in read_journal(folder / FILE_NAME):
        tree.add(event)


def _seconds(first: Event | None, last: Event | None) -> float:
    """The time that a journal without an end covers."""
    if first is None or last is None:
        return 0.0
    return (datetime.fromisoformat(last.at) - datetime.fromisoformat(first.at)).total_seconds()


def _folders(workspace: Workspace) -> Iterator[Path]:
    try:
        folders = [entry for entry in workspace.runs.iterdir() if (entry / FILE_NAME).is_file()]
    except OSError:
        return iter(())
    return iter(sorted(folders, key=lambda folder: folder.name, reverse=True))
