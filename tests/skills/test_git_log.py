import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "repo"
    folder.mkdir()
    settings = ["-c", "user.name=Ada Ö", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"]

    def git(*words):
        subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True)

    git("init")
    (folder / "a.txt").write_text("1\n")
    (folder / "ü b.txt").write_text("x\n" * 20)
    git("add", ".")
    git("commit", "-m", "First\n\nBody line\n1\t2\tnot a file\n")
    git("mv", "ü b.txt", "new\nline.txt")
    (folder / "bin").write_bytes(b"\0\1")
    git("add", ".")
    git("commit", "-m", "Second: \x1f odd ^@ %x00")
    git("commit", "--allow-empty", "-m", "Empty")
    git("checkout", "-b", "side", "HEAD~1")
    (folder / "a.txt").write_text("1\n2\n")
    git("commit", "-am", "On the side")
    git("checkout", "main")
    git("merge", "--no-ff", "-m", "Merge", "side")
    return folder


def test_history_is_read_whole(git_log, repository):
    result = git_log.log(str(repository))
    by_subject = {commit["subject"]: commit for commit in result["commits"]}
    assert set(by_subject) == {"First", "Second: \x1f odd ^@ %x00", "Empty", "On the side", "Merge"}
    assert by_subject["First"]["body"] == "Body line\n1\t2\tnot a file"
    assert by_subject["First"]["author"] == "Ada Ö"
    assert by_subject["First"]["files"] == [
        {"path": "a.txt", "old_path": None, "added": 1, "deleted": 0},
        {"path": "ü b.txt", "old_path": None, "added": 20, "deleted": 0},
    ]
    assert by_subject["Second: \x1f odd ^@ %x00"]["files"] == [
        {"path": "bin", "old_path": None, "added": None, "deleted": None},
        {"path": "new\nline.txt", "old_path": "ü b.txt", "added": 0, "deleted": 0},
    ]
    assert (by_subject["Empty"]["files"], by_subject["Merge"]["files"]) == ([], [])
    assert len(by_subject["Merge"]["parents"]) == 2
    assert (by_subject["On the side"]["added"], by_subject["On the side"]["n_files"]) == (1, 1)


def test_limit_paths_and_author_narrow_the_history(git_log, repository):
    two = git_log.log(str(repository), limit=2)
    assert (two["n_commits"], two["truncated"], len(two["commits"])) == (2, True, 2)
    subjects = [commit["subject"] for commit in git_log.log(str(repository), paths=["a.txt"])["commits"]]
    assert {"First", "On the side"} <= set(subjects)
    assert "Empty" not in subjects
    assert git_log.log(str(repository), author="nobody")["commits"] == []
    assert git_log.log(str(repository), since="2099-01-01")["commits"] == []


def test_empty_repository_has_no_commits(git_log, tmp_path):
    subprocess.run(["git", "init", str(tmp_path)], check=True, capture_output=True)
    assert git_log.log(str(tmp_path)) == {"commits": [], "n_commits": 0, "truncated": False}


def test_option_in_a_value_stays_a_value(git_log, repository):
    # Were it read as an option of its own, git would write the history into that file.
    git_log.log(str(repository), author="--output=stolen", paths=["--output=stolen"])
    assert not (repository / "stolen").exists()


def test_program_says_what_git_refuses(git_log, skills_folder, tmp_path):
    program = [sys.executable, "-B", str(skills_folder / "git-log" / "git_log.py")]
    done = subprocess.run([*program, str(tmp_path / "nowhere")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nowhere" in done.stderr


def test_program_prints_json(skills_folder, repository):
    program = [
        sys.executable,
        "-B",
        str(skills_folder / "git-log" / "git_log.py"),
        str(repository),
        "--limit",
        "1",
    ]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["commits"][0]["subject"] == "Merge"
