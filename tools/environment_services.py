"""Services that environments need, of this process's own, in a folder that goes: for tests and measurements.

Each yields the settings with which the environment finds it, and raises `Missing` with the reason where this machine
lacks what it takes. Everything listens on a socket in the folder, or on loopback only.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import container_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

IMAGE = "orchestrate-test:local"
START_S = 60.0


class Missing(Exception):
    """Why a service can't be had here."""


@contextlib.contextmanager
def docker(folder: Path) -> Iterator[dict[str, Any]]:
    """A Docker daemon with the image of this machine's files."""
    _need("docker", "dockerd", "runc", root=True)
    command = ["docker", "-H", f"unix://{folder}/docker.sock"]
    argv = [
        "dockerd", "--host", f"unix://{folder}/docker.sock", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec",
        "--pidfile", f"{folder}/docker.pid", "--iptables=false", "--ip6tables=false", "--bridge=none",
    ]  # fmt: skip
    with _service(argv, folder / "dockerd.log") as service:
        _wait(lambda: _works([*command, "version"]), service, folder / "dockerd.log")
        try:
            _import(command, folder)
            yield {"image": IMAGE, "command": command}
        finally:
            _unmount(folder)


@contextlib.contextmanager
def podman(folder: Path) -> Iterator[dict[str, Any]]:
    """Podman with storage of its own, and the image of this machine's files."""
    _need("podman", "runc", root=True)
    command = [
        "podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--tmpdir", f"{folder}/tmp", "--runtime", "runc",
        "--cgroup-manager", "cgroupfs", "--events-backend", "none",
    ]  # fmt: skip
    try:
        _import(command, folder)
        yield {
            "image": IMAGE,
            "command": command,
            "options": ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"],
        }
    finally:
        _unmount(folder)


@contextlib.contextmanager
def sshd(folder: Path) -> Iterator[dict[str, Any]]:
    """An SSH server on loopback that lets this user in by a key made for it."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    _need("ssh", "ssh-keygen", program)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host = (folder / "host.pub").read_text().split()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {host[0]} {host[1]}\n")
    shutil.copy(folder / "user.pub", folder / "authorized")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where an sshd of root locks up what it does not trust yet
    lines = [
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/authorized",
        "PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no", "StrictModes no", "PidFile none",
        "PermitRootLogin prohibit-password", "MaxStartups 100", "MaxSessions 100", "LogLevel ERROR",
    ]  # fmt: skip
    (folder / "config").write_text("\n".join(lines) + "\n")
    options = [
        "-p", str(port), "-i", str(folder / "user"), "-o", f"UserKnownHostsFile={folder}/known", "-o", "IdentitiesOnly=yes",
        "-o", "HostName=127.0.0.1", "-l", getpass.getuser(), "-F", "none",
    ]  # fmt: skip
    with _service([program, "-D", "-e", "-f", str(folder / "config")], folder / "sshd.log") as service:
        _wait(
            lambda: _works(["ssh", "-o", "BatchMode=yes", *options, "127.0.0.1", "true"]),
            service,
            folder / "sshd.log",
        )
        yield {"options": options, "python": shlex.quote(sys.executable)}


SERVICES = {"docker": docker, "podman": podman, "ssh": sshd}


def _need(*programs: str, root: bool = False) -> None:
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        raise Missing(f"{' and '.join(missing)} not installed")
    if root and os.geteuid() != 0:
        raise Missing("only root can start it")


def _import(command: Sequence[str], folder: Path) -> None:
    archive = folder / "root.tar"
    container_image.pack(archive)
    done = subprocess.run([*command, "import", archive, IMAGE], capture_output=True, text=True, timeout=120)
    archive.unlink()
    if done.returncode:
        raise Missing(f"no image could be made: {done.stderr.strip()[-500:]}")


@contextlib.contextmanager
def _service(argv: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with open(log, "wb") as file:
        started = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield started
    finally:
        started.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(START_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def _wait(condition: Callable[[], bool], service: subprocess.Popen[bytes], log: Path) -> None:
    ends_at = time.monotonic() + START_S
    while not condition():
        if service.poll() is not None or time.monotonic() > ends_at:
            raise Missing(f"it did not start: {log.read_text(errors='replace').strip()[-500:]}")
        time.sleep(0.1)  # there is nothing else to wait on


def _works(argv: Sequence[str]) -> bool:
    return subprocess.run(argv, capture_output=True, timeout=START_S).returncode == 0


def _unmount(folder: Path) -> None:
    """Let go of what an engine left mounted, so that its folder can be removed."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for path in sorted((one for one in mounts if one.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", path], capture_output=True, check=False)
