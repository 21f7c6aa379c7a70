import asyncio
import py_compile
import re
import sys

import pytest

from orchestrator import app
from orchestrator.errors import CallError, SkillError
from orchestrator.runs.call import Call
from orchestrator.runs.calls import Server
from orchestrator.runs.engine import Engine
from orchestrator.runs.opening import open_parts
from orchestrator.workspace import Workspace

CAUGHT = """
try:
    {call}
except SkillError as error:
    FINAL([str(error), error.kind, error.hint])
"""


def failed(place, call: str, **options):
    """What a failing call told its cell: message, kind, hint."""
    result = place.run(CAUGHT.format(call=call), **options)
    assert result.status == "answered", result.message
    return result.answer


def test_functions_are_called_by_name_by_position_and_by_default(place):
    result = place.run(
        "m = skills.maths\nFINAL([m(2)['n'], m.double(n=3)['n'], skills['maths'].double(4)['n'], m.count_down(n=1)])"
    )
    assert result.answer == [4, 6, 8, {"steps": 1}]


def test_a_map_keeps_the_order_and_leaves_errors_in_their_place(place):
    result = place.run(
        """
        got = skills.maths.map([{"n": 1}, {"n": "two"}, {}, {"n": 4}])
        FINAL([item["n"] if item else [item.kind, bool(item), isinstance(item, str)] for item in got])
        """
    )
    assert result.answer == [2, ["invalid", False, False], ["invalid", False, False], 8]


def test_arguments_that_break_the_schema_name_path_expected_and_given(place):
    message, kind, hint = failed(place, "skills.maths.double(n='x')")
    assert kind == "invalid"
    assert "`maths.double`" in message
    assert "$.n" in message
    assert 'expected a whole number, got `"x"`' in message
    assert hint == "call it as double(n)"


def test_a_value_that_breaks_the_schema_names_path_expected_and_given(place):
    message, kind, _ = failed(place, "skills.maths.broken_output(n=1)")
    assert kind == "invalid"
    assert "`maths.broken_output` returned a value that breaks its output schema" in message
    assert "$.n" in message


def test_an_exception_of_a_skill_comes_with_its_traceback(place):
    message, kind, _ = failed(place, "skills.maths.raises(n=7)")
    assert (kind, message.splitlines()[0]) == ("error", "`maths.raises` raised ValueError: no 7 today")
    assert 'raise ValueError(f"no {n} today")' in message


def test_a_skill_past_its_time_is_a_timeout_and_its_worker_serves_the_next_call(place):
    result = place.run(
        """
        try:
            skills.maths.sleeps(n=1)
        except SkillError as error:
            FINAL([error.kind, skills.maths(n=2)["n"]])
        """
    )
    assert result.answer == ["timeout", 4]
    assert [record["outcome"] for record in place.usage()] == ["timeout", "ok", "unverified"]


def test_a_skill_that_recurses_stops_at_the_depth_limit_and_names_the_path(place):
    assert place.run("FINAL(skills.maths.count_down(n=2))").answer == {"steps": 2}
    message, *_ = failed(place, "skills.maths.count_down(n=3)")
    assert "would be at depth 4; the budget allows 3: w → maths.count_down" in message
    assert place.run("FINAL(skills.maths.count_down(n=6))", budget={"depth": 8}).answer == {"steps": 6}


def test_a_skill_that_calls_itself_with_the_same_arguments_is_refused(place):
    message, *_ = failed(place, "skills.maths.again(n=1)", budget={"depth": 50})
    assert "`maths.again` calls itself with the same arguments: w → maths.again → maths.again" in message


def test_a_deep_tree_ends_with_a_single_worker_at_a_time(place):
    result = place.run("FINAL(skills.maths.count_down(n=6))", budget={"depth": 9, "concurrency": 1})
    assert result.answer == {"steps": 6}


def test_an_idempotent_function_is_tried_again_when_its_worker_dies_and_no_other(place):
    result = place.run("FINAL(skills.maths.dies_once(path='out/mark.txt'))", head="skills: [maths]")
    assert result.answer == {"n": 1}
    message, kind, _ = failed(place, "skills.maths.dies_for_good(path='out/other.txt')")
    assert (kind, message) == ("error", "`maths.dies_for_good`: the worker exited with code 9")


