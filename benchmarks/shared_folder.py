"""Whether machines that write to one workspace lose anything: over NFS, and through sshfs. Prints one table.

    python benchmarks/shared_folder.py

Two machines with two writers each append lines to one file and count up in another under a lock, with the functions that the
usage record uses. For NFS the machines are kernels of their own: User-Mode Linux (Debian's `user-mode-linux`), whose NFS client
is the kernel's, with `nfs-ganesha` as the server. For sshfs they are two mounts here. Ways `unlocked` leave the locks out, to
show that the measurement would see a loss. Needs root, `ip`, and Debian's `user-mode-linux`, `nfs-ganesha-vfs`, `nfs-common`,
`kmod`, `sshfs`, `openssh-sftp-server`; ways whose programs are missing are left out.

Aim: nothing is lost where doctor says that locks bind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

N_ROUNDS = 3
N_LINES, N_COUNTS, N_WRITERS = 300, 60, 4
START_S, ROUND_S = 10, 120

MODULES = "sunrpc auth_rpcgss grace lockd netfs fscache nfs_acl nfs nfsv3 dns_resolver nfsv4"
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmpfs /run; mount -t tmpfs tmp /mnt
node=$(tr ' ' '\\n' < /proc/cmdline | sed -n 's/^node=//p')
ip link set lo up; ip addr add 10.99.$node.2/30 dev vec0; ip link set vec0 up; mkdir /mnt/w
for name in {modules}; do insmod $(find /usr/lib/uml/modules -name $name.ko) 2>/dev/null; done
mount -t nfs4 -o {options} 10.99.$node.1:/w /mnt/w && for one in a b; do {write} /mnt/w $node$one {locks} & done; wait
umount /mnt/w
{python} -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'
"""
SERVER = """
NFS_CORE_PARAM {{ Protocols = 4; Enable_NLM = false; Enable_RQUOTA = false; }}
NFSv4 {{ Graceless = true; RecoveryBackend = fs; Minor_Versions = 0, 2; }}
EXPORT {{ Export_Id = 1; Path = {folder}; Pseudo = /w; Access_Type = RW; Squash = No_Root_Squash; SecType = sys;
         FSAL {{ Name = VFS; }} }}
"""
SFTP = "/usr/lib/openssh/sftp-server"


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["write"]:
        write(Path(sys.argv[2]), sys.argv[3], locks=sys.argv[4] == "locked")
        return
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory(prefix="orchestrate-") as name:
        place = Path(name)
        (place / "w").mkdir()
        if _there("linux.uml", "ganesha.nfsd", "mount.nfs4", "insmod", "ip"):
            with _server(place) as space:
                rows += [
                    _row(f"NFS {version}{note}", place, partial(_nfs, place, space, version, how))
                    for version, how, note in (("4.2", "locked", ""), ("4.0", "locked", ""), ("4.2", "unlocked", ", unlocked"))
                ]  # fmt: skip
        if _there("sshfs", SFTP):
            rows.append(_row("sshfs", place, partial(_sshfs, place)))
    columns = ["two machines, four writers", f"lines whole, of {N_LINES * N_WRITERS:,}", f"counted, of {N_COUNTS * N_WRITERS}"]  # fmt: skip
    report("A folder that machines share", columns, rows, f"{N_ROUNDS} rounds each, all shown.")


