"""A run's cells as a program: what is left out, what becomes an input, what is refused, and that it still answers."""

import ast
from pathlib import Path

import pytest
from cells_that_ran import Repl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.documents.strategy import parse_strategy
from orchestrator.documents.types import Evidence
from orchestrator.strategies.distilling.distil import CallMade, CellRun, Distilled, Refused, Seen, distil
from orchestrator.strategies.distilling.rendering import document, learned_name

NOTES = {"notes/a.md": "Berlin has 3 lamps.\nNo fog.", "notes/b.md": "Bonn has 4 lamps.\nThe lamp was out."}


def ran(*sources, context=NOTES, inputs=None):
    """What is distilled from cells that are really run, and the answer they gave."""
    session = Repl(context, inputs or {}).run(sources)
    seen = Seen(session.observations, context, answer=session.answer)
    return distil(session.cells, inputs or {}, seen), session


def program(*sources, context=NOTES, inputs=None):
    """The cells distilled from cells that are run; they have to give the same answer."""
    distilled, session = ran(*sources, context=context, inputs=inputs)
    assert isinstance(distilled, Distilled), distilled
    assert session.answered
    assert Repl(context, inputs or {}).run(distilled.cells).answer == session.answer
    return list(distilled.cells)


def refusal(*sources, context=NOTES, inputs=None):
    distilled, _ = ran(*sources, context=context, inputs=inputs)
    assert isinstance(distilled, Refused), distilled
    return distilled.reason


N = "n = sum(text.count('lamp') for text in context.values())\n"


@pytest.mark.parametrize(
    "answer",
    [
        "{'count': n, 'unit': 'pieces'}",
        "{'status': 'ok', 'count': n, 'version': 2}",
        "{'meta': {'unit': 'pieces', 'schema': 'count/1'}, 'count': n}",
        "[{'file': name, 'count': len(text), 'unit': 'chars'} for name, text in context.items()]",
    ],
)
def test_a_label_beside_what_was_computed_may_be_a_constant(answer):
    (cell,) = program(f"{N}FINAL({answer})")
    assert answer in cell
    assert len(program("print(context)", f"{N}result = {answer}\nprint(result)", "FINAL(result)")) == 2


@pytest.mark.parametrize(
    ("answer", "literal"),
    [
        ("{'count': 42, 'unit': 'pieces'}", "42"),  # nothing was computed
        ("{'count': 42, 'unit': 'pieces', 'files': n}", "42"),  # a label does not cover what stands beside it
        ("{'unit': 'pieces', 'status': 'ok'}", "'ok'"),
        ("{'unit': 'pieces', 'status': 'ok', 'files': n * 0 or 'pieces'}", "'ok'"),
        ("{'sentiment': 'positive', 'files': n}", "'positive'"),  # a finding
        ("{'status': 'overdue', 'files': n}", "'overdue'"),
        ("{'unit': 'Berlin', 'files': n}", "'Berlin'"),  # seen
        ("{'unit': 'lamp', 'files': n}", "'lamp'"),  # a part of what was seen
        ("{'unit': 'town', 'files': n}", "'town'"),  # an input
        ("{'version': 2026, 'files': n}", "2026"),
        ("{'unit': 'pieces', 'winner': 'pieces', 'files': n}", "'pieces'"),  # the same literal, elsewhere
        ("[n, 'pieces']", "'pieces'"),
        ("{'unit': ['pieces'], 'files': n}", "'pieces'"),
        ("{'unit': 'pieces of light in all', 'files': n}", "'pieces of light in all'"),
    ],
)
def test_what_is_no_label_may_be_no_constant(answer, literal):
    reason = refusal(f"{N}FINAL({answer})", inputs={"kind": "townsfolk"})
    assert literal in reason
    assert reason.startswith("the answer is written into the program")


