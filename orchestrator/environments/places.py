"""What a worker has under other names than we: its Python, its programs, and on another machine its files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Places:
    """Names of ours and theirs. `folders` holds pairs of absolute paths without a slash at their end.

    A string that is such a path, or lies beneath it, is one of the worker's on the way out and ours again on the way
    in, wherever it stands: inputs and arguments hold paths as plain strings.
    """

    python: str  # what starts programs written in Python
    path: str  # the variable PATH
    folders: tuple[tuple[str, str], ...] = ()

    def started(self, frame: dict[str, Any]) -> dict[str, Any]:
        """A `start` or `script` frame with programs as they are called there."""
        if frame["kind"] == "start":
            return {**frame, "env": {**frame["env"], "PATH": self.path}}
        if frame["kind"] == "script" and frame["argv"][:1] == [sys.executable]:
            return {**frame, "argv": [self.python, *frame["argv"][1:]]}
        return frame

    def theirs(self, value: Any) -> Any:
        """The value as the worker is to see it."""
        return _moved(value, self.folders) if self.folders else value

    def ours(self, value: Any) -> Any:
        """A value of the worker as we see it."""
        return _moved(value, tuple((b, a) for a, b in self.folders)) if self.folders else value


def _moved(value: Any, folders: tuple[tuple[str, str], ...]) -> Any:
    if isinstance(value, str):
        for one, other in folders:
            if value.startswith(one) and value[len(one) : len(one) + 1] in ("", "/"):
                return other + value[len(one) :]
        return value
    if isinstance(value, list | tuple):
        return [_moved(item, folders) for item in value]
    if isinstance(value, dict):
        return {_moved(key, folders): _moved(item, folders) for key, item in value.items()}
    return value
