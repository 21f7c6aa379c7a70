"""A run as it goes on, in a process that only looks: its journal, read from where it was read last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.memory.log import Place, read_on
from orchestrator.runs.journal import FILE_NAME, event_of
from orchestrator.runs.past import RESUMABLE
from orchestrator.runs.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path


class LiveRun:
    """The tree of a run, and how far its journal was read. Who looks makes one; it holds nothing open.

    Between calls: `tree` holds every whole event up to `seq`. A line that is being written is left for the next time;
    where the journal is another one now, the tree is made anew.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = Tree()
        self.seq = -1
        self._n_lines = 0
        self._place = Place()

    def read_on(self, after: int = -1) -> set[str]:
        """Take in what is new: the calls that an event later than `after` changed, with those that wait for them.

        Raises UsageError as `read_journal` does, and WorkspaceError where the journal can't be read.
        """
        changed: set[str] = set()

        def take(line: bytes) -> None:
            self._n_lines += 1
            event = event_of(line, self.folder / FILE_NAME, self._n_lines)
            if event is None:
                return
            self.tree.add(event)
            self.seq = event.seq
            if event.seq > after:
                changed.update(_with_callers(event.call))

        self._place = read_on(self.folder / FILE_NAME, self._place, take, self._again)
        return changed

    @property
    def is_over(self) -> bool:
        """Whether it came to an end that stands."""
        finished = self.tree.finished
        return finished is not None and finished["status"] not in RESUMABLE

    def _again(self) -> None:
        self.tree, self.seq, self._n_lines = Tree(), -1, 0


def _with_callers(call: str) -> list[str]:
    parts = call.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
