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
import hashlib
import json
import os
import shlex
import shutil
import socket
import struct
import subprocess
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from orchestrator.environments.command import Wrapped, spawn
from orchestrator.environments.confine import PROGRAMS
from orchestrator.environments.places import Places
from orchestrator.environments.session import Session, clean_environment, open_session, said_at_start
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.environments.frames import TextFile
    from orchestrator.values import WorkerSpec

HERE = Path(__file__).parent
CODE = ("worker.py", "confine.py", "inside.py")
COPY_BYTES = 256 << 20
"""How much may be copied for one worker."""

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/opt/homebrew/bin"
START_S = 60.0
END_S = 10.0
OPTIONS = (
    "-T", "-a", "-x", "-o", "BatchMode=yes", "-o", "ClearAllForwardings=yes", "-o", "ConnectTimeout=15",
    "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3",
)  # fmt: skip
"""No terminal, no agent, no display, no questions, no tunnels; a dead connection is noticed within a minute."""

BOOT = 'import os,sys;n=int(sys.argv[1]);b=bytearray();exec("while len(b)<n:\\n b+=os.read(0,n-len(b)) or sys.exit()");exec(bytes(b))'
"""Runs the program of so many bytes that comes first on the stream, and reads nothing of what follows."""


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
        name = hashlib.sha256(f"{socket.gethostname()}:{spec.scratch}".encode()).hexdigest()[:24]
        program = (HERE / "far.py").read_bytes()
        words = ["env", "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", self._python, "-s", "-c", BOOT]
        line = f"exec {shlex.join(words)} {len(program)}"
        with _packed(spec) as archive:
            ours, child = spawn([*self._command, line], spec, env=_variables(), cwd="/")
            leash = _Far(child)
            try:
                order = json.dumps({"name": name, "n_bytes": archive.seek(0, os.SEEK_END)}).encode()
                archive.seek(0)
                head = program + struct.pack(">I", len(order)) + order
                async with asyncio.timeout(START_S):
                    root = await _root(ours, head, archive)
            except BaseException as error:
                ours.close()
                leash.kill()
                code = await leash.wait()
                if isinstance(error, OSError | EOFError | TimeoutError | ValueError):
                    raise self._unavailable(spec, code, error) from error
                raise
        far = replace(spec, grants=replace(spec.grants, write=()))
        places = _places(spec, root, shlex.quote(self._python))
        return await open_session(ours, leash, far, places, _Carrier(self._command, places).carry)

    async def close(self) -> None:
        """Nothing is held."""

    def _refuse(self, spec: WorkerSpec) -> None:
        beyond = [path for path in spec.grants.write if path != spec.cwd / "out"]
        if beyond:
            raise EnvironmentUnavailable(
                f"`{self.name}` brings no files back, and `{beyond[0]}` is granted for writing",
                hint="leave out `permissions: {write: ...}` and answer with what was made, or use another environment",
            )
        if shutil.which("ssh") is None:
            raise EnvironmentUnavailable("`ssh` is not on PATH", hint="install the client of OpenSSH")

    def _unavailable(self, spec: WorkerSpec, code: int, error: Exception) -> EnvironmentUnavailable:
        why = str(error) if isinstance(error, ValueError) else f"`ssh` ended with code {code}"
        why = f"no answer within {START_S:g} s" if isinstance(error, TimeoutError) else why
        host = self._command[-1]
        return EnvironmentUnavailable(
            f"no worker could be started on `{host}`: {why}{said_at_start(spec)}",
            hint=f"see that `ssh -o BatchMode=yes {host} {self._python} -V` works; name options and Python under [environments.ssh]",
        )


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