def test_a_workflow_sees_only_the_skills_it_names(place):
    assert place.run("FINAL(list(skills))", head="skills: [maths]").answer == ["maths"]


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("secret", "`secret` may not be called from here", "name it in `skills:` of the workflow"),
        ("nobody", "there is no skill `nobody`", "`orchestrate skills` lists them"),
    ],
)
def test_a_forged_request_for_another_skill_is_refused(place, name, message, hint):
    async def asked() -> None:
        planned = place.plan("FINAL(1)", head="skills: [maths]")
        async with open_parts(planned, app.environment_factory(app.DEFAULT_ENVIRONMENT)()) as parts:
            server = Server(
                parts, Call("0", "root", "w"), parts.allowed, parts.rights, Engine(parts, {}).solve
            )
            await server("skill", {"skill": name, "function": None, "args": [], "kwargs": {"n": 1}})

    with pytest.raises(SkillError) as caught:
        asyncio.run(asked())
    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_a_skill_calls_only_what_it_uses(place):
    assert place.run("FINAL(skills.maths.calls_greet(n=3))", head="skills: [maths]").answer == "hello 3\n"
    message, *_ = failed(place, "skills.maths.calls_secret(n=1)")
    assert "raised AttributeError: there is no skill `secret`" in message


def test_scripts_run_with_words_and_with_keywords(place):
    result = place.run(
        """
        g = skills.greet
        FINAL([g.run("hello.sh", "you"), g.run("facts.py", n=3, loud=True), g.run("facts.py", "--n", "2")])
        """
    )
    text, typed, words = result.answer
    assert text == "hello you\n"
    folder = str(place.root / "skills" / "greet")
    assert typed == {"n": 3, "loud": True, "dir": folder}
    assert words == {"n": 2, "loud": False, "dir": folder}


def test_a_node_script_runs_under_the_same_limits(place):
    assert place.run("FINAL(skills.greet.run('add.mjs', '4'))").answer == {"sum": 5}


def test_a_script_that_exits_with_an_error_says_its_last_words(place):
    message, kind, _ = failed(place, "skills.greet.run('fails.py')")
    assert (kind, message) == ("error", "`greet`: `fails.py` exited with code 1:\nit is too late")


@pytest.mark.parametrize("script", ["missing.py", "../secret/s.py"])
def test_a_script_that_is_not_there_is_named_with_those_that_are(place, script):
    message, _, hint = failed(place, f"skills.greet.run({script!r})")
    assert message == f"`greet` has no script `{script}`"
    assert "`hello.sh`" in hint


def test_a_skill_shows_its_text_and_files_and_nothing_outside(place):
    result = place.run("g = skills.greet\nFINAL([g.doc().strip(), g.files(), g.read('hello.sh')[:11]])")
    assert result.answer == [
        "Be kind.", ["SKILL.md", "add.mjs", "facts.py", "fails.py", "hello.sh"], "#!/bin/bash",
    ]  # fmt: skip
    message, kind, _ = failed(place, "skills.greet.read('../secret/s.py')")
    assert (kind, message) == ("denied", "`../secret/s.py` lies outside the skill `greet`")


def test_a_skill_without_code_says_that_it_needs_a_model(place):
    result = place.run(
        """
        errors = []
        for call in (lambda: skills.greet("hi"), lambda: llm_query("hi"), lambda: rlm_query("hi")):
            try:
                call()
            except SubCallError as error:
                errors.append(str(error))
        FINAL(errors)
        """
    )
    assert [message.partition(":")[0] for message in result.answer] == ["no model configured"] * 3


def test_a_workflow_can_be_a_function_of_a_skill(place):
    result = place.run("FINAL(skills.maths.tripled(n=5))")
    assert result.answer == {"n": 15}
    names = [event.fields["name"] for event in place.events if event.event == "call_started"]
    assert names == ["w", "maths.tripled", "maths.double"]


def test_a_call_that_needs_approval_is_made_only_when_a_person_agrees(place):
    head = 'skills: [maths]\napprovals: ["skill:maths.note"]'
    call = "skills.maths.note(path='out/n.txt')"
    result = place.run(CAUGHT.format(call=call), head=head)
    assert (result.status, result.exit_code) == ("suspended", 3)
    (need,) = result.needs
    assert (need["kind"], need["function"], need["arguments"]) == (
        "approval",
        "maths.note",
        {"path": "out/n.txt"},
    )
    asked = []

    async def agree(approval):
        asked.append(approval.fields["function"])
        return len(asked) == 1

    assert place.run(f"FINAL({call})", head=head, ask=agree).answer == {"n": 1}
    assert asked == ["maths.note"]
    message, kind, _ = failed(place, call, head=head, ask=agree)
    assert (kind, message) == ("denied", "`maths.note` was not approved")


