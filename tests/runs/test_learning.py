"""Runs that learn from runs: the order of strategies, distilled programs, and what they may not be."""

from __future__ import annotations

import asyncio
import json
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator import app
from orchestrator.memory.usage import UsageStore
from orchestrator.runs.trusting import distrust
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from orchestrator.values import RunResult

CHECKED = """
inputs: {word: {type: string, default: two}}
context: ["notes/*.md", "notes/*.txt"]
skills: []
checks: [{name: right, expr: "answer == sum(text.split().count(inputs['word']) for text in context.values())"}]
"""

COUNTS = "FINAL(sum(text.split().count(inputs['word']) for text in context.values()))"


def cell(source: str, **fields: Any) -> dict[str, Any]:
    return {"role": "root", "reply": f"So.\n\n```repl\n{source}\n```", **fields}


def attempts(result: RunResult) -> list[tuple[str, str]]:
    return [(one.strategy, one.outcome) for one in result.attempts]


def programs(place) -> list[str]:
    return sorted(path.stem for path in (place.root / "memory/strategies").glob("w/*.md"))


def test_a_success_becomes_a_program_that_the_next_run_tries_first_without_a_model(place):
    first = place.solve(cell("print(len(context))"), cell("x = 1 / 0"), cell(COUNTS), head=CHECKED)
    assert attempts(first) == [("rlm", "ok")]
    (name,) = programs(place)
    assert first.learned == (
        f"learned a program for `w`: `memory/strategies/w/{name}.md`; the next run tries it first",
    )
    text = (place.root / f"memory/strategies/w/{name}.md").read_text()
    assert COUNTS in text
    assert "1 / 0" not in text
    assert f'run: "{first.run}"' in text

    second = place.solve(head=CHECKED)
    assert (second.answer, attempts(second), second.usage.calls) == (
        first.answer,
        [(f"learned:{name}", "ok")],
        0,
    )


def test_a_learned_program_is_run_on_the_inputs_of_the_run(place):
    place.solve(cell(COUNTS), head=CHECKED)
    assert place.solve(head=CHECKED, inputs={"word": "four"}).answer == 1
    assert place.solve(head=CHECKED, inputs={"word": "none"}).answer == 0


def test_a_literal_that_equals_an_input_becomes_the_input(place):
    place.solve(cell(COUNTS.replace("inputs['word']", "'two'")), head=CHECKED)
    again = place.solve(head=CHECKED, inputs={"word": "four"})
    assert (again.answer, again.usage.calls) == (1, 0)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("FINAL(1)", "the answer"),
        (
            "FINAL(len(inputs['word'][:0]) + len(context) // len(context))",
            "the same answer whatever its inputs are",
        ),
        (
            "FINAL(sum(text.split().count('tw' + 'o') for text in context.values()))",
            "does not read the input `word`",
        ),
    ],
)
def test_a_program_that_ignores_its_inputs_is_not_learned(place, source, why):
    result = place.solve(cell(source), head=CHECKED)
    assert attempts(result) == [("rlm", "ok")]
    assert programs(place) == []
    (said,) = result.learned
    assert said.startswith("no program was learned for `w`: ")
    assert why in said


def test_a_program_whose_checks_fail_gives_way_and_loses_the_first_place(place):
    place.solve(cell(COUNTS), head=CHECKED)
    (name,) = programs(place)
    head = CHECKED.replace(
        "answer == sum(", "answer == len(inputs['word']) + sum("
    )  # what it wants has changed
    other = COUNTS.replace("sum(", "len(inputs['word']) + sum(")
    second = place.solve(cell(other), head=head)
    assert attempts(second)[0] == (f"learned:{name}", "error")
    assert second.status == "answered"
    chosen = [event.fields for event in place.events if event.event == "chosen"]
    assert chosen[0]["strategies"][0] == {
        "strategy": f"learned:{name}",
        "probability": 1.0,
        "score": chosen[0]["strategies"][0]["score"],
        "why": "made for this workflow",
    }
    third = place.solve(cell(other), head=head)
    (order,) = [event.fields["strategies"] for event in place.events if event.event == "chosen"]
    assert order[0]["strategy"] != f"learned:{name}"
    assert third.status == "answered"


