"""The REPL of one recursive call: a worker that can be lost, and all that is needed to make it again.

A cell that kills its worker costs that cell. The next cell gets a fresh worker in which the cells that ran
through before are run again, with the recorded results of the calls they made, so that their variables are back. The
same happens when the run is resumed, where what a cell showed is on record too: until a cell comes that did not end,
no worker is needed. What a cell asks for that is not on record is done, and reported.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.environments.session import Repeat
from orchestrator.errors import CallError, Unrepeatable, WorkerLost
from orchestrator.runs.context import recorded, restored
from orchestrator.runs.record import diverged
from orchestrator.runs.rehearsal import Rehearsal
from orchestrator.runs.skills import BROKEN, printed
from orchestrator.runs.table import skill_table
from orchestrator.strategies.strategy import Observation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.environments.session import CellDone, Failure, Session
    from orchestrator.runs.calls import Server
    from orchestrator.runs.past import Step
    from orchestrator.values import Cell, Grants


@dataclass(frozen=True, slots=True)
class Ran:
    """A cell whose worker outlived it, and which stretch of the call it was."""

    cell: Cell
    stage: int
    error: str | None


class Repl:
    """The REPL that a call's cells run in. The call makes one and closes it.

    Between cells: `_session` is alive and holds what the cells of `_ran` bound, or is None and will be made again.
    """

    def __init__(
        self, server: Server, grants: Grants, variables: Mapping[str, Any], timeout_s: float
    ) -> None:
        self._server = server
        self._grants = grants
        self._variables = dict(variables)
        self._timeout_s = timeout_s
        self._ran: list[Ran] = []
        self._broken: set[str] = set()  # what skills with errors in their own files said in this cell
        self._session: Session | None = None
        self._starting: asyncio.Task[str] | None = None
        self._changed: dict[str, Any] = {}  # variables that the worker does not know of yet
        self.partial: Any = None  # `answer["content"]` as the last cell left it

    def warm(self) -> None:
        """Begin to start the worker; the first cell waits for it, if it has to."""
        if self._starting is None and self._session is None and self._server.call.tape.is_empty:
            self._starting = asyncio.create_task(self._restore())

    def bind(self, name: str, value: Any) -> None:
        """Bind a variable anew, from the next cell on."""
        self._variables[name] = value
        self._changed[name] = value

    async def run_cell(self, cell: Cell) -> Observation:
        """Run one cell, whatever it does; journaled before and after. One that is on record as ended is not run."""
        parts, call = self._server.parts, self._server.call
        call.cell = cell.number
        begun = call.tape.take("cell_started", cell=cell.number, source=cell.source)
        if begun is None:
            parts.journal.append("cell_started", call.id, cell=cell.number, source=cell.source)
        stage = begun.stage if begun else parts.journal.past.stage(call.id)
        ended = call.tape.take("cell_finished", cell=cell.number) if begun else None
        if ended is not None and not parts.journal.past.whole:
            return self._repeated(cell, stage, ended)
        if isinstance(parts.journal, Rehearsal):
            return await self._rehearsed(parts.journal, cell, stage, ended)
        began = time.monotonic()
        observation, outlived = await self._observed(cell, stage)
        parts.journal.append(
            "cell_finished", call.id, cell=cell.number, output=observation.text, error=observation.error,
            answered=observation.answered, duration_s=round(time.monotonic() - began, 6), outlived=outlived,
            **({"answer": recorded(observation.answer)} if observation.answered else {}),
            **({"partial": recorded(self.partial)} if self.partial is not None else {}),
            **({"broken_skill": True} if observation.broken_skill else {}),
        )  # fmt: skip
        call.enter(parts.journal.past.stage(call.id))
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

    async def _rehearsed(self, journal: Rehearsal, cell: Cell, stage: int, ended: Step | None) -> Observation:
        """Run a cell of a run that is replayed, and compare what it shows with the record."""
        if ended is None:
            raise Unrepeatable(f"cell {cell.number} was not run when the run was made")
        call, fields = self._server.call, ended.event.fields
        observation, _ = await self._observed(cell, stage, is_whole=True)
        what = f"what cell {cell.number}"
        journal.compare(call.id, f"{what} showed", observation.text, fields["output"])
        journal.compare(call.id, f"{what} ended with", observation.error, fields["error"])
        journal.compare(call.id, f"{what} answered", observation.answer, fields.get("answer"))
        call.enter(ended.stage)
        return observation

    def _repeated(self, cell: Cell, stage: int, ended: Step) -> Observation:
        """What a cell that is on record showed."""
        fields, texts = ended.event.fields, self._server.parts.workspace.texts
        if fields.get("outlived", True):
            self._ran.append(Ran(cell, stage, fields["error"]))
        self.partial = restored(fields.get("partial"), texts)
        self._server.call.enter(ended.stage)
        answer = restored(fields.get("answer"), texts)
        broken = fields.get("broken_skill", False)
        return Observation(fields["output"], fields["error"], fields["answered"], answer, broken)

    async def _observed(
        self, cell: Cell, stage: int, *, is_whole: bool = False, again: bool = False
    ) -> tuple[Observation, bool]:
        """What a cell shows, and whether its worker outlived it."""
        parts, call, note = self._server.parts, self._server.call, ""
        if (starting := self._starting) is not None:
            await starting
            self._starting = None
        if self._session is None or not self._session.alive:
            await self.close()
            note = await self._restore()
        call.cell = cell.number
        call.enter(stage, is_whole=is_whole)
        self._broken.clear()
        try:
            done = await self._run(cell)
        except WorkerLost as lost:
            await self.close()
            if lost.killed and not again:
                # It may have been killed from outside. What the cell has called so far is on record.
                return await self._observed(cell, stage, is_whole=is_whole, again=True)
            text = f"{note}The cell was ended: {lost.reason}. Its variables are lost; those of earlier cells come back."
            return Observation(text, error=lost.reason), False
        self._note_left_out()
        self.partial = done.partial
        error = _error(done)
        self._ran.append(Ran(cell, stage, error))
        hide = parts.journal.hiding.text
        observation = Observation(
            note + hide(shown(done)),
            None if error is None else hide(error),
            done.answered and done.failure is None,
            done.answer,
            done.failure is not None and done.failure.message in self._broken,
        )
        return observation, True

    async def _run(self, cell: Cell) -> CellDone:
        """Run a cell in the live worker, as the stretch that the call has entered."""
        server, call = self._server, self._server.call
        claims, journal = call.claims, server.parts.journal

        async def serve(fn: str, arguments: dict[str, Any]) -> Any:
            try:
                return await server(fn, arguments)
            except CallError as error:
                if error.error_kind in BROKEN:
                    self._broken.add(str(error))
                raise

        readings: list[int] = []
        while claims is not None and (noted := claims.note("clock")) is not None:
            readings += noted
        is_again = claims is not None and claims.is_whole

        def took(readings: list[int]) -> None:
            if not is_again:
                journal.append("noted", call.id, fn="clock", value=readings)

        repeat = Repeat(f"{seed_of(journal.past.header)} {call.id} {call.stage}", readings, took)
        changed, self._changed = self._changed, {}
        timeout_s = server.parts.ledger.within(self._timeout_s)
        return await self._live.cell(cell, serve, timeout_s, changed, repeat=repeat)

    async def _restore(self) -> str:
        """Make a worker with the variables of the cells that ran; a note for the observation if that went wrong."""
        parts, call = self._server.parts, self._server.call
        self._session = await parts.workers.start(
            self._grants,
            f"cells-{call.id}",
            "child" if call.depth else "here",
            variables=self._variables,
            skills=skill_table(self._server.scope.values()),
            seed=seed_of(parts.journal.past.header),
        )
        call.node = self._session.node
        notes = ""
        for number, ran in enumerate(self._ran):
            call.cell = ran.cell.number
            call.enter(ran.stage, is_whole=True)
            n_before = parts.journal.past.n_diverged
            try:
                done = await self._run(ran.cell)
            except WorkerLost as lost:
                self._ran = self._ran[:number]
                await self.close()
                lines = await self._restore()
                return f"{lines}[cell {ran.cell.number} could not be run again: {lost.reason}; its variables are lost]\n"
            self._note_left_out()
            if (error := _error(done)) != ran.error:
                was, now = ran.error or "no error", error or "no error"
                diverged(parts, call, f"it ended with {now:.200}; before: {was:.200}")
            if parts.journal.past.n_diverged > n_before:
                notes += f"[cell {ran.cell.number} did something else when it was run again]\n"
        return notes

    def _note_left_out(self) -> None:
        """Report calls that the cell made before and did not make again."""
        call = self._server.call
        left = [one.name for one in call.claims.left() if one.is_finished] if call.claims else []
        if left:
            names = ", ".join(f"`{name}`" for name in dict.fromkeys(left))
            diverged(self._server.parts, call, f"it did not call again what it called before: {names}")

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


def _error(done: CellDone) -> str | None:
    return None if done.failure is None else f"{done.failure.type}: {done.failure.message}"


def _failure(failure: Failure) -> str:
    text = failure.traceback or f"{failure.type}: {failure.message}"
    return text.rstrip("\n") + (f"\nhint: {failure.hint}" if failure.hint else "")


def seed_of(header: Mapping[str, Any]) -> int:
    """The seed of a run's random numbers, as it is on record: the same whenever its cells are run again."""
    seed: int = header.get("seed", 0)
    return seed
