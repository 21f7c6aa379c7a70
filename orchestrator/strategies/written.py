"""Strategies whose cells stand in a document: the workflow's own, and the built-in ways to decompose."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.strategies.strategy import Observation
    from orchestrator.values import Cell


class Written:
    """The cells of a document, one after the other: a workflow's own also after one that failed (`goes_on`).

    A built-in strategy ends with its first failed cell: what comes after it would only fail for want of its names.
    """

    revises = False

    def __init__(self, name: str, cells: Sequence[Cell], *, goes_on: bool = True) -> None:
        self.name = name
        self._cells = iter(cells)
        self._goes_on = goes_on

    async def next_cell(self, observation: Observation | None) -> Cell | None:
        """The cell to run next; None when there are no more."""
        if observation is not None and observation.error is not None and not self._goes_on:
            return None
        return next(self._cells, None)