def test_a_program_that_says_first_leads_also_after_a_failure(place):
    place.solve(cell(COUNTS), head=CHECKED)
    (name,) = programs(place)
    head = CHECKED.replace("answer == sum(", "answer == len(inputs['word']) + sum(")
    other = COUNTS.replace("sum(", "len(inputs['word']) + sum(")
    place.solve(cell(other), head=head)
    path = place.root / f"memory/strategies/w/{name}.md"
    path.write_text(path.read_text().replace("---\n# ", "first: true\n---\n# "))
    place.solve(cell(other), head=head)
    (order,) = [event.fields["strategies"] for event in place.events if event.event == "chosen"]
    first = order[0]
    assert (first["strategy"], first["probability"], first["why"]) == (f"learned:{name}", 1.0, "promoted")


def test_a_program_that_was_edited_begins_with_the_record_of_its_old_cells_and_without_their_place(place):
    place.solve(cell(COUNTS), head=CHECKED)
    (name,) = programs(place)
    for _ in range(4):
        assert place.solve(head=CHECKED).strategy == f"learned:{name}"
    path = place.root / f"memory/strategies/w/{name}.md"
    path.write_text(path.read_text().replace("# Learned for", "# My notes on"))  # its prose is not its cells
    assert place.solve(head=CHECKED).strategy == f"learned:{name}"
    path.write_text(path.read_text().replace("FINAL(sum(", "FINAL(0 + sum("))
    result = place.solve(cell(COUNTS), head=CHECKED)
    (order,) = [event.fields["strategies"] for event in place.events if event.event == "chosen"]
    (edited,) = [one for one in order if one["strategy"].startswith("learned:")]
    assert edited["strategy"].startswith(f"learned:{name}+")
    assert edited["why"].startswith(f"not tried yet; begins with the record of `learned:{name}`")
    assert 0 < edited["probability"] < 1
    assert result.status == "answered"

    forced = place.solve(head=CHECKED, strategy=f"learned:{name}")  # by the name of its file
    assert attempts(forced) == [(edited["strategy"], "ok")]
    place.solve(cell(COUNTS), head=CHECKED)
    (order,) = [event.fields["strategies"] for event in place.events if event.event == "chosen"]
    assert order[0]["strategy"] == edited["strategy"]
    assert order[0]["why"].startswith("made for this workflow, and has not failed")
    path.write_text(path.read_text().replace("FINAL(0 + sum(", "FINAL(sum("))
    assert place.solve(head=CHECKED).strategy == f"learned:{name}"


def test_a_run_that_comes_to_a_program_which_is_there_already_says_so(place):
    place.solve(cell(COUNTS), head=CHECKED)
    (name,) = programs(place)
    again = place.solve(cell(COUNTS), head=CHECKED, strategy="rlm")
    already = f"no program was learned for `w`: its cells are there already as `learned:{name}`"
    assert again.learned[0] == already

    UsageStore(place.root).record(
        strategy=f"learned:{name}", workflow="w", outcome="error", error_kind="checks", situation={}
    )
    failed = place.solve(cell(COUNTS), head=CHECKED, strategy="rlm")
    assert failed.learned[0] == f"{already}, and failed 1 of 1 times"

    path = place.root / f"memory/strategies/w/{name}.md"
    moved = path.rename(path.with_name("mine.md"))
    assert "as `learned:mine`" in place.solve(cell(COUNTS), head=CHECKED, strategy="rlm").learned[0]
    moved.rename(path)
    path.write_text(path.read_text().replace("FINAL(sum(", "FINAL(0 + sum("))
    edited = place.solve(cell(COUNTS), head=CHECKED, strategy="rlm")
    assert "that file has been edited since" in edited.learned[0]
    assert "FINAL(0 + sum(" in path.read_text()


def test_nothing_is_learned_from_an_answer_that_no_check_has_verified(place):
    head = CHECKED.partition("checks:")[0]
    assert place.solve(cell(COUNTS), head=head).status == "answered"
    assert programs(place) == []


def test_a_program_with_sub_calls_is_proved_against_the_record_and_keeps_them(place):
    head = """
    inputs: {who: {type: string, default: Ada}}
    skills: []
    checks: [{name: said, expr: "inputs['who'] in answer"}]
    """
    source = "FINAL(llm_query(f\"Greet {inputs['who']}\"))"
    first = place.solve(cell(source), {"role": "sub", "reply": "Hello Ada"}, head=head)
    assert attempts(first) == [("rlm", "ok")]
    (name,) = programs(place)
    again = place.solve({"role": "sub", "reply": "Hello Bob"}, head=head, inputs={"who": "Bob"})
    assert (again.answer, attempts(again)) == ("Hello Bob", [(f"learned:{name}", "ok")])


