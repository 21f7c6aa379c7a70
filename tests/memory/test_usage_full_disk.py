import functools
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("full_disk_child.py")
MOUNTED = (
    'mount -t tmpfs -o size=128k tmpfs "$0" && exec "$@"'  # gone with the process: it has its own mounts
)


@functools.cache
def can_mount() -> bool:
    """Whether a process here may have file systems of its own."""
    try:
        done = subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/tmp"], capture_output=True
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0


def passes(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_file_size_limit_loses_no_record_and_tears_no_line(tmp_path: Path) -> None:
    passes([sys.executable, CHILD, tmp_path, "limit"])


@pytest.mark.parametrize("mode", ["tmpfs", "read-only"])
def test_a_full_or_read_only_disk_is_a_clear_error_and_loses_no_record(tmp_path: Path, mode: str) -> None:
    if not can_mount():
        pytest.skip("needs `unshare -rm` to mount a small file system")
    passes(["unshare", "-rm", "sh", "-c", MOUNTED, tmp_path, sys.executable, CHILD, tmp_path, mode])
