"""The `e2b` environment: each worker in a sandbox of E2B. What is covered: see `cloud.py`.

A sandbox has no network unless granted (`allow_internet_access`) and is killed when the time that was asked for is
over; E2B knows no other end of one that nobody uses.

Written by the text of e2b 2.63 and checked against its types; it has not been run against E2B's service by us.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from orchestrator.environments.cloud import LIFETIME_S, Cloud, Heard, Stream, Wanted, no_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from e2b import AsyncSandbox


def environment(
    template: str = "base", python: str = "python3", timeout_s: int = LIFETIME_S
) -> Cloud[AsyncSandbox]:
    """Workers in E2B's sandboxes. `template` is a name or id of one."""
    return Cloud("e2b", _E2b(template), python, timeout_s)


class _E2b:
    def __init__(self, template: str) -> None:
        self._template = template

    async def start(self, wanted: Wanted) -> AsyncSandbox:
        from e2b import AsyncSandbox

        if not os.environ.get("E2B_API_KEY"):
            raise no_key("e2b", "`E2B_API_KEY`", "set it to a key of your account")
        return await AsyncSandbox.create(
            template=self._template,
            timeout=wanted.lifetime_s,
            allow_internet_access=wanted.network,
            lifecycle={"on_timeout": "kill"},
        )

    async def open(self, sandbox: AsyncSandbox, argv: Sequence[str]) -> Stream:
        heard = Heard()
        program = await sandbox.commands.run(
            shlex.join(argv),
            background=True,
            on_stdout=heard.put,
            stdin=True,
            timeout=0,  # no limit but the sandbox's
            retain_output=False,
        )
        return Stream(program.send_stdin, heard.until(program.wait()))

    async def end(self, sandbox: AsyncSandbox) -> None:
        await sandbox.kill()
