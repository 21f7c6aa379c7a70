import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from seeded_record import World, records

from orchestrator.memory.record import SURROUNDINGS
from orchestrator.memory.reviewing.proposing import Known
from orchestrator.memory.reviewing.review import review, to_object
from orchestrator.memory.reviewing.window import window

END = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
CHANGE = (END - timedelta(days=7)).isoformat()
"""A window that begins here, and the one before it, hold all records, however long the test takes."""


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "memory" / "usage.jsonl"
    path.parent.mkdir()
    world = World(n_runs=700, planted={"skill:skill-1": 0.55, "skill:skill-2": 0.15}, outage=0.1)
    lines = [*records(world, 5, end=END), b'{"torn": \n', b"[]\n", b"\xff\n", b"\n"]
    path.write_bytes(b"".join(lines))
    return path


def test_the_statistics_are_those_of_the_package(skills_folder):
    """A skill carries what it needs, wherever it is copied to; this holds the two files equal."""
    theirs = skills_folder.parent / "orchestrator" / "memory" / "reviewing" / "chance.py"
    assert (skills_folder / "usage-review" / "chance.py").read_bytes() == theirs.read_bytes()


def test_what_is_no_evidence_is_what_the_package_says(usage_review):
    assert usage_review.SURROUNDINGS == SURROUNDINGS


def test_it_finds_what_the_command_finds_of_success(usage_review, record):
    found = usage_review.review(str(record), CHANGE)
    looked = window(datetime.now(UTC), CHANGE, None)
    with record.open("rb") as lines:
        theirs = to_object(review(lines, looked, Known()))["findings"]
    key = lambda one: (one["subject"], one["kind"])  # noqa: E731
    assert {("skill:skill-1", "success"), ("skill:skill-2", "success"), ("skill:skill-2", "fails")} == {
        key(one) for one in found["findings"]
    }
    assert sorted(found["findings"], key=key) == sorted(theirs, key=key)


def test_without_a_record_or_a_change_it_says_nothing(usage_review, tmp_path):
    found = usage_review.review(str(tmp_path / "none.jsonl"))
    assert (found["findings"], found["n_records"], found["n_compared"]) == ([], 0, 0)
    assert found["markdown"].endswith("Nothing has changed that chance would hardly do.\n")


@pytest.mark.parametrize("since", ["soon", "0d", "99999w", "3000-01-01", ""])
def test_a_since_that_means_nothing_is_refused(usage_review, since):
    with pytest.raises(ValueError, match=r"is no date|leaves no time"):
        usage_review.begin(since, datetime.now(UTC))


def test_a_date_begins_a_window(usage_review):
    end = datetime(2026, 6, 29, tzinfo=UTC)
    assert usage_review.begin("2026-06-22", end) == end - timedelta(days=7)
    assert usage_review.begin("2w", end) == end - timedelta(days=14)


def test_as_a_program_it_prints_what_it_found(skills_folder, record, tmp_path):
    def run(*words):
        program = skills_folder / "usage-review" / "usage_review.py"
        return subprocess.run(
            [sys.executable, "-B", program, *words], capture_output=True, text=True, timeout=60
        )

    done = run("--workspace", record.parent.parent)
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["findings"]) == 3
    page = run("--workspace", record.parent.parent, "--format", "markdown").stdout
    assert "- skill:skill-2 succeeds in less than half of its calls: " in page
    assert run("--workspace", tmp_path / "nowhere").returncode == 1
    wrong = run("--since", "soon")
    assert (wrong.returncode, wrong.stdout) == (2, "")
