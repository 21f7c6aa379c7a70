"""A key of a frontmatter changed, with everything else byte for byte as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents import frontmatter, yaml_values
from orchestrator.documents.amending import with_items, with_value
from orchestrator.errors import UsageError

BLOCK = """\
---
# top
name: job   # the name
strategies:
  - written  # own
  # between
  - rlm   # dear
  - 'grep'
budget: {tokens: 100, usd: 5.0}  # money
---
strategies: body
---
"""


def swapped(old: str, new: str, text: str = BLOCK) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


def test_an_item_takes_its_line_and_its_comment_along() -> None:
    lines = "  - written  # own\n  # between\n  - rlm   # dear\n  - 'grep'\n"
    assert with_items(BLOCK, ("strategies",), ["rlm", "written", "grep"]) == swapped(
        lines, "  - rlm   # dear\n  - written  # own\n  # between\n  - 'grep'\n"
    )
    assert with_items(BLOCK, ("strategies",), ["written", "grep"]) == swapped("  - rlm   # dear\n", "")


def test_a_new_item_gets_a_line_like_the_first() -> None:
    assert with_items(BLOCK, ("strategies",), ["direct", "written", "rlm", "grep"]) == swapped(
        "  - written", "  - direct\n  - written"
    )
    text = "---\nstrategies: [ 'rlm',written ] # x\n---\n"
    assert with_items(text, ("strategies",), ["a b", "written", "rlm"]) == swapped(
        "[ 'rlm',written ]", "[\"a b\", written, 'rlm']", text
    )


def test_what_is_so_already_stays_as_it_is_written() -> None:
    assert with_items(BLOCK, ("strategies",), ["written", "rlm", "grep"]) == BLOCK
    assert with_value(BLOCK, ("budget", "usd"), 5) == BLOCK


@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        (("budget", "tokens"), 3_000_000, "tokens: 100", "tokens: 3000000"),
        (("budget", "calls"), 7, "usd: 5.0}", "usd: 5.0, calls: 7}"),
        (("name",), "true", "name: job ", 'name: "true" '),
        (("retry", "max"), 2, "}  # money\n", "}  # money\nretry: {max: 2}\n"),
    ],
)
def test_a_value_is_replaced_or_added_in_its_place(
    key: tuple[str, ...], value: Any, old: str, new: str
) -> None:
    assert with_value(BLOCK, key, value) == swapped(old, new)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("# No frontmatter\n", "there is no frontmatter to change"),
        ("", "there is no frontmatter to change"),
        ("---\nname: x\n", "there is no frontmatter to change"),
        ("---\n---\n", "the frontmatter is left as it is: it is no mapping"),
        ("---\n- a\n---\n", "the frontmatter is left as it is: it is no mapping"),
        ("---\na: b: c\n---\n", "the frontmatter is left as it is: it is no YAML that can be changed"),
        ("---\nbudget: 3\n---\n", "the frontmatter is left as it is: `budget` is no mapping"),
        (
            "---\nbudget: {}\nbudget: {}\n---\n",
            "the frontmatter is left as it is: `budget` stands twice",
        ),
        (
            "---\na: &x 1\nb: *x\n---\n",
            "the frontmatter is left as it is: `budget.calls` can't be changed without changing something else",
        ),
    ],
)
def test_what_cannot_be_changed_safely_is_left_to_a_person(text: str, why: str) -> None:
    with pytest.raises(UsageError) as raised:
        with_value(text, ("budget", "calls"), 7)
    assert str(raised.value) == why


COMMENT = st.sampled_from(["", "  # why: [not, {this", " #"])
ABOVE = st.sampled_from(["", "# above\n", "\n", "\n# a\n\n"])
OTHER = st.sampled_from(
    ["name: job", 'description: "a: b # c"', "context: [a, 'b', \"c\"]", "checks:\n  - {name: x, expr: '1'}",
     "description: >\n  folded\n  text\n", "description: |-\n  kept\n", "inputs: {folder: string}", "retry:\n    max: 2",
     "permissions:\n  read:\n  - a # b\n  - c", "'quoted key': yes"]
)  # fmt: skip
STRATEGIES = st.sampled_from(
    ["[written, rlm, grep]", "[ written,rlm , 'grep' ]", "[written,\n    rlm, # x\n    grep,\n  ]",
     "\n  - written\n  - rlm\n  - grep", "\n- written # w\n- \"rlm\"\n\n# last\n- grep", "\n  # first\n  - written\n  - rlm\n  - grep"]
)  # fmt: skip


@st.composite
def heads(draw: st.DrawFn) -> tuple[str, str, str]:
    """The text before `strategies:`, its value with what may follow on its line, and the text behind."""
    others = draw(st.lists(OTHER, max_size=4, unique_by=lambda one: one.partition(":")[0]))
    cut = draw(st.integers(0, len(others)))
    lines = [
        f"{draw(ABOVE)}{one}{'' if one.endswith(chr(10)) else draw(COMMENT) + chr(10)}" for one in others
    ]
    value = draw(STRATEGIES)
    value = value if value.startswith("\n") else f" {value}{draw(COMMENT)}"
    body = draw(st.sampled_from(["", "# Job\n", "text\n---\nstrategies: [x]\n", "no end"]))
    return (
        f"---\n{''.join(lines[:cut])}",
        f"strategies:{value}\n",
        f"{''.join(lines[cut:])}{draw(ABOVE)}---\n{body}",
    )


def values_of(text: str) -> Any:
    parts = frontmatter.split(frontmatter.normalised(text))
    located = yaml_values.read(parts.frontmatter or "")
    assert not located.flaws
    return located.value


@given(heads(), st.permutations(["written", "rlm", "grep"]), st.integers(1, 3), st.booleans(), st.booleans())
def test_everything_else_stays_byte_for_byte(
    parts: tuple[str, str, str], order: list[str], n: int, has_bom: bool, is_dos: bool
) -> None:
    before, value, after = (part.replace("\n", "\r\n") if is_dos else part for part in parts)
    before = "\ufeff" * has_bom + before
    text, items = before + value + after, order[:n]
    changed = with_items(text, ("strategies",), items)
    assert changed.startswith(before)
    assert changed.endswith(after)
    assert values_of(changed) == {**values_of(text), "strategies": items}
    assert with_items(text, ("strategies",), ["written", "rlm", "grep"]).startswith(before + value[:11])


@given(heads(), st.sampled_from([1, 2_000_000, 0.5]), st.booleans(), st.booleans())
def test_a_new_key_is_one_line_more(
    parts: tuple[str, str, str], number: float, has_bom: bool, is_dos: bool
) -> None:
    text = "".join(part.replace("\n", "\r\n") if is_dos else part for part in parts)
    text = "\ufeff" * has_bom + text
    changed = with_value(text, ("budget", "tokens"), number)
    line = f"budget: {{tokens: {number}}}" + ("\r\n" if is_dos else "\n")
    assert changed.replace(line, "", 1) == text
    assert values_of(changed) == {**values_of(text), "budget": {"tokens": number}}
    again = with_value(changed, ("budget", "tokens"), 77)
    assert again == changed.replace(line, line.replace(str(number), "77"))
