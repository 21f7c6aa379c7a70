"""A workflow that is run on each file that arrives: once, whatever is killed in between."""

from __future__ import annotations

import os
import re
import signal
import threading

import pytest

from orchestrator.errors import UsageError
from orchestrator.interfaces.ordering import path_input
from orchestrator.runs.history import list_runs, process_of, result_of_run
from orchestrator.workspace import Workspace

ON = ("job", "--on", "inbox/*")
FILE = {
    "inputs": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "path"}},
    }
}
READS = FILE | {"permissions": {"read": ["{{file}}", "gate"]}}
READ = 'FINAL(open(inputs["file"]).read())'
GATE = """\
import os, time
log("at the gate")
while not os.path.exists("{gate}"):
    time.sleep(0.01)
FINAL(open(inputs["file"]).read())"""


@pytest.fixture
def inbox(workspace):
    folder = workspace / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def job(workflow, workspace):
    """Writes the workflow `job` where it is found by its name."""

    def write(cell, **frontmatter):
        (workspace / "workflows").mkdir(exist_ok=True)
        workflow(cell, **{**READS, **frontmatter}).rename(workspace / "workflows" / "job.md")

    return write


def put(path, text):
    """As a program puts a file that is to be whole at once."""
    part = path.with_name(f".{path.name}")
    part.write_text(text)
    os.replace(part, path)


def events(watcher):
    """What was told of which file, without ids."""
    return [re.sub(r" \(.*\)$", "", line) for line in watcher.lines if not line.startswith(" ")]


def runs(workspace):
    return [(info.workflow, info.status) for info in list_runs(Workspace(workspace))]


def answers(workspace):
    place = Workspace(workspace)
    results = [result_of_run(place.runs / info.run) for info in list_runs(place)]
    return sorted(result["answer"] for result in results if result is not None)


def test_each_file_is_run_on_once_also_across_restarts(job, inbox, workspace, watch):
    job(READ)
    put(inbox / "a.txt", "a")
    watcher = watch(*ON)
    watcher.until(lambda _: "inbox/a.txt: answered" in events(watcher))
    put(inbox / "b.txt", "b")
    watcher.until(lambda _: "inbox/b.txt: answered" in events(watcher))
    assert watcher.end(signal.SIGINT) == 130
    again = watch(*ON, "--once")
    assert (again.ended(), again.lines) == (0, [])
    put(inbox / "a.txt", "new")
    last = watch(*ON, "--once")
    assert (last.ended(), events(last)) == (0, ["inbox/a.txt: begun", "inbox/a.txt: answered"])
    assert answers(workspace) == ["a", "b", "new"]


def test_a_file_is_run_on_when_it_is_whole(job, inbox, workspace, watch):
    job(READ)
    watcher = watch(*ON)
    watcher.until_said("runs `job`")
    other_is_done, n = threading.Event(), 0

    def listen():
        watcher.until(lambda _: "inbox/other.txt: answered" in events(watcher))
        other_is_done.set()

    listener = threading.Thread(target=listen)
    with (inbox / "long.txt").open("w") as file:
        file.write("x")
        file.flush()
        put(inbox / "other.txt", "")
        listener.start()
        while not other_is_done.wait(0.05):
            file.write("x")
            file.flush()
            n += 1
    listener.join()
    watcher.until(lambda _: "inbox/long.txt: answered" in events(watcher))
    assert events(watcher).count("inbox/long.txt: begun") == 1
    assert answers(workspace) == ["", "x" * (n + 1)]


def test_a_run_that_fails_is_told_and_not_repeated_and_stops_nothing(job, inbox, workspace, watch):
    job('FINAL(1 / len(open(inputs["file"]).read()))')
    put(inbox / "bad.txt", "")
    put(inbox / "good.txt", "ab")
    watcher = watch(*ON, "--once", "--jobs", "1")
    assert watcher.ended() == 1
    assert events(watcher) == [
        "inbox/bad.txt: begun", "inbox/bad.txt: failed", "inbox/good.txt: begun", "inbox/good.txt: answered",
    ]  # fmt: skip
    again = watch(*ON, "--once")
    assert (again.ended(), again.lines) == (0, [])


