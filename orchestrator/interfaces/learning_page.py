"""`orchestrate view --learning`: what a workspace has learned, as a page for a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.interfaces.view import write_page
from orchestrator.workspace import existing_workspace, expanded_path

if TYPE_CHECKING:
    import argparse

FILE_NAME = "learning.html"


def run(args: argparse.Namespace) -> int:
    """Write the page and print where it is; the value is the exit code."""
    if args.run is not None:
        raise UsageError(
            "`--learning` shows a whole workspace, and no run",
            hint=f"`orchestrate view {args.run}` shows the run",
        )
    workspace = existing_workspace(args.workspace)
    from orchestrator.interfaces.pages.learning import learning_page  # Jinja2, for pages only

    write_page(expanded_path(args.out) if args.out else workspace.cache / FILE_NAME, learning_page(workspace))
    return 0
