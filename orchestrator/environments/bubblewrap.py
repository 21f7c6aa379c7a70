"""The `bubblewrap` environment: each worker in namespaces of its own, made by `bwrap`. Linux.

Covered: all that `confined` covers where the kernel has Landlock, which is put on inside too; and in any case: files
that were not granted do not exist for the worker, neither their names nor their sizes; it sees no other process, has
no network unless granted, and ends with everything it started, however that hides.
Not covered: processor time within a deadline; which host, once a network is granted; holes in the kernel. Without
Landlock: the names of other texts in the workspace's cache.

`bwrap` is started with an empty environment: it hands its own to the first process of the namespace, where a worker
can read it, and `--clearenv` does not change that.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.environments.command import ISOLATED, STARTER, Child, Wrapped, readable, spawn
from orchestrator.environments.granted import make_missing_files, shown
from orchestrator.environments.session import Session, clean_environment, open_session
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from orchestrator.values import WorkerSpec

HERE = Path(__file__).parent
HINT = "install `bubblewrap`, and see that user namespaces are allowed; `orchestrate doctor` tries it"
END_S = 10.0
_WORKER = (sys.executable, *ISOLATED, "-c", STARTER, str(HERE / "inside.py"))


class Bubblewrap:
    """Workers in namespaces of their own, started by `bwrap`. `is_alone`: without the confinement inside of them."""

    name = "bubblewrap"
    covers = (
        "workers see only granted files and no other process, no network unless granted; confined inside too"
    )

    def __init__(self, *, is_alone: bool = False) -> None:
        self._words = ["bare"] if is_alone else []

    async def start(self, spec: WorkerSpec) -> Session:
        """A new worker. Raises EnvironmentUnavailable where `bwrap` is missing or may not make namespaces."""
        program = shutil.which("bwrap")
        if sys.platform != "linux" or program is None:
            raise EnvironmentUnavailable("`bwrap` is not on PATH", hint=HINT)
        made = make_missing_files(spec)
        told, tells = os.pipe()
        try:
            argv = [program, *_options(spec, tells), "--", *_WORKER, *self._words]
            ours, child = spawn(argv, spec, env={}, cwd="/", descriptors=[tells])
        except BaseException:
            os.close(told)
            raise
        finally:
            os.close(tells)
        leash = _Boxed(child, told, made)
        try:
            return await open_session(ours, leash, spec)
        except EnvironmentUnavailable as error:
            raise EnvironmentUnavailable(str(error), hint=HINT) from error

    async def close(self) -> None:
        """Nothing is held."""


def _options(spec: WorkerSpec, tells: int) -> list[str]:
    from orchestrator.environments import confine  # here: it loads ctypes, which only Linux needs

    grants = spec.grants
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    options += ["--share-net"] if grants.network else []
    options += ["--info-fd", str(tells)]
    for name, value in clean_environment().items():
        options += ["--setenv", name, value]
    paths = shown(spec)
    is_whole = (Path("/"), False) in paths
    # What is mounted on the whole comes after it.
    options += ["--ro-bind", "/", "/"] if is_whole else ["--tmpfs", "/tmp"]  # noqa: S108  (a new one of its own)
    options += ["--proc", "/proc", "--dev", "/dev"]
    for name in (*confine.software(), *confine.system_files(grants.network, grants.processes), str(HERE)):
        if not is_whole and not name.startswith("/proc/"):  # a worker has its own of these
            options += ["--ro-bind-try", name, name]
    # What is written where nothing was granted is an error: in an empty folder that may be written it would be lost.
    cwd, is_empty = str(spec.cwd), not any(spec.cwd.is_relative_to(path) for path, _ in paths)
    options += ["--tmpfs", cwd] if is_empty else []
    for path, writes in paths:
        if path != Path("/"):
            options += ["--bind" if writes else "--ro-bind", str(path), str(path)]
    return [*options, *(["--remount-ro", cwd] if is_empty else []), "--remount-ro", "/", "--chdir", "/"]


class _Boxed(Wrapped):
    """The leash of a worker in a namespace, of which `told` says in time what its first process is."""

    def __init__(self, child: Child, told: int, made: list[Path]) -> None:
        super().__init__(child, made)
        self._told = told

    async def _left(self) -> int:
        code = await self._child.wait()
        # `bwrap` may be gone a moment before what it started. The first process ends last, when all others have.
        if (first := self._first_process()) is not None:
            try:
                async with asyncio.timeout(END_S):  # a number that is somebody else's by now would not end
                    await readable(first)
            except TimeoutError:
                pass
            finally:
                os.close(first)
        return code

    def _first_process(self) -> int | None:
        """A descriptor of the namespace's first process. None when there came to be none, or it is gone."""
        os.set_blocking(self._told, False)
        with open(self._told, "rb", buffering=0) as told:
            said = told.read(1000)
        try:
            return os.pidfd_open(int(json.loads(said)["child-pid"])) if said else None
        except ProcessLookupError:
            return None
