"""The strategies that need no root model: what each asks, and that nothing is lost between its questions."""

from __future__ import annotations

import json

import pytest
from test_model_runs import cell, sub

from orchestrator.runs.fan_out import FanOut, Price, n_below
from orchestrator.strategies.choose import BUILT_IN, document_of, misfit

OUTPUT = "output: {type: object, required: [n], properties: {n: {type: integer}}}"
WINDOW = '[models.sub]\nmodel = "recorded:script.json"\nwindow = 4000\n'


def prompts(place) -> list[str]:
    return [
        event.fields["arguments"]["prompt"]
        for event in place.events
        if event.event == "call_started" and event.fields["kind"] == "llm"
    ]


def solve(place, strategy: str, *replies, text: str = "short", head: str = "", **request):
    """Run one strategy over a text, with a sub model of 4,000 tokens: `chunk_bytes` is 7,200."""
    place.script(*replies)
    place.write("orchestrate.toml", WINDOW)
    place.write("text.txt", "")
    (place.root / "text.txt").write_text(text)
    head = f"context: [text.txt]\n{head}"
    return place.solve(
        *replies, head=head, body="COUNT them.", model=None, sub_model="sub", strategy=strategy, **request
    )


def test_direct_asks_once_with_everything(place):
    result = solve(place, "direct", sub('{"n": 3}'), text="a b c", head=OUTPUT)
    assert (result.status, result.answer, result.strategy, result.usage.calls) == (
        "answered",
        {"n": 3},
        "direct",
        1,
    )
    assert prompts(place) == ["COUNT them.\n\n# Material\n=== text.txt ===\na b c"]


def test_direct_gives_text_where_no_form_is_asked_for(place):
    assert solve(place, "direct", sub("three of them")).answer == "three of them"


def test_grep_reads_the_passages_that_fit_and_no_others(place):
    text = "\n".join(f"line {n} of nothing" for n in range(3000)) + "\nthe needle is 42\n" + "more\n" * 3000
    result = solve(
        place,
        "grep",
        {"role": "sub", "match": "Name up to 12", "json": {"patterns": ["NEEDLE", "(unclosed"]}},
        {"role": "sub", "match": "the needle is 42", "json": {"found": True, "answer": {"n": 42}}},
        text=text,
        head=OUTPUT,
    )
    assert (result.answer, result.usage.calls) == ({"n": 42}, 2)
    assert max(map(len, prompts(place))) < 8000


@pytest.mark.parametrize(
    ("patterns", "found", "said"),
    [
        (["nowhere"], None, "no passage fits"),
        (["line"], {"found": False, "answer": {"n": 0}}, "do not hold the answer"),
    ],
)
def test_grep_that_finds_nothing_has_failed_and_gives_no_answer(place, patterns, found, said):
    replies = [{"role": "sub", "match": "Name up to 12", "json": {"patterns": patterns}}]
    replies += [{"role": "sub", "json": found}] if found else []
    result = solve(place, "grep", *replies, text="line\n" * 3000, head=OUTPUT)
    assert (result.status, result.answer) == ("failed", None)
    assert said in result.message


def test_map_reduce_reads_every_part_once_and_answers_from_the_notes(place):
    text = "".join(f"word{n:05} " for n in range(4000))
    result = solve(
        place,
        "map-reduce",
        {"role": "sub", "match": r"part (\d+) of", "reply": "NOTHING", "times": 2},
        {"role": "sub", "match": r"part (\d+) of", "reply": "a note", "times": 0},
        {"role": "sub", "match": "from these notes", "json": {"n": 7}},
        text=text,
        head=OUTPUT,
    )
    assert result.answer == {"n": 7}
    parts = [one for one in prompts(place) if "Write down all that it says" in one]
    read = "".join(one.split("===\n", 1)[1] for one in parts)
    assert read == text
    assert prompts(place)[-1].count("a note") == len(parts) - 2


def test_map_reduce_asks_again_for_a_part_that_failed_and_never_answers_without_it(place):
    failed = {
        "role": "sub",
        "match": "part 2 of",
        "error": {"fault": "server", "message": "busy", "retryable": True},
    }
    noted = {"role": "sub", "match": "Write down all", "reply": "a note", "times": 0}
    final = {"role": "sub", "match": "from these notes", "reply": "all"}
    text = "x" * 20_000
    assert solve(place, "map-reduce", failed, noted, final, text=text).answer == "all"
    lasting = {**failed, "times": 0}
    result = solve(place, "map-reduce", lasting, noted, final, text=text)
    assert (result.status, result.answer) == ("failed", None)
    assert "busy" in result.message


def test_split_recurse_gives_each_section_to_a_call_of_its_own(place):
    text = "".join(f"section {n // 400:02} line {n:05}\n" for n in range(2400))
    child = {
        "role": "root",
        "match": "COUNT them.",
        "reply": "```repl\nFINAL(str(len(context)))\n```",
        "times": 0,
    }
    result = solve(place, "split-recurse", child, sub('{"n": 4}', match="# Sections"), text=text, head=OUTPUT)
    assert result.answer == {"n": 4}
    children = place.calls("rlm")
    assert len(children) in (4, 5)
    labels = len(children) * len("=== text.txt (part 1) ===\n")
    assert sum(int(one["value"]) for one in children) == len(text) + labels


