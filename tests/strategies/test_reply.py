"""Replies in all the forms in which models write code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.strategies.reply import MAX_CHARS, Fence, Reading, fences, read_reply


@pytest.mark.parametrize(
    "reply",
    [
        "I look.\n```repl\nx = 1\n```\nThen more.",
        "```python\nx = 1\n```",
        "```py\nx = 1\n```",
        "```Python3\nx = 1\n```",
        "```REPL\nx = 1\n```",
        "``` repl\nx = 1\n```",
        "```{repl}\nx = 1\n```",
        "````repl\nx = 1\n````",
        "~~~repl\nx = 1\n~~~",
        "```repl\r\nx = 1\r\n```\r\n",
        "```repl\nx = 1",
        "```repl\nx = 1\n```   ",
        "1. first\n   ```repl\n   x = 1\n   ```",
        "<think>\n```repl\ny = 2\n```\n</think>\n```repl\nx = 1\n```",
        "An example is\n```python\ny = 2\n```\nand I run\n```repl\nx = 1\n```",
    ],
)
def test_a_cell_is_found_in_any_sane_fence(reply):
    assert read_reply(reply) == Reading(("x = 1\n",))


def test_all_cells_of_a_reply_come_in_order():
    reply = "```repl\na = 1\n```\nand\n```repl\nb = 2\n```"
    assert read_reply(reply).cells == ("a = 1\n", "b = 2\n")


def test_a_fence_inside_a_text_in_triple_quotes_does_not_end_the_cell():
    source = 'prompt = """Reply with\n```\njson\n```\n"""\nFINAL(prompt)\n'
    assert read_reply(f"```repl\n{source}```\nDone.").cells == (source,)


def test_a_cell_that_is_no_python_ends_at_its_first_closing_fence():
    assert read_reply("```repl\nx = (\n```\ntext\n```\nmore\n```").cells == ("x = (\n",)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("", "it is empty"),
        (" \n ", "it is empty"),
        ("The answer is 42.", "it has no code block"),
        ("I am sure.\nFINAL(42)", "`FINAL` stands in its text, where nothing runs it"),
        ("FINAL_VAR(x)", "`FINAL` stands in its text, where nothing runs it"),
        ("```\nx = 1\n```", "its code block has no tag"),
        ("```json\n{}\n```", "its code block is tagged `json`"),
        ("```repl\n\n```", "its code block is empty"),
        ("```repl\n", "its code block is empty"),
        ("x" * (MAX_CHARS + 1), "it has 1,000,001 characters; at most 1,000,000 are read"),
    ],
)
def test_a_reply_without_a_cell_says_what_is_wrong(reply, problem):
    assert read_reply(reply) == Reading(problem=problem)


def test_a_cell_that_the_token_limit_cut_off_is_not_run():
    cut = "```repl\na = 1\n```\n```repl\nfor x in rang"
    assert "cut off inside its last code block" in read_reply(cut, cut=True).problem
    assert read_reply(cut).cells == ("a = 1\n", "for x in rang\n")
    assert read_reply("```repl\na = 1\n```\nand then", cut=True).cells == ("a = 1\n",)


@given(
    st.text(alphabet=st.sampled_from("`~repl python\n\r\"' x=<>think/FINAL()"), max_size=400)
    | st.text(max_size=400)
)
def test_any_reply_has_cells_or_a_problem_and_not_both(reply):
    reading = read_reply(reply)
    assert bool(reading.cells) != bool(reading.problem)
    assert all(source.strip() for source in reading.cells)


@given(st.lists(st.text(alphabet="abc=1 \n", max_size=30), max_size=5))
def test_fenced_sources_come_back_as_they_were_written(sources):
    text = "\n".join(f"some text\n```repl\n{source}\n```" for source in sources)
    assert list(fences(text)) == [Fence("repl", f"{source}\n", True) for source in sources]
