"""A journal that is read while it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from made_runs import made_run

from orchestrator.errors import UsageError
from orchestrator.runs.history import read_tree
from orchestrator.runs.journal import FILE_NAME
from orchestrator.runs.live import LiveRun

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_that_is_read_as_it_grows_is_the_run_that_is_read_whole(tmp_path: Path) -> None:
    whole = made_run(tmp_path / "whole", 150)
    lines = (whole / FILE_NAME).read_bytes().splitlines(keepends=True)
    folder = tmp_path / "grows"
    folder.mkdir()
    live, changed = LiveRun(folder), set()
    with (folder / FILE_NAME).open("wb", buffering=0) as file:
        for number, line in enumerate(lines):
            half = len(line) // (1 + number % 3)
            file.write(line[:half])
            found = live.read_on()
            file.write(line[half:])
            found |= live.read_on()
            assert "0" in found
            changed |= found
            assert live.read_on() == set()
    assert changed == {node.call for node in read_tree(whole).root.walk()}
    assert list(live.tree.root.walk()) == list(read_tree(whole).root.walk())
    assert (live.seq, live.is_over) == (len(lines) - 1, True)


def test_who_has_seen_the_beginning_hears_of_the_rest(tmp_path: Path) -> None:
    folder = made_run(tmp_path, 4)
    first = LiveRun(folder)
    first.read_on()
    assert LiveRun(folder).read_on(after=first.seq) == set()
    assert LiveRun(folder).read_on(after=first.seq - 1) == {"0"}
    assert LiveRun(folder).read_on(after=6) == {"0", "0.1", "0.1.1", "0.1.2"}


def test_a_journal_that_is_another_one_now_is_read_anew(tmp_path: Path) -> None:
    folder, other = made_run(tmp_path / "a", 40), made_run(tmp_path / "b", 3)
    live = LiveRun(folder)
    live.read_on()
    (folder / FILE_NAME).write_bytes((other / FILE_NAME).read_bytes())
    live.read_on()
    assert [node.call for node in live.tree.root.walk()] == ["0", "0.1", "0.1.1"]


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    folder = made_run(tmp_path, 2)
    n_lines = len((folder / FILE_NAME).read_bytes().splitlines())
    with (folder / FILE_NAME).open("ab") as file:
        file.write(b"nonsense\n")
    with pytest.raises(UsageError, match=rf"journal\.jsonl:{n_lines + 1}: this line is no event"):
        LiveRun(folder).read_on()
