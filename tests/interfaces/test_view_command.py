"""`orchestrate view`: where the page goes, and what a run that is not whole gives."""

from __future__ import annotations

import os
import re

import pytest
from made_runs import made_run

RUN = "20261126-120000-000005"


@pytest.fixture
def run_folder(tmp_path):
    """The folder of a run whose text is too long for its page, in a workspace."""
    return made_run(tmp_path / "memory" / "runs", 5, "0123456789" * 10_000)


def lines_of(folder):
    return (folder / "journal.jsonl").read_text().splitlines(keepends=True)


def put(folder, lines):
    (folder / "journal.jsonl").write_text("".join(lines))


def test_page_goes_into_the_runs_folder_and_its_path_is_the_answer(orchestrate, run_folder):
    found = orchestrate("view")
    path = run_folder / "view.html"
    assert (found.returncode, found.stdout) == (0, f"{path}\n")
    assert found.stderr == f"open it in a browser: {path.as_uri()}\n"
    assert path.read_text().startswith("<!doctype html>")


def test_page_elsewhere_still_leads_to_the_blobs(orchestrate, run_folder, tmp_path):
    (tmp_path / "a #b").mkdir()
    found = orchestrate("view", "000005", "--out", "a #b/page.html")
    assert (found.returncode, found.stdout) == (0, "a #b/page.html\n")
    links = set(re.findall(r'"blob":"([^"]+)"', (tmp_path / "a #b" / "page.html").read_text()))
    assert links
    assert all((tmp_path / "a #b" / link).is_file() for link in links)


def test_folders_on_the_way_are_made_and_a_file_in_the_way_is_told(orchestrate, run_folder, tmp_path):
    found = orchestrate("view", "--out", "nowhere/deep/page.html")
    assert (found.returncode, (tmp_path / "nowhere/deep/page.html").is_file()) == (0, True)
    found = orchestrate("view", "--out", str(run_folder / "journal.jsonl" / "page.html"))
    assert (found.returncode, found.stdout) == (2, "")
    assert "journal.jsonl" in found.stderr


def test_what_is_no_page_is_never_overwritten(orchestrate, run_folder, tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    for words in (["view"], ["view", "--learning"]):
        for name in ("notes.md", "pipe", "memory"):
            found = orchestrate(*words, "--out", name)
            assert (found.returncode, found.stdout) == (2, "")
            assert f"error: `{name}` is there already, and no page" in found.stderr
    assert (tmp_path / "notes.md").read_text() == "mine"
    assert (tmp_path / "pipe").is_fifo()


def test_a_page_of_before_is_replaced_and_a_link_to_it_stays(orchestrate, run_folder, tmp_path):
    (tmp_path / "page.html").write_text("<!DOCTYPE html>old")
    (tmp_path / "link.html").symlink_to("page.html")
    assert orchestrate("view", "--out", "link.html").returncode == 0
    assert (tmp_path / "link.html").is_symlink()
    assert RUN in (tmp_path / "page.html").read_text()


def test_no_run_and_an_unknown_one_are_told(orchestrate, workspace):
    found = orchestrate("view")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("error: no runs in ")
    made_run(workspace / "memory" / "runs", 5)
    found = orchestrate("view", "20261126-120000-000006")
    assert (found.returncode, found.stdout) == (2, "")
    assert f"did you mean `{RUN}`?" in found.stderr


def test_a_damaged_journal_is_named_with_its_line_and_gives_no_page(orchestrate, run_folder):
    lines = lines_of(run_folder)
    put(run_folder, [*lines[:2], "damaged\n", *lines[3:]])
    found = orchestrate("view")
    assert (found.returncode, found.stdout) == (2, "")
    assert "journal.jsonl:3: this line is no event" in found.stderr
    assert not (run_folder / "view.html").exists()


def test_a_journal_of_another_version_is_refused(orchestrate, run_folder):
    put(run_folder, [line.replace('"v": 1', '"v": 9', 1) for line in lines_of(run_folder)])
    found = orchestrate("view")
    assert (found.returncode, found.stdout) == (2, "")
    assert "journal version 9, this program reads version 1\nhint: use a newer orchestrate" in found.stderr


@pytest.mark.parametrize("n_lines", [0, 1, 2, 5])
def test_a_run_that_was_cut_off_gives_what_is_on_record(orchestrate, run_folder, n_lines):
    put(run_folder, [*lines_of(run_folder)[:n_lines], '{"v": 1, "seq"'])
    found = orchestrate("view")
    assert (found.returncode, found.stdout) == (0, f"{run_folder / 'view.html'}\n")
    assert '"status":"crashed"' in (run_folder / "view.html").read_text()
