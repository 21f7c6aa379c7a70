"""What the server answers: a function from a request to an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, whatever provider it was made for. `messages` are (role, text); `number` counts from 1."""

    provider: str
    model: str
    messages: tuple[tuple[str, str], ...]
    max_tokens: int | None
    schema: Any
    number: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    n_prompt_bytes: int = 0

    @property
    def last(self) -> str:
        """Text of the last message."""
        return self.messages[-1][1] if self.messages else ""

    @property
    def is_root(self) -> bool:
        """Whether it is a turn of a model that writes cells: its system message shows a `repl` block."""
        return any(role == "system" and "```repl" in text for role, text in self.messages)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, and what the server says it counted: a token for four bytes unless given."""

    text: str
    tokens_in: int | None = None
    tokens_out: int | None = None
    delay_s: float = 0.0  # beyond the server's latency


Policy = Callable[[Seen], Answer]


def echo(seen: Seen) -> Answer:
    """The last message again."""
    return Answer(seen.last)


def final(seen: Seen) -> Answer:
    """A root answers at once; everything else is told `ok`."""
    return Answer("```repl\nFINAL('done')\n```" if seen.is_root else "ok")


def scripted(path: Path) -> Policy:
    """Replies of a JSON list of `{match, role, reply}`: the first that fits, else the last message again."""
    entries = json.loads(path.read_text("utf-8"))

    def answer(seen: Seen) -> Answer:
        role = "root" if seen.is_root else "sub"
        for entry in entries:
            if entry.get("role", role) == role and re.search(entry.get("match", ""), seen.last):
                return Answer(entry["reply"])
        return echo(seen)

    return answer


def named(text: str) -> Policy:
    """The policy of a name: `echo`, `final`, or `script:FILE`."""
    if text.startswith("script:"):
        return scripted(Path(text.removeprefix("script:")))
    return {"echo": echo, "final": final}[text]
