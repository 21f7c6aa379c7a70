"""The `docker` and `podman` environments: each worker in a container of its own.

Covered: the worker sees the image, which it can't change, and of this machine only granted paths; it has no
capability, no network unless granted, and bounds of memory and processes that the kernel keeps over all that it
starts; it is confined inside too where the engine's own filter allows that. It ends with us, however we end.
Not covered: who may start containers is as good as root, so the engine's client runs outside with our rights; which
host, once a network is granted; the names of other texts in the workspace's cache, without Landlock; holes in the
kernel.

Killing the client of an engine leaves its container running. So a container has a name of ours, by which it is
removed; its first process ends when its standard input does; and what is left all the same, by a machine or engine
that stood still, is found by its label and removed by the next run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from orchestrator.environments.command import STARTER, Child, Wrapped, hide_memory, spawn
from orchestrator.environments.granted import make_missing_files, remove_untouched, shown
from orchestrator.environments.places import Places
from orchestrator.environments.session import Session, clean_environment, open_session
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.values import WorkerSpec

HERE = Path(__file__).parent
INSIDE = "/run/orchestrate"
"""Where the worker's files lie in a container."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LABEL = "orchestrate.owner"
PASSED_ON = ("HOME", "USER", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "SSH_AUTH_SOCK", "TMPDIR")
"""Variables of ours that a client needs, besides those of its own name."""

OWN_BYTES = 64 << 20  # of memory, for what is no worker's data: the interpreter, pages of files
N_THREADS = 512
END_S = 20.0


class Docker:
    """Workers in containers. `command` is the client with its global options; `options` go to each `run`.

    `image` has to be there already, with CPython 3.9 or newer as `python`: nothing is fetched. `is_alone`: without
    the confinement inside of them.
    """

    name: ClassVar[str] = "docker"
    covers = (
        "workers see an image and granted files, no network unless granted; memory and processes are bounded"
    )
    prefixes: ClassVar[tuple[str, ...]] = ("DOCKER_",)
    listing: ClassVar[str] = f'{{{{.ID}}}} {{{{.Label "{LABEL}"}}}}'

    def __init__(
        self,
        image: str = "python:3.12-slim",
        python: str = "python3",
        command: Sequence[str] | None = None,
        options: Sequence[str] = (),
        *,
        is_alone: bool = False,
    ) -> None:
        self._image = image
        self._python = python
        self._command = tuple(command or (self.name,))
        self._run_options = tuple(options)
        self._words = ["keep", "bare"] if is_alone else ["keep"]
        self._has_swept = False

    async def start(self, spec: WorkerSpec) -> Session:
        """A new worker. Raises EnvironmentUnavailable without the engine, its service, or the image."""
        if shutil.which(self._command[0]) is None:
            raise EnvironmentUnavailable(
                f"`{self._command[0]}` is not on PATH",
                hint=f"install it, or set `command` under [environments.{self.name}]",
            )
        if not self._has_swept:
            self._has_swept = True
            await self._sweep()
        name = f"orchestrate-{secrets.token_hex(6)}"
        made = make_missing_files(spec)
        try:
            ours, child = spawn(self._argv(name, spec), spec, env=self._env(), cwd="/")
        except BaseException:
            remove_untouched(made)
            raise
        leash = _Contained(child, [*self._command, "rm", "-f", name], self._env(), made)
        try:
            return await open_session(ours, leash, spec, Places(self._python, PATH))
        except EnvironmentUnavailable as error:
            raise EnvironmentUnavailable(str(error), hint=self._hint(str(error))) from error

    async def close(self) -> None:
        """Nothing is held."""

    def _argv(self, name: str, spec: WorkerSpec) -> list[str]:
        memory = str(spec.limits.memory_bytes + OWN_BYTES)
        n_processes = N_THREADS + (spec.limits.n_processes if spec.grants.processes else 0)
        argv = [*self._command, "run", "-i", "--rm", "--name", name, "--label", f"{LABEL}={_this_owner()}"]
        argv += ["--pull", "never", "--log-driver", "none", "--entrypoint", self._python]
        argv += [] if spec.grants.network else ["--network", "none"]
        argv += [
            "--read-only",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
            *self._own_options(),
        ]
        argv += ["--memory", memory, "--memory-swap", memory, "--pids-limit", str(n_processes)]
        argv += ["--user", f"{os.getuid()}:{os.getgid()}", "--tmpfs", "/tmp:rw,mode=1777"]  # noqa: S108  (its own)
        argv += ["--workdir", "/", "--env", "PYTHONHASHSEED=0", "--env", "LANG=C.UTF-8"]
        argv += _mount(HERE, INSIDE)
        paths = shown(spec)
        if not any(spec.cwd.is_relative_to(path) for path, _ in paths):
            argv += _mount(_bare_folder(spec, paths), str(spec.cwd))
        for path, writes in paths:
            argv += _mount(path, str(path), writes=writes)
        inside = ["-s", "-c", STARTER, f"{INSIDE}/inside.py", *self._words]
        return [*argv, *self._run_options, self._image, *inside]

    def _own_options(self) -> list[str]:
        return []

    def _env(self) -> dict[str, str]:
        names = [name for name in os.environ if name in PASSED_ON or name.startswith(self.prefixes)]
        return {**clean_environment(), **{name: os.environ[name] for name in names}}

    def _hint(self, said: str) -> str:
        engine, section = shlex.join(self._command), f"[environments.{self.name}]"
        hints = {
            r"no such image|image not known|unable to find image": (
                f"`{engine} pull {shlex.quote(self._image)}`, or name another image under {section}"
            ),
            r"invalid reference format": f"name an image under {section} as `{engine} images` does",
            r"executable file|CPython 3\.9 or newer": (
                f"name one that the image has as `python` under {section}, or another image"
            ),
            r"cannot connect|is the docker daemon running": "start the service of the engine, or name where it is: `command` "
            f"under {section}",
            r"permission denied.*socket": (
                f"this user may not use the service of the engine; see that `{engine} version` works"
            ),
        }
        found = (hint for said_so, hint in hints.items() if re.search(said_so, said, re.IGNORECASE))
        trial = shlex.join([*self._command, "run", "--rm", self._image, self._python, "-V"])
        return next(found, f"see that `{trial}` works here")

    async def _sweep(self) -> None:
        """Remove containers whose owner was a process of this machine that is no more."""
        argv = [*self._command, "ps", "-a", "--filter", f"label={LABEL}", "--format", self.listing]
        found = (line.partition(" ") for line in (await self._said(argv)).splitlines())
        dead = [name for name, _, owner in found if _is_dead(owner)]
        if dead:
            await self._said([*self._command, "rm", "-f", *dead])

    async def _said(self, argv: Sequence[str]) -> str:
        hide_memory()
        asked = await asyncio.create_subprocess_exec(
            *argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._env(),
        )
        try:
            async with asyncio.timeout(END_S):
                said, _ = await asked.communicate()
        except TimeoutError:
            return ""
        finally:
            if asked.returncode is None:
                asked.kill()
                await asked.wait()
        return said.decode("utf-8", "replace")


