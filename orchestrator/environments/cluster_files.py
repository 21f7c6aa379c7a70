"""Files and folders as they go to the nodes of a cluster: packed, and named by the hash of their content."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.environments.parcel import COPY_BYTES, copied
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.values import WorkerSpec


@dataclass(frozen=True, slots=True)
class Archive:
    """What was at a path, as a tar."""

    sha256: str
    data: bytes


class Archives:
    """What workers may read, each packed anew only when something in it has changed. For one run.

    Looking and packing are done in a thread, one worker's at a time: there may be thousands of files.
    """

    def __init__(self) -> None:
        self._by_path: dict[Path, tuple[Any, Archive]] = {}
        self._packing = asyncio.Lock()

    async def of(self, spec: WorkerSpec) -> dict[Path, Archive]:
        """All that a worker may read, as it is now. Raises EnvironmentUnavailable for what is too much, or can't be read."""
        async with self._packing:
            return await asyncio.to_thread(lambda: {path: self._of(path) for path in copied(spec)})

    def _of(self, path: Path) -> Archive:
        try:
            seen = _seen(path)
            known = self._by_path.get(path)
            if known is None or known[0] != seen:
                known = self._by_path[path] = seen, _packed(path)
        except OSError as error:
            raise EnvironmentUnavailable(f"`{path}` can't be packed for a node: {error}") from error
        return known[1]


def _seen(path: Path) -> list[tuple[str, int, int, int]]:
    """Names, sizes, times and modes: what changes with a file."""
    found, left = [], [path.resolve()]
    while left:
        one = left.pop()
        stat = one.lstat()
        found.append((str(one), stat.st_size, stat.st_mtime_ns, stat.st_mode))
        if one.is_dir() and not one.is_symlink():
            left += sorted(one.iterdir())
    return found


def _packed(path: Path) -> Archive:
    n_bytes = 0

    def kept(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        nonlocal n_bytes
        n_bytes += info.size
        if n_bytes > COPY_BYTES:
            raise EnvironmentUnavailable(
                f"`{path}` holds more than {COPY_BYTES >> 20} MiB, which would have to be copied to each node",
                hint="grant less to read; or set `shared = true` under [executor] where nodes share these files",
            )
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        return info if info.isfile() or info.islnk() or info.isdir() or info.issym() else None

    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.add(path.resolve(), "it", filter=kept)
    data = file.getvalue()
    return Archive(hashlib.sha256(data).hexdigest(), data)
