import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import CallError
from orchestrator.memory.notes import MAX_NOTE_BYTES, Notes
from orchestrator.memory.relevance import scores


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """A memory folder with notes, and with much that is none."""
    memory = tmp_path / "memory"
    for path, text in {
        "topics/tea.md": "# Tea\n\nGreen tea is steeped at 80 degrees.\n\nBlack tea is steeped longer.\n",
        "topics/deep/coffee.md": "# Coffee\nCoffee is roasted.\n",
        "people.md": "Ada likes tea.\r\n\r\nBob likes green paint.\r\n",
        "runs/r1/tea.md": "tea",
        "cache/tea.md": "tea",
        "strategies/w/tea.md": "tea",
        "reviews/tea.md": "tea",
        ".hidden/tea.md": "tea",
        "topics/.tea.md": "tea",
        "tea.txt": "tea",
        "usage.jsonl": "tea",
    }.items():
        (memory / path).parent.mkdir(parents=True, exist_ok=True)
        (memory / path).write_text(text, newline="")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "tea.md").write_text("tea, and a secret")
    (memory / "link.md").symlink_to(tmp_path / "outside" / "tea.md")
    (memory / "linked").symlink_to(tmp_path / "outside")
    (memory / "inner.md").symlink_to("people.md")
    (memory / "loop.md").symlink_to("loop.md")
    os.mkfifo(memory / "pipe.md")
    return memory


def test_search_gives_the_best_passages_of_notes_alone(memory: Path) -> None:
    hits = Notes(memory).search("GREEN tea?")

    assert [(hit["path"], hit["line"], hit["text"]) for hit in hits] == [
        ("topics/tea.md", 3, "Green tea is steeped at 80 degrees."),
        ("people.md", 3, "Bob likes green paint.\r"),
        ("topics/tea.md", 1, "# Tea"),
        ("topics/tea.md", 5, "Black tea is steeped longer."),
        ("people.md", 1, "Ada likes tea.\r"),
    ]
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert Notes(memory).search("green tea", limit=2) == hits[:2]


def test_a_passage_is_found_by_its_heading_and_its_path(memory: Path) -> None:
    assert [hit["line"] for hit in Notes(memory).search("deep")] == [1]
    (memory / "long.md").write_text("# Zebra\n\n" + "line\n" * 45)
    assert [hit["line"] for hit in Notes(memory).search("zebra")] == [1, 43, 3, 23]


@pytest.mark.parametrize("query", ["", "??", "nothing-has-this"])
def test_a_query_without_a_hit_finds_nothing(memory: Path, query: str) -> None:
    assert Notes(memory).search(query) == []
    assert Notes(memory / "missing").search("tea") == []


def test_scores_are_those_of_the_formula() -> None:
    # k1 1.2, b 0.75; lengths 2 and 1, average 1.5; idf = ln(1 + (2 - 1 + 0.5) / (1 + 0.5)) = ln 2
    assert scores("tea", ["tea tea", "x"]) == pytest.approx(
        [0.6931472 * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 2 / 1.5)), 0]
    )
    assert scores("tea", []) == []


@given(st.text(), st.lists(st.text()))
def test_any_texts_have_scores_from_zero(query: str, texts: list[str]) -> None:
    found = scores(query, texts)
    assert len(found) == len(texts)
    assert all(score >= 0 for score in found)


def test_a_note_is_read(memory: Path) -> None:
    assert Notes(memory).read("topics/deep/coffee.md") == "# Coffee\nCoffee is roasted.\n"


def test_a_missing_note_is_an_error_with_the_closest_one(memory: Path) -> None:
    with pytest.raises(CallError, match=re.escape("no note `topics/te.md` (3 known)")) as caught:
        Notes(memory).read("topics/te.md")
    assert caught.value.hint == "did you mean `topics/tea.md`?"
    for path in ("pipe.md", "topics"):
        with pytest.raises(CallError):
            Notes(memory).read(path)


NO_NOTES = [
    "../outside/tea.md", "topics/../../outside/tea.md", "/etc/passwd", "/etc/passwd.md", "link.md", "linked/tea.md",
    "linked/new.md", "inner.md", "loop.md", "runs/r1/tea.md", "RUNS/r1/tea.md", "cache/tea.md", "strategies/w/tea.md",
    "reviews/tea.md", ".hidden/tea.md", "topics/.tea.md", "usage.jsonl", "tea.txt", "", ".", "./people.md", "topics//tea.md",
    "topics/", "topics\\tea.md", "a\0.md", "a\n.md", "\ud800.md", "\u202emd.md", "x" * 300 + ".md",
]  # fmt: skip


@pytest.mark.parametrize("path", NO_NOTES, ids=ascii)
def test_what_is_no_note_is_neither_read_nor_written(memory: Path, path: str) -> None:
    before = snapshot(memory.parent)
    for action in (
        lambda: Notes(memory).read(path),
        lambda: Notes(memory, ["**"]).write(path, "x"),
        lambda: Notes(memory, ["**", path]).write(path, "x", append=True),
    ):
        with pytest.raises(CallError, match="is no note") as caught:
            action()
        assert caught.value.kind == "denied"
        assert caught.value.hint
    assert snapshot(memory.parent) == before


