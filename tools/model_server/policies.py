"""What the server answers: a function from a request to an answer."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT_VARIABLE = "MODEL_SERVER_ROOT"
"""Text in a system message that marks a root turn, where it is not a `repl` block: for the benchmarks of others."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, whatever provider it was made for.

    `messages` are (role, text), the system message first; `schema` is the JSON Schema asked for, or None; `headers` have
    lower-case names; `number` counts from 1 since the start or `/reset`. `body` is what came on the wire: empty for
    requests that came after the server had kept its share.
    """

    provider: str
    model: str
    messages: tuple[tuple[str, str], ...]
    max_tokens: int | None
    schema: Any
    number: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    n_prompt_bytes: int = 0
    body: bytes = field(default=b"", repr=False)

    @property
    def last(self) -> str:
        """Text of the last message."""
        return self.messages[-1][1] if self.messages else ""

    @property
    def is_root(self) -> bool:
        """Whether it is a turn of a model that writes cells: its system message shows a `repl` block."""
        mark = os.environ.get(ROOT_VARIABLE) or "```repl"
        return any(role in ("system", "developer") and mark in text for role, text in self.messages)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, and what the server says it counted: a token for four whole bytes unless given."""

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
    """Replies of a JSON list of `{match, role, reply}`: the first that fits, else the last message again.

    `match` is a regular expression found anywhere in the last message, `role` is `root` or `sub`; both may be left out.
    Raises OSError and ValueError when the file can't be read or is no such list.
    """
    entries = [_entry(value) for value in json.loads(path.read_text("utf-8"))]

    def answer(seen: Seen) -> Answer:
        role = "root" if seen.is_root else "sub"
        for match, wanted, reply in entries:
            if wanted in ("", role) and match.search(seen.last):
                return Answer(reply)
        return echo(seen)

    return answer


def named(text: str) -> Policy:
    """The policy of a name: `echo`, `final`, or `script:FILE`. Raises as `scripted`."""
    if text.startswith("script:"):
        return scripted(Path(text.removeprefix("script:")))
    if text not in _NAMED:
        raise ValueError(f"no such policy; there are {', '.join(_NAMED)} and script:FILE")
    return _NAMED[text]


_NAMED: dict[str, Policy] = {"echo": echo, "final": final}


def _entry(value: Any) -> tuple[re.Pattern[str], str, str]:
    if not isinstance(value, dict) or not isinstance(value.get("reply"), str):
        raise ValueError("an entry is an object with a text `reply`")  # noqa: TRY004  (of a file, not of the program)
    if value.keys() - {"match", "role", "reply"} or value.get("role", "") not in ("", "root", "sub"):
        raise ValueError(f"an entry has `match`, `role` (root or sub) and `reply`: {sorted(value)}")
    try:
        return re.compile(value.get("match", "")), value.get("role", ""), value["reply"]
    except re.error as error:
        raise ValueError(f"`match` {value['match']!r}: {error}") from None
