"""Answers to what a run asks, as somebody gives them who looks at the world, and is the model where that is the host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crash.skills import published

if TYPE_CHECKING:
    from collections import Counter

    from crash.cases import Case


def answer(need: dict[str, Any], case: Case, effects: Counter[str]) -> Any:
    """The answer to a need. Raises ValueError for one that no case of ours should have."""
    match need["kind"]:
        case "approval":  # once is enough
            return not (need["function"] == "ledger.append" and effects[need["arguments"]["key"]])
        case "model":
            return case.reply(
                [(one["role"], one["content"]) for one in messages(need)], is_root=need["role"] == "root"
            )
        case "in_doubt":
            return truth(need["function"], need["arguments"], effects)
        case kind:
            raise ValueError(f"a need of the kind {kind}: {need}")


def messages(need: dict[str, Any]) -> list[dict[str, str]]:
    """The messages that a host is to answer."""
    told: list[dict[str, str]] = (
        need["messages"] if "messages" in need else json.loads(Path(need["messages_path"]).read_text("utf-8"))
    )
    return told


def truth(function: str, arguments: dict[str, Any], effects: Counter[str]) -> Any:
    """Whether a call in doubt was done, as the world has it. Raises ValueError for a function that may be repeated."""
    match function:
        case "ledger.append" | "ledger.append_by_script" | "ledger/scripts/append.py":
            key = arguments["key"]
            return {"done": {"written": key}} if effects[key] else "retry"
        case "publish.entry":
            lines, name = published(arguments["name"])
            is_done = effects[f"put {name}"] and all(effects[line] for line in lines)
            return {"done": {"published": [*lines, name]}} if is_done else "retry"
        case _:
            raise ValueError(f"`{function}` is asked about, and may be repeated")