def test_a_script_is_asked_about_under_its_functions_names_too(place):
    async def refuse(approval):
        return False

    head = 'skills: [greet]\napprovals: ["skill:greet.facts"]'
    assert failed(place, "skills.greet.run('facts.py')", head=head, ask=refuse)[1] == "denied"
    assert failed(place, "skills.greet.facts(n=1)", head=head, ask=refuse)[1] == "denied"


def test_what_a_skill_prints_is_in_the_journal(place):
    code = place.root / "skills/maths/maths.py"
    code.write_text(
        code.read_text().replace(
            '    return {"n": 2 * n}', "    print('doubling', n)\n    return {\"n\": 2 * n}"
        )
    )
    place.run("FINAL(skills.maths(n=1))")
    finished = [
        event.fields for event in place.events if event.event == "call_finished" and event.call == "0.1"
    ]
    assert finished[0]["printed"] == "doubling 1\n"


def test_a_cell_can_ask_a_person(place):
    async def refuse(approval):
        return approval.prompt != "Send it?"

    result = place.run("FINAL([approve('Send it?'), approve('Keep it?', items=[1])])", ask=refuse)
    assert result.answer == [False, True]
    assert place.run("FINAL(approve('Send it?'))").exit_code == 3


def test_the_time_that_a_person_takes_counts_for_no_limit(place):
    async def think(approval):
        await asyncio.sleep(0.8)
        return True

    result = place.run(
        "agreed = approve('?')\nskills.maths.note(path='out/x')\nFINAL(agreed)",
        head='skills: [maths]\ncell_timeout_s: 0.6\napprovals: ["skill:maths"]',
        budget={"seconds": 0.7},
        ask=think,
    )
    assert (result.status, result.answer) == ("answered", True)
    assert result.usage.seconds < 0.7
    assert place.run("approve('?')\nwhile True: pass", budget={"seconds": 0.5}, ask=think).status == "budget"


def test_examples_of_a_manifest_are_its_test(place):
    passed, missed = app.try_examples(Workspace(place.root), "maths")
    assert (passed.function, passed.passed) == ("double", True)
    assert (missed.passed, missed.message) == (False, 'expected {"n": 7}, got {"n": 6}')
    assert not (place.root / "memory" / "usage.jsonl").exists()


@pytest.mark.parametrize(
    ("requires", "said"),
    [
        (
            "{bins: [no-such-program]}",
            "`maths` needs the program `no-such-program`, which is not on this machine",
        ),
        ("{env: [NO_SUCH_KEY]}", "`maths` needs the variable `NO_SUCH_KEY`, which is not set or not granted"),
    ],
)
def test_what_a_skill_requires_is_looked_for_before_it_runs(place, requires, said):
    manifest = place.root / "skills/maths/manifest.yaml"
    manifest.write_text(manifest.read_text() + f"requires: {requires}\n")
    message, _, hint = failed(place, "skills.maths(n=1)")
    assert message == said
    assert hint


def test_one_skill_can_be_called_from_many_threads(place):
    result = place.run(
        """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(16) as pool:
            FINAL(sum(pool.map(lambda n: skills.maths(n=n)["n"], range(50))))
        """
    )
    assert result.answer == 2450


def test_what_is_left_of_the_budget_can_be_read_in_a_cell(place):
    result = place.run(
        "FINAL([budget['depth'], budget['calls'], budget['seconds'] <= 60])", budget={"seconds": 60}
    )
    assert result.answer == [3, 500, True]


def test_a_run_can_be_awaited(place):
    path = place.write("plain.md", "# Plain\n\n```repl\nFINAL(7)\n```\n")
    assert asyncio.run(app.arun(path, workspace=place.root)).answer == 7
    assert app.run(str(path)).answer == 7


def test_a_skill_whose_file_raises_at_import_ends_the_run_as_an_invalid_file(place):
    code = place.root / "skills/maths/maths.py"
    code.write_text("raise RuntimeError('not today')\n" + code.read_text())
    result = place.run("FINAL(skills.maths(n=1))")
    assert (result.status, result.exit_code, result.attempts[0].outcome) == ("failed", 2, "invalid")
    assert f"`maths.double` can't be loaded from `{code}`: RuntimeError: not today" in result.message
    result = place.run("try: skills.maths(n=1)\nexcept SkillError: FINAL('went on')")
    assert (result.status, result.exit_code) == ("answered", 0)