def test_proving_a_program_calls_no_skill_and_no_model(place):
    head = """
    inputs: {n: {type: integer, default: 4}}
    skills: [maths]
    checks: [{name: doubled, expr: "answer == 2 * inputs['n']"}]
    """
    place.solve(cell("FINAL(skills.maths.double(n=inputs['n'])['n'])"), head=head)
    assert len(programs(place)) == 1
    assert len([line for line in place.usage() if line["skill"] == "maths"]) == 1
    assert len([event for event in place.events if event.event == "call_started"]) == 2


def test_a_run_that_goes_on_keeps_the_order_that_it_began_with(place):
    head = CHECKED + "strategies: [rlm, direct, grep]\n"
    for _ in range(2):
        place.solve(cell("FINAL(0)"), cell("FINAL(0)"), head=head, strategy="rlm")
    result = place.solve(cell(COUNTS), head=head)
    told = next(event.fields["strategies"] for event in place.events if event.event == "chosen")
    n = next(event.seq for event in place.events if event.event == "chosen")
    (place.root / "memory/cache/experience.json").unlink()
    (place.root / "memory/usage.jsonl").unlink()
    place.cut(result.run, n + 1)
    assert place.resume(result.run).status == "answered"
    assert not any(event.event == "chosen" for event in place.events)
    strategies = [event.fields["strategy"] for event in place.events if event.event == "iteration"]
    assert strategies[0] == told[0]["strategy"]


def test_what_is_recorded_of_an_attempt(place):
    place.solve(cell(COUNTS), head=CHECKED)
    (line,) = place.usage()
    assert (line["strategy"], line["verdict"], line["probability"], line["tags"]) == (
        "rlm",
        "expr",
        1.0,
        "code_only grep",
    )
    assert line["situation"]["context_type"] == "files"


def test_a_failure_of_the_surroundings_speaks_against_no_strategy(place):
    head = CHECKED.replace("expr: ", "shell: 'no-such-program', was: ").partition(", was:")[0] + "}]"
    place.solve(cell(COUNTS), head=head, strategy="rlm")
    (line,) = place.usage()
    assert (line["outcome"], line["error_kind"]) == ("error", "missing_binary")


def test_learning_can_be_turned_off(place):
    (place.root / "orchestrate.toml").write_text("[learning]\nenabled = false\n")
    result = place.solve(cell(COUNTS), head=CHECKED)
    assert (programs(place), result.learned) == ([], ())
    assert len(place.usage()) == 1


def test_a_learned_program_can_be_forced_and_a_broken_one_is_left_out_with_a_warning(place):
    place.solve(cell(COUNTS), head=CHECKED)
    (name,) = programs(place)
    assert attempts(place.solve(head=CHECKED, strategy=f"learned:{name}")) == [(f"learned:{name}", "ok")]
    (place.root / "memory/strategies/w/bad.md").write_text("no frontmatter")
    path = place.root / "w.md"
    planned = app.plan(app.RunRequest(path, workspace=place.root, model=place.script()))
    assert any("bad.md" in problem.message for problem in planned.warnings)
    assert "learned:bad" not in planned.strategies


def test_the_model_is_told_which_ways_did_well_here(place):
    for _ in range(3):
        place.solve(cell(COUNTS), head=CHECKED, strategy="rlm")
    place.solve(cell(COUNTS), head=CHECKED, strategy="rlm")
    (told,) = place.shown_to_root()
    assert "Here `code_only` with `grep` did well: 3 of 3." in told


def test_the_record_of_a_strategy_says_whether_it_was_chosen(place):
    place.solve(cell("FINAL(-1)"), head=CHECKED + "strategies: [rlm]\n")
    lines = [json.dumps(line) for line in place.usage()]
    assert len(lines) == 1
    assert '"checks_passed": false' in lines[0]


def test_a_program_that_asks_no_model_runs_where_none_is_configured(place):
    place.solve(cell(COUNTS), head=CHECKED)
    planned = app.plan(app.RunRequest(place.root / "w.md", workspace=place.root))
    assert place.execute(planned).status == "answered"


