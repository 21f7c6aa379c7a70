"""Uses of skills in a transcript of Claude Code: one JSON object a line, as version 2.1 writes them.

The model uses a skill by its tool `Skill`: an `assistant` line has the `tool_use` with an id, a later `user` line the
`tool_result` of that id, with `is_error` where it failed. A person types `/skill`: a `user` line has the command's name, and
the line whose parent it is the skill's text, which begins with `Base directory for this skill:`; a built-in command has no
such line, and is no skill. A transcript grows: a use without its result yet is left for the next time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from orchestrator.memory import hosts
from orchestrator.memory.importing.events import moment

_TYPED = re.compile(r"<command-name>([^<]{1,300})</command-name>")
_LOADED = "Base directory for this skill:"
_MARKS = (b'"Skill"', b"<command-name>", _LOADED.encode())
_DENIED = "The user doesn't want to proceed"
_INTERRUPTED = "[Request interrupted by user"


@dataclass(frozen=True, slots=True)
class _Begun:
    """A use whose end has not been read yet."""

    line: int
    fields: dict[str, Any]


class Reader:
    """Takes the lines of one transcript in turn; `uses` grows with each use that has ended."""

    def __init__(self) -> None:
        self.uses: list[dict[str, Any]] = []
        self._begun: dict[str, _Begun] = {}
        self._typed: dict[str, _Begun] = {}
        self._wrong: list[tuple[int, str]] = []

    def concerns(self, line: bytes) -> bool:
        """Whether the line may tell of a skill; most lines are long and need not be read."""
        return any(mark in line for mark in _MARKS) or (bool(self._begun) and b'"tool_result"' in line)

    def take(self, number: int, value: dict[str, Any]) -> None:
        """Note what a line says."""
        message = value.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        if value.get("type") == "user":
            self._typed_in(number, value, content)
        for part in content if isinstance(content, list) else []:
            if not isinstance(part, dict):
                continue
            if (
                value.get("type") == "assistant"
                and part.get("type") == "tool_use"
                and part.get("name") == "Skill"
            ):
                self._use(number, value, part)
            elif value.get("type") == "user" and part.get("type") == "tool_result":
                self._result(part)

    def left(self) -> list[tuple[int, str]]:
        """Lines of which nothing was taken, and why, in their order."""
        open_uses = [(one.line, "it has no result yet") for one in self._begun.values()]
        return sorted(self._wrong + open_uses)

    def _use(self, number: int, value: dict[str, Any], part: dict[str, Any]) -> None:
        given = part.get("input")
        given = given if isinstance(given, dict) else {}
        fields = _fields(value, given.get("skill", given.get("command")), part.get("id"), "model")
        if fields is None:
            self._wrong.append((number, "its use of `Skill` has no name of a skill, no time or no id"))
        else:
            self._begun[part["id"]] = _Begun(number, fields)

    def _result(self, part: dict[str, Any]) -> None:
        use = part.get("tool_use_id")
        begun = self._begun.pop(use, None) if isinstance(use, str) else None
        if begun is None:
            return
        said = str(part.get("content"))[:400] if part.get("is_error") is True else ""
        outcome = "ok" if part.get("is_error") is not True else "denied" if _DENIED in said else "error"
        kind = "interrupted" if _INTERRUPTED in said else None
        self.uses.append({**begun.fields, "outcome": outcome, "error_kind": kind})

    def _typed_in(self, number: int, value: dict[str, Any], content: Any) -> None:
        text = _text(content)
        if text.startswith(_LOADED):
            typed = self._typed.pop(str(value.get("parentUuid")), None)
            if typed is not None:
                self.uses.append(typed.fields)
        elif (found := _TYPED.search(text[:1000])) and text.lstrip().startswith("<command-"):
            fields = _fields(value, found[1].strip(), value.get("promptId") or value.get("uuid"), "person")
            if fields is not None:
                self._typed[str(value.get("uuid"))] = _Begun(number, fields)


def is_line(value: Any) -> bool:
    """Whether this is a line of a transcript."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("type"), str)
        and isinstance(value.get("sessionId"), str)
    )


def _fields(value: dict[str, Any], name: Any, use: Any, used_by: str) -> dict[str, Any] | None:
    skill, at, where = (
        hosts.skill_name(name),
        moment(value.get("timestamp")),
        hosts.place(value.get("sessionId"), use),
    )
    if skill is None or at is None or not where:
        return None
    return {"at": at, **where, "skill": skill, "situation": hosts.situation(used_by)}


def _text(content: Any) -> str:
    """The text of a message, or of the first part of one that has parts."""
    if isinstance(content, list) and content and isinstance(content[0], dict):
        content = content[0].get("text")
    return content if isinstance(content, str) else ""
