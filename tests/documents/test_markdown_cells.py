"""Which blocks of a body are cells, and on which lines they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents.markdown import Outline, cells, outline
from orchestrator.values import Cell


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("```repl\nx = 1\n```\n", [Cell(1, "x = 1\n", 11)]),
        ("~~~~ REPL name=a\nx = 1\n~~~\n~~~~\n", [Cell(1, "x = 1\n~~~\n", 11)]),
        ("a\n\n```repl\n```\n\n```Repl\ny\n```", [Cell(1, "", 13), Cell(2, "y\n", 16)]),
        ("   ```repl\n   if x:\n       y\n   ```\n", [Cell(1, "if x:\n    y\n", 11)]),
        ("1. step\n\n   ```repl\n   x = 1\n   ```\n", [Cell(1, "x = 1\n", 13)]),
        ("> ```repl\n> x = 1\n> ```\n", [Cell(1, "x = 1\n", 11)]),
        ("```repl\n\tx\n```\n", [Cell(1, "\tx\n", 11)]),
        # not cells:
        ("```replace\nx\n```\n", []),
        ("```python repl\nx\n```\n", []),
        ("```{repl}\nx\n```\n", []),
        ("``` \nx\n```\n", []),
        ("    ```repl\n    x\n    ```\n", []),
        ("````markdown\n```repl\nx\n```\n````\n", []),
        ("~~~\n```repl\nx\n```\n~~~\n", []),
        ("- a\n\n      ```repl\n      x\n      ```\n", []),
        ("<!--\n```repl\nx\n```\n-->\n", []),
        ("text ```repl x``` text\n", []),
        ("```repl`x\ny\n```\n", []),
    ],
)
def test_a_cell_is_what_commonmark_calls_a_fence_tagged_repl(body: str, expected: list[Cell]) -> None:
    assert list(cells(body, 10)) == expected


@pytest.mark.parametrize(
    ("body", "unclosed"),
    [
        ("```repl\nx", (10,)),
        ("```repl\n", (10,)),
        ("```repl", (10,)),
        ("- a\n  ```repl\nx = 1\n```\n", (11,)),
        ("> ```repl\n> x\n\n```\n", (10,)),
        ("```repl\nx\n```", ()),
        ("```repl\n```", ()),
        ("```python\nx", ()),
        ("- ```repl\n  x\n  ```\n", ()),
    ],
)
def test_a_cell_that_no_fence_closes_is_known_by_its_line(body: str, unclosed: tuple[int, ...]) -> None:
    assert outline(body, 10).unclosed == unclosed


def test_code_is_known_by_its_lines() -> None:
    body = "# A\n\n```\ncode\n```\ntext\n\n    indented\n"

    assert outline(body, 1) == Outline(title="A", code=(range(3, 6), range(8, 9)))


SOURCE = st.text(st.characters(exclude_characters="`~\r\n\0", exclude_categories=["Cs", "Cc", "Zl", "Zp"]))


@given(st.lists(st.tuples(st.text("abc #\n", max_size=20), st.lists(SOURCE, max_size=4)), max_size=5))
def test_every_cell_that_was_written_is_found_where_it_stands(blocks: list[tuple[str, list[str]]]) -> None:
    text = "".join(
        f"{prose}\n\n```repl\n" + "".join(line + "\n" for line in source) + "```\n\n"
        for prose, source in blocks
    )
    found = cells(text, 1)

    assert [cell.source for cell in found] == [
        "".join(line + "\n" for line in source) for _, source in blocks
    ]
    for cell in found:
        lines = text.split("\n")[cell.line - 1 : cell.line - 1 + cell.source.count("\n")]
        assert "".join(line + "\n" for line in lines) == cell.source


@given(st.text(st.sampled_from("`~repl \n>-1. \t#x<!")))
def test_any_text_has_an_outline(text: str) -> None:
    outline(text)