def test_a_label_that_is_asked_for_or_that_a_call_has_said_is_none():
    cell = CellRun(1, f"{N}FINAL({{'unit': 'pieces', 'count': n}})\n", answered=True)
    answer = {"unit": "pieces", "count": 3}
    assert isinstance(distil([cell], {}, Seen([""], NOTES, "Count lamps.", answer)), Distilled)
    for seen in (
        Seen([""], NOTES, "Count lamps, and say the unit.", answer),
        Seen([""], NOTES, "Count lamps.", answer, ["in Pieces, I think"]),
        Seen([""], None, "Count lamps.", answer, is_all=False),
    ):
        assert isinstance(distil([cell], {}, seen), Refused)
    later = CellRun(2, cell.source, answered=True, iteration=2)
    shown = Seen(["five pieces", ""], NOTES, "Count lamps.", answer)
    assert isinstance(distil([CellRun(1, "print(1)\n", iteration=1), later], {}, shown), Refused)


def test_looks_and_dead_ends_are_left_out_and_the_rest_stays_as_it_was_written():
    assert program(
        "import re, json\nprint(len(context))\nname = sorted(context)[0]\nname",
        "# nobody needs this\nunused = llm_query(str(context))\nprint(unused)",
        "# all lamps, as numbers\nlamps = [int(n)   for text in context.values()\n"
        "         for n in re.findall(r'(\\d) lamps', text)]  # one a town\nprint(lamps)",
        "FINAL(sum(lamps))\n",
    ) == [
        "import re, json\n",
        "# all lamps, as numbers\nlamps = [int(n)   for text in context.values()\n"
        "         for n in re.findall(r'(\\d) lamps', text)]  # one a town\n",
        "FINAL(sum(lamps))\n",
    ]


def test_what_was_left_out_is_told_with_its_reason():
    distilled, _ = ran("print(context)", "x = 1\ny = len(context)\nz = nope", "q = 3", "FINAL(y)")
    assert [(one.cell, one.line, one.why) for one in distilled.dropped] == [
        (1, None, "it only looks"),
        (2, 1, "nothing later uses `x`"),
        (2, 3, "it failed"),
        (3, None, "nothing later uses `q`"),
    ]
    assert distilled.numbers == (2, 4)


def test_of_a_failed_cell_what_ran_before_the_failure_stays_when_it_is_used():
    assert program(
        "import json\nrows = sorted(context)\nfirst = rows[99]\nlast = rows[-1]", "FINAL(len(rows))"
    ) == ["rows = sorted(context)\n", "FINAL(len(rows))\n"]


def test_a_failed_cell_that_a_later_one_does_anew_is_left_out():
    assert program(
        "out = []\nfor name in context:\n    out.append(context[name]['x'])",
        "out = []\nfor name in context:\n    out.append(len(context[name]))",
        "FINAL(out)",
    ) == ["out = []\nfor name in context:\n    out.append(len(context[name]))\n", "FINAL(out)\n"]


def test_what_a_loop_did_before_it_failed_can_not_be_done_again():
    reason = refusal(
        "out = []\nfor name in ['notes/a.md', 'x']:\n    out.append(context[name])", "FINAL(out)"
    )
    assert reason == "cell 1 failed in line 2, and what it had done until then is used"


def test_an_answer_that_a_failed_cell_marked_as_ready_is_not_ready():
    assert program(
        "answer['content'] = len(context)\nanswer['ready'] = True\n1 / 0", "answer['ready'] = True"
    ) == ["answer['content'] = len(context)\n", "answer['ready'] = True\n"]


def test_a_failed_cell_without_a_line_is_used_only_where_there_is_no_doubt():
    first = CellRun(1, "rows = sorted(context)\nfirst = rows[9]\n", failed=True)
    clear = distil([first, CellRun(2, "FINAL(rows)\n")], {})
    assert clear.cells == ("rows = sorted(context)\n", "FINAL(rows)\n")
    doubtful = distil([CellRun(0, "rows = []\n"), first, CellRun(2, "FINAL([rows, len(context)])\n")], {})
    assert doubtful == Refused("cell 1 failed, it is not known in which line, and line 1 may matter")


def test_names_of_the_repl_are_bound_anew_for_each_cell():
    assert program(
        "context = 3\nn = context", "FINAL([len(context), len(inputs)])", inputs={"q": "what"}
    ) == ["FINAL([len(context), len(inputs)])\n"]


