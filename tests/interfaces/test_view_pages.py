"""`orchestrate view --learning` and `--serve` as commands."""

from __future__ import annotations

from made_record import made_record


def test_the_command_writes_the_page_and_says_where(orchestrate, tmp_path):
    made_record(tmp_path, 3)
    done = orchestrate("view", "--learning", "--out", "page.html")
    assert (done.returncode, done.stdout) == (0, "page.html\n")
    assert done.stderr == f"open it in a browser: {(tmp_path / 'page.html').as_uri()}\n"
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert orchestrate("view", "latest", "--learning").returncode == 2
