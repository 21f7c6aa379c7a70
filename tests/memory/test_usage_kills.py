import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from orchestrator.memory.usage import UsageStore

CHILD = Path(__file__).with_name("usage_child.py")


@contextlib.contextmanager
def child(role: str, workspace: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, CHILD, role, workspace, name], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def after(process: subprocess.Popen[str], n_lines: int) -> list[str]:
    """Lines the process printed, as soon as there are so many."""
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(n_lines)]
    assert lines[-1], f"ended early: {process.wait()}"
    return lines


def killed(process: subprocess.Popen[str]) -> list[str]:
    """Lines it still printed before kill -9."""
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert process.stdout is not None
    return process.stdout.read().splitlines()


def test_killed_writers_and_folders_lose_no_acknowledged_record_and_break_no_reader(tmp_path: Path) -> None:
    (tmp_path / "skill-usage.json").write_text("{}\n")
    acknowledged: list[str] = []
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(child("read", tmp_path, "r"))
        steady = [stack.enter_context(child("write", tmp_path, f"steady-{n}")) for n in range(2)]
        folder_beside = stack.enter_context(child("fold", tmp_path, "steady"))
        after(reader, 1)
        for round_ in range(6):
            with (
                child("fold", tmp_path, f"f{round_}") as folder,
                child("write", tmp_path, f"w{round_}") as writer,
            ):
                after(folder, 2 + round_)
                acknowledged += after(writer, 20 + 17 * round_) + killed(writer)
                killed(folder)
        for writer in steady:
            acknowledged += after(writer, 400)
        assert reader.poll() is None, "the reader found a broken file"
        assert folder_beside.poll() is None, "folders were in each other's way"

    lines = (tmp_path / "memory" / "usage.jsonl").read_bytes().split(b"\n")
    parsed = [json.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]
    written = {f"{one['run']} {one['call']}" for one in parsed}
    assert set(acknowledged) <= written
    n_untold = 6  # each killed writer may have kept one to itself
    assert len(parsed) == len(written) <= len(acknowledged) + n_untold
    tallies = UsageStore(tmp_path).tallies()
    assert tallies.n_records == len(written)
    UsageStore(tmp_path).rebuild()
    assert UsageStore(tmp_path).tallies() == tallies


def test_a_writer_killed_in_its_line_loses_that_line_alone(tmp_path: Path) -> None:
    with child("tear", tmp_path, "t") as process:
        assert process.wait() == -signal.SIGKILL
    store = UsageStore(tmp_path)
    torn = store.tallies()
    store.record(skill="after")

    assert list(torn.skills) == ["whole"]
    assert torn.n_skipped == 0
    assert replace(store.tallies(), skills={}) == replace(torn, skills={}, n_records=2, n_skipped=1)
    assert list(store.tallies().skills) == ["whole", "after"]
