"""The `ssh:HOST` environment: each worker on another machine, over one connection of the system's `ssh`.

What goes there: the worker's own files, the granted files and folders that it may read, and large texts when they are
first used. They lie in a folder of the far account's cache, which is removed when the worker ends; paths in inputs,
arguments and answers are translated. Programs, and Python, are those of the other machine.

Covered: files, network and processes of this machine, which a worker there can't reach; no keys, agents or variables
of ours are sent. Where that machine is a Linux with Landlock, the worker is confined there as `confined` does it. It
ends when the connection does.
Not covered: without Landlock there, all that the far account may do, a worker may do; what that machine's
administrator sees; when a connection is cut without a word, the worker goes on until one of the two ends notices.
Not possible: to write. Nothing is brought back but answers, so a grant to write is refused, and there is no `out/`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shlex
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.environments.command import Wrapped, spawn
from orchestrator.environments.parcel import (
    Carrier,
    command,
    packed,
    places_there,
    receiving,
    refuse_writes,
    sent,
)
from orchestrator.environments.session import Session, clean_environment, open_session, said_at_start
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.environments.places import Places
    from orchestrator.values import WorkerSpec

START_S = 60.0
END_S = 10.0
OPTIONS = (
    "-T", "-a", "-x", "-o", "BatchMode=yes", "-o", "ClearAllForwardings=yes", "-o", "ConnectTimeout=15",
    "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3",
)  # fmt: skip
"""No terminal, no agent, no display, no questions, no tunnels; a dead connection is noticed within a minute."""


class Ssh:
    """Workers on another machine. `options` go to `ssh` before the host; `python` is CPython 3.9 or newer there."""

    covers = "workers reach nothing of this machine; on the other one, what its account may unless its kernel confines"

    def __init__(self, host: str, options: Sequence[str] = (), python: str = "python3") -> None:
        self.name = f"ssh:{host}"
        self._command = ("ssh", *OPTIONS, *options, "--", host)
        self._python = python

    async def start(self, spec: WorkerSpec) -> Session:
        """A new worker. Raises EnvironmentUnavailable when that machine can't be reached or has no Python."""
        self._refuse(spec)
        line = f"exec {shlex.join(command(self._python))}"
        with packed(spec) as archive:
            ours, child = spawn([*self._command, line], spec, env=_variables(), cwd="/")
            leash = _Far(child)
            try:
                async with asyncio.timeout(START_S):
                    root = await sent(ours, spec, archive)
            except BaseException as error:
                ours.close()
                leash.kill()
                code = await leash.wait()
                if isinstance(error, OSError | EOFError | TimeoutError | ValueError):
                    raise self._unavailable(spec, code, error) from error
                raise
        far = replace(spec, grants=replace(spec.grants, write=()))
        places = places_there(spec, root, shlex.quote(self._python))
        return await open_session(
            ours, leash, far, places, Carrier(functools.partial(_copied, self._command, places)).carry
        )

    async def close(self) -> None:
        """Nothing is held."""

    def _refuse(self, spec: WorkerSpec) -> None:
        refuse_writes(self.name, spec)
        if shutil.which("ssh") is None:
            raise EnvironmentUnavailable("`ssh` is not on PATH", hint="install the client of OpenSSH")

    def _unavailable(self, spec: WorkerSpec, code: int, error: Exception) -> EnvironmentUnavailable:
        why = str(error) if isinstance(error, ValueError) else f"`ssh` ended with code {code}"
        why = f"no answer within {START_S:g} s" if isinstance(error, TimeoutError) else why
        said = said_at_start(spec)
        return EnvironmentUnavailable(
            f"no worker could be started on `{self._command[-1]}`: {why}{said}", hint=self._hint(said)
        )

    def _hint(self, said: str) -> str:
        *options, _, host = self._command[1 + len(OPTIONS) :]
        login = shlex.join(["ssh", *options, host])
        if "Host key verification failed" in said:
            return f"`{login}` once in a terminal shows the key of that machine: compare it, and say yes"
        if "Permission denied (" in said:
            return f"a run can't type a password: `{login}` has to work without one, by a key or an agent"
        trial = shlex.join(["ssh", "-o", "BatchMode=yes", *options, host, self._python, "-V"])
        return f"see that `{trial}` works; name options and Python under [environments.ssh]"


class _Far(Wrapped):
    """The leash of a worker on another machine: it ends when `ssh` passes on that our stream has."""

    def kill(self) -> None:
        """Nothing but the stream reaches it, and the session closes that."""

    async def _left(self) -> int:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                return await self._child.wait()
        self._child.kill()
        return await self._child.wait()


async def _copied(command: Sequence[str], places: Places, path: Path) -> None:
    """Have a text there. Raises ConnectionError."""
    script = f"exec sh -c {shlex.quote(receiving(places, path))}"
    with path.open("rb") as file:
        copying = await asyncio.create_subprocess_exec(
            *command,
            script,
            stdin=file,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_variables(),
        )
        try:
            code = await copying.wait()
        finally:
            if copying.returncode is None:
                copying.kill()
                await copying.wait()
    if code:
        raise ConnectionError(f"a text could not be copied: `ssh` ended with code {code}")


def _variables() -> dict[str, str]:
    """Variables that `ssh` needs. A configuration that passes some on finds no others."""
    names = ("HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR")
    return {**clean_environment(), **{name: os.environ[name] for name in names if name in os.environ}}
