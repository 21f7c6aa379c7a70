"""Other inputs: a program that reads them comes to another answer."""

import copy
import json

import pytest
from cells_that_ran import Repl
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.strategies.distilling.perturb import MAX_OF_ONE, other_text, perturbed

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
INPUTS = st.dictionaries(st.text(max_size=6), JSON, max_size=4)


def same(one, other):
    return json.dumps(one) == json.dumps(
        other
    )  # as JSON: 1 and True are two values, and the order of keys is seen


def test_each_variation_has_one_other_value():
    found = perturbed({"folder": "notes", "days": 7, "deep": True, "tags": ["a", "b"]})
    assert found[:4] == [
        {"folder": "otesn", "days": 7, "deep": True, "tags": ["a", "b"]},
        {"folder": "notes", "days": 8, "deep": True, "tags": ["a", "b"]},
        {"folder": "notes", "days": 7, "deep": False, "tags": ["a", "b"]},
        {"folder": "notes", "days": 7, "deep": True, "tags": ["ax", "bx"]},
    ]


def test_numbers_and_words_of_a_text_are_others_and_its_form_stays():
    assert (
        other_text("# Trial A, 2021\n\n- 6 % of 09 batches\n") == "# rialT Ax, 2022\n\n- 7 % fo 10 atchesb\n"
    )


def test_a_context_has_other_texts_fewer_texts_and_another_order():
    found = [list(one["context"].items()) for one in perturbed({"context": {"a.md": "one", "b.md": "two"}})]
    assert found == [
        [("a.md", "neo"), ("b.md", "wot")],
        [("b.md", "two")],
        [("a.md", "one")],
        [("b.md", "two"), ("a.md", "one")],
        [("a.md", "neo"), ("b.md", "two")],
        [("a.md", "one"), ("b.md", "wot")],
    ]


def test_what_is_empty_has_no_variation():
    assert perturbed({"a": None, "b": [], "c": {}, "d": ""}) == []
    assert perturbed({}) == []


@pytest.mark.parametrize(
    "source",
    [
        "FINAL(len(context))",
        "FINAL([line for line in context['a.md'].splitlines() if 'lamp' in line])",
        "FINAL(sum(int(word) for text in context.values() for word in text.split() if word.isdigit()))",
        "FINAL(max(context.values(), key=len))",
        "FINAL(llm_query(str(context)))",
        "FINAL('yes' if 'fog' in context['b.md'] else 'no')",
        "FINAL(list(context)[0])",
    ],
)
def test_a_program_that_reads_its_context_gives_another_answer_for_some_variation(source):
    context = {"a.md": "Berlin has 3 lamps.\nNo rain.", "b.md": "Bonn has 4 lamps.\nMuch fog."}
    answer = Repl(context, {}).run([source]).answer
    others = [Repl(one["context"], {}).run([source]) for one in perturbed({"context": context})]
    assert any(not one.answered or one.answer != answer for one in others)


@given(INPUTS)
def test_variations_differ_from_the_inputs_and_from_each_other_in_one_value(inputs):
    before = copy.deepcopy(inputs)
    found = perturbed(inputs)
    assert same(inputs, before)
    assert same(found, perturbed(inputs))
    assert len(found) <= MAX_OF_ONE * len(inputs)
    for one in found:
        assert list(one) == list(inputs)
        assert sum(not same(one[name], inputs[name]) for name in inputs) == 1
        assert all(type(one[name]) is type(inputs[name]) for name in inputs)
        json.dumps(one, allow_nan=False)
    assert len({json.dumps(one) for one in found}) == len(found)
