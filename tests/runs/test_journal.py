import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import UsageError, WorkspaceError
from orchestrator.runs.journal import FILE_NAME, INLINE_BYTES, Journal, is_alive, read_ends, read_journal

NOTHING = {"calls": 0, "tokens": 0, "usd": 0.0, "seconds": 0.0}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(), part, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60)
@given(values=st.lists(JSON, min_size=1, max_size=5))
def test_every_value_comes_back_as_it_was_written(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("run")
    with Journal(folder, "r1") as journal:
        written = [journal.append("call_finished", "0", outcome="ok", value=value) for value in values]
    assert list(read_journal(folder / FILE_NAME)) == written


@pytest.mark.parametrize("value", ["x" * INLINE_BYTES, ["é" * 20_000], {"$blob": "0" * 64, "n_bytes": 1}])
def test_long_and_ambiguous_values_go_to_blobs_and_come_back(tmp_path, value):
    with Journal(tmp_path, "r1") as journal:
        journal.append("call_finished", "0", outcome="ok", value=value)
    line = (tmp_path / FILE_NAME).read_text()
    assert len(line) < 400
    (event,) = read_journal(tmp_path / FILE_NAME)
    assert event.fields == {"outcome": "ok", "value": value}


def test_the_same_value_is_kept_once(tmp_path):
    with Journal(tmp_path, "r1") as journal:
        for _ in range(3):
            journal.append("call_finished", "0", value="y" * 50_000)
    assert len(list((tmp_path / "blobs").iterdir())) == 1


def test_a_line_has_the_contracts_head(tmp_path):
    with Journal(tmp_path, "r1") as journal:
        journal.append("check", "0.2.1", name="n", passed=True, message="")
    record = json.loads((tmp_path / FILE_NAME).read_text())
    assert record.pop("at").endswith("Z")
    assert record == {
        "v": 1, "seq": 0, "run": "r1", "call": "0.2.1", "event": "check", "name": "n", "passed": True, "message": "",
    }  # fmt: skip


@pytest.mark.parametrize("n_cut", [1, 5, 40])
def test_a_torn_last_line_is_skipped(tmp_path, n_cut):
    with Journal(tmp_path, "r1") as journal:
        first = journal.append("run_started", "0", workflow="w")
        journal.append("run_finished", "0", usage=NOTHING, status="answered")
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-n_cut])
    read = list(read_journal(path))
    assert read[0] == first
    assert len(read) == (2 if n_cut == 1 else 1)


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    with Journal(tmp_path, "r1") as journal:
        for _ in range(3):
            journal.append("check", "0", name="n", passed=True)
    path = tmp_path / FILE_NAME
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "{oops", lines[2]]) + "\n")
    with pytest.raises(UsageError, match=r"journal\.jsonl:2: this line is no event"):
        list(read_journal(path))


def test_a_newer_journal_is_refused_by_its_version(tmp_path):
    (tmp_path / FILE_NAME).write_text(
        '{"v": 2, "seq": 0, "at": "", "run": "r", "call": "0", "event": "check"}\n'
    )
    with pytest.raises(UsageError, match="journal version 2"):
        list(read_journal(tmp_path / FILE_NAME))


@pytest.mark.parametrize("n_bytes", [10, 3_000, 9_000, 60_000])
def test_the_ends_of_a_journal_are_found_whatever_lies_between(tmp_path, n_bytes):
    with Journal(tmp_path, "r1") as journal:
        first = journal.append("run_started", "0", workflow="w")
        journal.append("check", "0", why=["z" * 4000] * (n_bytes // 4000), name="m", passed=True)
        last = journal.append(
            "run_finished", "0", status="failed", usage=NOTHING, message="m" * min(n_bytes, 4000)
        )
    assert read_ends(tmp_path / FILE_NAME) == (first, last)


def test_a_journal_is_alive_only_while_its_process_is(tmp_path):
    code = (
        "import sys, pathlib; from orchestrator.runs.journal import Journal;"
        "j = Journal(pathlib.Path(sys.argv[1]), 'r1'); j.append('run_started', '0');"
        "print('ready', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "ready\n"
    assert is_alive(tmp_path)
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    assert not is_alive(tmp_path)
    assert [event.event for event in read_journal(tmp_path / FILE_NAME)] == ["run_started"]


def test_a_full_disk_is_said_and_leaves_no_torn_line(tmp_path):
    code = (
        "import sys, pathlib, resource, signal; from orchestrator.runs.journal import Journal\n"
        "from orchestrator.errors import WorkspaceError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "journal = Journal(pathlib.Path(sys.argv[1]), 'r1')\n"
        "try:\n"
        "    for n in range(100): journal.append('check', '0', name=str(n), passed=True)\n"
        "except WorkspaceError as error: print(error, error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "can't write" in done.stdout
    assert (tmp_path / FILE_NAME).read_bytes().endswith(b"}\n")
    names = [event.fields["name"] for event in read_journal(tmp_path / FILE_NAME)]
    assert names == [str(n) for n in range(len(names))]
    assert len(names) > 5


def test_a_folder_that_takes_no_journal_is_an_error_of_the_workspace(tmp_path):
    with pytest.raises(WorkspaceError, match="can't write"):
        Journal(tmp_path / "missing", "r1")


def test_the_journal_of_a_living_run_can_not_be_opened_again(tmp_path):
    with Journal(tmp_path, "r1"):
        n_open = len(os.listdir("/dev/fd"))
        with pytest.raises(UsageError, match="run `r1` is going on in another process"):
            Journal(tmp_path, "r1")
        assert len(os.listdir("/dev/fd")) == n_open
