"""The bundled workflow that reviews, over a record whose truth is known: real workers, no model."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from seeded_record import World, records

ROOT = Path(__file__).resolve().parents[2]


def test_the_self_review_says_what_has_changed_and_writes_its_page(tmp_path):
    (tmp_path / "memory").mkdir()
    world = World(n_runs=400, planted={"skill:skill-2": 0.15})
    (tmp_path / "memory" / "usage.jsonl").write_bytes(b"".join(records(world, 2, end=datetime.now(UTC))))
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "self-review", "--workspace", str(tmp_path), "--json"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {check["passed"] for check in result["checks"]} == {True}
    assert result["usage"]["calls"] == 0
    found = [(one["subject"], one["kind"]) for one in result["answer"]["findings"]]
    assert found == [("skill:skill-2", "success"), ("skill:skill-2", "fails")]
    page = (tmp_path / "out" / "self-review.md").read_text()
    assert "skill:skill-2 succeeds in less than half of its calls" in page
    assert "## Skills" in page
