"""What `doctor` and a run say of a workspace on a file system that other machines mount too: here one of sshfs, for real."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVER = Path("/usr/lib/openssh/sftp-server")
SAID = "on `fuse.sshfs`: its locks bind on each machine alone"


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """A folder that lies beyond sshfs, with a workflow in it."""
    if shutil.which("sshfs") is None or not SERVER.exists() or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs sshfs, an SFTP server and FUSE")
    behind, point = tmp_path / "behind", tmp_path / "point"
    for folder in (behind, point):
        folder.mkdir()
    (behind / "memory").mkdir()
    (behind / "w.md").write_text("# W\n```repl\nFINAL(1)\n```\n")
    with contextlib.ExitStack() as stack:
        ours, theirs = socket.socketpair()
        for argv, end in (
            ([str(SERVER)], ours),
            (["sshfs", f"x:{behind}", str(point), "-f", "-o", "passive"], theirs),
        ):
            process = subprocess.Popen(argv, stdin=end, stdout=end, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
        for end in (ours, theirs):
            end.close()
        stack.callback(subprocess.run, ["umount", "--lazy", str(point)], check=False, capture_output=True)
        ends_at = time.monotonic() + 10
        while not os.path.ismount(point):
            if process.poll() is not None or time.monotonic() > ends_at:
                pytest.skip("sshfs can't mount here")
            time.sleep(0.02)
        yield point


def test_doctor_says_what_the_locks_of_the_workspace_are_worth(
    far: Path, orchestrate: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    lines = orchestrate("doctor", "--environment", "process", "--workspace", str(far)).stdout.splitlines()
    where = lines.index(f"warn  locks of the workspace: {SAID}")
    assert lines[where + 1] == "      hint: run on it from one machine at a time"
    assert "locks of the workspace" not in orchestrate("doctor", "--environment", "process").stdout


def test_a_run_warns_where_the_workspace_is_shared_and_only_there(
    far: Path, orchestrate: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    argv = (str(far / "w.md"), "--workspace", str(far), "--executor", "local", "--dry-run")
    assert orchestrate(*argv).stderr == ""
    (far / "orchestrate.toml").write_text('[executor]\nkind = "ray"\nshared = true\n')
    done = orchestrate(*argv)
    assert done.stderr.splitlines() == [
        f"{far}: warning: the shared workspace is {SAID}",
        "hint: run on it from one machine at a time",
    ]
