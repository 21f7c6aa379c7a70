"""A workspace that is watched while real editors' ways of saving change it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.interfaces.rechecking import News, news

GOOD = "---\nname: note\ndescription: A test.\n---\n```repl\nFINAL(1)\n```\n"
BAD = GOOD.replace("description", "descriptoin")
SAID = ["workflows/note.md:3: warning: unknown key `descriptoin`", "hint: did you mean `description`?"]


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def renamed_over(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.tmp")
    new.write_text(text)
    os.replace(new, path)


def with_a_backup(path: Path, text: str) -> None:
    path.rename(path.with_name(path.name + "~"))
    path.write_text(text)
    path.with_name(path.name + "~").unlink()


def made_anew(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def in_two_halves(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text[: len(text) // 2])
        file.flush()
        os.fsync(file.fileno())
        file.write(text[len(text) // 2 :])


@pytest.fixture
def note(workspace):
    path = workspace / "workflows" / "note.md"
    path.parent.mkdir()
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("save", [in_place, renamed_over, with_a_backup, made_anew, in_two_halves])
def test_problems_are_shown_when_they_come_and_when_they_go(save, note, watch):
    watcher = watch()
    watcher.until_said("watching")
    save(note, BAD)
    watcher.until(lambda lines: len(lines) == 2)
    save(note, GOOD)
    watcher.until(lambda lines: len(lines) == 3)
    assert watcher.end(signal.SIGINT) == 130
    assert watcher.lines == [*SAID, "workflows/note.md: ok"]
    assert watcher.said == [
        "1 skill and 1 workflow checked, 0 with something to say",
        f"watching `{note.parents[1]}`; Ctrl-C ends it",
    ]


def test_what_is_wrong_at_the_beginning_is_shown_and_once_ends_there(note, watch):
    note.write_text(BAD)
    watcher = watch("--once")
    assert watcher.ended() == 2
    assert watcher.lines == SAID
    note.write_text(GOOD)
    assert watch("--once").ended() == 0


def test_each_line_can_be_json(note, watch):
    note.write_text(BAD)
    watcher = watch("--once", "--json")
    assert watcher.ended() == 2
    (line,) = watcher.lines
    assert json.loads(line) == {
        "path": "workflows/note.md",
        "state": "problems",
        "problems": ["\n".join(SAID)],
    }


def test_folders_that_come_go_and_change_their_name(workspace, watch, clean_env):
    shutil.move(workspace / "skills", workspace / "kept")
    watcher = watch()
    watcher.until_said("watching")
    shutil.move(workspace / "kept", workspace / "skills")  # at once, and from a folder that nobody watched
    watcher.until(lambda lines: "skills/adder: ok" in lines)
    (workspace / "skills" / "adder").rename(workspace / "skills" / "summer")
    watcher.until(lambda lines: {"skills/adder: gone"} <= set(lines))
    (workspace / "skills" / "summer").rename(workspace / "skills" / "adder")
    watcher.until(lambda lines: lines.count("skills/adder: ok") == 2)
    (workspace / "skills").rename(workspace / "skills.old")
    watcher.until(lambda lines: lines.count("skills/adder: gone") == 2)
    assert watcher.end(signal.SIGTERM) == 143


def test_a_skill_that_is_no_longer_what_was_trusted_is_told_with_what_to_do(workspace, watch, orchestrate):
    watcher = watch()
    watcher.until_said("watching")
    code = workspace / "skills" / "adder" / "code.py"
    code.write_text(code.read_text() + "# more\n")
    watcher.until(lambda lines: len(lines) == 2)
    why, hint = watcher.lines
    assert why.startswith("skills/adder: `adder` has changed since ")
    assert why.endswith(": code.py changed")
    assert hint.startswith("hint: read what it is, then `orchestrate skills trust adder`")
    assert orchestrate("skills", "trust", "adder", "--yes").returncode == 0
    watcher.until(lambda lines: lines[2:] == ["skills/adder: ok"])


def test_a_change_that_no_event_tells_of_is_found(note, watch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "note.md"
    elsewhere.write_text(GOOD)
    note.unlink()
    note.symlink_to(elsewhere)
    watcher = watch()
    watcher.until_said("watching")
    renamed_over(note.with_name("other.md"), GOOD)  # the last of what events tell of
    watcher.until(lambda lines: lines == ["workflows/other.md: ok"])
    elsewhere.write_text(BAD)
    watcher.until(lambda lines: lines[1:] == SAID)


@pytest.mark.skipif(sys.platform != "linux", reason="the queue is the kernel's")
def test_a_burst_that_overflows_the_queue_hides_nothing(note, watch):
    n_events = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    watcher = watch()
    watcher.until_said("watching")
    watcher.process.send_signal(signal.SIGSTOP)  # nobody takes events out of the queue
    try:
        one, other = note.with_name("one.txt"), note.with_name("other.txt")
        for _ in range(n_events // 4 + 1):
            one.touch()
            one.rename(other)
            other.unlink()
        renamed_over(note, BAD)
    finally:
        watcher.process.send_signal(signal.SIGCONT)
    watcher.until(lambda lines: lines == SAID)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is the kernel's")
def test_without_events_it_is_said_and_looked_all_the_same(note, watch):
    none = ["unshare", "--user", "--map-current-user"]
    script = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"'
    words = [*none, "sh", "-c", script, "sh"]
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("no user namespace can be made here")
    watcher = watch(start=words)
    watcher.until_said("max_user_instances")
    note.write_text(BAD)
    watcher.until(lambda lines: lines == SAID)
    (warning,) = [line for line in watcher.said if line.startswith("warning: ")]
    assert warning == (
        "warning: the system gives no events of files: this user's inotify instances, or this process's open files, "
        "are used up (`fs.inotify.max_user_instances`); it is looked every 1 s instead"
    )


def test_what_is_said_after_a_change():
    before = {"a.md": (), "b.md": ("bad",), "c.md": ("odd",), "d.md": ("odd",)}
    now = {"a.md": (), "b.md": (), "c.md": ("odd",), "e.md": ()}
    assert news(before, now) == [News("b.md", "ok"), News("d.md", "gone")]
    assert news(before, now, {"a.md", "c.md", "e.md"}) == [
        News("a.md", "ok"), News("b.md", "ok"), News("c.md", "problems", ("odd",)), News("d.md", "gone"), News("e.md", "ok"),
    ]  # fmt: skip
