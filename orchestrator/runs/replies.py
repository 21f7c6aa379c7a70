"""Replies kept from earlier runs: off unless `[cache] replies = true` asks for them.

A reply is found by all that it depends on: model, address, options, messages, schema and length. It costs nothing
and counts as no request. Files may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from orchestrator.errors import WorkspaceError
from orchestrator.memory import files
from orchestrator.models.model import Reply

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.models.names import Target
    from orchestrator.runs.models import Question


class ReplyCache:
    """A folder of replies. Any number of runs may have one; each run makes its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ours: set[Path] = set()  # kept by this run, whose own calls are each made

    def get(self, target: Target, question: Question) -> Reply | None:
        """The reply that was kept for this; None where there is none that can be read."""
        path = self._path(target, question)
        if path in self._ours:
            return None
        try:
            fields = json.loads(path.read_text("utf-8"))
            return Reply(fields["text"], finish=fields["finish"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, target: Target, question: Question, reply: Reply) -> None:
        """Keep a reply. One that was cut off or held back is asked for again next time."""
        if reply.finish == "stop":
            path = self._path(target, question)
            self._ours.add(path)
            with suppress(OSError, WorkspaceError):  # a full disk costs the cache, not the run
                path.parent.mkdir(parents=True, exist_ok=True)
                files.replace(path, json.dumps({"text": reply.text, "finish": reply.finish}).encode())

    def _path(self, target: Target, question: Question) -> Path:
        depends_on: list[Any] = [
            target.backend,
            target.model,
            target.api_base,
            dict(target.options),
            target.max_tokens,
            [[one.role, one.content] for one in question.messages],
            None if question.schema is None else dict(question.schema),
        ]
        key = hashlib.sha256(
            json.dumps(depends_on, sort_keys=True).encode("utf-8", "backslashreplace")
        ).hexdigest()
        return self._folder / key[:2] / f"{key}.json"
