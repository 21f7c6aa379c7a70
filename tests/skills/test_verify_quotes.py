import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

SOURCE = """The bridge\u2019s deck was closed \u2013 in March,
after the  third flood. It was "opened again" in May.

> Nobody was hurt,
> the mayor said.
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "notes" / "a.txt"
    path.parent.mkdir()
    path.write_text(SOURCE, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("report", "statuses"),
    [
        ("He says “after the  third flood” there.", ["exact"]),
        ('He says "after the third flood." there.', ["normalised"]),
        ("“The bridge's deck was closed - in March, after”", ["normalised"]),
        ("„was closed \u2013 in March“ and «after the third flood»", ["exact", "normalised"]),
        ("“The bridge\u2019s deck … third flood”", ["exact"]),
        ("“third flood … The bridge\u2019s deck”", ["missing"]),
        ("“Nobody was hurt, the mayor said”", ["normalised"]),
        ("> It was \"opened again\" in May.\n> — the notes", ["exact"]),
        ("“it was never closed”", ["missing"]),
        ("The “deck” and “two words” are emphasis.", []),
        ("`\"this is only code\"`\n\n```\n\"this is code too\"\n```\n", []),
        ("5\" by 3\" is a size and 6\" another one", []),
    ],
)  # fmt: skip
def test_quotes_of_a_text_are_found_or_missing(verify_quotes, source, report, statuses):
    result = verify_quotes.verify(report, [str(source)])
    assert [quote["status"] for quote in result["quotes"]] == statuses
    assert result["passed"] == ("missing" not in statuses)


def test_text_that_nobody_sees_does_not_hide_a_quote(verify_quotes, source):
    source.write_text(
        "Short\u200b sentences.\U000e0041\U000e0042 One\x1b[0m idea\ufe0f each.", encoding="utf-8"
    )
    assert verify_quotes.verify("“sentences. One[0m idea each”", [str(source)])["counts"]["normalised"] == 1


def test_place_of_a_quote_is_named(verify_quotes, source):
    (quote,) = verify_quotes.verify("“after the third flood”", [str(source.parent)])["quotes"]
    assert (quote["source"], quote["line"]) == (source.as_posix(), 2)


def test_passage_of_a_json_answer_has_to_be_in_the_source_that_it_names(verify_quotes, source):
    (source.parent / "b.txt").write_text("Something else.")
    answer = {
        "items": [{"quote": "third flood", "source": "a.txt"}, {"quote": "third flood", "source": "b.txt"}]
    }
    result = verify_quotes.verify(answer, [str(source.parent)])
    assert [quote["status"] for quote in result["quotes"]] == ["exact", "missing"]
    assert result["message"].startswith("1 of 2 quotes")


def test_report_without_quotes_passes_without_sources(verify_quotes):
    assert verify_quotes.verify({"findings": []}, ["nowhere"])["passed"] is True


def test_no_readable_source_is_an_error(verify_quotes, tmp_path):
    with pytest.raises(FileNotFoundError, match="no readable source"):
        verify_quotes.verify("“one two three”", [str(tmp_path / "nowhere")])


@given(text=st.text(max_size=80), start=st.integers(0, 80), length=st.integers(1, 40))
def test_whatever_is_cut_from_the_source_is_found_in_it(verify_quotes, text, start, length):
    piece = text[start : start + length].strip()
    if not piece or "…" in piece or "..." in piece:
        return
    source = verify_quotes.Source("a", text)
    placed = verify_quotes._placed(verify_quotes.Passage(piece), [source])
    assert placed["status"] == "exact"


@given(text=st.text(max_size=80))
def test_normalised_text_knows_where_each_character_is_from(verify_quotes, text):
    normal, offsets = verify_quotes.normalised(text)
    assert len(normal) == len(offsets)
    assert list(offsets) == sorted(set(offsets))
    assert all(0 <= offset < len(text) for offset in offsets)


def test_program_fails_when_a_quote_is_missing(skills_folder, source, tmp_path):
    program = [sys.executable, "-B", str(skills_folder / "verify-quotes" / "verify_quotes.py")]
    report = tmp_path / "report.md"
    codes = []
    for text in ("“after the third flood”", "“never said that thing”"):
        report.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [*program, str(report), "--sources", str(source)], capture_output=True, check=False
        )
        codes.append((done.returncode, json.loads(done.stdout)["passed"]))
    assert codes == [(0, True), (1, False)]