def test_a_value_that_breaks_its_skills_schema_ends_the_run_as_an_invalid_file(place):
    result = place.run("FINAL(skills.maths.broken_output(n=1))")
    assert (result.status, result.exit_code) == ("failed", 2)
    assert "breaks its output schema" in result.message
    assert place.run("skills.maths.raises(n=1)").exit_code == 1


def test_keywords_that_a_script_does_not_take_are_refused_by_its_argparse_calls(place):
    message, kind, hint = failed(place, "skills.greet.facts(n='many')")
    assert kind == "invalid"
    assert "`greet.facts.py` was called" in message or "expected a whole number" in message
    assert hint
    result = place.run(
        "try: skills.greet.run('facts.py', m=1)\nexcept SubCallError as error: FINAL(str(error))"
    )
    assert "`m`" in result.answer


NESTED = """---
name: nested
inputs: {type: object, properties: {n: {type: integer, default: 7}}}
skills: [maths]
approvals: ["skill:maths.note"]
permissions: {write: []}
---
```repl
try:
    skills.maths.note(path="out/x.txt")
except SkillError as error:
    FINAL([inputs["n"], error.kind])
```
"""


def test_a_nested_workflow_keeps_its_own_inputs_and_approvals(place):
    async def refuse(approval):
        return False

    (place.root / "skills/maths/tripled.md").write_text(NESTED)
    result = place.run("FINAL(skills.maths.tripled(n=1))", head="skills: [maths]", ask=refuse)
    assert result.answer == [1, "denied"]
    manifest = place.root / "skills/maths/manifest.yaml"
    manifest.write_text(re.sub(r"(tripled.md}\n)    input: .*\n", r"\1", manifest.read_text()))
    assert place.run("FINAL(skills.maths.tripled())", head="skills: [maths]", ask=refuse).answer == [
        7,
        "denied",
    ]


def test_what_waits_for_a_person_waits_inside_a_nested_workflow_too(place):
    nested = NESTED.replace('approvals: ["skill:maths.note"]\n', "")
    (place.root / "skills/maths/tripled.md").write_text(nested)
    head = 'skills: [maths]\napprovals: ["skill:maths.note"]'
    (need,) = place.run("FINAL(skills.maths.tripled(n=1))", head=head).needs
    assert (need["kind"], need["function"]) == ("approval", "maths.note")


def test_a_nested_workflow_that_only_a_model_could_run_is_an_error_of_its_call(place):
    (place.root / "skills/maths/tripled.md").write_text("# Prose\n\nThink hard.\n")
    message, kind, _ = failed(place, "skills.maths.tripled(n=1)")
    assert kind == "invalid"
    assert "no cells" in message


@pytest.mark.parametrize(
    ("fn", "request_"),
    [
        ("skill", {}),
        ("skill", {"skill": []}),
        ("skill", {"skill": "maths", "args": 5}),
        ("skill_map", {"skill": "maths", "items": 5}),
        ("skill_run", {"skill": "greet", "script": "a\0b"}),
        ("skill_run", {"skill": "greet", "script": "a" * 5000}),
        ("skill_read", {"skill": "greet", "path": "a\0b"}),
        ("memory_search", {}),
        ("memory_read", {"path": "x" * 300}),
        ("approve", {}),
        ("log", {}),
        ("nothing", {}),
    ],
)
def test_what_a_worker_forges_is_refused_as_a_request(place, fn, request_):
    async def asked() -> None:
        planned = place.plan("FINAL(1)")
        async with open_parts(planned, app.environment_factory(app.DEFAULT_ENVIRONMENT)()) as parts:
            solve = Engine(parts, {}).solve
            await Server(parts, Call("0", "root", "w"), parts.allowed, parts.rights, solve)(fn, request_)

    with pytest.raises(CallError) as caught:
        asyncio.run(asked())
    assert caught.value.error_kind == "request"


