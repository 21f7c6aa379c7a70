"""Which mount a folder lies on, and what its locks are worth. The texts are as kernels write them (proc_pid_mountinfo(5))."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.memory.mounts import MOUNTS, Locks, Mount, locks_at, locks_of, mount_of

TEXT = r"""
22 27 0:21 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
45 27 0:52 / /home rw,relatime shared:12 master:3 propagate_from:2 - nfs4 files:/home rw,vers=4.2,rsize=1048576,hard,proto=tcp,local_lock=none,addr=10.0.0.9
46 45 0:53 / /home/ann/my\040notes\134old rw,nosuid,nodev,relatime - fuse.sshfs ann@far:/notes rw,user_id=1000,group_id=1000
47 27 0:54 / /mnt/auto rw,relatime - autofs systemd-1 rw,fd=42
48 47 0:55 / /mnt/auto rw,relatime - ceph 10.0.0.1:/ rw,name=a,acl
not a line of it
49 27 0:56 broken
"""

BIND, LOCAL = "its locks bind between machines", "its locks bind on each machine alone"
UNKNOWN = "whether its locks bind between machines can't be seen"
SMB = "a lock keeps readers out too, or binds on each machine alone (before Linux 5.5)"
NFS = (
    "rw",
    "relatime",
    "rw",
    "vers=4.2",
    "rsize=1048576",
    "hard",
    "proto=tcp",
    "local_lock=none",
    "addr=10.0.0.9",
)
SSHFS = ("rw", "nosuid", "nodev", "relatime", "rw", "user_id=1000", "group_id=1000")


@pytest.mark.parametrize(
    ("path", "mount"),
    [
        ("/", Mount("/", "ext4", ("rw", "relatime", "rw", "discard"))),
        ("/homeless/x", Mount("/", "ext4", ("rw", "relatime", "rw", "discard"))),
        ("/home", Mount("/home", "nfs4", NFS)),
        ("/home/ann/my notes", Mount("/home", "nfs4", NFS)),
        ("/home/ann/my notes\\old/w", Mount("/home/ann/my notes\\old", "fuse.sshfs", SSHFS)),
        ("/mnt/auto/w", Mount("/mnt/auto", "ceph", ("rw", "relatime", "rw", "name=a", "acl"))),
    ],
)
def test_a_folder_lies_on_the_longest_mount_that_covers_it(path: str, mount: Mount) -> None:
    assert mount_of(path, TEXT) == mount


def test_a_folder_that_no_mount_covers_lies_on_none() -> None:
    assert mount_of("/w", "") is None
    assert mount_of("/w", "46 45 0:53 / /other rw - ext4 /dev/vda rw\n") is None


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=5)
POINTS = st.lists(NAMES, max_size=3).map(lambda names: "/" + "/".join(names))


@given(st.lists(POINTS, max_size=6), POINTS)
def test_any_name_of_a_mount_point_is_found_again(points: list[str], path: str) -> None:
    lines = [
        f"{n} 1 0:{n} / {_escaped(point)} rw - t{n} none opt{n}\n" for n, point in enumerate(points, start=2)
    ]
    covering = [
        (len(point), n) for n, point in enumerate(points, start=2)
        if point == "/" or (path + "/").startswith(point + "/")
    ]  # fmt: skip
    n = max(covering, default=(0, 0))[1]
    assert mount_of(path, "".join(lines)) == (Mount(points[n - 2], f"t{n}", ("rw", f"opt{n}")) if n else None)


@pytest.mark.parametrize(
    ("kind", "options", "locks"),
    [
        *((kind, ("rw",), None) for kind in ("ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk")),
        ("nfs4", ("vers=4.2", "local_lock=none"), ("nfs4, version 4.2", "bind", BIND)),
        ("nfs", ("vers=4.1",), ("nfs, version 4.1", "bind", BIND)),
        ("nfs4", ("vers=4.0", "local_lock=flock"), ("nfs4, version 4.0", "don't", f"{LOCAL} (`local_lock=flock`)")),
        ("nfs4", ("vers=4.0", "local_lock=posix"), ("nfs4, version 4.0", "bind", BIND)),
        ("nfs", ("vers=3", "local_lock=none"), ("nfs, version 3", "bind", f"{BIND} where both ends have its lock service")),
        ("nfs", ("vers=3", "nolock", "local_lock=all"), ("nfs, version 3", "don't", f"{LOCAL} (`nolock`)")),
        ("nfs", ("vers=3", "local_lock=all"), ("nfs, version 3", "don't", f"{LOCAL} (`local_lock=all`)")),
        ("ceph", ("rw",), ("ceph", "bind", BIND)),
        ("lustre", ("rw", "flock"), ("lustre", "bind", BIND)),
        ("lustre", ("rw", "localflock"), ("lustre", "don't", f"{LOCAL}, without the option `flock`")),
        ("cifs", ("rw", "vers=3.1.1"), ("cifs", "don't", SMB)),
        *((kind, (), (kind, "don't", LOCAL)) for kind in ("fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "virtiofs", "vboxsf")),
        *((kind, (), (kind, "unknown", UNKNOWN)) for kind in ("9p", "gpfs", "fuse", "fuse.ceph-fuse", "fuse.other")),
    ],
)  # fmt: skip
def test_what_the_locks_of_a_file_system_are_worth(
    kind: str, options: tuple[str, ...], locks: tuple[str, str, str] | None
) -> None:
    found = locks_of(Mount("/w", kind, options))
    assert (None if found is None else (found.kind, found.state, found.why)) == locks


def test_of_a_folder_that_is_not_there_yet_the_locks_are_told(tmp_path: Path) -> None:
    text = tmp_path / "mountinfo"
    text.write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {_escaped(str(tmp_path))} rw - ceph x rw\n")
    assert locks_at(tmp_path / "not" / "there", text) == Locks("ceph", "bind", BIND)
    assert locks_at(tmp_path / "not" / "there", tmp_path / "no such file") is None


def test_a_mount_of_this_kernel_is_found_by_its_odd_name(tmp_path: Path) -> None:
    """Mounted and not served: nothing may look into it, and nothing does."""
    point = tmp_path / "a b\tc\nd\\e#ü"
    point.mkdir()
    try:
        fuse = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no FUSE here: {error}")
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={fuse},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
        if libc.mount(b"far:/notes", os.fsencode(point), b"fuse.sshfs", 6, options.encode()):
            pytest.skip(f"nothing can be mounted here: {os.strerror(ctypes.get_errno())}")
        try:
            found = mount_of(f"{point}/w", MOUNTS.read_text("utf-8", "surrogateescape"))
        finally:
            libc.umount2(os.fsencode(point), 2)
    finally:
        os.close(fuse)
    assert found is not None
    assert (found.point, found.kind) == (str(point), "fuse.sshfs")


def _escaped(point: str) -> str:
    return "".join(f"\\{ord(one):03o}" if one in " \t\n\\" else one for one in point)
