"""The usage store: one line in `memory/usage.jsonl` for each finished call, and tallies of all of them.

The lines are the record; `skill-usage.json` is made from them (see `summary`) and can be deleted at any time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError
from orchestrator.memory import files
from orchestrator.memory.record import checked
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from orchestrator.memory.tallies import Tallies

MAX_LINE_BYTES = 64 * 1024


class UsageStore:
    """The usage record of a workspace. It holds nothing open: any number of processes and threads may have one.

    A path is taken as the workspace itself, also when it does not exist yet.
    """

    def __init__(self, workspace: str | Path | Workspace) -> None:
        self.workspace = workspace if isinstance(workspace, Workspace) else Workspace(Path(workspace))

    def record(self, **fields: Any) -> None:
        """Add the record of one finished call; when this returns, it outlives the process.

        Fields (all optional, None when not given): `at` (ISO 8601, now when not given; without an offset it is UTC),
        `run`, `call`, `parent`, `skill`, `strategy`, `version`, `workflow`, `error_kind` (texts), `depth`,
        `tokens_in`, `tokens_out` (counts), `duration_s`, `usd` (numbers from 0), `checks_passed` (bool),
        `outcome` (see `values.Outcome`), `situation` (texts, numbers and bools by name). Arguments and secrets have
        no field. Raises UsageError naming every field that is unknown or wrong, and WorkspaceError when the
        workspace is read-only or full; then nothing was written.
        """
        record = checked(fields)
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        data = line.encode("utf-8", "backslashreplace") + b"\n"  # a lone surrogate becomes its JSON escape
        if len(data) > MAX_LINE_BYTES:
            raise UsageError(
                f"a usage record of {len(data):,} bytes; at most {MAX_LINE_BYTES:,} are kept",
                hint="a record names things; it does not hold arguments or texts",
            )
        files.append(self.workspace.usage_log, data)

    @property
    def has_records(self) -> bool:
        """Whether anything was recorded here yet; asking costs nothing."""
        return self.workspace.usage_log.exists()

    def tallies(self) -> Tallies:
        """The record in figures, by skill, strategy and workflow. Counts only what is new, and publishes it.

        In a workspace that can't be written the figures are the same, and only the publishing is left out.
        """
        from orchestrator.memory import summary  # what `record` needs not

        return summary.fold(self.workspace)

    def rebuild(self) -> None:
        """Publish tallies counted anew from the whole record. Raises WorkspaceError when they can't be written."""
        from orchestrator.memory import summary  # see `tallies`

        summary.rebuild(self.workspace)
