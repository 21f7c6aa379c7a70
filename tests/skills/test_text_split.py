import json
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

MARKDOWN = st.lists(
    st.sampled_from(["# A", "## B b ##", "#no", "```", "~~~", "text", " ", ".", "\n", "\r\n", "\r", "\n\n", "é", "\U0001f600", "\t", "    # code"]),
    max_size=40,
).map("".join)  # fmt: skip


@given(
    text=MARKDOWN, by=st.sampled_from(["headings", "paragraphs", "lines", "size"]), size=st.integers(1, 30)
)
def test_pieces_keep_their_place_and_lose_nothing(text_split, text, by, size):
    result = text_split.split(text=text, by=by, size=size)
    assert "".join(piece["text"] for piece in result["pieces"]) == text
    assert all(text[piece["start"] : piece["end"]] == piece["text"] != "" for piece in result["pieces"])
    assert [piece["start"] for piece in result["pieces"][1:]] == [
        piece["end"] for piece in result["pieces"][:-1]
    ]
    assert result["n_chars"] == len(text)
    if by != "lines":
        assert all(len(piece["text"]) <= size for piece in result["pieces"])


@given(text=MARKDOWN, size=st.integers(2, 30))
def test_no_cut_falls_inside_a_line_end(text_split, text, size):
    pieces = [piece["text"] for piece in text_split.split(text=text, by="size", size=size)["pieces"]]
    assert not any(one.endswith("\r") and other.startswith("\n") for one, other in pairwise(pieces))


def test_headings_in_code_blocks_cut_nothing(text_split):
    text = "Before.\n# One\n```\n# no heading\n```\n## Two ##\nEnd.\n"
    pieces = text_split.split(text=text)["pieces"]
    assert [(piece["title"], piece["level"], piece["text"]) for piece in pieces] == [
        ("", 0, "Before.\n"),
        ("One", 1, "# One\n```\n# no heading\n```\n"),
        ("Two", 2, "## Two ##\nEnd.\n"),
    ]


def test_long_section_is_cut_at_its_best_place_and_keeps_its_title(text_split):
    text = "# T\n\nFirst sentence. Second sentence.\n\nAnother paragraph here.\n"
    pieces = text_split.split(text=text, size=45)["pieces"]
    assert [(piece["title"], piece["text"]) for piece in pieces] == [
        ("T", "# T\n\nFirst sentence. Second sentence.\n\n"),
        ("T", "Another paragraph here.\n"),
    ]


def test_lines_hold_so_many_lines_each(text_split):
    pieces = text_split.split(text="a\nb\r\nc", by="lines", size=2)["pieces"]
    assert [piece["text"] for piece in pieces] == ["a\nb\r\n", "c"]


def test_file_keeps_its_line_ends_and_offsets_alone_have_no_text(text_split, tmp_path):
    (tmp_path / "a.txt").write_bytes("é\r\n\r\nb".encode())
    result = text_split.split(path=str(tmp_path / "a.txt"), by="paragraphs", with_text=False)
    assert result["pieces"] == [
        {"start": 0, "end": 5, "title": "", "level": 0},
        {"start": 5, "end": 6, "title": "", "level": 0},
    ]


@pytest.mark.parametrize(
    "arguments", [{}, {"text": "a", "path": "b"}, {"text": "a", "by": "x"}, {"text": "a", "size": 0}]
)
def test_wrong_arguments_are_errors(text_split, arguments):
    with pytest.raises(ValueError, match=r"`\w+`"):
        text_split.split(**arguments)


def test_program_prints_the_pieces(skills_folder, tmp_path):
    (tmp_path / "a.md").write_text("# A\n# B\n")
    program = [sys.executable, "-B", str(skills_folder / "text-split" / "text_split.py")]
    done = subprocess.run([*program, str(tmp_path / "a.md")], capture_output=True, text=True, check=True)
    assert [piece["title"] for piece in json.loads(done.stdout)["pieces"]] == ["A", "B"]
    missing = subprocess.run([*program, str(tmp_path / "no.md")], capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stdout) == (2, "")
