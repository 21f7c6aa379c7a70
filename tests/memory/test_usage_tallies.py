import json
from pathlib import Path
from typing import Any

import pytest
from tinydb import TinyDB, where

from orchestrator.errors import WorkspaceError
from orchestrator.memory.tallies import MAX_ERROR_KINDS, MAX_VERSIONS, Imported, Tally
from orchestrator.memory.usage import UsageStore

BESIDE = "skill-usage.orchestrate.json"


def at(second: int) -> str:
    return f"2026-01-31T12:{second // 60:02}:{second % 60:02}Z"


def test_calls_are_counted_by_skill_strategy_and_workflow(tmp_path: Path) -> None:
    store = UsageStore(tmp_path)
    spent = {"usd": 0.25, "tokens_in": 10, "tokens_out": 2, "duration_s": 0.5}
    store.record(at=at(2), skill="count", workflow="w", version="v1", outcome="ok", **spent)
    store.record(
        at=at(1), skill="count", workflow="w", version="v2", outcome="error", error_kind="KeyError", **spent
    )
    store.record(at=at(3), skill="count", workflow="w", outcome="timeout")
    store.record(at=at(4), strategy="written", workflow="w", version="f1", outcome="unverified")
    store.record(at=at(5), skill="other")

    tallies = store.tallies()

    v1 = Tally("v1", 1, 1, 0, 0, {}, 0.25, 10, 2, 0.5, at(2), at(2))
    v2 = Tally("v2", 1, 0, 0, 1, {"KeyError": 1}, 0.25, 10, 2, 0.5, at(1), at(1))
    f1 = Tally("f1", 1, 0, 1, 0, {}, 0.0, 0, 0, 0.0, at(4), at(4))
    assert tallies.skills == {
        "count": Tally(
            "count",
            3,
            1,
            0,
            2,
            {"KeyError": 1, "timeout": 1},
            0.5,
            20,
            4,
            1.0,
            at(1),
            at(3),
            {"v1": v1, "v2": v2},
        ),
        "other": Tally("other", 1, first_used=at(5), last_used=at(5)),
    }
    once = {"calls": 1, "unverified": 1, "first_used": at(4), "last_used": at(4), "versions": {"f1": f1}}
    assert tallies.strategies == {"written": Tally("written", **once)}
    assert tallies.workflows == {"w": Tally("w", **once)}
    assert (tallies.n_records, tallies.n_skipped, tallies.imported) == (5, 0, {})


def test_the_summary_is_a_tinydb_document(tmp_path: Path) -> None:
    (tmp_path / "skill-usage.json").write_text("{}\n")
    store = UsageStore(tmp_path)
    store.record(skill="a", outcome="ok")
    store.record(strategy="written", workflow="w", outcome="ok")
    store.tallies()

    with TinyDB(tmp_path / "skill-usage.json", access_mode="r") as db:
        assert db.tables() == {"skills", "strategies", "workflows", "meta"}
        assert [doc["calls"] for doc in db.table("skills").search(where("name") == "a")] == [1]
        assert db.table("meta").all()[0]["offset"] == (tmp_path / "memory" / "usage.jsonl").stat().st_size


def test_what_was_counted_is_not_counted_again_and_not_written_again(tmp_path: Path) -> None:
    store = UsageStore(tmp_path)
    for _ in range(3):
        store.record(skill="a")
        assert store.tallies() == store.tallies()
    before = (tmp_path / "skill-usage.json").stat().st_mtime_ns, (tmp_path / "skill-usage.json").read_bytes()
    assert store.tallies().skills["a"].calls == 3
    assert before == (
        (tmp_path / "skill-usage.json").stat().st_mtime_ns,
        (tmp_path / "skill-usage.json").read_bytes(),
    )


def test_lines_that_are_no_records_are_skipped_and_counted(tmp_path: Path) -> None:
    store = UsageStore(tmp_path)
    store.record(skill="a")
    with (tmp_path / "memory" / "usage.jsonl").open("ab") as file:
        file.write(
            b'\xff\xfe\n[1]\n\n{"skill": 3, "at": "2026-01-31T12:00:00Z"}\n{"skill": "a", "at": "2026-01'
        )
    store.record(skill="a")

    tallies = store.tallies()
    assert (tallies.n_records, tallies.n_skipped) == (2, 4)