def test_refused_calls_are_on_record_too(place):
    async def refuse(approval):
        return False

    place.run(
        """
        for call in (lambda: skills.maths(n="x"), lambda: skills.maths.note(path="out/x")):
            try:
                call()
            except SkillError:
                pass
        FINAL(1)
        """,
        head='skills: [maths]\napprovals: ["skill:maths.note"]',
        ask=refuse,
    )
    finished = [event.fields["outcome"] for event in place.events if event.event == "call_finished"]
    assert finished == ["invalid", "ok", "denied", "unverified"]  # `ok` is the question itself, answered no
    records = [(record["skill"], record["outcome"], record["error_kind"]) for record in place.usage()]
    assert records[:2] == [("maths", "invalid", "input_schema"), ("maths", "denied", "approval")]


class Counting:
    """The default environment, with its workers counted."""

    def __init__(self) -> None:
        self.name = app.DEFAULT_ENVIRONMENT
        self._inner = app.environment_factory(self.name)()
        self._sessions = []
        self.most = 0

    async def start(self, spec):
        session = await self._inner.start(spec)
        self._sessions.append(session)
        self.most = max(self.most, sum(one.alive for one in self._sessions))
        return session

    async def close(self) -> None:
        await self._inner.close()


def test_a_wide_tree_starts_few_workers_at_a_time(place):
    code = place.root / "skills/maths/maths.py"
    code.write_text(code.read_text() + WIDE)
    manifest = place.root / "skills/maths/manifest.yaml"
    text = manifest.read_text().replace(
        "default: double", '  wide:\n    entry: {python: "maths.py:wide"}\n    effects: none\ndefault: double'
    )
    manifest.write_text(text)
    environment = Counting()

    async def run():
        planned = place.plan(
            "FINAL(len([n for n in skills.maths.wide.map([{'n': n} for n in range(60)]) if n]))",
            budget={"concurrency": 4},
        )
        async with open_parts(planned, environment) as parts:
            return await Engine(parts, {}).run({}, {})

    result = asyncio.run(run())
    assert (result.status, result.answer) == ("answered", 60)
    assert environment.most <= 1 + 4 * 2 + 4  # the cells', callers and callees, idle ones


WIDE = """

def wide(ctx, n: int) -> dict:
    return ctx.skills.maths.double(n=n)
"""


def test_a_worker_that_died_while_idle_costs_no_call(place):
    code = place.root / "skills/maths/maths.py"
    code.write_text(code.read_text() + DIES_LATER)
    manifest = place.root / "skills/maths/manifest.yaml"
    text = manifest.read_text().replace(
        "default: double",
        '  later:\n    entry: {python: "maths.py:later"}\n    effects: none\ndefault: double',
    )
    manifest.write_text(text)
    result = place.run("import time\nskills.maths.later()\ntime.sleep(0.5)\nFINAL(skills.maths(n=1)['n'])")
    assert (result.status, result.answer) == ("answered", 2)


DIES_LATER = """

def later() -> dict:
    import os, threading
    threading.Timer(0.1, os._exit, (3,)).start()
    return {}
"""


@pytest.mark.parametrize(
    "call", ["skills.plant.speak()", "skills.plant.run('tool.py')"], ids=["function", "script"]
)
def test_compiled_code_that_says_other_than_its_source_is_not_loaded(place, call):
    folder = place.write("skills/plant/SKILL.md", "---\nname: plant\ndescription: Speak.\n---\n").parent
    place.write("skills/plant/helper.py", "WORD = 'what was read'\n")
    place.write("skills/plant/s.py", "import helper\n\ndef speak():\n    return helper.WORD\n")
    place.write("skills/plant/tool.py", "import helper\n\nprint(helper.WORD)\n")
    place.write(
        "skills/plant/manifest.yaml",
        "schema: orchestrate.skill/1\nfunctions:\n  speak: {description: Speak., entry: {python: 's.py:speak'}}\n",
    )
    hidden = place.write("hidden.py", "WORD = 'what nobody read'\n")
    compiled = folder / "__pycache__" / f"helper.{sys.implementation.cache_tag}.pyc"
    compiled.parent.mkdir()
    py_compile.compile(
        str(hidden), str(compiled), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    assert place.run(f"FINAL({call}.strip())", head="skills: [plant]").answer == "what was read"


def test_a_script_imports_nothing_from_where_it_is_started(place):
    place.write("importlib/__init__.py", "print('not the library')\nraise SystemExit\n")
    result = place.run(
        "FINAL(skills.greet.run('facts.py'))", head="skills: [greet]\npermissions: {read: ['**']}"
    )
    assert result.answer["n"] == 1
