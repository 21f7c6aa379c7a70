"""Runs begun for a program that asks: each in a process of its own, which outlives it; the journal tells how far it is."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError
from orchestrator.interfaces.detaching import LONGEST_S, OUTPUT
from orchestrator.interfaces.drawing import spent
from orchestrator.interfaces.terminal import plural
from orchestrator.runs.history import end_of_run, result_of_run, run_info
from orchestrator.runs.journal import FILE_NAME, read_journal
from orchestrator.runs.results import finished_fields, printed_fields
from orchestrator.runs.tree import Tree
from orchestrator.values import RunResult, Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.workspace import Workspace

COMMAND = (sys.executable, "-P", "-m", "orchestrator")
"""This program. `-P`: it works in the workspace, whose files must not be taken for modules."""

POLL_S = 0.1
COMMAND_S = 120.0


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that was begun or gone on with in another process. `goes_on` asks whether that one still has it."""

    folder: Path
    goes_on: Callable[[], bool]


def begin(
    workspace: Workspace, workflow: str, inputs: Mapping[str, Any], options: Sequence[str] = ()
) -> Begun:
    """Begin a run apart from this process. Raises UsageError with what `orchestrate run` says where it does not begin."""
    words = ["run", *options, "--detach", "--json", "--input-json", "-", "--", workflow]
    folder = workspace.runs / json.loads(command(workspace, words, json.dumps(inputs)))["run"]
    return Begun(folder, lambda: run_info(folder).status == "running")


def begin_again(
    workspace: Workspace, folder: Path, answers: Mapping[str, Any], options: Sequence[str] = ()
) -> Begun:
    """Go on with a run apart from this process. Raises UsageError with what `orchestrate resume` says where it does not.

    A run that has ended is left alone.
    """
    if end_of_run(folder) is not None:
        return Begun(folder, lambda: False)
    words = ["resume", folder.name, *options, "--json", "--answers", "-"]
    journal, printed = folder / FILE_NAME, folder / OUTPUT
    size = journal.stat().st_size
    output = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    begin = os.fstat(output).st_size
    with tempfile.TemporaryFile() as given:
        given.write(json.dumps(answers).encode())
        given.seek(0)
        process = subprocess.Popen(
            [*COMMAND, *words, "--workspace", str(workspace.root)],
            cwd=workspace.root, stdin=given, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    os.close(output)
    until = time.monotonic() + LONGEST_S
    # Whether it has begun is seen by its first event: asking for the journal's lock could be what keeps it from it.
    while process.poll() is None and journal.stat().st_size == size and time.monotonic() < until:
        time.sleep(0.01)
    if process.poll() is not None and journal.stat().st_size == size:
        raise _refused(printed.read_bytes()[begin:].decode("utf-8", "replace"))
    return Begun(folder, lambda: process.poll() is None)


def command(workspace: Workspace, words: Sequence[str], stdin: str = "") -> str:
    """What a command prints on stdout. Raises UsageError with what it says on stderr where it fails.

    Every path in it is relative to the workspace.
    """
    separator = words.index("--") if "--" in words else len(words)
    argv = [*words[:separator], "--workspace", str(workspace.root), *words[separator:]]
    done = subprocess.run(
        [*COMMAND, *argv], cwd=workspace.root, input=stdin, capture_output=True, text=True, timeout=COMMAND_S
    )
    if done.returncode:
        raise _refused(done.stderr)
    return done.stdout


async def follow(begun: Begun, wait_s: float, tell: Callable[[int, str], Awaitable[None]]) -> dict[str, Any]:
    """What a run came to, or that it goes on after `wait_s`. `tell` hears how many events there are, and how far it is."""
    until = time.monotonic() + wait_s
    journal, size = begun.folder / FILE_NAME, 0
    while True:
        goes_on = begun.goes_on()  # asked first, so that what was written last is told too
        before = time.monotonic()
        if (grown := journal.stat().st_size) != size:
            size = grown
            await tell(*await asyncio.to_thread(_progress, begun.folder))
        if not goes_on:
            return ended(begun.folder)
        left = until - time.monotonic()
        if left <= 0:
            return {"status": "running", "run": begun.folder.name}
        # A journal that takes long to read is read more seldom.
        await asyncio.sleep(min(left, max(POLL_S, 10 * (time.monotonic() - before))))


def ended(folder: Path) -> dict[str, Any]:
    """What `--json` prints of a run that no process has, and why there is no good answer as `message`."""
    info = run_info(folder)
    fields = result_of_run(folder)
    if fields is None:
        result = RunResult("suspended", None, folder.name, usage=Usage(**info.usage), needs=info.needs)
        fields = {**finished_fields(result), "status": info.status}
    if info.status == "crashed":
        fields["message"] = f"its process ended without a word; what it printed is in `{folder / OUTPUT}`"
    said = {"message": fields["message"]} if fields.get("message") and info.status != "answered" else {}
    return printed_fields(folder.name, fields) | said


def _progress(folder: Path) -> tuple[int, str]:
    tree, n = Tree(texts=False), 0
    for event in read_journal(folder / FILE_NAME):
        tree.add(event)
        n = event.seq + 1
    return n, _said(tree)


def _said(tree: Tree) -> str:
    """How far a run is, in a line."""
    root = tree.root
    if root is None:
        return "begun"
    parts = [f"cell {len(root.cells)}"] if root.cells else []
    if root.children:
        going = f", {len(root.running)} going on" if root.running else ""
        parts.append(f"{plural(len(root.children), 'call')}{going}")
    return " · ".join([*parts, *spent(tree.spent)]) or "begun"


def _refused(said: str) -> UsageError:
    return UsageError(said.strip().removeprefix("error: ") or "it ended without a word")
