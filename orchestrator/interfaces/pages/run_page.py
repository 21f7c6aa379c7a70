"""The page of one run: its tree as flat data that a script draws.

Calls stand in the order of the tree, callers before their callees. To hold 10,000 calls in a page of a few megabytes, long
texts are cut to what fits; one that the run keeps as a blob is linked.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime
from textwrap import indent
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from orchestrator.interfaces.drawing import label
from orchestrator.interfaces.pages.colouring import coloured
from orchestrator.interfaces.pages.rendering import page
from orchestrator.interfaces.terminal import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from orchestrator.runs.history import RunInfo
    from orchestrator.runs.tree import CellView, CheckView, Node, Tree, TurnView

MAX_BYTES = 8_000_000
"""Of data in a page; texts are cut shorter until they fit, to no less than the last of the lengths below."""

KEPT_CHARS = (40_000, 8_000, 2_000, 600, 200)

LIVE_CHARS = 8_000
"""Of a text in a call that changes while its page is open."""


def run_page(tree: Tree, info: RunInfo, folder: Path, *, live: str = "", beside: Path | None = None) -> str:
    """The HTML of a run's page, which is to stand in the folder `beside`: unless given, in the run's own."""
    way = "" if beside is None else quote(os.path.relpath(folder.resolve(), beside.resolve())) + "/"
    data = run_data(tree, info, folder, way=way)
    parts = (*(("live.js",) if live else ()), "timeline.js", "run.js")
    return page("run.html", clean(f"{info.workflow} · {info.run}"), data, parts, live=live)


def run_data(tree: Tree, info: RunInfo, folder: Path, *, way: str = "") -> dict[str, Any]:
    """What the page's script draws, within MAX_BYTES where cutting texts can bring it there.

    `way` leads from the page to the run's folder, as in an address.
    """
    data: dict[str, Any] = {}
    for n_chars in KEPT_CHARS:
        data = _Writer(folder, n_chars, way).run(tree, info)
        if len(json.dumps(data)) <= MAX_BYTES:
            break
    if info.status == "interrupted" and data["calls"]:
        # The journal has the call as failed; who looks wants to know by what.
        data["calls"][0]["outcome"] = info.status
    return data


def run_changes(tree: Tree, info: RunInfo, folder: Path, calls: Collection[str]) -> dict[str, Any]:
    """The same of these calls alone, for a page that shows the others already."""
    return _Writer(folder, LIVE_CHARS).run(tree, info, calls)


class _Writer:
    """Writes a tree as data; texts keep at most `n_chars`, half from each end."""

    def __init__(self, folder: Path, n_chars: int, way: str = "") -> None:
        self._n_chars = n_chars
        self._way = way
        blobs = folder / "blobs"
        self._blobs = frozenset(path.name for path in blobs.iterdir()) if blobs.is_dir() else frozenset()

    def run(self, tree: Tree, info: RunInfo, only: Collection[str] | None = None) -> dict[str, Any]:
        finished, began = tree.finished or {}, _ms(tree.started_at)
        if only is not None:
            nodes: Iterable[Node] = filter(None, map(tree.node, only))
        else:
            nodes = tree.root.walk() if tree.root else ()
        calls = [self._call(node, began) for node in nodes]
        return {
            "run": info.run,
            "workflow": clean(info.workflow),
            "status": info.status,
            "message": clean(info.message if info.message != info.status else ""),
            "started": info.started,
            "environment": clean(str(tree.started.get("environment", ""))),
            "executor": clean(str(tree.started.get("executor", ""))),
            "seconds": info.usage.get("seconds"),
            "spent": {name: tree.spent.get(name, 0) for name in ("calls", "tokens", "usd")},
            "models": sorted(map(clean, tree.by_model)),
            "answer": self._text(finished.get("answer")) if "answer" in finished else None,
            "strategy": clean(finished.get("strategy") or ""),
            "attempts": [
                {"strategy": clean(str(one.get("strategy"))), "outcome": clean(str(one.get("outcome")))}
                for one in finished.get("attempts", ())
            ],
            "needs": [clean(str(need.get("prompt", need.get("kind", "")))) for need in info.needs],
            "source": coloured(tree.started.get("source", "")[: self._n_chars], "markdown"),
            "calls": calls,
        }

    def _call(self, node: Node, began: float) -> dict[str, Any]:
        whole = {
            "id": node.call,
            "kind": node.kind,
            "name": clean(node.title),
            "label": label(node, 120),
            "at": round(_ms(node.started_at) - began, 1) if node.started_at else 0,
            "ms": None if node.duration_s is None else round(node.duration_s * 1000, 2),
            "outcome": node.outcome and clean(node.outcome),
            "error": self._text(node.message) if node.message else "",
            "calls": node.calls,
            "tokens": node.tokens,
            "usd": round(node.usd, 9),
            "model": clean(node.model),
            "node": clean(node.place),
            "strategy": clean(node.strategy),
            "during": node.during,
            "arguments": self._text(node.arguments, _fields(node.arguments)),
            "value": self._text(node.value),
            "printed": self._text(node.printed),
            "turns": [self._turn(turn) for turn in node.turns],
            "cells": [self._cell(cell) for cell in node.cells],
            "checks": [self._check(check) for check in node.checks],
            "diverged": [clean(one.message) for one in node.divergences],
        }
        needed = ("id", "kind", "name", "label", "at", "ms", "outcome")
        return {name: value for name, value in whole.items() if name in needed or value}

    def _turn(self, turn: TurnView) -> dict[str, Any]:
        return {
            "number": turn.number,
            "attempt": turn.attempt + 1,
            "strategy": clean(turn.strategy),
            "model": clean(turn.model),
            "problem": clean(turn.problem),
            "messages": [
                {"role": clean(str(one.get("role", ""))), "text": self._text(one.get("content", ""))}
                for one in turn.messages
            ],
            "reply": self._text(turn.reply) if turn.reply is not None else None,
            "tokens_in": turn.tokens_in,
            "tokens_out": turn.tokens_out,
            "usd": turn.usd,
            "ms": None if turn.duration_s is None else round(turn.duration_s * 1000, 2),
        }

    def _cell(self, cell: CellView) -> dict[str, Any]:
        return {
            "number": cell.number,
            "turn": cell.turn,
            "source": coloured(cell.source[: self._n_chars], "python"),
            "output": self._text(cell.output),
            "error": clean(cell.error or ""),
            "answered": cell.answered,
            "ms": None if cell.duration_s is None else round(cell.duration_s * 1000, 2),
        }

    def _check(self, check: CheckView) -> dict[str, Any]:
        return {"name": clean(check.name), "passed": check.passed, "message": self._text(check.message)}

    def _text(self, value: Any, text: str = "") -> Any:
        """A value as text that can be read: a text, or where it was cut, what is left of it, its length and its blob."""
        if value is None or value == "":
            return ""
        text = clean(text or (value if isinstance(value, str) else _as_json(value)))
        if len(text) <= self._n_chars:
            return text
        half = self._n_chars // 2
        blob = self._blob(value)
        return {"head": text[:half], "tail": text[-half:], "n": len(text), "blob": blob}

    def _blob(self, value: Any) -> str:
        """Where the run's folder has the value whole, as the journal names it; empty where it does not."""
        data = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
        name = hashlib.sha256(data).hexdigest()
        return f"{self._way}blobs/{name}" if name in self._blobs else ""


def _fields(arguments: Any) -> str:
    """Arguments one below the other: a prompt of many lines is read as lines, not as JSON's escapes."""
    if not isinstance(arguments, dict):
        return ""
    parts = []
    for name, value in arguments.items():
        is_long = isinstance(value, str) and "\n" in value
        parts.append(f"{name}:\n{indent(value, '    ')}" if is_long else f"{name}: {_as_json(value)}")
    return "\n".join(parts)


def _as_json(value: Any) -> str:
    # Indenting leaves the encoder in C, which takes four times as long.
    return json.dumps(value, indent=2 if isinstance(value, (dict, list)) else None, ensure_ascii=False)


def _ms(at: str) -> float:
    return datetime.fromisoformat(at).timestamp() * 1000 if at else 0.0