class Podman(Docker):
    """The same with `podman`, which needs no service and no rights of root."""

    name = "podman"
    prefixes = ("PODMAN_", "CONTAINER", "STORAGE_")
    listing = f'{{{{.ID}}}} {{{{index .Labels "{LABEL}"}}}}'

    def _own_options(self) -> list[str]:
        # Labels of SELinux would close granted folders to the container; relabelling them would change them for all.
        options = ["--security-opt", "label=disable"]
        return [*options, "--userns", "keep-id"] if os.geteuid() else options


class _Contained(Wrapped):
    """The leash of a worker in a container, which `remove` ends."""

    def __init__(self, child: Child, remove: list[str], env: dict[str, str], made: list[Path]) -> None:
        super().__init__(child, made)
        self._remove = remove
        self._env = env
        self._removing: Child | None = None

    def kill(self) -> None:
        if self._removing is None and not self._child.has_ended:
            self._removing = Child(
                subprocess.Popen(
                    self._remove, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    env=self._env, cwd="/", start_new_session=True,
                )
            )  # fmt: skip

    async def _left(self) -> int:
        code = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_S):  # an engine that hangs is not waited for
                code = await self._child.wait()
                if self._removing is not None:
                    await self._removing.wait()
        for one in (self._child, self._removing):
            if one is not None:
                one.kill()
        return await self._child.wait() if code is None else code


def _bare_folder(spec: WorkerSpec, paths: Sequence[tuple[Path, bool]]) -> Path:
    """A folder to mount, read-only, where the working one is that was not granted: it has the granted places in it.

    So what a cell writes beside its grants is an error, and is not lost in a folder of the container.
    """
    folder = spec.scratch / ".folder"
    folder.mkdir()
    for path, _ in paths:
        if path.is_relative_to(spec.cwd):
            place = folder / path.relative_to(spec.cwd)
            (place if path.is_dir() else place.parent).mkdir(parents=True, exist_ok=True)
            if not path.is_dir():
                place.touch()
    return folder


def _mount(source: Path, target: str, *, writes: bool = False) -> list[str]:
    fields = ["type=bind", _field(f"source={source}"), _field(f"target={target}")]
    return ["--mount", ",".join(fields if writes else [*fields, "readonly"])]


def _field(text: str) -> str:
    """A field of comma-separated values, as the engines read them."""
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if quoted != text or "," in text else text


def _this_owner() -> str:
    return f"{socket.gethostname()}/{_boot()}/{os.getpid()}/{_began(os.getpid())}"


def _is_dead(owner: str) -> bool:
    """Whether this names a process of this machine that has ended."""
    host, boot, pid, began = [*owner.split("/"), "", "", ""][:4]
    if host != socket.gethostname() or not pid.isdigit() or not began:
        return False
    return boot != _boot() or _began(int(pid)) != began


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _began(pid: int) -> str:
    """When a process began, in ticks of this boot; empty when there is none, or where that can't be read."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    return ""
