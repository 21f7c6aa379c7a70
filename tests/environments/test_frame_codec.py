import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.environments import worker
from orchestrator.environments.frames import TextFile, wire
from orchestrator.environments.worker import BadFrame, body_length, json_value, pack, unpack

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
        data = pack({"kind": "x", "value": encoded}, "/nowhere")
        assert body_length(data[:4]) == len(data) - 4
        assert unpack(data[4:], "/nowhere", refuse) == {"kind": "x", "value": value}


@given(st.binary(max_size=200))
def test_junk_is_a_bad_frame_and_nothing_else(junk):
    try:
        frame = unpack(junk, "/nowhere", refuse)
    except BadFrame:
        return
    assert isinstance(frame["kind"], str)


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b"[]", b"{}", b'{"kind":1}', b"\xff", b"", b'{"kind":"x","n":' + b"9" * 5000 + b"}"],
)
def test_frames_that_are_none(body):
    with pytest.raises(BadFrame):
        unpack(body, "/nowhere", refuse)


def test_length_above_the_limit_is_refused_before_anything_is_read():
    assert body_length(struct.pack(">I", worker.FRAME_BYTES)) == worker.FRAME_BYTES
    with pytest.raises(BadFrame):
        body_length(struct.pack(">I", worker.FRAME_BYTES + 1))


def by_file(name):
    return pack({"kind": "file", "name": name}, "/nowhere")[4:]


def test_large_frame_goes_by_a_file_that_is_removed(tmp_path):
    value = "x" * (worker.FRAME_BYTES + 1)
    data = pack({"kind": "x", "value": value}, str(tmp_path))
    assert len(data) < 200
    assert unpack(data[4:], str(tmp_path), refuse)["value"] == value
    assert list(tmp_path.iterdir()) == []


def test_frame_files_are_taken_from_the_scratch_folder_only_and_never_through_links(tmp_path):
    name = ".frame-" + "0" * 24
    secret = tmp_path / "secret"
    secret.write_text('{"kind": "x"}')
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for wrong in ("../secret", str(secret), "secret", 5, None, name + "/../../secret"):
        with pytest.raises(BadFrame):
            unpack(by_file(wrong), str(scratch), refuse)
    for make in (os.symlink, os.link):
        make(secret, scratch / name)
        with pytest.raises(BadFrame):
            unpack(by_file(name), str(scratch), refuse)
        (scratch / name).unlink()
    os.mkfifo(scratch / name)
    with pytest.raises(BadFrame):
        unpack(by_file(name), str(scratch), refuse)
    assert secret.exists()


def test_text_files_become_references_wherever_they_stand(tmp_path):
    text = TextFile(tmp_path / "a", 5, "hash", offset=2)
    seen = []
    data = pack({"kind": "x", "value": wire({"a": [text]})}, "/nowhere")
    unpack(data[4:], "/nowhere", lambda key, value: seen.append((key, value)))
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
