"""Where a run's questions wait: for a person's word, or for the reply of a host that is the model.

A question whose answer is known goes on at once; where somebody sits at the terminal, it is put to them. Any other
waits until nothing else in the run can go on: then all questions that are open are the run's needs, and it is
suspended for them.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.environments.session import uncounted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from orchestrator.runs.budget import Ledger

UNSAID = object()
"""What a person says who leaves a question open: the run waits for another to answer it."""

NeedKind = Literal["approval", "input", "model", "in_doubt"]

FIRST_LOOK_S = 0.01
LONGEST_LOOK_S = 0.5
"""How long the desk waits before it looks again whether anything still goes on."""


@dataclass(frozen=True, slots=True)
class Need:
    """A question that a run can't go on without. `fields` are what its kind has beside the prompt."""

    id: str
    kind: NeedKind
    call: str
    prompt: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """As the envelope has it."""
        return {"id": self.id, "kind": self.kind, "call": self.call, "prompt": self.prompt, **self.fields}


def need_id(run: str, call: str, kind: NeedKind, number: int = 0) -> str:
    """8 hex digits that stay the same however often the run is resumed."""
    return hashlib.sha256(f"{run} {call} {kind} {number}".encode()).hexdigest()[:8]


class Desk:
    """The questions of one run. The run makes one.

    `answers` are those that were given, by need; `person` puts a question to somebody who is there. True between
    events: `_open` are the questions that nobody has answered, and something works while `_n_working` is not 0.
    """

    def __init__(
        self,
        answers: Mapping[str, Any],
        ledger: Ledger,
        workers_wait: Callable[[], Awaitable[bool]],
        person: Callable[[Need], Awaitable[Any]] | None = None,
    ) -> None:
        self.is_closed = False  # the run is being suspended or stopped: what ends now has not ended by itself
        self._answers = answers
        self._ledger = ledger
        self._workers_wait = workers_wait
        self._person = person
        self._open: dict[str, Need] = {}
        self._asked = asyncio.Event()
        self._n_working = 0
        self._n_changes = 0

    @property
    def has_person(self) -> bool:
        """Whether somebody is there to be asked."""
        return self._person is not None

    @property
    def needs(self) -> tuple[Need, ...]:
        """The questions that are open."""
        return tuple(self._open.values())

    async def answer(self, need: Need) -> Any:
        """The answer. Where there is none yet, this waits until the run is suspended."""
        if need.id in self._answers:
            return self._answers[need.id]
        if self._person is not None and need.kind != "model":
            async with self.working(), uncounted(), self._ledger.uncounted():
                answer = await self._person(need)
            if answer is not UNSAID:
                return answer
        self._open[need.id] = need
        self._n_changes += 1
        self._asked.set()
        try:
            async with uncounted():
                await asyncio.get_running_loop().create_future()
        finally:
            del self._open[need.id]

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A section in which the run waits for something that comes by itself."""
        self._n_working += 1
        self._n_changes += 1
        try:
            yield
        finally:
            self._n_working -= 1
            self._n_changes += 1

    async def quiet(self) -> tuple[Need, ...]:
        """The questions that are open once nothing else goes on."""
        pause_s = FIRST_LOOK_S
        while True:
            await self._asked.wait()
            seen = self._n_changes
            await asyncio.sleep(pause_s)
            if self._open and seen == self._n_changes and not self._n_working:
                if await self._workers_wait() and seen == self._n_changes:
                    return self.needs
                pause_s = min(pause_s * 1.5, LONGEST_LOOK_S)
