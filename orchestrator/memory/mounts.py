"""On which file system a folder lies, and whether the locks of `files` bind between the machines that mount it.

What is known, with its source; of anything else on a network or in a FUSE it is said that nobody knows:
- NFS: clients emulate `flock` by byte-range locks on the server since Linux 2.6.12, but with `local_lock` (flock(2), nfs(5)). Version 4 has locks in its
  protocol; version 3 needs the lock service at both ends, and `nolock` turns it off.
- CephFS sends `flock` to its metadata server (fs/ceph/locks.c). Lustre does with the mount option `flock`; `localflock` stays on
  the machine (mount.lustre(8)).
- SMB: since Linux 5.5 a lock also keeps others from reading (flock(2)), which our readers do without a lock. Before it is not sent.
- FUSE: where a file system does not ask for `flock`, the kernel keeps it to itself (fs/fuse/file.c). sshfs, s3fs, gcsfuse and rclone do not
  ask; of others it can't be seen.
- virtiofs and vboxsf: local to the guest, but where virtiofsd was told otherwise. 9p: what the server does can't be seen.

Not covered: what lies beneath an overlay, and a mount that a later one of a shorter path hides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MOUNTS = Path("/proc/self/mountinfo")

ONE_OWNER = "run on it from one machine at a time"

_BIND, _LOCAL = "its locks bind between machines", "its locks bind on each machine alone"
_UNKNOWN = "whether its locks bind between machines can't be seen"
_SMB = "a lock keeps readers out too, or binds on each machine alone (before Linux 5.5)"
_PLAIN: dict[str, tuple[Literal["bind", "don't", "unknown"], str]] = {
    "ceph": ("bind", _BIND),
    **dict.fromkeys(("cifs", "smb3"), ("don't", _SMB)),
    **dict.fromkeys(("fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "virtiofs", "vboxsf"), ("don't", _LOCAL)),
    **dict.fromkeys(("9p", "afs", "beegfs", "fuse", "gpfs"), ("unknown", _UNKNOWN)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system: of which type, and the options of the mount and of the file system."""

    point: str
    kind: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Locks:
    """What the locks of a file system that others may mount are worth: `why` is a clause about it."""

    kind: str
    state: Literal["bind", "don't", "unknown"]
    why: str

    def __str__(self) -> str:
        return f"on `{self.kind}`: {self.why}"


def mount_of(path: str, mountinfo: str) -> Mount | None:
    """The mount that an absolute path without links lies on: the longest point, and there the last. None where none covers it.

    `mountinfo` is the text of /proc/PID/mountinfo (proc_pid_mountinfo(5)). Lines of another form are passed over.
    """
    found = None
    for line in mountinfo.split("\n"):
        before, dash, after = line.partition(" - ")
        fields, more = before.split(" "), after.split(" ")
        if not dash or len(fields) < 6 or len(more) < 3:
            continue
        point = _plain(fields[4])
        if _covers(point, path) and (found is None or len(point) >= len(found.point)):
            found = Mount(point, _plain(more[0]), (*fields[5].split(","), *more[2].split(",")))
    return found


def locks_of(mount: Mount) -> Locks | None:
    """What its locks are worth; None for a file system of this machine, whose locks bind all who can see it."""
    kind = mount.kind
    if kind in ("nfs", "nfs4"):
        return _nfs(kind, mount.options)
    if kind == "lustre":
        binds = "flock" in mount.options
        return (
            Locks(kind, "bind", _BIND)
            if binds
            else Locks(kind, "don't", f"{_LOCAL}, without the option `flock`")
        )
    if kind in _PLAIN:
        return Locks(kind, *_PLAIN[kind])
    return Locks(kind, "unknown", _UNKNOWN) if kind.startswith("fuse.") else None


def locks_at(path: Path, mounts: Path = MOUNTS) -> Locks | None:
    """The same of the file system that a folder lies on, or will; None too where that can't be read, as beyond Linux."""
    try:
        text = mounts.read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    mount = mount_of(str(path.resolve()), text)
    return locks_of(mount) if mount else None


def _nfs(kind: str, options: tuple[str, ...]) -> Locks:
    version = next((one.partition("=")[2] for one in options if one.startswith(("vers=", "nfsvers="))), "")
    name = f"{kind}, version {version}" if version else kind
    local = next((one for one in ("nolock", "local_lock=all", "local_lock=flock") if one in options), "")
    if local:
        return Locks(name, "don't", f"{_LOCAL} (`{local}`)")
    if kind == "nfs4" or version.startswith("4"):
        return Locks(name, "bind", _BIND)
    return Locks(name, "bind", f"{_BIND} where both ends have its lock service")


def _covers(point: str, path: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")


def _plain(field: str) -> str:
    r"""A field without its escapes: space, tab, newline and backslash are `\040`, `\011`, `\012`, `\134`."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