@pytest.mark.parametrize(
    "change",
    [
        "found.append(len(context))",
        "found += [len(context)]",
        "found[0:0] = [len(context)]",
        "also = found\nalso.append(len(context))",
        "box = {'found': found}\nbox['found'].append(len(context))",
        "for one in [found]:\n    one.append(len(context))",
        "def add(to):\n    to.append(len(context))\nadd(found)",
        "def add():\n    found.append(len(context))\nadd()",
        "def put():\n    global found\n    found = [len(context)]\nput()",
        "def add(name):\n    found.append(len(name))\nlist(map(add, context))",
        "import random\nrandom.shuffle(found)\nfound.extend(context)",
        "_ = [found.append(n) for n in map(len, context)]",
        "add = found.append\nadd(len(context))",
    ],
)
def test_what_changes_a_live_object_stays(change):
    assert len(program("found = []", change, "FINAL(found)")) == 3


def test_what_changes_a_dead_object_goes():
    assert program("log_of = []\nn = len(context)\nlog_of.append(n)\nlog_of.sort()", "FINAL(n)") == [
        "n = len(context)\n",
        "FINAL(n)\n",
    ]


def test_functions_stay_with_all_that_they_need():
    cells = program(
        "import re\nLIMIT = 5\nOTHER = 6\n\n\ndef lamps(text):\n    '''Lamps.'''\n    return numbers(text)[:LIMIT]\n",
        "def numbers(text):\n    # digits only\n    return re.findall(r'\\d', text)\n\n\ndef unused():\n    return OTHER",
        "FINAL([lamps(text) for text in context.values()])",
    )
    assert (
        cells[0]
        == "import re\nLIMIT = 5\n\n\ndef lamps(text):\n    '''Lamps.'''\n    return numbers(text)[:LIMIT]\n"
    )
    assert cells[1] == "def numbers(text):\n    # digits only\n    return re.findall(r'\\d', text)\n"


def test_statements_that_share_a_line_are_told_apart():
    assert program("a = 1; n = len(context); b = 2  # three", "FINAL(n)") == [
        "n = len(context)\n",
        "FINAL(n)\n",
    ]


def test_what_may_end_the_run_on_purpose_stays():
    source = "n = len(context)\nassert n > 1, 'too few'\nif n > 99:\n    raise ValueError('too many')\n"
    assert program(source, "FINAL(n)") == [source, "FINAL(n)\n"]


def test_what_changes_the_world_stays():
    first = CellRun(
        1,
        "n = len(context)\nx = 2\nskills.send_mail(to='b@example.org')\ny = skills.word_count(path='a')\n",
        calls=(CallMade("skill", "send-mail.send", writes=True), CallMade("skill", "word-count.count")),
    )
    distilled = distil([first, CellRun(2, "FINAL(n)")], {})
    assert distilled.cells[0] == "n = len(context)\nskills.send_mail(to='b@example.org')\n"
    assert distilled.uses == ("context", "skills.send_mail")


def test_a_file_that_is_written_stays():
    cells = ["from pathlib import Path\nn = len(context)\nPath('out/n.txt').write_text(str(n))\n", "FINAL(n)"]
    assert distil([CellRun(n, cell) for n, cell in enumerate(cells)], {}).cells[0] == cells[0]


def test_a_cell_that_failed_after_it_had_changed_the_world_is_refused():
    call = CallMade("skill", "send-mail", writes=True)
    cell = CellRun(
        1, "for to in context:\n    skills.send_mail(to=to)\n", failed=True, failed_line=2, calls=(call, call)
    )
    assert distil([cell, CellRun(2, "FINAL(len(context))")], {}) == Refused(
        "cell 1 failed in line 1 after it had changed the world"
    )


def test_no_answer_is_refused():
    assert distil([CellRun(1, "x = len(context)")], {}) == Refused("no cell gave an answer")
    assert distil([], {}) == Refused("no cell gave an answer")


def test_a_program_may_answer_by_the_name_of_a_variable_or_by_the_answer_dict():
    assert program("n = len(context)\nm = 1", "FINAL_VAR('n')") == ["n = len(context)\n", "FINAL_VAR('n')\n"]
    assert program("n = len(context)\nanswer['content'] = n", "m = 1", "answer['ready'] = True") == [
        "n = len(context)\nanswer['content'] = n\n",
        "answer['ready'] = True\n",
    ]


