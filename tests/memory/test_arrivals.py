from orchestrator.memory.arrivals import Arrival, Arrivals

AT = "2026-01-01T00:00:00.000+00:00"
ONE = Arrival("inbox/a.txt", "d1", "r1")


def loaded(folder):
    arrivals = Arrivals(folder, "job")
    arrivals.load()
    return arrivals


def test_what_was_noted_is_there_for_the_next_watcher(tmp_path):
    arrivals = loaded(tmp_path)
    begun = arrivals.note(ONE, "begun", AT)
    assert loaded(tmp_path).unfinished() == [begun] == [Arrival("inbox/a.txt", "d1", "r1", n_begun=1)]
    arrivals.note(begun, "ended", AT, "answered")
    again = loaded(tmp_path)
    assert again.unfinished() == []
    assert again.known == {("inbox/a.txt", "d1"): Arrival("inbox/a.txt", "d1", "r1", "answered", 1)}


def test_tries_are_counted_from_the_last_time_it_was_stopped(tmp_path):
    arrivals, one = loaded(tmp_path), ONE
    for event in ("begun", "begun", "stopped", "begun"):
        one = arrivals.note(one, event, AT)
    assert loaded(tmp_path).unfinished() == [Arrival("inbox/a.txt", "d1", "r1", n_begun=1)]


def test_a_line_that_a_killed_writer_left_hides_no_other(tmp_path):
    arrivals = loaded(tmp_path)
    arrivals.note(ONE, "begun", AT)
    with (tmp_path / "arrivals" / "job.jsonl").open("a") as file:
        file.write('{"at": "2026')
    two = arrivals.note(Arrival("inbox/b.txt", "d2", "r2"), "begun", AT)
    assert [one.path for one in loaded(tmp_path).unfinished()] == ["inbox/a.txt", two.path]


def test_one_watcher_has_a_workflow_alone(tmp_path):
    with loaded(tmp_path).alone() as first, loaded(tmp_path).alone() as second:
        assert (first, second) == (True, False)
    with loaded(tmp_path).alone() as later:
        assert later


def test_a_line_whose_run_leads_elsewhere_is_passed_over(tmp_path):
    arrivals = loaded(tmp_path)
    for run in ("../../elsewhere", "/tmp/elsewhere", "..", ""):
        arrivals.note(Arrival("inbox/a.txt", "d1", run), "begun", AT)
    assert loaded(tmp_path).known == {}
