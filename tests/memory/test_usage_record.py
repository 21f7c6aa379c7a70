import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.memory.record import FIELDS, checked, parsed
from orchestrator.memory.usage import UsageStore
from orchestrator.workspace import Workspace

AT = "2026-01-31T12:00:00Z"


def lines(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "memory" / "usage.jsonl").read_text("utf-8").splitlines()]


def test_a_record_holds_the_fields_of_the_contract_and_null_for_those_not_given(tmp_path: Path) -> None:
    UsageStore(tmp_path).record(
        at=AT, skill="wörd-count", outcome="ok", duration_s=1, situation={"depth": 0, "x": "y"}
    )

    (record,) = lines(tmp_path)
    assert list(record) == [
        "at", "run", "call", "parent", "depth", "skill", "strategy", "version", "workflow", "situation", "outcome",
        "duration_s", "tokens_in", "tokens_out", "usd", "checks_passed", "error_kind",
    ]  # fmt: skip
    given_fields = {
        "at": AT,
        "skill": "wörd-count",
        "outcome": "ok",
        "duration_s": 1,
        "situation": {"depth": 0, "x": "y"},
    }
    assert record == dict.fromkeys(FIELDS) | given_fields


def test_a_record_without_a_time_is_of_now(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    UsageStore(tmp_path).record(skill="a")

    at = datetime.fromisoformat(lines(tmp_path)[0]["at"])
    assert before <= at <= datetime.now(UTC)
    assert at.utcoffset() == timedelta(0)


def test_a_time_without_an_offset_is_utc(tmp_path: Path) -> None:
    UsageStore(tmp_path).record(skill="a", at="2026-01-31T12:00:00")

    assert lines(tmp_path)[0]["at"] == "2026-01-31T12:00:00+00:00"


def test_a_path_is_taken_as_it_is_and_its_folders_are_made(tmp_path: Path) -> None:
    (tmp_path / "skills").mkdir()  # makes the parent look like a workspace, too
    inner = tmp_path / "not" / "there" / "yet"
    UsageStore(str(inner)).record(skill="a")
    UsageStore(Workspace(inner)).record(skill="b")

    assert [record["skill"] for record in lines(inner)] == ["a", "b"]
    assert not (tmp_path / "memory").exists()


def test_asking_an_empty_workspace_for_tallies_writes_nothing(tmp_path: Path) -> None:
    assert UsageStore(tmp_path / "new").tallies().n_records == 0
    assert list(tmp_path.iterdir()) == []


def test_recording_and_notes_load_no_heavy_package(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from orchestrator import UsageStore; import orchestrator.memory.notes;"
        "UsageStore(sys.argv[1]).record(skill='a');"
        "print(*{'tinydb', 'pydantic', 'jsonschema', 'rich', 'yaml', 'asyncio'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


def test_an_unknown_field_is_named_with_the_closest_one_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no field `arguments`") as caught:
        UsageStore(tmp_path).record(skil="a", arguments={"key": "s3cret"})

    assert "no field `skil` (did you mean `skill`?)" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("skill", 1), ("run", b"x"), ("depth", -1), ("depth", True), ("depth", 1.0), pytest.param("tokens_in", 10**5000, id="long number"),
        ("usd", float("nan")), ("usd", float("inf")), ("usd", -0.1), ("duration_s", "1"), ("outcome", "fine"),
        ("outcome", ["ok"]), ("checks_passed", 1), ("situation", ["a"]), ("situation", {"a": {"b": 1}}),
        ("situation", {1: "a"}), ("situation", {"a": float("nan")}), ("at", "yesterday"), ("at", 1.5),
        ("at", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_wrong_value_is_an_error_that_names_its_field(tmp_path: Path, name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"`{name}` takes"):
        UsageStore(tmp_path).record(**{name: value})

    assert list(tmp_path.iterdir()) == []


def test_a_record_that_carries_a_text_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at most 65,536"):
        UsageStore(tmp_path).record(skill="a", situation={"prompt": "x" * 70_000})

    assert list(tmp_path.iterdir()) == []


def test_a_field_that_a_newer_version_added_is_left_out() -> None:
    record = checked({"skill": "a", "at": AT})

    assert parsed(json.dumps(record | {"colour": "red"}).encode()) == record


@given(st.binary())
def test_any_bytes_are_a_record_or_none(line: bytes) -> None:
    assert parsed(line) is None or set(parsed(line) or ()) == set(FIELDS)


texts = st.text()
records = st.fixed_dictionaries(
    {"at": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)},
    optional={
        "skill": texts,
        "run": texts,
        "depth": st.integers(0, 2**53),
        "usd": st.floats(0, 2**53),
        "checks_passed": st.booleans(),
        "situation": st.dictionaries(
            texts, texts | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
        ),
    },
)


@given(records)
def test_what_is_recorded_is_read_back(fields: dict[str, Any]) -> None:
    record = checked(fields)

    assert parsed(json.dumps(record, ensure_ascii=False).encode()) == record
