import json
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_match_has_its_line_column_and_the_lines_around_it(text_search, tmp_path):
    write(tmp_path, {"a.txt": "one\ntwo\n  three x\nfour\nfive\n"})
    result = text_search.search(str(tmp_path), "three", context=1)
    assert result == {
        "matches": [
            {
                "path": (tmp_path / "a.txt").as_posix(),
                "line": 3,
                "column": 3,
                "text": "  three x",
                "before": ["two"],
                "after": ["four"],
            }
        ],
        "n_matches": 1,
        "n_files": 1,
        "truncated": False,
        "skipped": [],
    }


@given(
    lines=st.lists(st.text(alphabet="ab x", max_size=6), max_size=30),
    context=st.integers(0, 4),
    limit=st.integers(1, 40),
)
def test_matches_are_those_of_a_plain_loop(text_search, tmp_path_factory, lines, context, limit):
    path = tmp_path_factory.mktemp("loop") / "a.txt"
    path.write_text("".join(line + "\n" for line in lines))
    expected = [
        (number + 1, found.start() + 1, line, lines[max(0, number - context) : number], lines[number + 1 : number + 1 + context])
        for number, line in enumerate(lines)
        if (found := re.search("a+b", line))
    ]  # fmt: skip
    result = text_search.search(str(path), "a+b", context=context, limit=limit)
    got = [(m["line"], m["column"], m["text"], m["before"], m["after"]) for m in result["matches"]]
    assert [one[:4] for one in got] == [one[:4] for one in expected[:limit]]
    assert result["truncated"] == (len(expected) > limit)
    if not result["truncated"]:
        assert got == expected


@pytest.mark.parametrize(
    ("globs", "exclude", "names"),
    [
        (["**"], [], ["a.md", "docs/b.md", "docs/deep/c.txt"]),
        (["*.md"], [], ["a.md", "docs/b.md"]),
        (["docs/*"], [], ["docs/b.md"]),
        (["docs/**"], [], ["docs/b.md", "docs/deep/c.txt"]),
        (["**/*.md"], [], ["a.md", "docs/b.md"]),
        (["**"], ["docs/**"], ["a.md"]),
    ],
)
def test_globs_choose_files(text_search, tmp_path, globs, exclude, names):
    write(
        tmp_path,
        dict.fromkeys(("a.md", "docs/b.md", "docs/deep/c.txt", ".git/d.md", "node_modules/e.md"), "x\n"),
    )
    result = text_search.search(str(tmp_path), "x", globs=globs, exclude=exclude)
    assert sorted(m["path"][len(tmp_path.as_posix()) + 1 :] for m in result["matches"]) == names


def test_binary_file_is_skipped_and_listed(text_search, tmp_path):
    write(tmp_path, {"a.bin": b"x\0y", "b.txt": "x\n"})
    result = text_search.search(str(tmp_path), "x")
    assert (result["n_files"], [item["why"] for item in result["skipped"]]) == (1, ["no text"])


def test_line_longer_than_a_piece_counts_as_one_and_is_cut_around_the_match(text_search, tmp_path):
    n = text_search.N_PIECE_BYTES
    write(tmp_path, {"a.txt": "y" * (n + 10) + "needle" + "z" * n + "needle\nneedle\n"})
    result = text_search.search(str(tmp_path), "needle")
    assert [(m["line"], m["column"]) for m in result["matches"]] == [(1, n + 11), (2, 1)]
    assert len(result["matches"][0]["text"]) < 1000
    assert "needle" in result["matches"][0]["text"]


def test_literal_pattern_and_ignored_case(text_search, tmp_path):
    write(tmp_path, {"a.txt": "A+B\naab\n"})
    assert [
        m["line"] for m in text_search.search(str(tmp_path), "a+b", literal=True, ignore_case=True)["matches"]
    ] == [1]


@pytest.mark.parametrize(
    ("pattern", "path", "error"), [("(", ".", ValueError), ("x", "nowhere", FileNotFoundError)]
)
def test_bad_pattern_and_missing_path_are_errors(text_search, pattern, path, error):
    with pytest.raises(error, match=r"`.+`"):
        text_search.search(path, pattern)


def test_program_says_by_its_exit_code_whether_something_matched(skills_folder, tmp_path):
    write(tmp_path, {"a.txt": "x\n"})
    program = [sys.executable, "-B", str(skills_folder / "text-search" / "text_search.py")]
    codes = {}
    for pattern in ("x", "q", "("):
        done = subprocess.run([*program, pattern, str(tmp_path)], capture_output=True, text=True, check=False)
        codes[pattern] = done.returncode
        if done.stdout:
            json.loads(done.stdout)
    assert codes == {"x": 0, "q": 1, "(": 2}
