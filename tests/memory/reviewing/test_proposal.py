import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.memory.reviewing.proposal import (
    MAX_RUNS,
    Evidence,
    Proposal,
    from_object,
    proposal_id,
    to_object,
)

texts = st.text(max_size=30)
changes = st.dictionaries(texts, texts | st.integers() | st.booleans() | st.none(), max_size=3)


def made(
    subject="skill:grep", action="deny", change=None, digest="ab" * 32, says="12 of 40 failed", runs=("r1",)
):
    change = {} if change is None else change
    found = proposal_id(subject, action, change, digest)
    return Proposal(
        found, subject, action, digest, Evidence(runs, says), "it fails", change, "the next 20 succeed"
    )


@given(
    subject=st.sampled_from(["skill:a", "workflow:b", "strategy:b/learned:1a2b3c4d"]),
    action=st.sampled_from(["deny", "retire", "prefer", "drop", "budget", "split", "describe", "promote"]),
    change=changes,
    digest=texts,
    says=texts,
    runs=st.lists(texts, max_size=MAX_RUNS).map(tuple),
)
def test_a_proposal_survives_its_json(subject, action, change, digest, says, runs):
    proposal = made(subject, action, change, digest, says, runs)
    assert from_object(json.loads(json.dumps(to_object(proposal)))) == proposal


def test_the_same_proposal_has_the_same_id_whatever_its_evidence():
    assert made(says="12 of 40 failed").id == made(says="13 of 41 failed").id
    assert made(change={"a": 1, "b": 2}).id == made(change={"b": 2, "a": 1}).id
    assert len({made().id, made(digest="other").id, made("skill:a").id, made(change={"a": 1}).id}) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "00000000"},
        {"id": 5},
        {"subject": "grep"},
        {"subject": "strategy:without-a-workflow"},
        {"action": "delete"},
        {"action": ["deny"]},
        {"hash": None},
        {"evidence": {"runs": ["r"] * (MAX_RUNS + 1), "says": ""}},
        {"evidence": {"runs": [1], "says": ""}},
        {"evidence": {"runs": []}},
        {"evidence": []},
        {"change": []},
        {"why": None},
        {"refuted_by": 1},
    ],
)
def test_another_shape_is_refused(wrong):
    with pytest.raises(ValueError, match=r"takes|is not that of"):
        from_object({**to_object(made()), **wrong})
    with pytest.raises(ValueError, match="takes a JSON object"):
        from_object([])
