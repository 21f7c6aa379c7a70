"""A change applied and taken back, whatever happens in between."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from killed_amending import NUMBER, PROPOSAL, edits, state

from orchestrator.errors import UsageError, WorkspaceError
from orchestrator.runs.amending import Edit, applied, apply, diff, rollback, to_roll_back
from orchestrator.workspace import Workspace

NOW = datetime(2026, 1, 8, tzinfo=UTC)
CHILD = Path(__file__).with_name("killed_amending.py")
RECORD = Path("memory", "reviews", "applied", f"{NUMBER}.json")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for edit in edits(tmp_path):
        if edit.before is not None:
            edit.path.write_bytes(edit.before)
            edit.path.chmod(edit.mode or 0)
    return tmp_path


def put(root: Path) -> bool:
    return apply(Workspace(root), PROPOSAL, edits(root), lambda: False, NOW)


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        ("keeps", ["begun", "kept", "none"]),
        ("undoes", ["begun", "none"]),
        ("rolls-back", ["kept", "none"]),
    ],
)
def test_killed_at_any_point_it_leaves_what_can_be_taken_back(
    what: str, seen: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, CHILD, tmp_path, what], capture_output=True, text=True, check=True, timeout=100
    )
    found = json.loads(done.stdout)
    assert (found["odd"], found["seen"]) == ([], seen), done.stderr
    assert found["points"] > 10


def test_what_is_kept_and_taken_back_is_byte_for_byte(root: Path) -> None:
    before = state(root)
    assert put(root)
    assert state(root) == {"new.md": [b"\x00new\r\n".hex(), 0o644], "changed.md": [b"other".hex(), 0o640]}
    found = rollback(Workspace(root), NUMBER)
    assert (found.state, found.at, found.edits) == ("kept", "2026-01-08T00:00:00+00:00", tuple(edits(root)))
    assert (state(root), (root / RECORD).exists()) == (before, False)


def test_what_got_worse_is_undone(root: Path) -> None:
    before, during = state(root), []

    def is_worse() -> bool:
        during.append(state(root))
        return True

    assert not apply(Workspace(root), PROPOSAL, edits(root), is_worse, NOW)
    assert during[0] != before
    assert (state(root), (root / RECORD).exists()) == (before, False)


def test_what_could_not_be_tried_is_undone(root: Path) -> None:
    before = state(root)

    def is_interrupted() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(Workspace(root), PROPOSAL, edits(root), is_interrupted, NOW)
    assert (state(root), (root / RECORD).exists()) == (before, False)


def test_a_file_that_cannot_be_written_undoes_the_ones_before_it(root: Path) -> None:
    before = state(root)
    (root / "a file").write_text("")
    nowhere = Edit(root / "a file" / "x.md", None, b"y")
    with pytest.raises(WorkspaceError):
        apply(Workspace(root), PROPOSAL, [*edits(root), nowhere], lambda: False, NOW)
    assert (state(root), (root / RECORD).exists()) == (before, False)


def test_a_file_that_changed_after_the_question_is_left_alone(root: Path) -> None:
    (root / "changed.md").write_text("by somebody")
    before = state(root)
    with pytest.raises(UsageError, match=r"`.*changed.md` has changed since you were asked"):
        put(root)
    assert (state(root), (root / RECORD).exists()) == (before, False)


def test_a_file_that_changed_since_is_not_lost_by_taking_back(root: Path) -> None:
    put(root)
    (root / "changed.md").write_text("by somebody")
    after = state(root)
    with pytest.raises(UsageError) as raised:
        rollback(Workspace(root), NUMBER)
    assert str(raised.value) == (
        f"`{root / 'changed.md'}` has changed since `{NUMBER}` was applied: taking it back would lose that"
    )
    assert raised.value.hint == (
        f"undo the later change first; or change the file by hand, and delete `{RECORD}`"
    )
    assert (state(root), (root / RECORD).exists()) == (after, True)


def test_nothing_is_applied_twice_or_taken_back_twice(root: Path) -> None:
    put(root)
    with pytest.raises(UsageError) as raised:
        put(root)
    assert raised.value.whole == (
        f"`{NUMBER}` was applied on 2026-01-08T00:00:00+00:00\n"
        f"hint: `orchestrate review rollback {NUMBER}` takes it back"
    )
    rollback(Workspace(root), NUMBER)
    with pytest.raises(UsageError) as raised:
        to_roll_back(Workspace(root), NUMBER)
    where = root / "memory" / "reviews" / "applied"
    assert raised.value.whole == f"no change `{NUMBER}` is on record in `{where}`\nhint: nothing is applied"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("path", ".git/hooks/post-checkout"),
        ("path", "../.profile"),
        ("path", "sub/skills.lock"),
        ("mode", 0o4755),
        ("mode", "x"),
    ],
)
def test_a_record_of_somebody_elses_making_changes_no_file_that_anything_runs(
    key: str, value: object, root: Path
) -> None:
    put(root)
    record = json.loads((root / RECORD).read_text())
    record["edits"][0] |= {"before": "eA==", "after": None, key: value}
    (root / RECORD).write_text(json.dumps(record))
    before = state(root)
    with pytest.raises(UsageError):
        rollback(Workspace(root), NUMBER)
    assert state(root) == before
    assert not (root / str(value)).exists()


def test_what_a_change_makes_is_shown_unless_it_only_moves(root: Path) -> None:
    made = Edit(root / "made.md", None, b"text\n")
    moved = Edit(root / "SKILL.md.retired", None, b"old\n"), Edit(root / "SKILL.md", b"old\n", None)
    assert list(diff([made, *moved], Workspace(root))) == [
        "--- now/made.md", "+++ then/made.md", "@@ -0,0 +1 @@", "+text", "SKILL.md.retired: new", "SKILL.md: goes",
    ]  # fmt: skip


def test_of_several_at_once_one_applies(root: Path) -> None:
    words = [sys.executable, "-c", ONE, str(CHILD.parent), str(root)]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = sorted(process.communicate(timeout=100)[0] for process in processes)
    assert said == [*["`" + NUMBER + "` was applied\n"] * 3, "kept\n"]
    found = applied(Workspace(root), NUMBER)
    assert found is not None
    assert found.state == "kept"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v": 2, "state": "kept"}', "[" * 100_000])
def test_a_damaged_record_is_said_and_kept(text: str, root: Path) -> None:
    (root / RECORD).parent.mkdir(parents=True)
    (root / RECORD).write_text(text)
    with pytest.raises(UsageError, match=r"the record `.*` of what was applied is damaged"):
        to_roll_back(Workspace(root), NUMBER)
    with pytest.raises(UsageError, match="is damaged"):
        put(root)
    assert (root / RECORD).read_text() == text


def test_no_id_leads_out_of_the_folder_of_records(root: Path) -> None:
    assert applied(Workspace(root), "../../../../etc/passwd") is None


ONE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from killed_amending import PROPOSAL, edits
from orchestrator.errors import UsageError
from orchestrator.runs.amending import apply
from orchestrator.workspace import Workspace
root = Path(sys.argv[2])
try:
    kept = apply(Workspace(root), PROPOSAL, edits(root), lambda: False, datetime.now(UTC))
    print("kept" if kept else "undone")
except UsageError as error:
    print(str(error).split(" on ")[0])
"""
