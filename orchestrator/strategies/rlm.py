"""The strategy in which a model writes the cells: the Recursive Language Model loop (arXiv 2512.24601).

A turn: the model is shown what its last cells printed, answers with prose and cells, and these run in order. Messages
are only ever added, so that an endpoint can keep what it computed for those before; near the model's window they are
replaced, once, by a summary that the model writes, and the REPL's `history` has them whole.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from orchestrator.models.model import Message
from orchestrator.strategies.material import material
from orchestrator.strategies.reply import read_reply
from orchestrator.strategies.strategy import Observation
from orchestrator.values import Cell

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT_REPLY_CHARS = 50_000
"""Of a longer reply, the messages that follow hold its head and its tail."""

COMPACT_AT = 0.75
"""Share of the model's window from which on messages are replaced by a summary."""

FORM = """\
Write your next step as Python in a block that begins with a line ```repl and ends with a line ```. To give your answer, \
call FINAL(value) in such a block."""

SUMMARY = """\
The messages so far are about to be taken away; only what you write now will be shown to you in their place. In at most \
600 words: what the task still needs, what you found (facts with their sources), which variables of the REPL hold what, \
what failed and need not be tried again, and what to do next. Write no code block."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A reply to a turn. `cut`: it ended because it was as long as it may be."""

    text: str
    cut: bool = False


class Seat(Protocol):
    """What the model of a recursive call sits on: its way to be asked, and to its REPL's `history`."""

    async def turn(self, messages: Sequence[Message]) -> Turn:
        """The reply to these messages, counted as a turn and on record. Raises BudgetExhausted, ModelFailed."""
        ...

    async def summary(self, messages: Sequence[Message]) -> str:
        """The reply to these messages, counted as no turn."""
        ...

    def judged(self, problem: str) -> None:
        """Put the last reply on record, with what is wrong with it, if anything."""
        ...

    def keep(self, history: Sequence[Message]) -> None:
        """Bind the REPL's `history` to these messages."""
        ...

    def is_full(self, messages: Sequence[Message], share: float) -> bool:
        """Whether the messages take more than this share of the model's window."""
        ...

    def status(self) -> str:
        """One line that ends each observation: which turn this is, and what is left."""
        ...


class Rlm:
    """A model that writes cells from what it sees.

    True between turns: `_messages` ends with the last reply, `_shown` holds what is not yet told of since, and
    `_cells` the cells of that reply that have not run.
    """

    name = "rlm"
    revises = True

    def __init__(self, seat: Seat, opening: Sequence[Message]) -> None:
        self._seat = seat
        self._opening = list(opening)
        self._messages = list(opening)
        self._whole: list[Message] = []  # messages that were replaced by a summary
        self._shown: list[str] = []
        self._cells: deque[Cell] = deque()
        self._running: Cell | None = None
        self._n_cells = 0

    async def next_cell(self, observation: Observation | None) -> Cell | Observation | None:
        """The next cell of the last reply, or the first one of the next."""
        if observation is not None:
            self._take_in(observation)
        if not self._cells:
            problem = await self._turn()
            if problem:
                return Observation(f"Your reply could not be used: {problem}. {FORM}", problem)
        self._running = self._cells.popleft()
        return self._running

    def _take_in(self, observation: Observation) -> None:
        cell, self._running = self._running, None
        if cell is None:  # about a reply without cells
            self._shown.append(observation.text)
            return
        self._shown.append(f"Cell {cell.number} showed:\n{material('output', observation.text)}")
        if observation.error is not None and self._cells:
            numbers = ", ".join(str(one.number) for one in self._cells)
            self._shown.append(f"(cell {numbers} of your reply did not run, since cell {cell.number} failed)")
            self._cells.clear()

    async def _turn(self) -> str:
        """Ask for the next reply; what is wrong with it, or nothing."""
        if self._shown:
            shown = "\n\n".join([*self._shown, self._seat.status()])
            self._messages.append(Message("user", shown))
            self._shown = []
        if self._seat.is_full(self._messages, COMPACT_AT):
            await self._compact()
        reply = await self._seat.turn(self._messages)
        self._messages.append(Message("assistant", _kept(reply.text)))
        reading = read_reply(reply.text, cut=reply.cut)
        self._seat.judged(reading.problem)
        for source in reading.cells:
            self._n_cells += 1
            self._cells.append(Cell(self._n_cells, source))
        return reading.problem

    async def _compact(self) -> None:
        """Replace all messages but the opening and the last exchange by a summary."""
        kept = self._messages[-1:]
        replaced = self._messages[len(self._opening) : -1]
        if len(replaced) < 2:
            return  # what fills the window is the opening or one observation: a summary would not help
        summary = await self._seat.summary([*self._messages[:-1], *_asked(self._messages[-2], SUMMARY)])
        self._whole += [*replaced, *kept]
        self._seat.keep([*self._opening, *self._whole])
        system, task = self._opening
        told = f"{task.content}\n\n# What you did so far\nYour own summary (all messages are in `history`):\n{summary}"
        self._messages = [
            system,
            Message("user", f"{told}\n\n# What your last cells showed\n{kept[0].content}"),
        ]


def _asked(last: Message, text: str) -> list[Message]:
    """A question after the last message, so that roles alternate."""
    return [Message("user", text)] if last.role == "assistant" else []


def _kept(text: str) -> str:
    if len(text) <= KEPT_REPLY_CHARS:
        return text or "(empty)"
    half = KEPT_REPLY_CHARS // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"