def write(folder: Path, name: str, *, locks: bool) -> None:
    """What one writer does, once all are there."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    if not locks:
        fcntl.flock = lambda *_: None  # type: ignore[assignment]  # the measurement of what is lost without
    from orchestrator.memory.files import append, locked, replace

    (folder / f"up-{name}").touch()
    ends_at = time.monotonic() + ROUND_S / 2
    while sum(one.startswith("up-") for one in os.listdir(folder)) < N_WRITERS and time.monotonic() < ends_at:
        time.sleep(0.02)
    for n in range(N_LINES):
        append(folder / "log", f"{name} {n} {'x' * 200}\n".encode())
    count = folder / "count"
    for _ in range(N_COUNTS):
        with locked(folder / "lock"):
            replace(count, str((int(count.read_text()) if count.exists() else 0) + 1).encode())


def _row(name: str, place: Path, go: Callable[[], None]) -> list[str]:
    found = []
    for _ in range(N_ROUNDS):
        for old in (place / "w").iterdir():
            old.unlink()
        go()
        words = [line.split() for line in (place / "w" / "log").read_bytes().split(b"\n")]
        whole = {(one[0], one[1]) for one in words if len(one) == 3 and one[2] == b"x" * 200}
        count = place / "w" / "count"
        found.append((len(whole), int((count.read_text() if count.exists() else "") or 0)))
    print(name, found, file=sys.stderr)
    return [name, *(", ".join(f"{one:,}" for one in values) for values in zip(*found, strict=True))]


@contextlib.contextmanager
def _server(place: Path) -> Iterator[str]:
    """An NFS server in a namespace with a cable for each machine."""
    space = f"orch{secrets.token_hex(3)}"
    for state in ("/var/lib/nfs/ganesha", "/var/run/ganesha"):
        Path(state).mkdir(parents=True, exist_ok=True)
    settings = place / "ganesha.conf"
    settings.write_text(SERVER.format(folder=place / "w"))
    with contextlib.ExitStack() as stack:
        _ip("netns", "add", space)
        stack.callback(_ip, "netns", "del", space)
        _ip("-n", space, "link", "set", "lo", "up")
        for node in range(2):
            _ip("-n", space, "tuntap", "add", f"tap{node}", "mode", "tap")
            _ip("-n", space, "addr", "add", f"10.99.{node}.1/30", "dev", f"tap{node}")
            _ip("-n", space, "link", "set", f"tap{node}", "up")
        log = place / "ganesha.log"
        argv = ["ip", "netns", "exec", space, "ganesha.nfsd", "-F", "-f", str(settings), "-L", str(log), "-p", str(place / "pid")]  # fmt: skip
        server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(server.wait)
        stack.callback(server.kill)
        _until(lambda: log.exists() and "NFS SERVER INITIALIZED" in log.read_text("utf-8", "replace"))
        yield space


def _nfs(place: Path, space: str, version: str, how: str) -> None:
    """Two kernels, each with two writers, until all have ended."""
    write = f"cd /tmp; {sys.executable} {Path(__file__).resolve()} write"
    init = place / "init"
    init.write_text(
        INIT.format(modules=MODULES, options=f"vers={version}", write=write, locks=how, python=sys.executable)
    )
    init.chmod(0o755)
    kernels = []
    for node in range(2):
        argv = [
            "linux.uml", "mem=384M", "root=/dev/root", "rootfstype=hostfs", "hostfs=/", "rw", f"init={init}", f"node={node}",
            "con0=null,fd:1", "con=null", f"vec0:transport=tap,ifname=tap{node},depth=128,gro=1",
        ]  # fmt: skip
        with (place / f"kernel{node}.log").open("wb") as log:
            kernels.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", space, "timeout", str(ROUND_S), *argv],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )
            )  # fmt: skip
    for kernel in kernels:
        kernel.wait()


def _sshfs(place: Path) -> None:
    """Two mounts of one folder, each with two writers."""
    with contextlib.ExitStack() as stack:
        points = []
        for node in range(2):
            point = place / f"mount{node}"
            point.mkdir(exist_ok=True)
            ours, theirs = socket.socketpair()
            mount = ["sshfs", f"x:{place / 'w'}", str(point), "-f", "-o", "passive"]
            for argv, end in (([SFTP], ours), (mount, theirs)):
                process = subprocess.Popen(argv, stdin=end, stdout=end, stderr=subprocess.DEVNULL)
                stack.callback(process.wait)
                stack.callback(process.kill)
                end.close()
            stack.callback(subprocess.run, ["umount", "--lazy", str(point)], check=False)
            _until(lambda point=point: os.path.ismount(point))
            points.append(point)
        argv = [sys.executable, str(Path(__file__).resolve()), "write"]
        writers = [
            subprocess.Popen([*argv, str(point), f"{node}{one}", "locked"], stderr=subprocess.DEVNULL)
            for node, point in enumerate(points)
            for one in "ab"
        ]
        for writer in writers:
            writer.wait()


def _there(*programs: str) -> bool:
    missing = [name for name in programs if shutil.which(name) is None]
    if os.geteuid():
        missing.append("root")
    if missing:
        print(f"left out, since there is no {', '.join(missing)}", file=sys.stderr)
    return not missing


def _until(is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + START_S
    while not is_so():
        if time.monotonic() > ends_at:
            sys.exit("a server or mount did not come up")
        time.sleep(0.05)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


if __name__ == "__main__":
    main()