def test_verify_refine_corrects_what_an_examination_finds(place):
    result = solve(
        place,
        "verify-refine",
        {"role": "sub", "match": r"\ACOUNT them.\n\n# Material", "json": {"n": 2}},
        {"role": "sub", "match": "(?s)Examine the answer.*short", "json": {"mistakes": ["c was left out"]}},
        {"role": "sub", "match": "(?s)c was left out", "json": {"n": 3}},
        {"role": "sub", "match": "Examine the answer", "json": {"mistakes": []}},
        head=OUTPUT,
    )
    assert (result.answer, result.usage.calls) == ({"n": 3}, 4)


def test_strategies_that_do_not_fit_the_context_are_passed_over(place):
    result = solve(
        place, None, sub('{"n": 1}'), text="small", head=f"{OUTPUT}\nstrategies: [grep, map-reduce, direct]"
    )
    assert [one.strategy for one in result.attempts] == ["direct"]


def test_the_next_strategy_is_tried_and_hears_why_the_last_one_failed(place):
    result = solve(
        place,
        None,
        sub("not a number", times=2),
        {"role": "sub", "match": r"\ACOUNT", "json": {"n": 2}},
        {"role": "sub", "match": "Examine", "json": {"mistakes": []}},
        head=f"{OUTPUT}\nstrategies: [direct, verify-refine]",
    )
    assert [(one.strategy, one.outcome) for one in result.attempts] == [
        ("direct", "error"),
        ("verify-refine", "ok"),
    ]
    assert result.answer == {"n": 2}


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_says_what_it_is_for_and_when_it_applies(name):
    document = document_of(name)
    assert document.name == name
    assert len(document.description) > 40
    assert misfit(document, 100_000, 128_000, 3) is None or document.fit.max_windows is not None


def test_a_context_of_the_wrong_size_is_told_with_both_sizes():
    assert (
        misfit(document_of("direct"), 10_000_000, 8000, 3)
        == "`direct` is not for a context of 10,000,000 bytes: it is too large"
    )
    assert (
        misfit(document_of("grep"), 10, 8000, 3) == "`grep` is not for a context of 10 bytes: it is too small"
    )
    assert (
        misfit(document_of("split-recurse"), 100_000, 8000, 0)
        == "`split-recurse` needs 1 levels of depth, 0 are left"
    )


def test_the_calls_that_stay_below_a_price_are_counted_in_order():
    prices = [Price(1, 100, 0.1)] * 5
    assert n_below(prices, FanOut(usd=0.35)) == 3
    assert n_below(prices, FanOut(tokens=100)) == 1
    assert n_below(prices, FanOut(calls=0)) == 0
    assert n_below(prices, FanOut()) == 5


def test_pieces_hold_everything_once_in_order(place):
    source = (
        "texts = {'a': 'x' * 30, 'b': 'y' * 5, 'c': ['z', 1]}\n"
        "FINAL([pieces(texts, 60), pieces('one\\ntwo\\nthree', 9), pieces([], 5), pieces(['p', 'q'], 100)])"
    )
    labelled, cut, nothing, listed = place.run(source).answer
    assert labelled == ["=== a ===\n" + "x" * 30 + "\n\n=== b ===\nyyyyy", '=== c ===\n["z", 1]']
    assert cut == ["one\ntwo\n", "three"]
    assert nothing == [""]
    assert listed == ["=== [0] ===\np\n\n=== [1] ===\nq"]
    assert json.dumps(labelled)


def test_a_skill_asks_models_through_its_ctx(place):
    maths = place.root / "skills/maths/maths.py"
    maths.write_text(
        f"{maths.read_text()}\n\ndef double(ctx, n: int) -> dict:\n"
        "    said = ctx.llm_query('how much is it?')\n"
        "    deep = ctx.rlm_query('CHILD', context=said)\n"
        "    return {'n': n + len(deep)}\n"
    )  # the later one counts
    result = place.run(
        "FINAL(skills.maths.double(n=1))",
        head="skills: [maths]",
        model=place.script(cell("FINAL(context * 2)", match="CHILD"), sub("abc")),
    )
    assert result.answer == {"n": 7}
    assert [(one["call"], one["calls"]) for one in place.calls("skill")] == [("0.1", 2)]
    assert [one["call"] for one in place.calls("rlm")] == ["0.1.2"]


def test_a_prompt_entry_is_filled_asked_and_checked(place):
    manifest = (place.root / "skills/maths/manifest.yaml").read_text()
    entry = (
        "  guess:\n    entry: {prompt: guess.md}\n    input: {type: object, required: [n], properties: {n: {type: integer}}}\n"
        "    output: {type: object, required: [n]}\n    effects: none\n"
    )
    (place.root / "skills/maths/manifest.yaml").write_text(
        manifest.replace("default: double", f"{entry}default: double")
    )
    (place.root / "skills/maths/guess.md").write_text("Guess something near {{n}}.")
    model = place.script({"role": "sub", "match": r"\AGuess something near 7\.", "json": {"n": 8}})
    result = place.run("FINAL(skills.maths.guess(n=7))", head="skills: [maths]", model=model)
    assert result.answer == {"n": 8}
