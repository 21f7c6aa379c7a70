"""The `prime` environment: each worker in a sandbox of Prime Intellect. What is covered: see `cloud.py`.

A sandbox is a virtual machine: its others have no streams. It has no network unless granted (an empty list of what may
be reached) and ends when the time that was asked for is over.

Written by the text of prime-sandboxes 0.2 and checked against its types; it has not been run against the service by us.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.environments.cloud import LIFETIME_S, Cloud, Stream, Wanted, no_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prime_sandboxes import AsyncSandboxClient, AsyncSandboxProcess


@dataclass(frozen=True, slots=True)
class Rented:
    """A sandbox with the client that made it, which belongs to one event loop, and what was started in it."""

    client: AsyncSandboxClient
    id: str
    processes: list[AsyncSandboxProcess] = field(default_factory=list)


def environment(
    image: str = "python:3.12-slim", python: str = "python3", timeout_s: int = LIFETIME_S
) -> Cloud[Rented]:
    """Workers in Prime's sandboxes. `image` is one that Prime can make a virtual machine of."""
    return Cloud("prime", _Prime(image), python, timeout_s)


class _Prime:
    def __init__(self, image: str) -> None:
        self._image = image

    async def start(self, wanted: Wanted) -> Rented:
        from prime_sandboxes import AsyncSandboxClient, Config, CreateSandboxRequest

        if not Config().api_key:
            raise no_key("prime", "`PRIME_API_KEY`", "set it to a key of your account, or run: prime login")
        client = AsyncSandboxClient()
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(client.aclose)
            request = CreateSandboxRequest(
                name=f"orchestrate-{secrets.token_hex(6)}",
                docker_image=self._image,
                vm=True,
                network_allowlist=None if wanted.network else [],
                timeout_minutes=math.ceil(wanted.lifetime_s / 60),
            )
            made = await client.create(request)
            undo.push_async_callback(client.delete, made.id)
            await client.wait_for_creation(made.id)
            undo.pop_all()
        return Rented(client, made.id)

    async def open(self, sandbox: Rented, argv: Sequence[str]) -> Stream:
        process = await sandbox.client.open_process(sandbox.id, shlex.join(argv))
        sandbox.processes.append(process)

        async def send(text: str) -> None:
            await process.write_stdin(text.encode())

        return Stream(send, process.stdout)

    async def end(self, sandbox: Rented) -> None:
        async with contextlib.AsyncExitStack() as closing:
            closing.push_async_callback(sandbox.client.aclose)
            for process in sandbox.processes:
                closing.push_async_callback(process.aclose)
            await sandbox.client.delete(sandbox.id)