def test_a_run_that_waits_for_a_person_is_told_with_what_to_type(job, inbox, workspace, watch, orchestrate):
    job("FINAL(skills.adder.add(a=1, b=2))", skills=["adder"], approvals=["skill:adder.add"])
    put(inbox / "a.txt", "a")
    watcher = watch(*ON, "--once")
    assert watcher.ended() == 1
    assert events(watcher) == ["inbox/a.txt: begun", "inbox/a.txt: suspended"]
    words = watcher.lines[-1].partition("it waits: orchestrate ")[2].split()
    assert words[:1] == ["resume"]
    assert orchestrate(*words, cwd=workspace).stdout == "3\n"


def test_a_run_that_could_not_begin_is_told_and_begun_by_the_next_watcher(job, inbox, workspace, watch):
    job(READ)
    watcher = watch(*ON)
    watcher.until_said("runs `job`")
    whole = (workspace / "workflows" / "job.md").read_text()
    (workspace / "workflows" / "job.md").write_text(whole[:30])
    put(inbox / "a.txt", "a")
    watcher.until(lambda _: "inbox/a.txt: refused" in events(watcher))
    assert watcher.end(signal.SIGINT) == 130
    (workspace / "workflows" / "job.md").write_text(whole)
    again = watch(*ON, "--once")
    assert (again.ended(), events(again)) == (0, ["inbox/a.txt: begun", "inbox/a.txt: answered"])
    assert runs(workspace) == [("job", "answered")]


def test_a_run_that_nobody_may_begin_yet_says_what_to_trust_and_is_begun_after_that(
    job, inbox, workspace, watch, orchestrate
):
    job("FINAL(skills.adder.add(a=1, b=2))", skills=["adder"])
    code = workspace / "skills" / "adder" / "code.py"
    code.write_text(code.read_text() + "# more\n")
    put(inbox / "a.txt", "a")
    watcher = watch(*ON, "--once")
    assert watcher.ended() == 1
    assert events(watcher) == ["inbox/a.txt: begun", "inbox/a.txt: refused"]
    assert "`orchestrate skills trust adder`" in watcher.lines[-1]
    assert orchestrate("skills", "trust", "adder", "--yes").returncode == 0
    again = watch(*ON, "--once")
    assert (again.ended(), events(again)) == (0, ["inbox/a.txt: begun", "inbox/a.txt: answered"])


@pytest.fixture
def at_the_gate(job, inbox, workspace, watch):
    """A watcher of which one run waits for the file `gate`, and that run's folder."""
    job(GATE.format(gate=workspace / "gate"))
    put(inbox / "a.txt", "a")
    watcher = watch(*ON)
    watcher.until(lambda _: "inbox/a.txt: begun" in events(watcher))
    run = re.search(r"\((.*)\)", watcher.lines[0])[1]
    folder = workspace / "memory" / "runs" / run
    for _ in iter(lambda: "at the gate" in journal_of(folder), True):
        assert watcher.process.poll() is None
    return watcher, folder


def journal_of(folder):
    path = folder / "journal.jsonl"
    return path.read_text() if path.exists() else ""


def finished_by_the_next(watch, workspace, *expected):
    (workspace / "gate").touch()
    again = watch(*ON, "--once")
    assert (again.ended(), events(again)) == (0, list(expected))
    assert runs(workspace) == [("job", "answered")]
    assert answers(workspace) == ["a"]


def test_stopping_stops_the_runs_and_the_next_watcher_goes_on_with_them(at_the_gate, watch, workspace):
    watcher, folder = at_the_gate
    assert watcher.end(signal.SIGTERM) == 143
    assert events(watcher) == ["inbox/a.txt: begun", "inbox/a.txt: stopped"]
    assert process_of(folder) is None
    finished_by_the_next(watch, workspace, "inbox/a.txt: resumed", "inbox/a.txt: answered")


