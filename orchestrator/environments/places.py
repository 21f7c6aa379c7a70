"""What a worker has under other names than we: its Python, its programs, and on another machine its files."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

Folders = tuple[tuple[str, str], ...]
"""Pairs of a path and what stands for it and all beneath it, the longest first."""


@dataclass(frozen=True, slots=True)
class Places:
    """Names of theirs for ours. A string that is one of the paths of `out`, or lies beneath it, becomes the worker's.

    Wherever it stands: inputs and arguments hold paths as plain strings. On the way back `back` holds, for values and
    for arguments of calls; what was printed stays as it was printed, since the next cell is written by it.
    """

    python: str  # what starts programs written in Python
    path: str  # the variable PATH
    out: Folders = ()
    back: Folders = ()

    def moved(self, path: str) -> str:
        """A path of ours as the worker calls it."""
        return str(_moved(path, self.out))

    def sent(self, frame: dict[str, Any]) -> dict[str, Any]:
        """A frame as the worker is to get it."""
        if frame["kind"] == "script":
            frame = {**frame, "argv": self._argv(frame["argv"]), "stdin": self._stdin(frame["stdin"])}
        frame = _moved(frame, self.out) if self.out else frame
        return {**frame, "env": {**frame["env"], "PATH": self.path}} if frame["kind"] == "start" else frame

    def received(self, frame: dict[str, Any]) -> dict[str, Any]:
        """A frame of the worker with paths as we call them."""
        if not self.back:
            return frame
        keys = ("arguments",) if frame["kind"] in ("call", "note") else ("answer", "partial", "value")
        return {**frame, **{key: _moved(frame[key], self.back) for key in keys if key in frame}}

    def _argv(self, argv: list[str]) -> list[str]:
        program, *words = argv
        moved = []
        for word in words:
            option, equals, value = word.partition("=")
            moved.append(option + equals + _moved(value, self.out) if equals else word)
        return [self.python if program == sys.executable else program, *moved]

    def _stdin(self, text: str | None) -> str | None:
        """What a program reads, with the paths in it where it is JSON."""
        if not text or not self.out:
            return text
        try:
            return json.dumps(_moved(json.loads(text), self.out), ensure_ascii=False)
        except (ValueError, RecursionError):
            return text


def _moved(value: Any, folders: Folders) -> Any:
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
