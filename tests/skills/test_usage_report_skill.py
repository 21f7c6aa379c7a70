import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

AT = "2026-01-0{}T08:00:00+00:00"


def line(day, **fields):
    return json.dumps({"at": AT.format(day), "outcome": "ok", "duration_s": 1.0, "usd": 0.5, **fields})


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "memory" / "usage.jsonl"
    path.parent.mkdir()
    lines = [
        line(1, skill="a", workflow="w"),
        line(2, skill="a", workflow="w", outcome="timeout", duration_s=3.0),
        line(3, skill="b", outcome="unverified", tokens_in=5, tokens_out=7),
        line(4, strategy="written", workflow="w"),
        '{"torn": ',
        "[]",
        "",
    ]
    path.write_text("\n".join(lines))
    return path


def test_tables_count_what_the_record_says(usage_report, record):
    result = usage_report.report(str(record), "nowhere")
    assert (result["source"], result["n_records"], result["n_skipped"]) == ("record", 4, 2)
    assert result["skills"] == [
        {"name": "a", "calls": 2, "ok": 1, "unverified": 0, "failed": 1, "success": 0.5, "mean_s": 2.0, "p95_s": 3.0, "tokens": 0,
         "usd": 1.0, "last_used": AT.format(2), "error_kinds": {"timeout": 1}},
        {"name": "b", "calls": 1, "ok": 0, "unverified": 1, "failed": 0, "success": None, "mean_s": 1.0, "p95_s": 1.0, "tokens": 12,
         "usd": 0.5, "last_used": AT.format(3), "error_kinds": {}},
    ]  # fmt: skip
    assert [row["name"] for row in result["strategies"]] == ["written"]
    assert [(row["name"], row["calls"]) for row in result["workflows"]] == [("w", 1)]
    assert "| a | 2 | 50% | 1 |" in result["markdown"]


def test_since_leaves_older_records_out(usage_report, record):
    assert usage_report.report(str(record), "nowhere", since="2026-01-03")["n_records"] == 2
    with pytest.raises(ValueError, match="`soon`"):
        usage_report.report(str(record), "nowhere", since="soon")


def test_summary_is_shown_where_there_is_no_record(usage_report, tmp_path):
    document = {"name": "a", "calls": 4, "ok": 3, "unverified": 0, "failed": 1, "error_kinds": {"timeout": 1}, "usd": 1.0,
                "tokens_in": 1, "tokens_out": 2, "duration_s": 8.0, "first_used": AT.format(1), "last_used": AT.format(2), "versions": {}}  # fmt: skip
    path = tmp_path / "skill-usage.json"
    path.write_text(json.dumps({"skills": {"1": document}, "meta": {"1": {"n_records": 4, "n_skipped": 0}}}))
    result = usage_report.report(str(tmp_path / "nowhere"), str(path))
    assert (result["source"], result["n_records"]) == ("summary", 4)
    (row,) = result["skills"]
    assert (row["calls"], row["success"], row["mean_s"], row["p95_s"]) == (4, 0.75, 2.0, None)


@pytest.mark.parametrize(
    "text", ["{}", "[]", "", "{", '{"skills": []}', '{"meta": {"1": 3}, "skills": {"1": 2}}']
)
def test_summary_of_another_program_shows_nothing(usage_report, tmp_path, text):
    (tmp_path / "s.json").write_text(text)
    result = usage_report.report(str(tmp_path / "nowhere"), str(tmp_path / "s.json"))
    assert (result["skills"], result["n_records"]) == ([], 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.dictionaries(
    st.sampled_from(
        ["at", "outcome", "skill", "strategy", "workflow", "duration_s", "usd", "tokens_in", "error_kind"]
    ),
    JSON | st.sampled_from(["2026-01-01", "2026-01-01T00:00:00Z", "ok", "error", "a|b"]),
)


@given(records=st.lists(FIELDS.map(json.dumps).map(str.encode) | st.binary(max_size=30), max_size=10))
def test_no_line_spoils_the_tables(usage_report, tmp_path_factory, records):
    path = tmp_path_factory.mktemp("lines") / "usage.jsonl"
    path.write_bytes(b"\n".join(records))
    result = usage_report.report(str(path), "nowhere", since="2020-01-01")
    json.dumps(result, allow_nan=False)
    assert result["n_records"] >= sum(row["calls"] for row in result["skills"])


def test_program_reads_a_workspace(skills_folder, record):
    program = [sys.executable, "-B", str(skills_folder / "usage-report" / "usage_report.py"), "--workspace"]
    done = subprocess.run([*program, str(record.parents[1])], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["n_records"] == 4
    empty = subprocess.run([*program, str(record.parent)], capture_output=True, text=True, check=False)
    assert (empty.returncode, json.loads(empty.stdout)["source"]) == (1, "none")