def test_values_of_inputs_become_the_inputs():
    inputs = {
        "city": "Berlin",
        "folder": "notes/2026",
        "days": 7,
        "since": 20260101,
        "deep": True,
        "tags": ["a", "b"],
    }
    cells = program(
        "days = 7\nweeks = 7 * 2\nsince = 20260101\nwanted = ['a', 'b']\ndeep = True\nother = True\n"
        "path = 'notes/2026/x.md'\nfound = [t for t in context.values() if 'Berlin' in t]  # 'Berlin'",
        "asked = llm_query(f'What of Berlin in notes/2026?\\n{found}' + str(dict(days=7)))",
        "FINAL([days, weeks, since, wanted, deep, path, asked, len(found), other])",
        inputs=inputs,
    )
    assert cells[0] == (
        "days = inputs['days']\nweeks = 7 * 2\nsince = inputs['since']\nwanted = inputs['tags']\n"
        "deep = inputs['deep']\nother = True\npath = f\"{inputs['folder']}/x.md\"\n"
        "found = [t for t in context.values() if inputs['city'] in t]  # 'Berlin'\n"
    )
    assert cells[1] == (
        "asked = llm_query(f\"What of {inputs['city']} in {inputs['folder']}?\\n{found}\" + str(dict(days=inputs['days'])))\n"
    )


def test_what_was_replaced_is_told():
    distilled, _ = ran(
        "FINAL([t for t in context.values() if 'Berlin' in t])", inputs={"city": "Berlin", "n": 3}
    )
    assert [(one.cell, one.line, one.literal, one.input, one.part) for one in distilled.replaced] == [
        (1, 1, "'Berlin'", "city", False)
    ]
    assert (distilled.uses, distilled.ignores) == (("context", "inputs.city"), ("n",))


@pytest.mark.parametrize(
    "source",
    [
        "FINAL([row['words'] for row in [{'words': len(context)}]])",  # a field that is named as an input's value
        "FINAL(len(context) + 3)",  # a small number
        "FINAL(llm_query(f'Count the words in {context}'))",  # a common word in a sentence
        "FINAL(getattr(context, 'get', None) is not None and len(context))",
        "match len(context):\n    case 20260101:\n        FINAL('no')\n    case n:\n        FINAL(n)",  # takes no expression
    ],
)
def test_what_may_be_chance_is_not_replaced(source):
    assert program(source, inputs={"unit": "words", "n": 3, "since": 20260101}) == [source + "\n"]


def test_a_literal_that_may_be_one_of_two_inputs_goes_by_its_name_or_stays():
    inputs = {"first": "Berlin", "second": "Berlin"}
    distilled, _ = ran("second = 'Berlin'\nx = 'Berlin'", "FINAL([second, x, len(context)])", inputs=inputs)
    assert isinstance(distilled, Distilled)
    assert distilled.cells[0] == "second = inputs['second']\nx = 'Berlin'\n"
    assert distilled.doubts == ("cell 1, line 2: 'Berlin' may be any of `first`, `second`",)


@pytest.mark.parametrize(
    ("source", "literal"),
    [
        ("FINAL('Seven lamps')", "`'Seven lamps'`"),
        ("FINAL({'n': len(context), 'lamps': 73})", "`73`"),
        ("FINAL({'n': len(context), 'loss': -2.5})", "`-2.5`"),
        ("said = 'Bonn'\nFINAL([said, len(context)])", "`'Bonn'`"),
        ("rows = []\nrows.append({'town': 'Bonn'})\nFINAL([rows, len(context)])", "`'Bonn'`"),
        ("def said():\n    return 'Bonn'\nFINAL([said(), len(context)])", "`'Bonn'`"),
        ("FINAL(f'From 21 to 26 degrees, {len(context)} lamps')", "`'From 21 to 26 degrees, '`"),
    ],
)
def test_an_answer_that_is_written_in_is_refused(source, literal):
    reason = refusal("print('looked')", source)
    line = source.count("\n", 0, max(0, source.find(literal.strip("`-")))) + 1
    assert reason == f"the answer is written into the program: cell 2, line {line}: {literal}"


