"""What a worker on another machine is sent, and how: an archive of its folder, and the program that unpacks it.

There `far.py` makes a folder of it and keeps the worker. What goes: the worker's own files, the granted files and
folders that it may read. Nothing is brought back but answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shlex
import socket
import struct
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from orchestrator.environments.command import REFUSE_OLD
from orchestrator.environments.confine import PROGRAMS
from orchestrator.environments.places import Places
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from orchestrator.environments.frames import TextFile
    from orchestrator.values import WorkerSpec

HERE = Path(__file__).parent
CODE = ("worker.py", "confine.py", "inside.py")
COPY_BYTES = 256 << 20
"""How much may be copied for one worker."""

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/opt/homebrew/bin"

BOOT = f'import os,sys;{REFUSE_OLD};n=int(sys.argv[1]);b=bytearray();exec("while len(b)<n:\\n b+=os.read(0,n-len(b)) or sys.exit()");exec(bytes(b))'
"""Runs the program of so many bytes that comes first on the stream, and reads nothing of what follows."""

PROGRAM = HERE / "far.py"


def command(python: str) -> list[str]:
    """What is started there: it reads its program, and all else, from its standard input."""
    words = ["env", "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", python, "-s", "-c", BOOT]
    return [*words, str(PROGRAM.stat().st_size)]


def refuse_writes(name: str, spec: WorkerSpec) -> None:
    """Raise EnvironmentUnavailable where a worker is granted to write files, beside its `out/`."""
    beyond = [path for path in spec.grants.write if path != spec.cwd / "out"]
    if beyond:
        raise EnvironmentUnavailable(
            f"`{name}` brings no files back, and `{beyond[0]}` is granted for writing",
            hint="leave out `permissions: {write: ...}` and answer with what was made, or use another environment",
        )


def packed(spec: WorkerSpec) -> IO[bytes]:
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
        return info if info.isfile() or info.islnk() or info.isdir() or info.issym() else None

    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in CODE:
            tar.add(HERE / name, f"code/{name}")
        for name in ("scratch", "texts", f"files{spec.cwd}"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o700
            tar.addfile(folder)
        for path in copied(spec):
            tar.add(path.resolve(), f"files{path}", filter=kept)
    return archive


async def sent(ours: socket.socket, spec: WorkerSpec, archive: IO[bytes]) -> str:
    """Send what makes a worker's folder: where that is. Raises EOFError, OSError, and ValueError with a reason."""
    name = hashlib.sha256(f"{socket.gethostname()}:{spec.scratch}".encode()).hexdigest()[:24]
    order = json.dumps({"name": name, "n_bytes": archive.seek(0, os.SEEK_END)}).encode()
    archive.seek(0)
    loop = asyncio.get_running_loop()
    ours.setblocking(False)
    await loop.sock_sendall(ours, PROGRAM.read_bytes() + struct.pack(">I", len(order)) + order)
    while part := archive.read(1 << 20):
        await loop.sock_sendall(ours, part)
    answer = json.loads(await _exactly(ours, struct.unpack(">I", await _exactly(ours, 4))[0] & 0xFFFFF))
    if not isinstance(answer.get("root"), str):
        raise ValueError(str(answer.get("fault", "it did not say where")))  # noqa: TRY004  (it is no fault of a type)
    return str(answer["root"])


def places_there(spec: WorkerSpec, root: str, python: str) -> Places:
    """What a worker whose folder is `root` has under other names."""
    folders = {str(path): f"{root}/files{path}" for path in (*copied(spec), spec.cwd)}
    if spec.blobs is not None:
        folders[str(spec.blobs)] = f"{root}/texts"
    folders[str(spec.scratch)] = f"{root}/scratch"
    out = tuple(sorted(folders.items(), key=lambda pair: -len(pair[0])))
    back = [(f"{root}/scratch", str(spec.scratch)), (f"{root}/files", "")]
    return Places(python, PATH, out, tuple(back))


def receiving(places: Places, path: Path) -> str:
    """A program of the shell that puts what it reads where the worker looks for this text."""
    target = shlex.quote(places.moved(str(path)))
    return f"umask 077; mkdir -p $(dirname {target}) && cat > {target}.part && mv {target}.part {target}"


class Carrier:
    """Takes texts to where the worker looks for them, each once. `copy` has the text of a path there."""

    def __init__(self, copy: Callable[[Path], Coroutine[Any, Any, None]]) -> None:
        self._copy = copy
        self._carried: dict[Path, asyncio.Task[None]] = {}

    async def carry(self, text: TextFile) -> None:
        """Have the text there. Raises ConnectionError."""
        carrying = self._carried.get(text.path)
        if carrying is None or (carrying.done() and (carrying.cancelled() or carrying.exception())):
            carrying = self._carried[text.path] = asyncio.create_task(self._copy(text.path))
        await asyncio.shield(carrying)


async def _exactly(ours: socket.socket, n_bytes: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < n_bytes:
        part = await loop.sock_recv(ours, n_bytes - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def copied(spec: WorkerSpec) -> list[Path]:
    """What a worker may read, without programs of this machine, and without what lies in another of these."""
    found: list[Path] = []
    for path in sorted(spec.grants.read):
        is_program = (path.is_file() and os.access(path, os.X_OK)) or any(map(path.is_relative_to, PROGRAMS))
        if path.exists() and not is_program and not any(path.is_relative_to(one) for one in found):
            found.append(path)
    return found
