"""`orchestrate view --serve`: all pages of a workspace, for browsers of this machine, until it is stopped."""

from __future__ import annotations

import asyncio
import errno
import secrets
import sys
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.interfaces.stopping import Stop
from orchestrator.interfaces.terminal import say, show
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse

    from orchestrator.workspace import Workspace

HOST = "127.0.0.1"
TOKEN_BYTES = 24
MAX_PORT = 65535


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C (130) or SIGTERM (143); the value is the exit code. Prints the address on stdout."""
    if args.out is not None or args.learning:
        raise UsageError(
            "`--serve` writes no file", hint="leave `--out` and `--learning` away; it serves every page"
        )
    if args.port is not None and not 1 <= args.port <= MAX_PORT:
        raise UsageError(f"`--port {args.port}` is no port", hint=f"name one from 1 to {MAX_PORT}, or none")
    workspace = existing_workspace(args.workspace)
    stopped = Stop()
    try:
        asyncio.run(_serve(workspace, args.port or 0, args.run, stopped))
    except asyncio.CancelledError:
        pass
    finally:
        stopped.stand_down()
    return 128 + stopped.signum


async def _serve(workspace: Workspace, port: int, run: str | None, stopped: Stop) -> None:
    from orchestrator.interfaces.server import Pages  # aiohttp, for who serves only
    from orchestrator.runs.history import find_run

    page = f"runs/{find_run(workspace, run).name}/" if run is not None else ""
    pages = Pages(workspace, secrets.token_urlsafe(TOKEN_BYTES))
    task = asyncio.current_task()
    assert task is not None
    stopped.watch(task)
    try:
        port = await pages.start(HOST, port)
    except OSError as error:
        raise _refused(port, error) from error
    try:
        show(f"http://{HOST}:{port}/{pages.token}/{page}")
        sys.stdout.flush()
        say("open it in a browser of this machine; who has the address sees all runs; Ctrl-C ends it")
        await asyncio.Event().wait()
    finally:
        await pages.stop()


def _refused(port: int, error: OSError) -> UsageError:
    if error.errno == errno.EADDRINUSE:
        return UsageError(
            f"can't serve on port {port}: another program listens there already",
            hint="stop it, name another port with --port N, or leave --port away for one that is free",
        )
    if error.errno == errno.EACCES:
        return UsageError(
            f"can't serve on port {port}: the system does not let you",
            hint="name a port from 1024 on, or none",
        )
    return UsageError(f"can't serve on port {port}: {error.strerror or error}", hint="leave --port away")
