"""`orchestrate view`: one run as a page for a browser."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.interfaces.terminal import clean, say, show
from orchestrator.memory import files
from orchestrator.runs.history import find_run, read_tree, run_info
from orchestrator.workspace import existing_workspace, expanded_path

if TYPE_CHECKING:
    import argparse

BEGIN = b"<!doctype html>"
"""How a page begins."""

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
    folder = find_run(workspace, args.run or "latest")
    from orchestrator.interfaces.pages.run_page import run_page  # Jinja2 and Pygments, for pages only

    out = expanded_path(args.out) if args.out else folder / "view.html"
    write_page(out, run_page(read_tree(folder), run_info(folder), folder, beside=out.parent))
    return 0


def write_page(path: Path, text: str) -> None:
    """Write a page in one step, print its path, and say how to look at it.

    A link stays one, and its target is written. Raises UsageError for what is there and no page of before, so that
    nobody's notes, and no device, are lost; and WorkspaceError.
    """
    if not _may_replace(path):
        raise UsageError(
            f"`{path}` is there already, and no page: it is left as it is",
            hint="name another file with --out FILE, or take that one away first",
        )
    files.replace(path.resolve(), text.encode("utf-8", "backslashreplace"))
    show(clean(str(path)))
    say(f"open it in a browser: {clean(path.absolute().as_uri())}")


def _may_replace(path: Path) -> bool:
    """Whether nothing is lost: there is no file, an empty one, or an HTML page."""
    if not os.path.lexists(path):
        return True
    if path.exists() and not path.is_file():  # to open a pipe would wait
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(BEGIN)).lower() in (b"", BEGIN)
    except FileNotFoundError:  # a link to what is not there yet
        return True
    except OSError:
        return False
