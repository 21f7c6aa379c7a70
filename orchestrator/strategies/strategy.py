"""What a strategy is: a source of cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from orchestrator.values import Cell


@dataclass(frozen=True, slots=True)
class Observation:
    """What a cell came to. `text` is what its author is shown; `error` is one line, None when the cell ran through."""

    text: str
    error: str | None = None
    answered: bool = False
    answer: Any = None
    broken_skill: bool = False  # it was ended by a skill whose own files are wrong


class Strategy(Protocol):
    """A way to decompose a task. The engine asks for the next cell and hands back what the last one showed.

    A strategy is made for one attempt and belongs to it. `revises`: its cells are written with what earlier ones
    showed in view, so that an answer of the wrong form is worth handing back.
    """

    name: str
    revises: bool

    async def next_cell(self, observation: Observation | None) -> Cell | Observation | None:
        """The cell to run next, None to give up. `observation` is None at the beginning.

        An Observation in its place is handed back as if a cell had shown it: a turn that brought no cell, and why.
        """
        ...
