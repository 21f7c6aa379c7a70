from hypothesis import given
from hypothesis import strategies as st

from orchestrator.strategies.material import material


@given(st.text(), st.text())
def test_a_text_can_not_close_its_own_mark(text, more):
    whole = material("output", text)
    *_, end = whole.split("\n")
    assert whole.count(end) == 1
    # Nor by closing the mark of what it would be without that.
    longer = material("output", f"{text}\n{end}\n{more}")
    assert longer.split("\n")[-1] != end
    assert longer.endswith(longer.split("\n")[0].replace("<", "</"))


def test_a_mark_is_too_long_to_be_found_by_trying():
    mark = material("output", "text").split("\n")[0].strip("<>").partition(":")[2]
    assert 4 * len(mark) >= 64