@pytest.mark.parametrize(
    "source",
    [
        "FINAL('yes' if 'Bonn' in context['notes/a.md'] else 'no')",
        "said = 'no'\nfor text in context.values():\n    if 'fog' in text:\n        said = 'yes'\nFINAL(said)",
        "FINAL([{'kind': 'note', 'name': name} for name in context])",
        "FINAL({'done': True, 'left': 0, 'n': len(context)})",
        "FINAL(f'{len(context)} lamps')",
        "FINAL(round(len(context) / 3, 2))",
        "FINAL(f'# The open points that nothing later settles, by owner\\n{sorted(context)}')",
        "rank = {'notes/a.md': 31, 'notes/b.md': 32}\nFINAL([rank[name] for name in context])",
        "FINAL([{'notes/a.md': 'early'}.get(name, 'late') for name in context])",
    ],
)
def test_constants_that_data_chose_or_that_say_nothing_are_no_answer(source):
    assert program(source) == [source + "\n"]


def test_a_constant_that_the_task_names_may_stand_in_the_answer():
    cells = [CellRun(1, "FINAL({'scale': 'degrees', 'n': len(context)})")]
    answer = {"scale": "degrees", "n": 2}
    assert isinstance(distil(cells, {}, Seen(answer=answer)), Refused)
    assert isinstance(
        distil(cells, {}, Seen(answer=answer, task="Give `scale` (degrees or kelvin) and `n`.")), Distilled
    )


@pytest.mark.parametrize(
    "source",
    [
        "names = ['notes/a.md', 'notes/b.md']\nFINAL({name: llm_query(context[name]) for name in names})",
        "FINAL(llm_query(context['notes/b.md']))",
        "facts = 'Bonn has 4 lamps.'\nFINAL(llm_query(facts + str(len(context))))",
        "FINAL(llm_query(f'''Write a report. What is known:\nBerlin has 3 lamps.\nThe lamp was out.\n{len(context)}'''))",
    ],
)
def test_what_the_model_copied_from_what_it_saw_is_refused_when_it_flows_into_the_answer(source):
    reason = refusal("print(list(context))\nfor text in context.values():\n    print(text)", source)
    assert reason.startswith("what the answer is made of was copied from what cell 1 showed: cell 2, line ")


@pytest.mark.parametrize(
    "source",
    [
        "FINAL([row['department'] for row in context])",  # the name of a field
        "FINAL(sum(row['amount'] for row in context if row['department'] == 'shipping and handling'))",  # a comparison
        "import re\nFINAL(len(re.findall('shipping and handling', str(context))))",  # a pattern
    ],
)
def test_what_was_seen_and_only_picks_or_compares_is_reported_or_passes(source):
    rows = [{"department": "shipping and handling", "amount": 3}, {"department": "sales", "amount": 4}]
    assert program("print(context)", source, context=rows)[-1] == source + "\n"


def test_literals_that_were_seen_and_do_not_flow_into_the_answer_are_reported():
    rows = [{"department": "shipping and handling"}, {"department": "sales"}]
    distilled, _ = ran(
        "print(context)",
        "FINAL(len([r for r in context if r['department'] == 'shipping and handling']))",
        context=rows,
    )
    assert [(one.cell, one.line, one.text, one.source) for one in distilled.copied] == [
        (2, 1, "department", "what cell 1 showed"),
        (2, 1, "shipping and handling", "what cell 1 showed"),
    ]


def test_what_a_cell_printed_of_its_own_literals_is_no_copy():
    program(
        "kinds = ['decision', 'open point']\nprint(kinds)",
        "FINAL([llm_query(f'{k}: {context}') for k in ['decision', 'open point']])",
    )


def test_cells_of_one_reply_have_not_seen_what_the_others_showed():
    cells = [
        CellRun(1, "print(sorted(context))", iteration=1),
        CellRun(2, "FINAL(llm_query(context['notes/a.md']))", iteration=1),
    ]
    assert isinstance(distil(cells, {}, Seen(["['notes/a.md']", ""])), Distilled)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("FINAL(len('abc') * 14)", "the answer depends on no input, context, skill or sub-call"),
        (
            "n = len(context)\nFINAL([m for m in range(3)])",
            "the answer depends on no input, context, skill or sub-call",
        ),
        (
            "FINAL(llm_query('What is the capital of France?'))",
            "the answer comes of prompts that hold nothing of the inputs, the context or a skill's results",
        ),
    ],
)
def test_a_program_that_ignores_its_inputs_is_refused(source, reason):
    assert refusal(source, inputs={"country": "Spain"}) == reason


