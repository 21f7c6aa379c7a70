"""The audit's YAML reader reads what PyYAML reads, or refuses: it never reads something else."""

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

WORDS = st.text(alphabet="abcxyz 0123456789:-#'\"{}[],.é%&*!|>@~\n", max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS.filter(bool), inner, max_size=3),
    max_leaves=8,
)
TOKENS = st.sampled_from([
    "a", "b", ": ", ":", "- ", "-", "\n", "\n  ", "\n ", "#", " #", "'", '"', "{", "}", "[", "]", ", ", "|", ">", "1", "x y",
    "\\", "\n\n", "? ", "&a", "*a", "!", "~", "%", "@", "`", "---\n", "\t",
])  # fmt: skip
STARTS = st.sampled_from(["", "a: ", "a:\n", "a:\n  - ", "a:\n  b: ", "a: {", "a: [", "a: |\n", "a: >-\n"])


def same(ours, theirs):
    """Equal, where `theirs` has every scalar as text."""
    if theirs is None:
        return ours is None
    if isinstance(theirs, dict):
        return (
            isinstance(ours, dict)
            and list(map(str, ours)) == list(theirs)
            and all(map(same, ours.values(), theirs.values()))
        )
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, str):
        return ours.rstrip() == theirs.rstrip()  # libyaml ends the last line of a text as it stands
    if ours is None:
        return theirs.lower() in ("", "~", "null")
    if isinstance(ours, bool):
        return theirs.lower() == str(ours).lower()
    return float(theirs) == ours


@given(st.dictionaries(WORDS.filter(bool), VALUES, min_size=1, max_size=3), st.booleans())
def test_what_pyyaml_writes_is_read_back_or_refused(plain_yaml, value, flow):
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True, width=10**6, sort_keys=False)
    try:
        read = plain_yaml.parse(text)
    except plain_yaml.UnreadableError:
        return
    assert read == value


@given(STARTS, st.lists(TOKENS, max_size=12).map("".join))
@example("", "a: 'b\nc: d'\n")
@example("", "a: |\n\n  b\n c\n")
@example("", "- a\n - b\n")
@example("", "a: b\n  - c\n")
def test_any_text_is_read_as_pyyaml_reads_it_or_refused(plain_yaml, start, rest):
    text = start + rest
    try:
        read = plain_yaml.parse(text)
    except plain_yaml.UnreadableError:
        return
    try:
        theirs = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        return  # reading what a stricter reader refuses hides nothing from anybody
    assert same(read, {} if theirs is None else theirs)


@pytest.mark.parametrize(
    "text",
    [
        "name: x\ndescription: >-\n  one\n  two\n\n  three\nmetadata:\n  a: 'it''s'\n",
        'schema: orchestrate.skill/1\nfunctions:\n  f:\n    entry: {python: "a.py:f"}\n    input: {type: object, required: [a, b]}\n',
        'permissions: {network: [api.example.com], read: ["{{folder}}"], write: [], env: [A_KEY]}\n',
        "examples:\n  - {input: {path: a}, output: {total: 3}}\n  - input: {path: b}\n    output: null\n",
        "a: [1,\n  2, # two\n  3]\nb: https://example.com/x#y\n",
        "a:\n- b\n- c: 1\n  d: 2\n",
    ],
)
def test_ordinary_documents_are_read_whole(plain_yaml, text):
    assert plain_yaml.parse(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x\n",
        "a: !!python/none x\n",
        "a: 1\na: 2\n",
        "a: b: c\n",
        "a: [1\n",
        "\ta: 1\n",
        "a: 'x\n",
    ],
)
def test_what_is_not_read_names_its_line(plain_yaml, text):
    with pytest.raises(plain_yaml.UnreadableError) as caught:
        plain_yaml.parse(text)
    assert caught.value.line >= 1
