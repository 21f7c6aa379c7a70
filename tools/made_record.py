"""A usage record of any length, for pages and measurements: written by the real store, of runs that never were."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from orchestrator.memory.usage import UsageStore
from orchestrator.strategies.learned import folder_of
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

BEGAN = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)

PROGRAM = """\
---
name: learned-62be3ca1
description: The cells that answered.
evidence: {run: r, at: "2026-09-04T08:00:00+00:00", workflow: w, workflow_version: v, checks: [c], usd: 0.02, tokens: 6400, calls: 9}
---
# Learned

```repl
FINAL(1)
```
"""


def made_record(workspace: Path, n_runs: int, name: str = "weekly-digest", skill: str = "word-count") -> None:
    """Put so many runs of a workflow on record: dear and unsure at first, cheap once there is a program.

    It says `name` and `skill` wherever it can. A program lies beside the record once it was learned.
    """
    store, chance = UsageStore(workspace), random.Random(7)
    for number in range(n_runs):
        at = BEGAN + timedelta(hours=23 * number)
        tries = ["rlm"] if number < 4 else ["learned:62be3ca1", "rlm"]
        if number < 2:
            tries.insert(0, "grep")
        for strategy in tries:
            outcome = _attempted(store, chance, number, at, strategy, name, skill)
            if outcome != "error":
                break
        for call in range(1, 4):
            store.record(
                at=at.isoformat(), run=f"r{number}", call=f"0.{call}", parent="0", depth=1, skill=f"{skill}-{call % 3}",
                workflow=name, outcome="error" if chance.random() < 0.08 else "ok", duration_s=chance.uniform(0.01, 0.4),
                error_kind=None,
            )  # fmt: skip
    if n_runs > 4:
        folder = folder_of(Workspace(workspace), name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "62be3ca1.md").write_text(PROGRAM)


def _attempted(
    store: UsageStore, chance: random.Random, number: int, at: datetime, strategy: str, name: str, skill: str
) -> str:
    is_learned = strategy.startswith("learned:")
    outcome = (
        "error" if chance.random() < (0.04 if is_learned else 0.8 if strategy == "grep" else 0.25) else "ok"
    )
    outcome = "unverified" if outcome == "ok" and chance.random() < 0.06 else outcome
    kind = None if outcome != "error" else "network" if chance.random() < 0.2 else "checks"
    tokens = int(chance.gauss(1400, 120) if is_learned else chance.gauss(6400, 900))
    store.record(
        at=at.isoformat(), run=f"r{number}", call="0", depth=0, strategy=strategy, version="v1", workflow=name,
        situation={"workflow": name, "depth": 0}, outcome=outcome, error_kind=kind, duration_s=chance.uniform(2, 9),
        tokens_in=max(0, tokens), tokens_out=tokens // 10, usd=round(max(0, tokens) * 3e-6, 6), verdict="expr",
        skills=f"{skill}-1 {skill}-2",
    )  # fmt: skip
    return outcome