def test_a_sub_call_alone_is_enough_where_there_are_no_inputs():
    assert isinstance(distil([CellRun(1, "FINAL(llm_query('A riddle, please.'))")], {}), Distilled)


def test_how_the_answer_hangs_on_what_is_given_is_told():
    strong, _ = ran("FINAL(len(context))")
    weak, _ = ran("FINAL('many' if len(context) > 1 else 'few')")
    assert (strong.depends, weak.depends) == ("data", "control")


def test_globals_and_eval_keep_all_that_they_may_read():
    assert program("n = len(context)\nm = 2", "FINAL(eval('n + m'))") == [
        "n = len(context)\nm = 2\n",
        "FINAL(eval('n + m'))\n",
    ]


NAMES = st.sampled_from("abcd")
# A list may hold itself: what goes through one while it grows goes through a copy, or would never end.
LINES = st.sampled_from(
    [
        "{v} = []",
        "{v} = {{}}",
        "{v} = len(context)",
        "{v} = sorted(context)",
        "{v} = {w}",
        "{v} = [{w}, {u}]",
        "{v} = {{'k': {w}}}",
        "{v} = {w}[0]",
        "{v} = {w}['k']",
        "{v} = {w} if {u} else 'words'",
        "{v} = list({w})",
        "{v} = {w}[:1]",
        "{v}.append({w})",
        "{v}.append(len({w}))",
        "{v}.extend(context)",
        "{v}['k'] = {w}",
        "{v}[0] = {w}",
        "{v} += [{w}]",
        "{v}.clear()",
        "del {v}",
        "{v}, {w} = {w}, {v}",
        "{v} = llm_query(str({w}))",
        "{v} = [llm_query(str(x)) for x in {w}]",
        "print({v}, {w})",
        "{v}",
        "({v} := {w})",
        "assert {v} is not None",
        "for x in range(2):\n    {v}.append({w})",
        "for x in list({v}):\n    x.append(1)",
        "for x in {v}:\n    {w} = x",
        "for {v} in [{w}, {u}]:\n    {v}.append(2)",
        "if {v}:\n    {w} = len(context)\nelse:\n    {u} = 7",
        "if {v}:\n    {w} = len(context)\nelse:\n    {w} = []",
        "while len({v}) < 3:\n    {v}.append({w})",
        "try:\n    {v} = {w}['k']\nexcept Exception as error:\n    {u} = str(error)",
        "def f(x, y=1):\n    x.append({w})\n    return {v}",
        "def f(x):\n    z = [x, {w}]\n    return z",
        "def f(x):\n    global {v}\n    {v} = [x]",
        "def f(x):\n    for y in list({v}):\n        y.append(x)",
        "{v} = f({w})",
        "f({w})",
        "{v} = list(map(f, {w}))",
        "g = lambda: {v}",
        "{v} = g()",
        "g = {v}.append",
        "g({v})",
        "_ = [x.append(9) for x in list({v})]",
        "import json",
        "{v} = json.dumps({w})",
        "{v} = {w}.pop()",
        "{v} = {w}.copy()",
        "{v} = dict(enumerate([{w}]))",
        "{v}.setdefault('k', []).append({w})",
        "answer['content'] = {v}",
        "class C:\n    held = {v}",
        "C.held = {v}",
        "{v} = C.held",
        "context = {v}",
        "x = {v}; y = {w}; {u} = [x, y]",
    ]
)
STATEMENTS = st.builds(lambda line, v, w, u: line.format(v=v, w=w, u=u), LINES, NAMES, NAMES, NAMES)
# No more than 16 statements: each may double what a list holds.
CELLS = st.lists(st.lists(STATEMENTS, min_size=1, max_size=4).map("\n".join), max_size=4)
START = "a = [len(context)]\nb = []\nc = {'k': [1]}\nd = [[2], []]\ndef f(x): return x\ndef g(*x): return b\nclass C: held = a\n"
ENDS = st.sampled_from(
    [
        "FINAL([a, b, c, d])",
        "FINAL([a, len(context)])",
        "FINAL([b, c, inputs])",
        "FINAL_VAR('d')",
        "answer['ready'] = True",
    ]
)


