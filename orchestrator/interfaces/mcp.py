"""`orchestrate mcp`: a server for hosts that speak the Model Context Protocol."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from orchestrator.errors import WorldError
from orchestrator.interfaces.terminal import say
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace) -> int:
    """Serve until the host closes stdin; the value is the exit code."""
    workspace = existing_workspace(args.workspace)
    try:
        from orchestrator.interfaces.mcp_server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise WorldError(
            "`orchestrate mcp` needs the package `mcp`, version 2.3 or newer, which is not installed here",
            hint="install it with: python -m pip install 'skill-orchestrator[mcp]'   (from a clone: '.[mcp]')",
        ) from None
    if sys.stdin.isatty():
        say("speaks MCP on stdin and stdout: a host starts this command; Ctrl-C ends it")
    # A thread of the SDK waits for stdin, and Python would wait for it after Ctrl-C. There is nothing to tidy up.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        serve(workspace)
    except BaseExceptionGroup as group:
        if (
            group.split(BrokenPipeError)[1] is None
        ):  # the host is gone; the SDK tells it from a task of its own
            raise BrokenPipeError from None
        raise
    return 0