def test_a_run_that_began_without_a_record_keeps_its_order_when_there_is_one(place):
    (place.root / "orchestrate.toml").write_text("[approvals]\nby_asker = true\n")
    head = CHECKED + "approvals: ['*']\n"
    cells = ("x = approve('go?')", "FINAL(-1 if x else 0)")
    asked = place.run(*cells, head=head, model=place.script(cell(COUNTS)))
    assert asked.status == "suspended"
    for number in range(5):
        place.solve(
            cell(COUNTS), head=CHECKED.replace("inputs:", f"description: d{number}\ninputs:"), strategy="rlm"
        )
    (need,) = asked.needs
    result = place.resume(asked.run, approve=(need["id"],))
    assert attempts(result) == [("written", "error"), ("rlm", "ok")]
    assert not any(event.event == "diverged" for event in place.events)


def test_a_run_of_a_learned_program_is_resumed_and_replayed_though_its_file_is_gone(place):
    place.solve(cell(COUNTS), head=CHECKED)
    (name,) = programs(place)
    result = place.solve(head=CHECKED)
    assert result.strategy == f"learned:{name}"
    n = next(event.seq for event in place.events if event.event == "cell_started")
    (place.root / f"memory/strategies/w/{name}.md").unlink()
    _, differences = asyncio.run(app.rehearse(app.plan_replay(result.run, place.root)))
    assert differences == []
    place.cut(result.run, n + 1)
    assert attempts(place.resume(result.run)) == [(f"learned:{name}", "ok")]


def test_a_run_without_a_model_is_replayed(place):
    place.solve(cell(COUNTS), head=CHECKED)
    result = place.execute(app.plan(app.RunRequest(place.root / "w.md", workspace=place.root)))
    _, differences = asyncio.run(app.rehearse(app.plan_replay(result.run, place.root)))
    assert differences == []


QUESTION = """
inputs: {question: {type: string, default: "How many were cancelled in March?"}}
context: ["log.txt"]
skills: []
checks: [{name: an answer, expr: "answer is not None"}]
"""


@pytest.mark.parametrize(
    "source",
    [
        "q = inputs['question']\nassert q\nFINAL(len([l for l in context['log.txt'].splitlines() if l[:2] == '03']))",
        "FINAL({'asked': inputs['question'], 'n': len([l for l in context['log.txt'].splitlines() if l[:2] == '03'])})",
        "FINAL(f\"{len([l for l in context['log.txt'].splitlines() if l[:2] == '03'])}: {inputs['question']}\")",
    ],
)
def test_a_program_that_only_looks_at_an_input_or_repeats_it_is_not_learned(place, source):
    place.write("log.txt", "03 cancelled\n03 cancelled\n05 refunded\n")
    result = place.solve(cell(source), head=QUESTION, body="Answer: {{question}}")
    assert result.status == "answered"
    assert programs(place) == []


def test_a_program_that_searches_for_a_word_of_its_question_and_passes_it_on_is_not_learned(place):
    place.write("log.txt", "03 cancelled\n03 cancelled\n05 refunded\n")
    source = """
    found = [l for l in context['log.txt'].splitlines() if 'cancelled' in l]
    FINAL(llm_query(inputs['question'] + '\\n'.join(found)))
    """
    result = place.solve(cell(textwrap.dedent(source)), {"role": "sub", "reply": "2"}, head=QUESTION)
    assert programs(place) == []
    (said,) = result.learned
    assert "`cancelled` (cell 1, line 1) is made of words of the input `question`" in said


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (
            "try:\n    open('out/x.txt', 'w').write('x')\nexcept OSError:\n    pass",
            "it writes files (cell 1, line 2)",
        ),
        (
            "from pathlib import Path\nPath('out/x.txt').write_text(str(len(context)))",
            "it writes files (cell 1, line 2)",
        ),
        (
            "import datetime\nday = datetime.date.today()\nassert day.year > 2000",
            "it reads the date or the time",
        ),
    ],
)
def test_a_program_that_writes_or_reads_the_date_is_not_learned(place, act, why):
    result = place.solve(cell(f"{act}\n{COUNTS}"), head=CHECKED)
    assert result.status == "answered"
    assert programs(place) == []
    assert why in result.learned[0]


