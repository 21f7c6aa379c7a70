"""The strategy that a workflow's author wrote: its own cells, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.documents.types import Workflow
    from orchestrator.strategies.strategy import Observation
    from orchestrator.values import Cell


class Written:
    """The cells of a workflow, one after the other, also after one that failed."""

    name = "written"

    def __init__(self, workflow: Workflow) -> None:
        self._cells = iter(workflow.cells)

    @staticmethod
    def applies(workflow: Workflow) -> bool:
        """Whether the workflow has cells at all."""
        return bool(workflow.cells)

    async def next_cell(self, observation: Observation | None) -> Cell | None:  # noqa: ARG002  written before the run
        """The cell to run next; None when there are no more."""
        return next(self._cells, None)
