import asyncio
import json
import os

import pytest

from orchestrator import app
from orchestrator.errors import DocumentError, WorkspaceError
from orchestrator.runs.history import find_run, list_runs, read_tree
from orchestrator.runs.journal import read_journal
from orchestrator.workspace import Workspace


def test_an_answer_that_passes_its_checks_is_answered(place):
    result = place.run(
        "x = skills.maths(n=4)",
        "open('out/x.txt', 'w').write('x')\nFINAL({'n': x['n'], 'given': inputs['n']})",
        head="""
            inputs: {n: integer}
            output: {type: object, required: [n]}
            checks:
              - {name: doubled, expr: "answer['n'] == 2 * inputs['n']"}
              - {name: written, shell: "test -s out/x.txt"}
        """,
        typed={"n": "4"},
    )
    assert (result.status, result.answer, result.exit_code) == ("answered", {"n": 8, "given": 4}, 0)
    assert [(check.name, check.passed) for check in result.checks] == [
        ("output", True), ("doubled", True), ("written", True),
    ]  # fmt: skip
    assert (result.strategy, [attempt.outcome for attempt in result.attempts]) == ("written", ["ok"])


def test_every_failed_check_is_listed(place):
    result = place.run(
        "FINAL({'m': 1})",
        head="""
            output: {type: object, required: [n]}
            checks:
              - {name: big, expr: "answer['m'] > 3"}
              - {name: odd one, expr: "answer['zzz']"}
              - {name: there, shell: "echo not there; exit 4"}
              - {name: kind, judge: "It is kind."}
              - {name: fine, expr: "True"}
        """,
    )
    assert (result.status, result.exit_code, result.answer) == ("failed", 1, {"m": 1})
    failed = {check.name: check.message for check in result.checks if not check.passed}
    assert list(failed) == ["output", "big", "odd one", "there", "kind"]
    assert failed["big"] == "`answer['m'] > 3` is False"
    assert failed["odd one"] == "`answer['zzz']` raised KeyError: 'zzz'"
    assert failed["there"] == "`echo not there; exit 4` exited with code 4: not there"
    assert failed["kind"] == "needs a model, and none is configured"
    assert result.attempts[0].outcome == "invalid"
    assert all(f"check `{name}` failed" in result.message for name in failed)


def test_a_skill_can_be_a_check(place):
    place.write("skills/judge/SKILL.md", "---\nname: judge\ndescription: Judges.\n---\n")
    place.write(
        "skills/judge/manifest.yaml",
        'schema: orchestrate.skill/1\nfunctions:\n  fits: {entry: {python: "j.py:fits"}, effects: none}\ndefault: fits\n',
    )
    place.write(
        "skills/judge/j.py",
        """
        def fits(report, limit: int = 1) -> dict:
            return {"passed": len(report) <= limit, "message": f"{len(report)} are too many"}
        """,
    )
    checks = """
        skills: []
        checks:
          - {name: short, skill: judge, with: {report: "{{answer}}", limit: 2}}
    """
    assert place.run("FINAL([1, 2])", head=checks).status == "answered"
    result = place.run("FINAL([1, 2, 3])", head=checks)
    assert (result.status, result.checks[0].message) == ("failed", "3 are too many")


def test_cells_after_one_that_failed_run_and_see_what_it_had_bound(place):
    result = place.run("x = 1\ny = 1 / 0\nz = 3", "FINAL([x, 'z' in globals()])")
    assert result.answer == [1, False]
    assert "ZeroDivisionError" in place.observed(1)
    assert "y = 1 / 0" in place.observed(1)


def test_an_answer_of_a_cell_that_then_failed_does_not_count(place):
    result = place.run("FINAL(1)\n1 / 0")
    assert (result.status, result.exit_code) == ("failed", 1)
    assert "no cell gave an answer: ZeroDivisionError" in result.message


def test_cells_after_the_answer_are_not_run(place):
    assert place.run("FINAL(1)", "FINAL(2)").answer == 1
    assert [event.event for event in place.events].count("cell_started") == 1


