"""Plays attacks in one environment and role, and says of each whether it was stopped."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attacks.scene import Scene
from attacks.stage import ENVIRONMENTS, NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from attacks.table import Attack

__all__ = ["ENVIRONMENTS", "NOTHING", "Outcome", "play"]

TOOLS = Path(__file__).resolve().parents[1]
ANSWER_S = 90.0
SHOWN_CHARS = 25_000
"""More than an observation may have."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attack came out. `harm` is empty where it was stopped; `why` then says by what."""

    attack: str
    harm: str
    why: str
    unavailable: str = ""  # why the environment can't be had


def play(
    environment: str, role: str, attacks: Iterable[Attack], settings: Mapping[str, Any] | None = None
) -> Iterator[Outcome]:
    """The outcome of each attack, in order; `settings` are those of environments that need any."""
    with Scene() as scene:
        stage = _Stage(scene, settings or {})
        try:
            for attack in attacks:
                yield stage.play(attack, environment, role)
        finally:
            stage.close()


class _Stage:
    """A process that is made again when an attack ended it."""

    def __init__(self, scene: Scene, settings: Mapping[str, Any]) -> None:
        self._scene = scene
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None

    def play(self, attack: Attack, environment: str, role: str) -> Outcome:
        process = self._living()
        facts = self._scene.fresh(process.pid)
        (Path(facts["scratch"]) / "facts").write_text(json.dumps(facts))
        asked = {"attack": attack.name, "environment": environment, "role": role, "facts": facts}
        told = self._told(process, {**asked, "settings": self._settings})
        if "unavailable" in told:
            return Outcome(attack.name, "", "", told["unavailable"])
        heard = json.dumps([told.get("loot"), told.get("later"), told.get("printed"), told.get("kept")])
        harm = self._scene.harm(heard, goes_on=attack.goes_on)
        if told.get("late"):
            harm = harm or "the parent was held up"
        if told.get("raised"):
            harm = harm or f"the parent broke: {told['raised']}"
        if told.get("n_shown", 0) > SHOWN_CHARS:
            harm = harm or "the parent was flooded"
        return Outcome(attack.name, harm, str(told.get("lost") or told.get("failure") or "it found nothing"))

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _told(self, process: subprocess.Popen[str], asked: dict[str, Any]) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], ANSWER_S)[0]:
            self.close()
            return {"late": True}
        line = process.stdout.readline()
        if not line:
            self.close()
            return {"raised": "it was killed"}
        told: dict[str, Any] = json.loads(line)
        return told

    def _living(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "attacks.stage"], cwd=TOOLS, env=self._scene.variables, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        return self._process
