"""A workspace with one case, a model for it, and the world that counts what is done to it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_server.policies import Answer
from model_server.server import ModelServer
from model_server.shapes import KEY

from crash.skills import FILES, LEDGER, PUTS
from orchestrator import load_skills
from orchestrator.runs.trusting import trust
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from model_server.policies import Seen

    from crash.cases import Case

TOOLS = Path(__file__).resolve().parents[1]
TURN = "(a turn of a recursive call)"
"""Stands for the messages of every turn: they hold what is left of the budget, which is never twice the same."""

SETTINGS = (
    '[models.default]\nmodel = "openai/scripted"\napi_base = "{url}/v1"\nkey_env = "CRASH_KEY"\nretries = 0\n'
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a case is run. `server` is its model, unless that is the host."""

    root: Path
    case: Case
    server: ModelServer

    @property
    def runs(self) -> Path:
        """The folder with a folder of each run."""
        return self.root / "memory" / "runs"

    @property
    def env(self) -> dict[str, str]:
        """The variables of a person who has nothing of ours."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.root / "home"), "PYTHONPATH": str(TOOLS), "CRASH_KEY": KEY}

    def command(self, words: Sequence[str], module: Sequence[str] = ("orchestrator",)) -> list[str]:
        """The product's command line, or another module before it."""
        return [sys.executable, "-P", "-m", *module, *words]

    def effects(self) -> Counter[str]:
        """What was done to the world, and how often."""
        lines = (self.root / LEDGER).read_text("utf-8").splitlines()
        puts = [f"put {path.name}" for path in (self.root / PUTS).glob("[!.]*")]
        return Counter([*(line.split(" ", 1)[0] for line in lines), *puts])

    def asked(self) -> Counter[str]:
        """What the model was asked, and how often."""
        return Counter(TURN if seen.is_root else seen.last for seen in self.server.requests)


@contextmanager
def placed(case: Case, root: Path) -> Iterator[Place]:
    """A place in an empty folder."""
    (root / "home").mkdir(parents=True)
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "workflow.md").write_text(case.text, encoding="utf-8")
    trust(Workspace(root), load_skills(root / "skills"), "person")

    def policy(seen: Seen) -> Answer:
        return Answer(case.reply(seen.messages, is_root=seen.is_root))

    with ModelServer(policy, latency_s=case.latency_s) as server:
        (root / "orchestrate.toml").write_text(SETTINGS.format(url=server.url), encoding="utf-8")
        yield Place(root, case, server)
