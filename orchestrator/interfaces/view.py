"""`orchestrate view`: one run as a page for a browser."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.interfaces.terminal import clean, say, show
from orchestrator.memory import files
from orchestrator.runs.history import find_run, list_runs, read_tree, run_info
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse

OTHERS = {"serve": "orchestrator.interfaces.serving", "learning": "orchestrator.interfaces.learning_page"}


def run(args: argparse.Namespace) -> int:
    """Write a page and print where it is; the value is the exit code."""
    for option, module in OTHERS.items():
        if getattr(args, option, False):
            code: int = importlib.import_module(module).run(args)
            return code
    if args.port is not None:
        raise UsageError(
            "`--port` is for `--serve`", hint="`orchestrate view --serve --port N` serves all pages"
        )
    workspace = existing_workspace(args.workspace)
    if args.run is None and not list_runs(workspace):
        raise UsageError(f"no runs in `{workspace.root}`", hint="`orchestrate WORKFLOW` makes one")
    folder = find_run(workspace, args.run or "latest")
    from orchestrator.interfaces.pages.run_page import run_page  # Jinja2 and Pygments, for pages only

    out = Path(args.out) if args.out else folder / "view.html"
    write_page(out, run_page(read_tree(folder), run_info(folder), folder, beside=out.parent))
    return 0


def write_page(path: Path, text: str) -> None:
    """Write a page in one step, print its path, and say how to look at it. Raises WorkspaceError."""
    files.replace(path, text.encode("utf-8", "backslashreplace"))
    show(clean(str(path)))
    say(f"open it in a browser: {clean(path.absolute().as_uri())}")