def test_a_line_without_its_end_is_counted_when_it_has_one(tmp_path: Path) -> None:
    store = UsageStore(tmp_path)
    store.record(skill="a")
    record = tmp_path / "memory" / "usage.jsonl"
    whole = record.read_bytes()
    record.write_bytes(whole + whole[:-1])
    assert store.tallies().n_records == 1
    record.write_bytes(whole + whole)
    assert store.tallies().n_records == 2


@pytest.mark.parametrize("n_after", [0, 1, 50])
def test_a_record_that_was_cut_or_begun_anew_is_counted_from_its_start(tmp_path: Path, n_after: int) -> None:
    store = UsageStore(tmp_path)
    for n in range(20):
        store.record(skill=f"old-{n}")
    store.tallies()
    (tmp_path / "memory" / "usage.jsonl").rename(tmp_path / "memory" / "usage.1.jsonl")
    for _ in range(n_after):
        store.record(skill="new")

    tallies = store.tallies()
    assert {name: tally.calls for name, tally in tallies.skills.items()} == (
        {"new": n_after} if n_after else {}
    )
    store.rebuild()
    assert store.tallies() == tallies


def test_a_summary_changed_by_hand_is_counted_anew(tmp_path: Path) -> None:
    store = UsageStore(tmp_path)
    store.record(skill="a")
    tallies = store.tallies()
    path = tmp_path / "skill-usage.json"
    changed = json.loads(path.read_text())
    changed["skills"]["1"]["calls"] = "many"
    path.write_text(json.dumps(changed))

    assert store.tallies() == tallies
    store.rebuild()
    assert json.loads(path.read_text())["skills"]["1"]["calls"] == 1


def test_the_summary_is_bounded_by_names_and_not_by_calls(tmp_path: Path) -> None:
    store = UsageStore(tmp_path)
    for n in range(3 * MAX_VERSIONS):
        store.record(at=at(n), skill="a", version=f"v{n}", outcome="error", error_kind=f"kind-{n}")
        if n == MAX_VERSIONS:
            store.tallies()

    tally = store.tallies().skills["a"]
    assert list(tally.versions) == [f"v{n}" for n in range(2 * MAX_VERSIONS, 3 * MAX_VERSIONS)]
    assert len(tally.error_kinds) == MAX_ERROR_KINDS + 1
    assert tally.error_kinds["other"] == 3 * MAX_VERSIONS - MAX_ERROR_KINDS
    assert (tally.calls, tally.failed, sum(tally.error_kinds.values())) == (60, 60, 60)
    folded = store.tallies()
    store.rebuild()
    assert store.tallies() == folded


@pytest.mark.parametrize(
    ("value", "imported"),
    [
        (
            {"last_updated": "2026-01-29", "total_skills": 93, "skills_used_this_week": 12, "utilization_rate": 0.13,
             "top_skills": [{"name": "codex", "uses": 5, "value": "high"}, {"odd": 1}, 3],
             "underutilized": [{"name": "tinker", "uses": 0, "potential": "medium"}]},
            [Imported("codex", 5), Imported("tinker", 0)],
        ),
        (
            {"skills": {"lint": {"last_used": "2026-02-01", "times_used": 7, "successes": 5, "failures": 2,
                                 "common_mistakes": [], "validation_failures": []}, "bad": 3}},
            [Imported("lint", 7, 5, 2, "2026-02-01")],
        ),
        (
            {"generatedAt": "2026-02-01", "events": [{"skill": "a", "timestamp": "1"}, {"skill": "a"}, {"name": "b"}, 7]},
            [Imported("a", 2, last_used="1"), Imported("b", 1)],
        ),
        (
            {"graph": {"used": 4, "lastUsed": "2026-02-01", "related": [],
                       "outcomes": {"success": 2, "partial": 1, "failure": 1}}},
            [Imported("graph", 4, 2, 1, "2026-02-01")],
        ),
        (
            {"sort": [{"success": True, "ts": "2026-02-01"}, {"success": False, "ts": "2026-02-03"}]},
            [Imported("sort", 2, 1, 1, "2026-02-03")],
        ),
        ({"skills": {"sort": {"records": [{}, {}]}}}, [Imported("sort", 2)]),
        ({"meta": {"1": {"schema": "orchestrate.usage/2"}}}, []),
        ([1, 2], []),
        ("text", []),
        (None, []),
    ],
)  # fmt: skip
def test_another_tools_file_is_imported_and_never_overwritten(
    tmp_path: Path, value: Any, imported: list[Imported]
) -> None:
    path = tmp_path / "skill-usage.json"
    path.write_text(json.dumps(value))
    store = UsageStore(tmp_path)
    store.record(skill="ours")
    tallies = store.tallies()
    store.rebuild()

    assert path.read_text() == json.dumps(value)
    assert list(tallies.imported.values()) == imported
    assert list(tallies.skills) == ["ours"]
    assert store.tallies() == tallies
    assert json.loads((tmp_path / BESIDE).read_text())["skills"]["1"]["name"] == "ours"