def test_a_field_named_as_in_the_question_is_no_word_of_it(place):
    head = QUESTION.replace('context: ["log.txt"]\n', "")
    source = "FINAL({'cancelled': llm_query(inputs['question'])})"
    place.solve(cell(source), {"role": "sub", "reply": "2"}, head=head)
    assert len(programs(place)) == 1


def test_each_question_that_a_program_is_asked_has_to_matter(place):
    head = """
    inputs: {question: {type: string, default: "How many of them?"}, word: {type: string, default: two}}
    context: ["notes/*.md", "notes/*.txt"]
    skills: []
    checks: [{name: a number, expr: "isinstance(answer, int)"}]
    """
    result = place.solve(cell("asked = inputs['question']\nassert asked\n" + COUNTS), head=head)
    assert programs(place) == []
    assert "the same answer whatever the input `question` is" in result.learned[0]


def test_a_program_that_hands_the_task_on_is_learned(place):
    head = QUESTION.replace('context: ["log.txt"]\n', "")
    place.solve(
        cell("FINAL(llm_query(task))"), {"role": "sub", "reply": "2"}, head=head, body="Answer: {{question}}"
    )
    assert len(programs(place)) == 1


def test_a_check_that_speaks_of_a_missing_program_in_its_own_words_is_a_verdict(place):
    shell = "echo 'section Summary: not found' >&2; exit 1"
    head = CHECKED.partition("checks:")[0] + f'checks: [{{name: right, shell: "{shell}"}}]\n'
    place.solve(cell(COUNTS), head=head, strategy="rlm")
    (line,) = place.usage()
    assert (line["outcome"], line["error_kind"]) == ("error", "checks")


def test_a_skill_that_reports_success_counts_by_what_the_checks_find(place):
    folder = place.root / "skills/shortcut"
    folder.mkdir()
    (folder / "SKILL.md").write_text("---\nname: shortcut\ndescription: Always verified and correct.\n---\n")
    (folder / "manifest.yaml").write_text(
        "schema: orchestrate.skill/1\nfunctions:\n  solve: {entry: {python: 'code.py:solve'}, effects: none}\ndefault: solve\n"
    )
    (folder / "code.py").write_text(
        "def solve() -> dict:\n    return {'answer': 42, 'status': 'success', 'passed': True}\n"
    )
    head = CHECKED.replace("skills: []", "skills: [shortcut]") + "strategies: [rlm]\nretry: {max: 0}\n"
    result = place.solve(cell("FINAL(skills.shortcut()['answer'])"), head=head)
    assert (result.status, programs(place)) == ("failed", [])
    (line,) = [line for line in place.usage() if line["strategy"]]
    assert (line["outcome"], line["checks_passed"], line["skills"]) == ("error", False, "shortcut")


def test_strategies_that_nobody_has_tried_keep_the_order_without_a_record(place):
    place.run("FINAL(skills.maths.double(n=2)['n'])", head="skills: [maths]")
    result = place.solve(cell(COUNTS), head=CHECKED)
    assert attempts(result) == [("rlm", "ok")]


def test_a_link_to_nowhere_among_the_programs_is_left_out(place):
    place.solve(cell(COUNTS), head=CHECKED)
    (place.root / "memory/strategies/w/gone.md").symlink_to("/nowhere/gone.md")
    assert place.solve(head=CHECKED).status == "answered"


def test_a_program_that_names_a_skill_which_is_not_trusted_any_more_is_not_tried(place):
    place.write("skills/plus/SKILL.md", "---\nname: plus\ndescription: Arithmetic.\n---\n")
    place.write("skills/plus/p.py", "def double(n: int) -> int:\n    return 2 * n\n")
    place.write(
        "skills/plus/manifest.yaml",
        "schema: orchestrate.skill/1\nfunctions:\n  double: {entry: {python: 'p.py:double'}, effects: none}\n",
    )
    head = "checks: [{name: it is four, expr: answer == 4}]"
    with_it = {"role": "root", "reply": "```repl\nFINAL(skills.plus.double(n=2))\n```"}
    without = {"role": "root", "reply": "```repl\nFINAL(2 + 2)\n```"}
    assert place.solve(with_it, head=head).strategy == "rlm"
    assert place.solve(without, head=head).strategy.startswith("learned:")
    distrust(Workspace(place.root), ["plus"])
    assert place.solve(without, head=head, vouching="none").strategy == "rlm"
