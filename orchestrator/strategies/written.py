"""Strategies whose cells stand in a document: the workflow's own, and the built-in ways to decompose."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.strategies.strategy import Observation
    from orchestrator.values import Cell


class Written:
    """The cells of a document, one after the other, also after one that failed."""

    revises = False

    def __init__(self, name: str, cells: Sequence[Cell]) -> None:
        self.name = name
        self._cells = iter(cells)

    async def next_cell(self, observation: Observation | None) -> Cell | None:  # noqa: ARG002  written before the run
        """The cell to run next; None when there are no more."""
        return next(self._cells, None)
