"""Workers of every environment, for tests of what each promises."""

import asyncio
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.app import CLOUDS, environment_factory
from orchestrator.environments.session import Session
from orchestrator.errors import SkillError, WorkerLost
from orchestrator.values import Cell, WorkerSpec

LONG_S = 60.0  # far more than anything here takes


@dataclass
class Parent:
    """Answers calls, and remembers them."""

    asked: list[Any] = field(default_factory=list)

    async def __call__(self, fn: str, arguments: dict[str, Any]) -> Any:
        self.asked.append((fn, arguments))
        match fn:
            case "llm_query":
                return f"reply to {arguments['prompt']}"
            case "skill" if arguments["skill"] == "echo":
                return {"args": arguments["args"], **arguments["kwargs"]}
            case "skill_map":
                return [
                    item if item else SkillError("no item", hint="give one") for item in arguments["items"]
                ]
            case "budget":
                return {"calls": 7}
            case "memory_read" | "log" | "rlm_query":
                return arguments
            case "approve":
                await asyncio.Event().wait()
        raise SkillError(f"there is no `{fn}`", kind="invalid", retryable=True, hint="try another")


@dataclass
class Rig:
    """Starts workers of one environment in a folder of the test's own."""

    name: str
    settings: Mapping[str, Any]
    folder: Path
    parent: Parent = field(default_factory=Parent)
    n_started: int = 0

    def __post_init__(self) -> None:
        self.environment = environment_factory(self.name, self.settings)()

    @property
    def preparation(self) -> str:
        """What another process that starts workers here has to run before."""
        if self.name not in CLOUDS:
            return ""
        return (
            "import sys, pytest\n"
            f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
            "import cloud_stand_ins\n"
            f"cloud_stand_ins.install(pytest.MonkeyPatch(), {self.name!r}, {str(self.folder)!r})\n"
        )

    @property
    def shares_files(self) -> bool:
        """Whether a worker and this process see the same files."""
        return not self.name.startswith("ssh:") and self.name not in CLOUDS

    async def start(self, *, init: dict[str, Any] | None = None, **spec: Any) -> Session:
        self.n_started += 1
        scratch = self.folder / f"scratch-{self.n_started}"
        scratch.mkdir()
        session = await self.environment.start(WorkerSpec(scratch=scratch, cwd=scratch, **spec))
        await session.init(**(init or {}))
        return session

    def cells(
        self,
        *sources: str | Callable[[Any], str],
        timeout_s: float = LONG_S,
        init: dict[str, Any] | None = None,
        **spec: Any,
    ) -> list[Any]:
        """How each cell ended; a lost worker's reason, after which a fresh one goes on.

        A source may be made of how the cell before ended.
        """

        async def run() -> list[Any]:
            ended: list[Any] = []
            session = await self.start(init=init, **spec)
            for number, given in enumerate(sources, 1):
                source = given if isinstance(given, str) else given(ended[-1])
                try:
                    ended.append(
                        await session.cell(Cell(number, textwrap.dedent(source)), self.parent, timeout_s)
                    )
                except WorkerLost as lost:
                    ended.append(lost.reason)
                    assert not session.alive
                    session = await self.start(init=init, **spec)
            await session.close()
            return ended

        return asyncio.run(run())

    def cell(self, source: str, **how: Any) -> Any:
        return self.cells(source, **how)[0]


def printed(done: Any) -> str:
    assert not isinstance(done, str), done
    return done.output.head + done.output.tail
