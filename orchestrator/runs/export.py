"""A run in the form of other programs: the reference implementation's log, which its visualiser opens.

Source of the form: alexzhang13/rlm, `rlm/logger/rlm_logger.py`, `rlm/core/types.py` and `visualizer/src/lib/types.ts`.
One JSON object a line: `metadata` first, then one `iteration` for each turn of the root. A recursive child is a call
of the cell that made it, with its own iterations in its `metadata`.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.runs.tree import FINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.runs.tree import CellView, Node, Tree, TurnView

FORMATS = ("rlm",)


def rlm_lines(tree: Tree) -> Iterator[str]:
    """The lines of the log of a run. A run that was cut short has the turns that it got to."""
    yield _line({"type": "metadata", "timestamp": tree.started_at, **_config(tree)})
    if tree.root is not None:
        for iteration in _iterations(tree.root, tree):
            yield _line({"type": "iteration", **iteration})


def _config(tree: Tree) -> dict[str, Any]:
    limits, models = tree.started.get("limits") or {}, tree.started.get("models") or {}
    return {
        "root_model": models.get("root"),
        "max_depth": limits.get("depth"),
        "max_iterations": limits.get("iterations"),
        "backend": None,
        "backend_kwargs": {},
        "environment_type": tree.started.get("environment"),
        "environment_kwargs": {},
        "other_backends": [models["sub"]] if models.get("sub") not in (None, models.get("root")) else None,
    }


def _iterations(node: Node, tree: Tree) -> Iterator[dict[str, Any]]:
    messages: list[dict[str, str]] = []
    at = datetime.fromisoformat(node.started_at or tree.started_at)
    for number, turn in enumerate(node.turns):
        cells = [(index, cell) for index, cell in enumerate(node.cells) if cell.turn == number]
        if turn.number == 1 or turn.compacted:
            messages = []
        messages = messages + turn.messages
        took = (turn.duration_s or 0.0) + sum(cell.duration_s or 0.0 for _, cell in cells)
        at += timedelta(seconds=took)
        reply = turn.reply if turn.reply is not None else _as_reply(cells)
        answered = any(cell.answered for _, cell in cells)
        yield {
            "iteration": number + 1,
            "timestamp": at.isoformat(),
            "prompt": messages or [{"role": "user", "content": node.name}],
            "response": reply,
            "code_blocks": [_block(node, index, cell, tree) for index, cell in cells],
            "final_answer": _text(node.value) if answered and number == _last_answered(node) else None,
            "iteration_time": took,
        }
        messages = [*messages, {"role": "assistant", "content": reply}]


def _last_answered(node: Node) -> int:
    return max((cell.turn for cell in node.cells if cell.answered), default=-1)


def _as_reply(cells: list[tuple[int, CellView]]) -> str:
    """Cells that stood in a document, as the reply that they would have been."""
    return "\n\n".join(f"```repl\n{cell.source.rstrip()}\n```" for _, cell in cells)


def _block(node: Node, index: int, cell: CellView, tree: Tree) -> dict[str, Any]:
    made = [child for child in node.children if child.during == index]
    return {
        "code": cell.source,
        "result": {
            "stdout": cell.output,
            "stderr": cell.error or "",
            "locals": {},
            "execution_time": cell.duration_s or 0.0,
            "rlm_calls": [_call(call, tree) for child in made for call in _of_models(child)],
            "final_answer": _text(node.value) if cell.answered else None,
        },
    }


def _of_models(node: Node) -> Iterator[Node]:
    """The calls that a model answers, of a call and those below it; a child's own calls are in its iterations."""
    if node.kind in ("llm", "rlm") or any(turn.model for turn in node.turns):
        yield node
        return
    for child in node.children:
        yield from _of_models(child)


def _call(node: Node, tree: Tree) -> dict[str, Any]:
    arguments = node.arguments if isinstance(node.arguments, dict) else {}
    tokens_in, tokens_out = _tokens(node)
    model = node.model or next((turn.model for turn in node.turns), "") or str(arguments.get("model") or "")
    call: dict[str, Any] = {
        "root_model": model,
        "prompt": arguments.get("prompt", arguments),
        "response": _text(node.value) if node.outcome in FINE else f"[{node.outcome}] {node.message}",
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "usage_summary": {
            "model_usage_summaries": {
                model: {
                    "total_calls": node.calls,
                    "total_input_tokens": tokens_in,
                    "total_output_tokens": tokens_out,
                    "total_cost": node.usd,
                }
            },
            "total_cost": node.usd,
        },
        "execution_time": node.duration_s or 0.0,
    }
    if node.outcome not in FINE:
        call["error"] = node.message or str(node.outcome)
    if node.turns:
        run = {**_config(tree), "root_model": model}
        iterations = [{"type": "iteration", **one} for one in _iterations(node, tree)]
        call["metadata"] = {"run_metadata": run, "iterations": iterations}
    return call


def _tokens(node: Node) -> tuple[int, int]:
    """Tokens of prompts and of replies, of a call and all below it."""
    if node.kind == "llm":
        return node.tokens_in, node.tokens_out
    below = [_tokens(child) for child in node.children]
    turns: list[TurnView] = node.turns
    return (
        sum(turn.tokens_in for turn in turns) + sum(one for one, _ in below),
        sum(turn.tokens_out for turn in turns) + sum(one for _, one in below),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