@pytest.mark.parametrize("damaged", [b"{", b"\xff", b"[" * 100_000, b'{"skills": {}} trailing'])
def test_a_file_that_cannot_be_read_as_json_is_left_alone(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "skill-usage.json").write_bytes(damaged)
    store = UsageStore(tmp_path)
    store.record(skill="ours")

    assert store.tallies().skills["ours"].calls == 1
    assert (tmp_path / "skill-usage.json").read_bytes() == damaged


@pytest.mark.parametrize("empty", [b"", b" \n", b"{}", b"{ }\n"])
def test_an_empty_file_is_ours(tmp_path: Path, empty: bytes) -> None:
    (tmp_path / "skill-usage.json").write_bytes(empty)
    store = UsageStore(tmp_path)
    assert store.tallies().n_records == 0
    assert (tmp_path / "skill-usage.json").read_bytes() == empty
    store.record(skill="ours")
    store.tallies()

    assert json.loads((tmp_path / "skill-usage.json").read_text())["meta"]["1"]["n_records"] == 1
    assert not (tmp_path / BESIDE).exists()


def test_where_both_names_are_taken_figures_are_had_and_publishing_is_an_error(tmp_path: Path) -> None:
    for name in ("skill-usage.json", BESIDE):
        (tmp_path / name).write_text("[]")
    store = UsageStore(tmp_path)
    store.record(skill="ours")

    assert store.tallies().skills["ours"].calls == 1
    with pytest.raises(WorkspaceError, match="another tool"):
        store.rebuild()
    assert (tmp_path / BESIDE).read_text() == "[]"


def test_a_deleted_summary_is_made_again(tmp_path: Path) -> None:
    store = UsageStore(tmp_path)
    store.record(skill="a")
    tallies = store.tallies()
    (tmp_path / "skill-usage.json").unlink()

    assert store.tallies() == tallies
    assert (tmp_path / "skill-usage.json").exists()


def test_a_file_in_the_place_of_a_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("")
    with pytest.raises(WorkspaceError, match=r"can't write `.*usage.jsonl`") as caught:
        UsageStore(tmp_path).record(skill="a")
    assert caught.value.hint

    (tmp_path / "memory").unlink()
    (tmp_path / "memory" / "usage.jsonl").mkdir(parents=True)
    with pytest.raises(WorkspaceError, match=r"can't read `.*usage.jsonl`"):
        UsageStore(tmp_path).tallies()


def test_checks_judge_the_skills_that_an_attempt_called(tmp_path: Path) -> None:
    store = UsageStore(tmp_path)
    for passed in (True, False, False):
        store.record(
            strategy="rlm", workflow="w", verdict="expr", skills="liar other",
            outcome="ok" if passed else "error", error_kind=None if passed else "checks",
        )  # fmt: skip
    store.record(strategy="rlm", workflow="w", verdict="schema", skills="liar", outcome="ok")
    store.record(
        strategy="rlm", workflow="w", verdict="expr", skills="liar", outcome="error", error_kind="network"
    )
    liar = store.tallies().skills["liar"]
    assert (liar.passed, liar.not_passed, liar.calls) == (1, 2, 0)


def test_what_is_forgotten_counts_no_more(tmp_path: Path) -> None:
    store = UsageStore(tmp_path)
    store.record(strategy="grep", workflow="w", outcome="ok")
    store.record(strategy="grep", error_kind="forgotten")
    store.record(strategy="rlm", workflow="w", outcome="ok")
    tallies = store.tallies()
    assert set(tallies.strategies) == {"rlm"}
    assert tallies.workflows["w"].calls == 2
