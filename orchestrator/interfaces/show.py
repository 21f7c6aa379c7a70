"""`orchestrate show`: one run as a tree."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator.interfaces.console import headline, print_lines
from orchestrator.interfaces.drawing import Line, spent, whole
from orchestrator.interfaces.terminal import as_json, clean, columns, duration, plural, show
from orchestrator.runs.history import find_run, read_tree, run_info
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse

    from orchestrator.runs.history import RunInfo
    from orchestrator.runs.tree import CellView, Node, Tree


def run(args: argparse.Namespace) -> int:
    """Print a run's tree; the value is the exit code."""
    workspace = existing_workspace(args.workspace)
    folder = find_run(workspace, args.run)
    tree, info = read_tree(folder), run_info(folder)
    if args.json:
        show(as_json(_tree_object(tree, info)))
        return 0
    if tree.root is not None and info.status == "interrupted":
        tree.root.outcome = info.status  # the journal has the call as failed; who looks wants to know by what
    width = columns(sys.stdout)
    show(headline(tree, width))
    if tree.root is not None:
        print_lines(whole(tree.root, width))
    print_lines(_places(tree))
    print_lines(_ending(tree, info))
    return 0


def _ending(tree: Tree, info: RunInfo) -> list[Line]:
    finished = tree.finished or {}
    tried = [f"{attempt['strategy']}: {attempt['outcome']}" for attempt in finished.get("attempts", ())]
    parts = [
        info.status,
        *(tried if len(tried) > 1 else ()),
        *spent(tree.spent),
        duration(info.usage.get("seconds")),
    ]
    lines = [Line(" · ".join(part for part in parts if part), "good" if info.status == "answered" else "bad")]
    if info.message and info.message != info.status:
        lines += [Line(clean(text)) for text in info.message.splitlines()]
    return lines


def _places(tree: Tree) -> list[Line]:
    """How many calls were on each node of a cluster; nothing of a run that was on none."""
    found: Counter[str] = Counter()
    waiting = [tree.root] if tree.root else []
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.place:
            found[node.place] += 1
    said = ", ".join(f"{plural(n, 'call')} on {clean(place)}" for place, n in sorted(found.items()))
    return [Line(f"nodes: {said}")] if said else []


def _tree_object(tree: Tree, info: RunInfo) -> dict[str, Any]:
    return {
        "run": info.run,
        "workflow": info.workflow,
        "status": info.status,
        "started": tree.started,
        "finished": tree.finished,
        "spent": dict(tree.spent),
        "root": _node_object(tree.root) if tree.root else None,
    }


def _node_object(node: Node) -> dict[str, Any]:
    return {
        "call": node.call,
        "kind": node.kind,
        "name": node.name,
        "arguments": node.arguments,
        "started_at": node.started_at,
        "outcome": node.outcome,
        "value": node.value,
        "error": node.message or None,
        "duration_s": node.duration_s,
        "calls": node.calls,
        "tokens": node.tokens,
        "usd": node.usd,
        "tokens_in": node.tokens_in if node.kind == "llm" else None,
        "tokens_out": node.tokens_out if node.kind == "llm" else None,
        "model": node.model or None,
        "node": node.place or None,
        "strategy": node.strategy or None,
        "turns": [asdict(turn) for turn in node.turns],
        "during_cell": node.during if node.during >= 0 else None,
        "cells": [_cell_object(cell) for cell in node.cells],
        "checks": [
            {"name": check.name, "passed": check.passed, "message": check.message} for check in node.checks
        ],
        "divergences": [asdict(one) for one in node.divergences],
        "children": [_node_object(child) for child in node.children],
    }


def _cell_object(cell: CellView) -> dict[str, Any]:
    names = ("number", "turn", "source", "output", "error", "answered", "duration_s")
    return {name: getattr(cell, name) for name in names}