@given(st.text(alphabet="./\\ a*~\0md", max_size=12).map(lambda text: text + ".md"))
def test_no_path_leaves_the_memory_folder(path: str) -> None:
    memory = Path("/nowhere/memory")
    try:
        place = Notes(memory, ["**"])._place(path)
    except CallError:
        return
    assert Path(os.path.normpath(place)).is_relative_to(memory)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize(
    ("patterns", "path", "granted"),
    [
        ([], "a.md", False), (["a.md"], "a.md", True), (["*"], "a.md", True), (["*"], "b/a.md", False),
        (["*.md"], "b/a.md", False), (["b/*.md"], "b/a.md", True), (["b/*.md"], "b/c/a.md", False),
        (["b/**"], "b/c/d/a.md", True), (["b/**/a.md"], "b/a.md", True), (["**"], "b/a.md", True),
        (["**/*.md"], "a.md", True), (["day-[0-9].md"], "day-1.md", True), (["A.md"], "a.md", False),
        (["x.md", "a.md"], "a.md", True), (["a.mdx"], "a.md", False), (["memory/a.md"], "a.md", False),
    ],
)  # fmt: skip
def test_a_note_is_written_where_a_pattern_grants_it(
    tmp_path: Path, patterns: list[str], path: str, granted: bool
) -> None:
    notes = Notes(tmp_path / "memory", patterns)
    if granted:
        notes.write(path, "tëxt")
        assert (tmp_path / "memory" / path).read_bytes() == "tëxt".encode()
        return
    with pytest.raises(CallError) as caught:
        notes.write(path, "text")
    assert caught.value.kind == "denied"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["new.md", "day [1].md"])
def test_a_refusal_names_the_line_that_would_grant_it(tmp_path: Path, path: str) -> None:
    with pytest.raises(CallError, match="may not write the note") as caught:
        Notes(tmp_path, ["topics/*.md"]).write(path, "x")
    line = re.search(r"`remember: (\[.*\])`", caught.value.hint)
    assert line is not None
    Notes(tmp_path, eval(line[1])).write(path, "x")
    assert caught.value.hint.count("topics/*.md") == 1


def test_an_append_begins_on_a_line_of_its_own(tmp_path: Path) -> None:
    notes = Notes(tmp_path, ["*"])
    for text in ("one", "two\n", "three"):
        notes.write("log.md", text, append=True)
    assert notes.read("log.md") == "one\ntwo\nthree"
    notes.write("log.md", "new")
    assert notes.read("log.md") == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.md", "notes.lock"]


def test_a_note_that_would_be_too_long_stays_as_it_was(tmp_path: Path) -> None:
    notes = Notes(tmp_path, ["*"])
    notes.write("log.md", "x" * (MAX_NOTE_BYTES - 2))
    for text, append in (("yy", True), ("y" * (MAX_NOTE_BYTES + 1), False)):
        with pytest.raises(CallError, match="at most 1,048,576"):
            notes.write("log.md", text, append=append)
    assert notes.read("log.md") == "x" * (MAX_NOTE_BYTES - 2)
    (tmp_path / "big.md").write_bytes(b"x" * (MAX_NOTE_BYTES + 1))
    with pytest.raises(CallError, match="at most 1,048,576"):
        notes.read("big.md")


@pytest.mark.parametrize(
    "wrong",
    [{"path": 1}, {"path": None}, {"text": b"x"}, {"text": {"a": 1}}, {"text": "\ud800"}, {"path": "d.md"}, {"path": "n.md/x.md"}],
    ids=ascii,
)  # fmt: skip
def test_a_wrong_argument_is_the_callers_error(tmp_path: Path, wrong: dict[str, Any]) -> None:
    (tmp_path / "d.md").mkdir()
    (tmp_path / "n.md").write_text("")
    with pytest.raises(CallError) as caught:
        Notes(tmp_path, ["**"]).write(**({"path": "a.md", "text": ""} | wrong))
    assert caught.value.kind == "invalid"


@pytest.mark.parametrize("wrong", [("tea", 0), ("tea", "3"), ("tea", True), (None, 1)])
def test_a_search_with_wrong_arguments_is_the_callers_error(memory: Path, wrong: tuple[Any, Any]) -> None:
    with pytest.raises(CallError):
        Notes(memory).search(*wrong)


APPEND = """
import sys
from pathlib import Path
from orchestrator.memory.notes import Notes
for n in range(40):
    Notes(Path(sys.argv[1]), ["*"]).write("log.md", f"{sys.argv[2]} {n}", append=True)
"""


def test_concurrent_appends_of_threads_and_processes_lose_nothing(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", APPEND, tmp_path, f"p{n}"]) for n in range(3)]
    notes = Notes(tmp_path, ["*"])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: notes.write("log.md", f"t {n}", append=True), range(80)))
    assert [process.wait() for process in processes] == [0, 0, 0]

    expected = [f"t {n}" for n in range(80)] + [f"p{k} {n}" for k in range(3) for n in range(40)]
    assert sorted(notes.read("log.md").splitlines()) == sorted(expected)