def test_without_an_answer_the_run_has_failed_and_says_how_to_give_one(place):
    result = place.run("x = 1")
    assert (result.status, result.message) == (
        "failed",
        "no cell gave an answer: end one with `FINAL(value)`",
    )


def test_a_retry_sees_what_failed_before(place):
    result = place.run(
        "FINAL(len(failures))", head="retry: {max: 2}\nchecks:\n  - {name: second, expr: 'answer == 1'}"
    )
    assert (result.status, result.answer) == ("answered", 1)
    assert [attempt.outcome for attempt in result.attempts] == ["error", "ok"]


def test_the_time_of_a_run_is_bounded_and_the_partial_answer_kept(place):
    result = place.run("answer['content'] = 'half'", "while True: pass", budget={"seconds": 1})
    assert (result.status, result.exit_code, result.answer) == ("budget", 4, "half")
    assert "`seconds`" in result.message


def test_cells_that_fail_in_a_row_end_the_run(place):
    result = place.run("1/0", "x = 1", "1/0", "1/0", "FINAL(1)", budget={"errors": 2})
    assert (result.status, result.exit_code) == ("budget", 4)
    assert result.message.startswith("budget exhausted: `errors` is at 2 of 2; the last one: ")


@pytest.mark.parametrize("killer", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_cell_that_kills_its_worker_costs_only_itself(place, killer):
    result = place.run(
        "import os\nfirst = skills.maths.note(path='out/calls.txt')\nlist(range(3))",
        killer,
        "skills.maths.note(path='out/calls.txt')\nFINAL([first['n'], open('out/calls.txt').read()])",
        head="skills: [maths]",
    )
    assert result.answer == [1, "xx"]
    assert place.observed(2).startswith("The cell was ended: the worker")


def test_what_threads_of_a_lost_workers_cells_called_is_not_called_again(place):
    result = place.run(
        """
        import os
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(8) as pool:
            doubled = list(pool.map(lambda n: skills.maths(n=n)["n"], range(8)))
        """,
        "os._exit(1)",
        "FINAL(doubled)",
    )
    assert result.answer == [0, 2, 4, 6, 8, 10, 12, 14]
    assert len([event for event in place.events if event.event == "call_started"]) == 1 + 8


def test_a_cell_past_its_deadline_keeps_what_it_has_bound(place):
    result = place.run("x = 1\nwhile True: pass", "FINAL(x)", head="cell_timeout_s: 0.5")
    assert result.answer == 1
    assert "CellTimeout" in place.observed(1)


def test_context_is_loaded_by_glob_and_large_files_are_not_copied_into_the_journal(place):
    (place.root / "notes" / "big.txt").write_text("needle\n" * 200_000, encoding="utf-8")
    result = place.run(
        "FINAL({path: text.count('needle') + len(text.split()) for path, text in context.items()})",
        head='inputs: {folder: string}\ncontext: ["{{folder}}/*.txt"]',
        inputs={"folder": "notes"},
    )
    assert result.answer == {"notes/a.txt": 3, "notes/b.txt": 1, "notes/big.txt": 400_000}
    folder = find_run(Workspace(place.root), result.run)
    assert (folder / "journal.jsonl").stat().st_size < 20_000
    assert not (folder / "scratch").exists()


def test_context_is_the_input_of_that_name_else_the_inputs(place):
    head = "inputs: {type: object}"
    assert place.run("FINAL(context)", head=head, inputs={"context": [1]}).answer == [1]
    assert place.run("FINAL(context)", head=head, inputs={"n": 2}).answer == {"n": 2}


def test_notes_are_written_only_where_the_workflow_says(place):
    result = place.run(
        """
        memory.write("notes/today.md", "It rained in Oslo.")
        try:
            memory.write("other.md", "x")
        except SubCallError as error:
            refused = str(error)
        FINAL([memory.read("notes/today.md"), memory.search("rained")[0]["path"], refused])
        """,
        head='remember: ["notes/*.md"]',
    )
    text, path, refused = result.answer
    assert (text, path) == ("It rained in Oslo.", "notes/today.md")
    assert "other.md" in refused


def test_the_journal_and_the_usage_record_tell_the_same_story(place):
    result = place.run("FINAL(skills.maths(n=1)['n'])", head="checks:\n  - {name: two, expr: 'answer == 2'}")
    folder = find_run(Workspace(place.root), result.run)
    written = list(read_journal(folder / "journal.jsonl"))
    assert written == place.events
    assert [(event.call, event.event) for event in written] == [
        ("0", "run_started"), ("0", "call_started"), ("0", "iteration"), ("0", "cell_started"), ("0.1", "call_started"),
        ("0.1", "call_finished"), ("0", "cell_finished"), ("0", "check"), ("0", "call_finished"), ("0", "run_finished"),
    ]  # fmt: skip
    skill, attempt = place.usage()
    assert (skill["run"], skill["call"], skill["parent"], skill["skill"], skill["outcome"]) == (
        result.run, "0.1", "0", "maths", "ok",
    )  # fmt: skip
    assert (attempt["strategy"], attempt["outcome"], attempt["checks_passed"]) == ("written", "ok", True)
    assert attempt["situation"]["workflow"] == "w"
    assert "arguments" not in skill
    tree = read_tree(folder)
    assert [(node.call, node.name, node.outcome) for node in tree.root.walk()] == [
        ("0", "w", "ok"), ("0.1", "maths.double", "ok"),
    ]  # fmt: skip
    (info,) = list_runs(Workspace(place.root))
    assert (info.run, info.workflow, info.status) == (result.run, "w", "answered")


def test_an_answer_that_nothing_checks_is_unverified(place):
    result = place.run("FINAL(1)")
    assert (result.status, result.attempts[0].outcome) == ("answered", "unverified")
    assert place.usage()[0]["checks_passed"] is None


def test_a_cancelled_run_ends_its_workers_and_its_journal(place):
    events, pids = [], []

    async def cancelled() -> None:
        looping = asyncio.Event()

        def listen(event):
            events.append(event)
            if event.event == "log":
                pids.append(int(event.fields["text"]))
            if event.event == "cell_started" and event.fields["cell"] == 2:
                looping.set()

        planned = place.plan("import os\nlog(str(os.getpid()))", "while True: pass")
        task = asyncio.create_task(app.execute(planned, listen=listen))
        await looping.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert events[-1].event == "run_finished"
    assert (events[-1].fields["status"], events[-1].fields["exit_code"]) == ("interrupted", 130)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    (info,) = list_runs(Workspace(place.root))
    assert info.status == "interrupted"
    assert not (place.root / "memory/usage.jsonl").exists()  # the attempt goes on when the run does


def test_eight_runs_at_once_in_one_process_keep_their_output_apart(place):
    async def many():
        plans = [
            place.plan("for n in range(20): print(inputs['n'], n)", "FINAL(inputs['n'])", inputs={"n": n})
            for n in range(8)
        ]
        outputs = [[] for _ in plans]
        jobs = [app.execute(plan, listen=heard.append) for plan, heard in zip(plans, outputs, strict=True)]
        return await asyncio.gather(*jobs), outputs

    results, heard = asyncio.run(many())
    assert [result.answer for result in results] == list(range(8))
    for n, events in enumerate(heard):
        shown = next(event.fields["output"] for event in events if event.event == "cell_finished")
        assert shown == "\n".join(f"{n} {line}" for line in range(20))
    assert len(list_runs(Workspace(place.root))) == 8


def test_a_workspace_that_can_not_be_written_is_said_before_anything_runs(place):
    planned = place.plan("FINAL(1)")
    (place.root / "memory").rename(place.root / "memory-of-before")
    (place.root / "memory").write_text("a file, not a folder")
    with pytest.raises(WorkspaceError, match="can't write"):
        asyncio.run(app.execute(planned))


def test_an_allow_list_that_names_no_skill_is_an_error_with_its_line(place):
    with pytest.raises(DocumentError) as caught:
        place.plan("FINAL(1)", head="skills: [maths, grete]")
    (problem,) = caught.value.problems
    assert (problem.line, problem.message) == (3, "no skill named `grete` (11 known)") or problem.line == 3
    assert problem.hint == "did you mean `greet`? see `orchestrate skills`"


def test_folders_made_for_writing_are_gone_when_nothing_was_written(place):
    place.run("FINAL(1)")
    assert not (place.root / "out").exists()
    place.run("open('out/a.txt', 'w').write('a')\nFINAL(1)")
    assert (place.root / "out" / "a.txt").read_text() == "a"


def test_a_result_is_json_as_it_stands(place):
    result = place.run("FINAL({'text': 'é', 'n': [1, None, 1.5]})")
    assert json.loads(json.dumps(result.answer)) == {"text": "é", "n": [1, None, 1.5]}


def test_a_skill_with_a_broken_manifest_stops_the_workflow_that_names_it_and_only_that(place):
    text = (
        (place.root / "skills/maths/manifest.yaml").read_text().replace("maths.py:again", "maths.py:missing")
    )
    (place.root / "skills/maths/manifest.yaml").write_text(text)
    with pytest.raises(DocumentError) as caught:
        place.plan("FINAL(1)", head="skills: [maths]")
    assert "manifest.yaml" in str(caught.value)
    assert "missing" in str(caught.value)
    planned = place.plan("FINAL(1)")
    (warning,) = planned.warnings
    assert (warning.severity, warning.message) == (
        "warning",
        "functions are missing from `maths`: the manifest has errors",
    )


def test_a_write_of_a_cell_that_differs_when_run_again_is_asked_about(place):
    result = place.run(
        "import os\nskills.maths.note(path=f'out/{os.getpid()}')",
        "os._exit(1)",
        "FINAL(os.listdir('out'))",
        head="skills: [maths]",
    )
    assert result.status == "suspended"
    (need,) = result.needs
    assert (need["kind"], need["function"]) == ("in_doubt", "maths.note")
    assert len(os.listdir(place.root / "out")) == 1


def test_a_call_that_is_not_on_record_is_made_and_reported_with_cell_and_line(place):
    result = place.run(
        "import os\nn = skills.maths.double(n=os.getpid())['n']",
        "os._exit(1)",
        "FINAL(n == 2 * os.getpid())",
        head="skills: [maths]",
    )
    assert result.answer is True
    (diverged, *_) = [event.fields for event in place.events if event.event == "diverged"]
    assert (diverged["cell"], diverged["line"]) == (1, 2)
    assert "did something else when it was run again" in place.observed(3)


def test_random_numbers_are_the_same_when_a_cell_is_run_again(place):
    result = place.run(
        "import os, random\nfirst = random.random()\nskills.maths.note(path=f'out/{first}')",
        "os._exit(1)",
        "FINAL([os.listdir('out') == [str(first)]])",
        head="skills: [maths]",
    )
    assert result.answer == [True]


def test_an_attempt_that_the_budget_ended_is_on_record(place):
    result = place.run("while True: pass", budget={"seconds": 0.5})
    assert [(attempt.strategy, attempt.outcome) for attempt in result.attempts] == [("written", "budget")]
    (record,) = place.usage()
    assert (record["strategy"], record["outcome"]) == ("written", "budget")


def test_scratch_of_a_killed_run_is_swept_by_the_next(place):
    left = place.root / "memory/cache/scratch/20200101-000000-abcdef/0001-x"
    left.mkdir(parents=True)
    place.run("FINAL(1)")
    assert not left.exists()


def test_a_defect_of_ours_still_closes_the_journal(place):
    async def fails(approval):
        raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError):
        place.run("approve('?')", ask=fails)
    assert (place.events[-1].event, place.events[-1].fields["status"]) == ("run_finished", "error")
