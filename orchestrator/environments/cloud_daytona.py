"""The `daytona` environment: each worker in a sandbox of Daytona. What is covered: see `cloud.py`.

A sandbox has no network unless granted (`network_block_all`). It stops when nobody has used it for some minutes, is
deleted when it stops (`ephemeral`), and is destroyed when the time that was asked for is over (`ttl_minutes`). What
its programs say, Daytona keeps in a file of the sandbox.

Written by the text of daytona 0.226 and checked against its types; it has not been run against the service by us.
"""

from __future__ import annotations

import math
import os
import secrets
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.environments.cloud import LIFETIME_S, START_S, Cloud, Heard, Stream, Wanted, no_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daytona import AsyncDaytona, AsyncSandbox

IDLE_MINUTES = 5
"""Longer than the silence after which a worker is ended; what we send counts as use."""


@dataclass(frozen=True, slots=True)
class Rented:
    """A sandbox with the client that made it, which belongs to one event loop."""

    client: AsyncDaytona
    sandbox: AsyncSandbox


def environment(snapshot: str = "", python: str = "python3", timeout_s: int = LIFETIME_S) -> Cloud[Rented]:
    """Workers in Daytona's sandboxes. Without a `snapshot` it is Daytona's own."""
    return Cloud("daytona", _Daytona(snapshot), python, timeout_s)


class _Daytona:
    def __init__(self, snapshot: str) -> None:
        self._snapshot = snapshot

    async def start(self, wanted: Wanted) -> Rented:
        from daytona import AsyncDaytona, CreateSandboxFromSnapshotParams, DaytonaConfig

        key = os.environ.get("DAYTONA_API_KEY")  # named, or else the client looks into `.env` of this folder
        if not key:
            raise no_key("daytona", "`DAYTONA_API_KEY`", "set it to a key of your account")
        client = AsyncDaytona(DaytonaConfig(api_key=key))
        try:
            params = CreateSandboxFromSnapshotParams(
                snapshot=self._snapshot or None,
                ephemeral=True,
                auto_stop_interval=IDLE_MINUTES,
                ttl_minutes=math.ceil(wanted.lifetime_s / 60),
                network_block_all=not wanted.network,
            )
            return Rented(client, await client.create(params, timeout=START_S))
        except BaseException:
            await client.close()
            raise

    async def open(self, sandbox: Rented, argv: Sequence[str]) -> Stream:
        from daytona import SessionExecuteRequest

        process, session = sandbox.sandbox.process, f"orchestrate-{secrets.token_hex(4)}"
        await process.create_session(session)
        request = SessionExecuteRequest(command=shlex.join(argv), run_async=True, suppress_input_echo=True)
        command = (await process.execute_session_command(session, request)).cmd_id
        heard = Heard()

        async def send(text: str) -> None:
            await process.send_session_command_input(session, command, text)

        ended = process.get_session_command_logs_async(session, command, heard.put, heard.put)
        return Stream(send, heard.until(ended))

    async def end(self, sandbox: Rented) -> None:
        try:
            await sandbox.sandbox.delete()
        finally:
            await sandbox.client.close()
