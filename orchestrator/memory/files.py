"""Files that many processes change at once: append under a lock, replace as a whole.

What holds, and what does not:
- A line that `append` returned for outlives its process; the machine only after the next `sync`.
- A writer that is killed leaves at most its own unfinished line, which the next writer ends. One that finds the
  disk full takes its bytes back. A reader skips the one and never sees the other.
- Who reads a file that `replace` writes sees the old bytes or the new ones, whole.
- The locks are advisory (`flock`): they bind this package's processes, and go with a process however it ends. Between
  machines they bind where the file system carries them, which `mounts.py` tells.
- NFS has no append: its client looks for the end itself (Linux NFS FAQ, A9). The lock makes that safe. A Linux client writes
  what it holds before it lets go of a lock, drops what it had kept when it gets one, and asks for the length before a write at the end
  (nfs(5), "Data and metadata coherence"; `do_unlk`, `do_setlk` and `nfs_file_write` in fs/nfs/file.c). So `append` takes the lock before it looks.
- Who reads over NFS without a lock sees what was written by the time that it opened the file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from orchestrator.errors import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def append(path: Path, data: bytes) -> None:
    """Add `data`, which ends in a newline, to a file that is made when missing; all of it or nothing.

    Raises WorkspaceError when the disk takes no more. Costs the same at any length of the file.
    """
    with _problems_at(path), _opened_for_append(path) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)  # let go when the descriptor closes
        end = os.fstat(fd).st_size
        torn = end > 0 and os.pread(fd, 1, end - 1) != b"\n"
        line = b"\n" + data if torn else data
        try:
            written = os.write(fd, line)
            while written < len(line):
                written += os.write(fd, line[written:])
        except OSError:
            os.ftruncate(fd, end)
            raise


def replace(path: Path, data: bytes) -> None:
    """Put `data` in the place of a file, or make it; the mode stays. On WorkspaceError the old file is untouched.

    The caller holds a lock that keeps other writers of `path` out: the bytes wait in one temporary file of a fixed
    name beside it, so that what a killed writer left is used again and never piles up.
    """
    part = path.with_name(f".{path.name}.part")
    with _problems_at(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_new(part, data, mode=_mode(path))
            os.replace(part, path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        _sync(path.parent)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone; it is made when missing. Waits for other processes and threads."""
    with _held(path, fcntl.LOCK_EX):
        yield


def locked_now(path: Path) -> contextlib.AbstractContextManager[bool]:
    """The same without waiting: the value is False, and nothing is held, where somebody else holds it."""
    return _held(path, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sync(path: Path) -> None:
    """Put what was appended to a file on the disk."""
    with _problems_at(path):
        _sync(path)


def workspace_error(path: Path, error: OSError) -> WorkspaceError:
    """What to tell a user of a file that can't be written."""
    if error.errno in _FULL:
        return WorkspaceError(
            f"can't write `{path}`: the disk is full, or a quota or size limit is reached ({error.strerror})",
            hint="make room and try again; what was written before is whole",
        )
    hint = "see that the folder exists and is a folder"
    if error.errno in _READ_ONLY:
        hint = "make the workspace writable, or choose another with --workspace DIR"
    return WorkspaceError(f"can't write `{path}`: {error.strerror or error}", hint=hint)


@contextlib.contextmanager
def _held(path: Path, how: int) -> Iterator[bool]:
    with contextlib.ExitStack() as stack:
        is_ours = True
        with _problems_at(path):
            fd = stack.enter_context(_opened_for_append(path))
            try:
                fcntl.flock(fd, how)
            except BlockingIOError:
                is_ours = False
        yield is_ours


@contextlib.contextmanager
def _problems_at(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise workspace_error(path, error) from error


@contextlib.contextmanager
def _opened_for_append(path: Path) -> Iterator[int]:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, flags, 0o666)
    try:
        yield fd
    finally:
        os.close(fd)


def _mode(path: Path) -> int | None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return stat.S_IMODE(found.st_mode) if stat.S_ISREG(found.st_mode) else None


def _write_new(path: Path, data: bytes, mode: int | None) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    with open(fd, "wb") as file:
        if mode is not None:
            os.fchmod(fd, mode)
        file.write(data)
        file.flush()
        os.fsync(fd)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