def test_a_watcher_and_a_run_that_are_killed_make_no_second_run(at_the_gate, watch, workspace):
    watcher, folder = at_the_gate
    pid = process_of(folder)
    watcher.process.kill()
    os.kill(pid, signal.SIGKILL)
    watcher.ended()
    finished_by_the_next(watch, workspace, "inbox/a.txt: resumed", "inbox/a.txt: answered")


def test_a_run_that_outlives_its_watcher_is_waited_for(at_the_gate, watch, workspace):
    watcher, _ = at_the_gate
    watcher.process.kill()
    watcher.ended()
    again = watch(*ON)
    again.until_said("runs `job`")
    (workspace / "gate").touch()
    again.until(lambda _: events(again) == ["inbox/a.txt: answered"])
    assert runs(workspace) == [("job", "answered")]


def test_of_two_watchers_one_leaves(at_the_gate, watch):
    other = watch(*ON)
    assert other.ended() == 2
    assert other.said == [
        "error: another process watches for `job` in this workspace",
        "hint: one watcher runs a workflow on each file once; two would be in each other's way",
    ]


def test_where_the_path_of_the_file_goes():
    path, other = {"type": "string", "format": "path"}, {"type": "string"}
    assert path_input({"a": path, "b": other}, [], {}) == "a"
    assert path_input({"a": path, "b": path}, ["b"], {}) == "b"
    assert path_input({"a": path, "b": path}, [], {"a": "x"}) == "b"
    assert path_input({"a": path, "b": other}, [], {"b": "{}"}) is None
    with pytest.raises(UsageError) as refused:
        path_input({"a": path, "b": path}, [], {})
    assert refused.value.whole == (
        "the workflow has 2 inputs with `format: path` (a, b): where does the file's path go?\n"
        "hint: say so with --input a={}"
    )


def test_a_workflow_that_feeds_itself_is_stopped(job, inbox, workspace, watch):
    job(
        'open(inputs["file"] + "x", "w").write("more")\nFINAL(0)',
        permissions={"read": ["{{file}}"], "write": ["inbox/**"]},
    )
    put(inbox / "a", "a")
    watcher = watch(*ON, "--in-a-row", "2")
    watcher.until_said("hint: have it write where `inbox/*` does not look")
    assert watcher.ended() == 2
    assert runs(workspace) == [("job", "answered")] * 2
    assert sorted(path.name for path in inbox.iterdir()) == ["a", "ax", "axx"]


def test_files_that_arrive_while_runs_go_on_are_not_taken_for_their_own(job, inbox, workspace, watch):
    job(GATE.format(gate=workspace / "gate"), **READS)
    put(inbox / "a", "a")
    watcher = watch(*ON, "--in-a-row", "1", "--jobs", "1", "--once")
    watcher.until(lambda _: "inbox/a: begun" in events(watcher))
    put(inbox / "b", "b")
    (workspace / "gate").touch()
    assert (watcher.ended(), answers(workspace)) == (0, ["a", "b"])


@pytest.mark.parametrize(
    ("on", "said"), [("", "`--on` names no files"), ("inbox/", "`--on inbox/` names a folder, and no files")]
)
def test_a_pattern_that_no_file_can_fit_is_refused(job, inbox, orchestrate, on, said):
    job(READ)
    found = orchestrate("watch", "job", "--on", on, "--once")
    assert (found.returncode, found.stderr) == (
        2,
        f"error: {said}\nhint: write a pattern, quoted: --on 'inbox/*'\n",
    )


def test_a_files_name_tells_of_no_other_file(job, inbox, orchestrate):
    job(READ)
    put(inbox / "a\nb: answered", "a")
    found = orchestrate("watch", "job", "--on", "inbox/*", "--once")
    assert [line.split(" (")[0] for line in found.stdout.splitlines()] == [
        "inbox/a\\nb: answered: begun", "inbox/a\\nb: answered: answered",
    ]  # fmt: skip
