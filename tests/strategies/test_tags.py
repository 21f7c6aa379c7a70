"""What realistic cells did, told by their syntax and the calls that were made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.strategies.choose import document_of
from orchestrator.strategies.distilling.cell_run import CallMade, CellRun
from orchestrator.strategies.distilling.tags import tags


def run(*cells):
    """Cells as they ran: sources, or a source with the kinds of the calls that it made."""
    made = [(cell, ()) if isinstance(cell, str) else (cell[0], cell[1:]) for cell in cells]
    return [
        CellRun(number, source, calls=tuple(CallMade(kind) for kind in kinds), iteration=number)
        for number, (source, kinds) in enumerate(made, 1)
    ]


def told(*cells):
    return set(tags(run(*cells)))


@pytest.mark.parametrize(
    "source",
    [
        "print(context[:500])",
        "print(type(context), len(context))",
        "SHOW_VARS()",
        "print(SHOW_VARS())",
        "context[:300]",
        "head = context[:1000]\nprint(head)",
        "for name, text in context.items():\n    print(name, len(text))",
        "print(list(context)[:5])",
        "print(f'{len(context)} files, the first is {next(iter(context))}')",
        "def look(text, n=200):\n    print(text[:n])\nlook(context)",
        "(sample := context[:10])",
        "print(inputs['text'][-500:])",
    ],
)
def test_looking_at_the_material_is_a_peek(source):
    assert told(source) == {"peek", "code_only"}


@pytest.mark.parametrize(
    "source",
    [
        "import re\nhits = re.findall(r'lamp \\w+', context)",
        "from re import findall\nhits = findall('lamp', context)",
        "from re import findall as fa\nhits = fa('lamp', context)",
        "import re as regex\nhits = [m.group() for m in regex.finditer('lamp', context)]",
        "import re\npattern = re.compile('lamp')\nhits = [pattern.search(line) for line in context.splitlines()]",
        "hits = [line for line in context.splitlines() if 'lamp' in line]",
        "hits = [line for line in context.splitlines() if 'lamp' in line.lower()]",
        "hits = [line for line in context.splitlines() if line.startswith('ERROR')]",
        "at = context.find('lamp')",
        "hits = context.grep('lamp', limit=20)",
        "hits = []\nfor name, text in context.items():\n    if 'lamp' in text:\n        hits.append(name)",
        "n = context.count('lamp')",
        "hits = list(filter(lambda line: 'lamp' in line, context.splitlines()))",
        "def fits(line):\n    return 'lamp' in line\nhits = [line for line in context.splitlines() if fits(line)]",
    ],
)
def test_searching_the_material_with_code_is_a_grep(source):
    assert told(source) == {"grep", "code_only"}


def test_printing_what_was_found_is_no_peek():
    assert told("hits = [l for l in context.splitlines() if 'x' in l]\nprint(len(hits))\nprint(hits)") == {
        "grep",
        "code_only",
    }


@pytest.mark.parametrize(
    "source",
    [
        "parts = pieces(context, 50_000)\nnotes = [llm_query(f'Note: {part}') for part in parts]",
        "parts = [context[i:i + 5000] for i in range(0, len(context), 5000)]\nnotes = llm_query_batched(parts)",
        "n = 5000\nnotes = []\ni = 0\nwhile i < len(context):\n    notes.append(llm_query(context[i:i + n]))\n    i += n",
        "notes = llm_query_batched([f'Note: {part}' for part in context.chunks(40_000)])",
        "notes = [llm_query('Note: ' + part) for part in context.split('\\n\\n')]",
        "import re\nnotes = [llm_query('Note: ' + part) for part in re.split(r'\\n# ', context)]",
        "def cut(text, n):\n    return [text[k * n:(k + 1) * n] for k in range(len(text) // n + 1)]\nnotes = llm_query_batched(cut(context, 4000))",
        "notes = [llm_query('Judge: ' + line) for line in context.splitlines()]",
    ],
)
def test_a_call_for_each_piece_is_chunk_and_map(source):
    assert told((source, "llm", "llm", "llm")) == {"chunk", "map"}


@pytest.mark.parametrize(
    "source",
    [
        "out = {name: llm_query(text) for name, text in context.items()}",
        "out = []\nfor name in sorted(context):\n    out.append(llm_query(f'{name}: {context[name]}'))",
        "ask = llm_query\nout = [ask(text) for text in context.values()]",
        "from functools import partial\nask = partial(llm_query, model='small')\nout = [ask(text) for text in context.values()]",
        "def note(text):\n    return llm_query(f'Note {text}')\nout = [note(text) for text in context.values()]",
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(8) as pool:\n    out = list(pool.map(llm_query, context.values()))",
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor() as pool:\n    jobs = [pool.submit(llm_query, text) for text in context.values()]\nout = [job.result() for job in jobs]",
        "out = list(map(lambda text: llm_query('Note ' + text), context.values()))",
        "texts = list(context.values())\nout = [llm_query(texts[i]) for i in range(len(texts))]",
        "prompts = []\nfor text in context.values():\n    prompts.append(f'Note {text}')\nout = llm_query_batched(prompts)",
    ],
)
def test_a_call_for_each_of_many_is_a_map(source):
    assert told((source, "llm", "llm")) == {"map"}


def test_results_of_a_map_in_another_sub_call_are_map_reduce():
    cells = (
        ("notes = llm_query_batched([f'Note: {text}' for text in context.values()])", "llm", "llm"),
        ("joined = '\\n'.join(notes)\nFINAL(llm_query(f'Put together:\\n{joined}'))", "llm"),
    )
    assert told(*cells) == {"map", "map_reduce"}


def test_results_of_a_map_that_code_puts_together_are_no_map_reduce():
    assert told(
        ("notes = llm_query_batched(list(context.values()))\nFINAL('\\n'.join(notes))", "llm", "llm")
    ) == {"map"}


def test_asking_again_until_it_fits_is_no_map():
    source = "for attempt in range(3):\n    reply = llm_query(f'List the names in {context}')\n    if reply.startswith('['):\n        break"
    assert "map" not in told((source, "llm", "llm"))


@pytest.mark.parametrize(
    "source",
    [
        "FINAL(llm_query(f'Summarise:\\n{context}'))",
        "material = '\\n\\n'.join(context.values())\nFINAL(llm_query('Summarise:\\n' + material))",
        "text = context['book.txt']\nreply = llm_query('Summarise:\\n' + text)\nFINAL(reply)",
        "material = '\\n'.join(f'{name}: {text}' for name, text in context.items())\nFINAL(llm_query(material))",
        "FINAL(llm_query('Summarise:\\n' + inputs['text']))",
    ],
)
def test_one_sub_call_with_everything_is_direct(source):
    assert told((source, "llm")) == {"direct"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("FINAL(llm_query(context[:5000]))", set()),
        (
            "hits = [l for l in context.splitlines() if 'x' in l]\nFINAL(llm_query('\\n'.join(hits)))",
            {"grep"},
        ),
        ("FINAL(llm_query(inputs['question'] + context[:5000]))", set()),
    ],
)
def test_one_sub_call_with_a_part_is_not_direct(source, expected):
    assert told((source, "llm")) == expected


@pytest.mark.parametrize(
    "second",
    [
        "assert found['quote'] in context",
        "print(found['quote'] in context)",
        "if found['quote'] not in context:\n    raise ValueError('no such quote')",
        "if all(quote in context for quote in found['quotes']):\n    FINAL(found)",
    ],
)
def test_comparing_a_result_with_the_material_is_to_verify(second):
    assert "verify" in told(("found = llm_query(f'Quote: {context}')", "llm"), second)


@pytest.mark.parametrize(
    "second",
    [
        "verdict = llm_query(f'Is this right? {draft}')\nif verdict.startswith('YES'):\n    FINAL(draft)",
        "verdict = llm_query(f'Is this right? {draft}', schema=FORM)\nif verdict['mistakes']:\n    draft = llm_query(f'{draft} {verdict}')\nFINAL(draft)",
        "verdict = llm_query(f'Is this right? {draft}')\nassert 'yes' in verdict.lower()\nFINAL(draft)",
        "ok = llm_query(f'Is this right? {draft}').strip() == 'YES'\nFINAL(draft if ok else None)",
        "again = llm_query(f'Summarise anew: {context}')\nif again == draft:\n    FINAL(draft)",
    ],
)
def test_a_call_that_judges_a_result_is_to_verify(second):
    assert "verify" in told(("draft = llm_query(f'Summarise {context}')", "llm"), (second, "llm", "llm"))


@pytest.mark.parametrize(
    "second",
    [
        "good = [note for note in notes if note.strip() != 'NOTHING']\nFINAL('\\n'.join(good))",
        "good = [note for note in notes if not isinstance(note, SubCallError)]\nFINAL(good)",
        "FINAL([n for n, note in zip(context, notes) if note])",
    ],
)
def test_leaving_out_empty_results_is_not_to_verify(second):
    assert "verify" not in told(("notes = llm_query_batched(list(context.values()))", "llm", "llm"), second)


def test_searching_for_words_that_a_model_named_is_a_grep_and_not_to_verify():
    cells = (
        ("words = llm_query(f'Name words for {task}', schema=FORM)", "llm"),
        "hits = [line for line in context.splitlines() if any(word in line for word in words)]",
    )
    assert told(*cells) == {"grep"}


def test_recursive_calls_are_recurse():
    source = "answers = rlm_query_batched(['Examine'] * len(context), contexts=list(context.values()))"
    assert told((source, "rlm", "rlm")) == {"map", "recurse"}


def test_skill_calls_are_tagged_without_their_names():
    assert told(("n = skills.word_count(path='a.txt')", "skill")) == {"skill", "code_only"}
    assert told(("n = skills.word_count.map([{'path': p} for p in context])", "skill", "skill")) == {
        "map",
        "skill",
        "code_only",
    }


def test_a_call_that_is_only_written_and_not_made_counts_for_nothing():
    source = "def ask(text):\n    return rlm_query(text)\nif len(context) > 10**9:\n    x = [llm_query(t) for t in context]"
    assert told(source) == {"code_only"}


def test_what_stands_after_the_line_that_failed_did_not_happen():
    cell = CellRun(1, "x = 1\ny = 1 / 0\nprint(context[:100])\n", failed=True, failed_line=2)
    assert tags([cell]) == ("code_only",)


def test_a_cell_that_is_no_python_contributes_its_calls():
    cell = CellRun(1, "notes = [llm_query(", calls=(CallMade("llm"),) * 3 + (CallMade("skill"),))
    assert tags([cell]) == ("map", "skill")


def test_no_cells_made_no_sub_call():
    assert tags([]) == ("code_only",)


@pytest.mark.parametrize(
    ("name", "kinds", "expected"),
    [
        ("direct", ["llm"], ("direct",)),
        ("grep", ["llm"], ("chunk", "grep")),
        ("map-reduce", ["llm"] * 3, ("chunk", "map", "map_reduce")),
        ("split-recurse", ["rlm", "llm"], ("chunk", "map", "map_reduce", "recurse")),
        ("verify-refine", ["llm"] * 3, ("verify",)),
    ],
)
def test_the_built_in_strategies_do_what_they_are_named_for(name, kinds, expected):
    cells = [(cell.source, *(kinds if "_query" in cell.source else ())) for cell in document_of(name).cells]
    assert tags(run(*cells)) == expected


WORDS = "context inputs llm_query rlm_query x y ( ) [ ] : = , . + in for if def lambda return print FINAL 'a' 1 {} f'{x}'"
LINES = [
    "\n",
    "\n    ",
    " ",
    "import re\n",
    "context[:9]",
    "[x for x in y]",
    "llm_query(x)\n",
    "(z := 3)",
    "while x:\n",
]
FRAGMENTS = st.sampled_from([*WORDS.split(), *LINES])


@given(st.lists(st.lists(FRAGMENTS, max_size=12).map("".join), max_size=4), st.booleans())
def test_it_never_raises_and_is_sorted(sources, failed):
    cells = [
        CellRun(n, source, failed=failed, failed_line=1, calls=(CallMade("llm"),))
        for n, source in enumerate(sources)
    ]
    found = tags(cells)
    assert found == tuple(sorted(set(found))) == tags(cells)
