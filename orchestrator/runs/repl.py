"""The REPL of one recursive call: a worker that can be lost, and all that is needed to make it again.

A cell that kills its worker costs that cell. The next cell gets a fresh worker in which the cells that ran
through before are run again, with the recorded results of the calls they made, so that their variables are back.
A request that was not recorded is served anew where it changes nothing, and refused where it might: nothing that
a call does in the world is done twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import CallError, SkillError, WorkerLost
from orchestrator.runs.call import canonical
from orchestrator.runs.context import recorded
from orchestrator.runs.skills import BROKEN, printed
from orchestrator.runs.table import skill_table
from orchestrator.strategies.strategy import Observation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.environments.session import CellDone, Failure, Serve, Session
    from orchestrator.runs.calls import Server
    from orchestrator.values import Cell, Grants

NOT_RECORDED = frozenset({"log", "budget"})
"""Requests whose results a repeated cell may get anew: they change nothing and may differ."""


@dataclass(slots=True)
class Recording:
    """A cell that ran to its end, and what its calls came to: found by request, not by order."""

    cell: Cell
    results: dict[str, deque[Any]] = field(default_factory=lambda: defaultdict(deque))
    broken: set[str] = field(default_factory=set)  # what skills with errors in their own files said


class Repl:
    """The REPL that a call's cells run in. The call makes one and closes it.

    Between cells: `_session` is alive and holds what the recorded cells bound, or is None and will be made again.
    """

    def __init__(
        self, server: Server, grants: Grants, variables: Mapping[str, Any], timeout_s: float
    ) -> None:
        self._server = server
        self._grants = grants
        self._variables = dict(variables)
        self._timeout_s = timeout_s
        self._recordings: list[Recording] = []
        self._session: Session | None = None
        self._starting: asyncio.Task[str] | None = None
        self._changed: dict[str, Any] = {}  # variables that the worker does not know of yet
        self.partial: Any = None  # `answer["content"]` as the last cell left it

    def warm(self) -> None:
        """Begin to start the worker; the first cell waits for it, if it has to."""
        if self._starting is None and self._session is None:
            self._starting = asyncio.create_task(self._restore())

    def bind(self, name: str, value: Any) -> None:
        """Bind a variable anew, from the next cell on."""
        self._variables[name] = value
        self._changed[name] = value

    async def run_cell(self, cell: Cell) -> Observation:
        """Run one cell, whatever it does; journaled before and after."""
        parts, call = self._server.parts, self._server.call
        parts.journal.append("cell_started", call.id, cell=cell.number, source=cell.source)
        began = time.monotonic()
        observation = await self._observed(cell)
        parts.journal.append(
            "cell_finished", call.id, cell=cell.number, output=observation.text, error=observation.error,
            answered=observation.answered, duration_s=round(time.monotonic() - began, 6),
        )  # fmt: skip
        parts.journal.sync()
        return observation

    async def close(self) -> None:
        """End the worker. Safe to call twice."""
        if (starting := self._starting) is not None:
            self._starting = None
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _observed(self, cell: Cell) -> Observation:
        note = ""
        if (starting := self._starting) is not None:
            await starting
            self._starting = None
        if self._session is None or not self._session.alive:
            await self.close()
            note = await self._restore()
        recording = Recording(cell)
        try:
            done = await self._run(cell, recording)
        except WorkerLost as lost:
            await self.close()
            text = f"{note}The cell was ended: {lost.reason}. Its variables are lost; those of earlier cells come back."
            return Observation(text, error=lost.reason)
        if done.failure is None or done.failure.type != "CellTimeout":
            self._recordings.append(recording)
        self.partial = done.partial
        error = None if done.failure is None else f"{done.failure.type}: {done.failure.message}"
        return Observation(
            note + shown(done),
            error,
            done.answered and done.failure is None,
            done.answer,
            done.failure is not None and done.failure.message in recording.broken,
        )

    async def _run(self, cell: Cell, recording: Recording) -> CellDone:
        server = self._server

        async def serve(fn: str, arguments: dict[str, Any]) -> Any:
            kept = recording.results[_key(fn, arguments)]
            try:
                value = await server(fn, arguments)
            except CallError as error:
                kept.append(error)
                if error.error_kind in BROKEN:
                    recording.broken.add(str(error))
                raise
            except asyncio.CancelledError:
                kept.append(CallError(f"`{fn}` was cut off at the cell's deadline", kind="timeout"))
                raise
            if fn not in NOT_RECORDED:
                kept.append(value)
            return value

        changed, self._changed = self._changed, {}
        return await self._live.cell(cell, serve, server.parts.ledger.within(self._timeout_s), changed)

    async def _restore(self) -> str:
        """Make a worker with the variables of the recorded cells; a note for the observation if that went wrong."""
        parts, call = self._server.parts, self._server.call
        self._session = await parts.workers.start(
            self._grants,
            f"cells-{call.id}",
            variables=self._variables,
            skills=skill_table(self._server.scope.values()),
            seed=seed_of(parts.journal.run),
        )
        notes = ""
        for number, recording in enumerate(self._recordings):
            diverged: list[str] = []
            try:
                timeout_s = parts.ledger.within(self._timeout_s)
                done = await self._live.cell(recording.cell, self._replaying(recording, diverged), timeout_s)
            except WorkerLost as lost:
                self._recordings = self._recordings[:number]
                await self.close()
                lines = await self._restore()
                return f"{lines}[cell {recording.cell.number} could not be run again: {lost.reason}; its variables are lost]\n"
            if done.failure is not None and done.failure.type == "CellTimeout":
                diverged.append("it did not come to its end in time")
            if diverged:
                notes += f"[cell {recording.cell.number} did something else when it was run again: {diverged[0]}]\n"
        return notes

    def _replaying(self, recording: Recording, diverged: list[str]) -> Serve:
        left = {key: deque(results) for key, results in recording.results.items()}

        async def serve(fn: str, arguments: dict[str, Any]) -> Any:
            results = left.get(_key(fn, arguments))
            if results:
                value = results.popleft()
                if isinstance(value, CallError):
                    raise value
                return value
            if not self._server.may_change_the_world(fn, arguments):
                return await self._server(fn, arguments)
            diverged.append(f"it asked for `{fn}` with other arguments; this was not done a second time")
            refusal = SkillError if fn.startswith("skill") else CallError
            raise refusal(
                f"`{fn}` was called with other arguments when its cell was run again",
                kind="denied",
                error_kind="diverged",
                hint="arguments made from the clock, `uuid` or a file that changed differ each time",
            )

        return serve

    @property
    def _live(self) -> Session:
        assert self._session is not None
        return self._session


def shown(done: CellDone) -> str:
    """What the cell's author sees: its output, what was left out, and the error with its traceback."""
    parts = [printed(done.output)]
    if done.failure is not None:
        parts.append(_failure(done.failure))
    return "\n".join(part.rstrip("\n") for part in parts if part) or "(no output)"


def _failure(failure: Failure) -> str:
    text = failure.traceback or f"{failure.type}: {failure.message}"
    return text.rstrip("\n") + (f"\nhint: {failure.hint}" if failure.hint else "")


def seed_of(run: str) -> int:
    """The seed of a run's random numbers: the same whenever its cells are run again."""
    return int.from_bytes(hashlib.sha256(run.encode()).digest()[:4], "big")


def _key(fn: str, arguments: dict[str, Any]) -> str:
    return f"{fn} {canonical(recorded(arguments))}"
