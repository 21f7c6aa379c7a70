import os
import threading
from pathlib import Path

import pytest

from orchestrator.errors import WorkspaceError
from orchestrator.memory import files


def test_append_makes_the_file_and_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "log"
    files.append(path, b"one\n")
    files.append(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


def test_append_ends_a_torn_line_first(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntor")
    files.append(path, b"two\n")
    assert path.read_bytes() == b"one\ntor\ntwo\n"


def test_replace_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "note"
    path.write_text("old")
    path.chmod(0o640)
    files.replace(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_replace_leaves_nothing_beside_the_file_and_uses_what_a_killed_writer_left(tmp_path: Path) -> None:
    path = tmp_path / "f" / "summary"
    files.replace(path, b"old")
    (tmp_path / "f" / ".summary.part").write_bytes(b"much longer than the new one")
    files.replace(path, b"new")
    assert {one.name: one.read_bytes() for one in path.parent.iterdir()} == {"summary": b"new"}


def test_nothing_is_written_through_a_symlink(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"kept\n")
    (tmp_path / "log").symlink_to(outside)
    (tmp_path / ".summary.part").symlink_to(outside)
    with pytest.raises(WorkspaceError):
        files.append(tmp_path / "log", b"x\n")
    with pytest.raises(WorkspaceError):
        files.replace(tmp_path / "summary", b"x")
    files.replace(tmp_path / "log", b"new")
    assert outside.read_bytes() == b"kept\n"
    assert not (tmp_path / "log").is_symlink()


def test_a_lock_is_held_by_one_thread_at_a_time(tmp_path: Path) -> None:
    inside, most = 0, 0
    path = tmp_path / "memory" / "some.lock"

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with files.locked(path):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_an_error_inside_a_lock_stays_what_it_is_and_frees_the_lock(tmp_path: Path) -> None:
    n_before = len(os.listdir("/dev/fd"))
    with pytest.raises(FileNotFoundError), files.locked(tmp_path / "lock"):
        (tmp_path / "missing").read_bytes()
    with files.locked(tmp_path / "lock"):
        pass
    assert len(os.listdir("/dev/fd")) == n_before


def test_a_folder_that_cannot_be_made_is_a_workspace_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for action in (
        lambda: files.append(tmp_path / "file" / "log", b"x\n"),
        lambda: files.replace(tmp_path / "file" / "log", b"x"),
        lambda: files.sync(tmp_path / "missing"),
    ):
        with pytest.raises(WorkspaceError, match="can't write") as caught:
            action()
        assert caught.value.hint