class _Carrier:
    """Takes texts to where the worker looks for them, each once."""

    def __init__(self, command: Sequence[str], places: Places) -> None:
        self._command = command
        self._places = places
        self._carried: dict[Path, asyncio.Task[None]] = {}

    async def carry(self, text: TextFile) -> None:
        """Have the text there. Raises ConnectionError."""
        if text.path not in self._carried:
            self._carried[text.path] = asyncio.create_task(self._copied(text.path))
        await asyncio.shield(self._carried[text.path])

    async def _copied(self, path: Path) -> None:
        target = shlex.quote(self._places.moved(str(path)))
        script = (
            f"umask 077; mkdir -p $(dirname {target}) && cat > {target}.part && mv {target}.part {target}"
        )
        with path.open("rb") as file:
            copying = await asyncio.create_subprocess_exec(
                *self._command, f"exec sh -c {shlex.quote(script)}",
                stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_variables(),
            )  # fmt: skip
            try:
                code = await copying.wait()
            finally:
                if copying.returncode is None:
                    copying.kill()
                    await copying.wait()
        if code:
            raise ConnectionError(f"a text could not be copied: `ssh` ended with code {code}")


async def _root(ours: socket.socket, head: bytes, archive: IO[bytes]) -> str:
    """Send what makes a worker's folder: where that is. Raises EOFError, OSError, and ValueError with a reason."""
    loop = asyncio.get_running_loop()
    ours.setblocking(False)
    await loop.sock_sendall(ours, head)
    while part := archive.read(1 << 20):
        await loop.sock_sendall(ours, part)
    answer = json.loads(await _exactly(ours, struct.unpack(">I", await _exactly(ours, 4))[0] & 0xFFFFF))
    if not isinstance(answer.get("root"), str):
        raise ValueError(str(answer.get("fault", "it did not say where")))  # noqa: TRY004  (it is no fault of a type)
    return str(answer["root"])


async def _exactly(ours: socket.socket, n_bytes: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < n_bytes:
        part = await loop.sock_recv(ours, n_bytes - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _packed(spec: WorkerSpec) -> IO[bytes]:
    """An archive of a worker's folder: its code, what it may read, and empty folders. Raises EnvironmentUnavailable."""
    archive = tempfile.TemporaryFile()  # noqa: SIM115  (the caller's to close)
    n_bytes = 0

    def kept(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        nonlocal n_bytes
        n_bytes += info.size
        if n_bytes > COPY_BYTES:
            archive.close()
            raise EnvironmentUnavailable(
                f"more than {COPY_BYTES >> 20} MiB would have to be copied for one worker",
                hint="grant less to read; a large text goes as `context`, which is copied when it is used",
            )
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        return info if info.isfile() or info.isdir() or info.issym() else None

    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in CODE:
            tar.add(HERE / name, f"code/{name}")
        for name in ("scratch", "texts", f"files{spec.cwd}"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o700
            tar.addfile(folder)
        for path in _copied(spec):
            tar.add(path.resolve(), f"files{path}", filter=kept)
    return archive


def _copied(spec: WorkerSpec) -> list[Path]:
    """What a worker may read, without programs of this machine, and without what lies in another of these."""
    found: list[Path] = []
    for path in sorted(spec.grants.read):
        is_program = (path.is_file() and os.access(path, os.X_OK)) or any(map(path.is_relative_to, PROGRAMS))
        if path.exists() and not is_program and not any(path.is_relative_to(one) for one in found):
            found.append(path)
    return found


def _places(spec: WorkerSpec, root: str, python: str) -> Places:
    folders = {str(path): f"{root}/files{path}" for path in (*_copied(spec), spec.cwd)}
    if spec.blobs is not None:
        folders[str(spec.blobs)] = f"{root}/texts"
    folders[str(spec.scratch)] = f"{root}/scratch"
    out = tuple(sorted(folders.items(), key=lambda pair: -len(pair[0])))
    back = [(f"{root}/scratch", str(spec.scratch)), (f"{root}/files", "")]
    return Places(python, PATH, out, tuple(back))


def _variables() -> dict[str, str]:
    """Variables that `ssh` needs. A configuration that passes some on finds no others."""
    names = ("HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR")
    return {**clean_environment(), **{name: os.environ[name] for name in names if name in os.environ}}
