import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.environments import worker
from orchestrator.environments.frames import TextFile, wire
from orchestrator.environments.worker import BadFrame, json_value, pack, piece_of, unpack

TEXTS = st.text(st.characters(exclude_categories=()))  # lone surrogates too
KEYS = TEXTS | st.sampled_from(["$text", "$error", "$$text", "$$$error", "$", "text"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=20,
)


def refuse(key, value):
    raise AssertionError(f"user data was taken for a marker: {key} {value}")


@given(VALUES)
def test_every_value_survives_from_worker_to_parent_and_back(value):
    for encoded in (json_value(value), wire(value)):
        data = pack({"kind": "x", "value": encoded})
        assert piece_of(data[:4]) == (len(data) - 4, False)
        assert unpack(data[4:], refuse) == {"kind": "x", "value": value}


@given(st.binary(max_size=200))
def test_junk_is_a_bad_frame_and_nothing_else(junk):
    try:
        frame = unpack(junk, refuse)
    except BadFrame:
        return
    assert isinstance(frame["kind"], str)


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b"[]", b"{}", b'{"kind":1}', b"\xff", b"", b'{"kind":"x","n":' + b"9" * 5000 + b"}"],
)
def test_frames_that_are_none(body):
    with pytest.raises(BadFrame):
        unpack(body, refuse)


def test_length_above_the_limit_is_refused_before_anything_is_read():
    assert piece_of(struct.pack(">I", worker.PIECE_BYTES)) == (worker.PIECE_BYTES, False)
    for length in (worker.PIECE_BYTES + 1, (1 << 31) + worker.PIECE_BYTES + 1):
        with pytest.raises(BadFrame):
            piece_of(struct.pack(">I", length))
    with pytest.raises(BadFrame):
        piece_of(struct.pack(">I", 1), worker.FRAME_BYTES)


def test_large_frame_goes_in_pieces():
    data = pack({"kind": "x", "value": "x" * (worker.PIECE_BYTES + 1)})
    length, has_more = piece_of(data[:4])
    assert (length, has_more) == (worker.PIECE_BYTES, True)
    rest = data[4 + length :]
    assert piece_of(rest[:4], length) == (len(rest) - 4, False)
    assert len(unpack(data[4 : 4 + length] + rest[4:], refuse)["value"]) == worker.PIECE_BYTES + 1


def test_text_files_become_references_wherever_they_stand(tmp_path):
    text = TextFile(tmp_path / "a", 5, "hash", offset=2)
    seen = []
    data = pack({"kind": "x", "value": wire({"a": [text]})})
    unpack(data[4:], lambda key, value: seen.append((key, value)))
    assert seen == [("$text", {"path": str(tmp_path / "a"), "n_bytes": 5, "sha256": "hash", "offset": 2})]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"items": [0, 1, 2, {3}]}, "$.items[3]: set is no JSON value"),
        ({"a b": (1, b"")}, "$['a b'][1]: bytes is no JSON value"),
        (float("inf"), "$: inf is no JSON value"),
        ({"a": {None: 1}}, "$.a: the key None is NoneType, and keys have to be str"),
    ],
)
def test_what_is_no_json_is_named_with_its_path(value, message):
    with pytest.raises(TypeError) as caught:
        json_value(value)
    assert str(caught.value) == message
