"""The same operations on the store and on a list in memory must give the same tallies."""

import json
import shutil
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orchestrator.memory.tallies import FAILURES, Tallies, Tally
from orchestrator.memory.usage import UsageStore

names = st.sampled_from(["a", "b", "ünï", ""])
optional_names = st.none() | names
moments = st.datetimes(
    datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001
).map(datetime.isoformat)  # fmt: skip
amounts = st.none() | st.floats(0, 1e6)
records = st.fixed_dictionaries(
    {
        "at": moments,
        "skill": optional_names,
        "strategy": optional_names,
        "workflow": optional_names,
        "version": st.none() | st.sampled_from(["1", "2", "3"]),
        "outcome": st.sampled_from(
            [None, "ok", "unverified", "error", "invalid", "timeout", "denied", "budget"]
        ),
        "error_kind": st.sampled_from([None, "KeyError", "OSError"]),
        "usd": amounts,
        "duration_s": amounts,
        "tokens_in": st.none() | st.integers(0, 10**6),
        "tokens_out": st.none() | st.integers(0, 10**6),
    }
)


class UsageStoreAgainstAList(RuleBasedStateMachine):
    @initialize(foreign=st.booleans())
    def begin(self, foreign: bool) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="usage-model-"))
        self.store = UsageStore(self.root)
        self.model: list[dict[str, Any]] = []
        self.n_skipped = 0
        self.torn = False
        self.foreign = foreign
        if foreign:
            (self.root / "skill-usage.json").write_text('{"z": {"used": 1}}')

    @property
    def summary(self) -> Path:
        return self.root / ("skill-usage.orchestrate.json" if self.foreign else "skill-usage.json")

    @property
    def record_file(self) -> Path:
        self.store.workspace.memory.mkdir(exist_ok=True)
        return self.store.workspace.usage_log

    @rule(record=records)
    def record(self, record: dict[str, Any]) -> None:
        self.store.record(**record)
        self.model.append(record)
        self.n_skipped += self.torn
        self.torn = False

    @rule(line=st.sampled_from([b"\x00\xff\n", b"{}\n", b"null\n", b'{"at": 1}\n']))
    def something_else_writes_a_line(self, line: bytes) -> None:
        with self.record_file.open("ab") as file:
            file.write(b"\n" * self.torn + line)
        self.n_skipped += 1 + self.torn
        self.torn = False

    @rule(half=st.sampled_from([b'{"at"', b"{", b"\xf0\x9f"]))
    def a_writer_is_killed_in_its_line(self, half: bytes) -> None:
        with self.record_file.open("ab") as file:
            file.write(half)
        self.torn = True

    @rule()
    def a_fold_is_killed_before_it_replaces(self) -> None:
        self.summary.with_name(f".{self.summary.name}.part").write_bytes(b'{"skills": {"1"')

    @rule()
    def fold(self) -> None:
        self.store.tallies()

    @rule()
    def rebuild(self) -> None:
        self.store.rebuild()

    @rule(content=st.sampled_from([None, b"", b"{}"]))
    def the_summary_is_deleted_or_emptied(self, content: bytes | None) -> None:
        self.summary.unlink(missing_ok=True)
        if content is not None:
            self.summary.write_bytes(content)

    @rule()
    def the_record_is_rotated(self) -> None:
        self.record_file.unlink(missing_ok=True)
        self.model, self.n_skipped, self.torn = [], 0, False

    @rule()
    def the_last_record_is_cut_off(self) -> None:
        if self.model and self.n_skipped == 0 and not self.torn:
            lines = self.record_file.read_bytes().splitlines(keepends=True)
            self.record_file.write_bytes(b"".join(lines[:-1]))
            self.model.pop()

    @invariant()
    def a_reader_finds_a_whole_summary(self) -> None:
        if self.summary.exists() and self.summary.stat().st_size:
            json.loads(self.summary.read_bytes())

    @rule()
    def the_tallies_are_those_of_the_list(self) -> None:
        assert self.store.tallies() == self.expected()

    def teardown(self) -> None:
        if not hasattr(self, "root"):
            return
        try:
            assert self.store.tallies() == self.expected()
            self.store.rebuild()
            assert self.store.tallies() == self.expected()
        finally:
            shutil.rmtree(self.root)

    def expected(self) -> Tallies:
        calls = [one for one in self.model if one["skill"] is None]
        return Tallies(
            skills=tables(self.model, "skill"),
            strategies=tables(self.model, "strategy"),
            workflows=tables(calls, "workflow"),
            imported=self.store.tallies().imported,
            n_records=len(self.model),
            n_skipped=self.n_skipped,
        )


def tables(records: list[dict[str, Any]], subject: str, *, with_versions: bool = True) -> dict[str, Tally]:
    found = dict.fromkeys(one[subject] for one in records if one[subject] is not None)
    return {
        name: tally(name, [one for one in records if one[subject] == name], with_versions) for name in found
    }


def tally(name: str, records: list[dict[str, Any]], with_versions: bool) -> Tally:
    failed = [one for one in records if one["outcome"] in FAILURES]
    versions = tables([one for one in records if with_versions], "version", with_versions=False)
    at = sorted((one["at"] for one in records), key=datetime.fromisoformat)
    return Tally(
        name,
        calls=len(records),
        ok=sum(one["outcome"] == "ok" for one in records),
        unverified=sum(one["outcome"] == "unverified" for one in records),
        failed=len(failed),
        error_kinds=dict(Counter(one["error_kind"] or one["outcome"] for one in failed)),
        usd=added(one["usd"] for one in records),
        tokens_in=sum(one["tokens_in"] or 0 for one in records),
        tokens_out=sum(one["tokens_out"] or 0 for one in records),
        duration_s=added(one["duration_s"] for one in records),
        first_used=at[0],
        last_used=at[-1],
        versions=versions,
    )


def added(values: Any) -> float:
    total = 0.0  # one after another: `sum` of 3.12 compensates, a fold in several sittings can't
    for value in values:
        total += value or 0.0
    return total


TestUsageStoreAgainstAList = UsageStoreAgainstAList.TestCase
TestUsageStoreAgainstAList.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