@settings(max_examples=200, deadline=None)
@given(CELLS, ENDS)
@example(["a[0] = b\nd += [a]\na = []\nwhile len(b) < 3:\n    b.append(a)"], "FINAL_VAR('d')")
def test_a_distilled_program_gives_the_answer_of_the_run(cells, end):
    inputs = {"topic": "words", "k": 7}
    session = Repl(NOTES, dict(inputs)).run([START, *cells, end])
    distilled = distil(
        session.cells, inputs, Seen(context=NOTES, answer=session.answer, task="k words 7 9 2")
    )
    if not session.answered or isinstance(distilled, Refused):
        return
    for cell in distilled.cells:
        ast.parse(cell)
    again = Repl(NOTES, dict(inputs)).run(distilled.cells)
    assert [cell for cell in again.cells if cell.failed] == []
    assert again.answer == session.answer
    assert sum(len(cell.calls) for cell in again.cells) <= sum(len(cell.calls) for cell in session.cells)


@settings(max_examples=100, deadline=None)
@given(CELLS, ENDS)
def test_to_distil_twice_is_to_distil_once(cells, end):
    inputs = {"topic": "words", "k": 7}
    session = Repl(NOTES, dict(inputs)).run([START, *cells, end])
    seen = Seen(answer=session.answer, task="k words 7 9 2")
    once = distil(session.cells, inputs, seen)
    if isinstance(once, Distilled):
        runs = [CellRun(number, source) for number, source in zip(once.numbers, once.cells, strict=True)]
        twice = distil(runs, inputs, seen)
        assert isinstance(twice, Distilled), twice
        assert (twice.cells, twice.dropped, twice.replaced) == (once.cells, (), ())


@given(st.lists(st.text("ab()=:[]{}'\"#\\\n \tf", max_size=30), max_size=4))
def test_cells_of_any_form_are_distilled_or_refused(sources):
    assert isinstance(
        distil([CellRun(n, source) for n, source in enumerate(sources)], {"a": "b"}), Distilled | Refused
    )


EVIDENCE = {
    "run": "20261126-150337-000163",
    "at": "2026-11-26T15:03:37.851Z",
    "workflow_version": "11779b88",
    "checks": ["output", 'sources: are "real"'],
    "usd": 0.25,
    "tokens": 8560,
    "calls": 8,
}


def test_a_document_is_read_back_as_the_strategy_that_it_says():
    distilled, _ = ran(
        "hits = [t for t in context.values() if 'Berlin' in t]\n",
        "FINAL(hits)",
        inputs={"city": "Berlin", "n": 3},
    )
    text = document(learned_name(distilled.cells), "lamps", distilled, EVIDENCE)
    read = parse_strategy(text, Path("memory/strategies/lamps/x.md"))
    assert tuple(cell.source for cell in read.cells) == distilled.cells
    assert read.name == learned_name(distilled.cells)
    assert read.evidence == Evidence(
        EVIDENCE["run"], EVIDENCE["at"], "lamps", "11779b88", tuple(EVIDENCE["checks"]), 0.25, 8560, 8
    )
    assert text.split("---\n")[2] == (
        "# Learned for lamps\n\n"
        "Reads `context`, `inputs.city`. Does not read `inputs.n`. What stood for `city` was written into its cells and is "
        "read now. Its run passed 2 checks.\n\n"
        "```repl\nhits = [t for t in context.values() if inputs['city'] in t]\n```\n\n```repl\nFINAL(hits)\n```\n"
    )


@given(
    st.lists(
        st.sampled_from(
            ["x = 1", "```", "````repl", "y = '''", "~~~", "'''", "---", "# a", "", "    z", "\ttab"]
        ),
        min_size=1,
        max_size=8,
    )
)
def test_cells_come_back_whatever_fences_they_hold(lines):
    source = "\n".join(["a = 0", *lines, "b = 1"]) + "\n"
    text = document("learned-x", "lamps", Distilled((source, "FINAL(1)\n")), {})
    assert [cell.source for cell in parse_strategy(text, Path("x.md")).cells] == [source, "FINAL(1)\n"]
