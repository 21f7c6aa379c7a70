"""A run in the form of other programs: the reference implementation's log, which its visualiser opens.

Source of the form: alexzhang13/rlm, `rlm/logger/rlm_logger.py`, `rlm/core/types.py` and `visualizer/src/lib/types.ts`.
One JSON object a line: `metadata` first, then one `iteration` for each turn of the root. A recursive child is a call
of the cell that made it, with its own iterations in its `metadata`. Skills do not stand in it, the calls that they
make to models do; calls that no cell made (`judge` checks) stand with the last cell before them.

The visualiser reads `prompt_tokens` and `completion_tokens` of a call, and the logger writes `usage_summary`: both are
here. Its pages break on a value that is no text where they expect one, and on NaN.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from orchestrator.runs.tree import FINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.runs.tree import CellView, Node, Tree, TurnView

FORMATS = ("rlm",)

_SUMS = ("total_calls", "total_input_tokens", "total_output_tokens", "total_cost")


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
    made = _by_cell(node)
    last_answered = _last_answered(node)
    for number, turn in enumerate(node.turns):
        cells = [(index, cell) for index, cell in enumerate(node.cells) if cell.turn == number]
        if turn.number == 1 or turn.compacted:
            messages = []
        messages = messages + turn.messages
        took = (turn.duration_s or 0.0) + sum(cell.duration_s or 0.0 for _, cell in cells)
        reply = turn.reply if turn.reply is not None else _as_reply(cells)
        final = last_answered if last_answered in [index for index, _ in cells] else None
        yield {
            "iteration": number + 1,
            "timestamp": turn.at or node.started_at,
            "prompt": messages or [{"role": "user", "content": node.name}],
            "response": reply,
            "code_blocks": [
                _block(cell, made.get(index, ()), tree, _text(node.value) if index == final else None)
                for index, cell in cells
            ],
            "final_answer": None if final is None else _text(node.value),
            "iteration_time": took,
        }
        messages = [*messages, {"role": "assistant", "content": reply or "(empty)"}]


def _last_answered(node: Node) -> int | None:
    """Which cell gave the call's value: the last one that answered, once the call has a value."""
    if node.outcome not in FINE and node.value is None:
        return None
    return max((index for index, cell in enumerate(node.cells) if cell.answered), default=None)


def _by_cell(node: Node) -> dict[int, list[Node]]:
    """The calls of each cell; one that no cell made stands with the last cell of the turns before it."""
    last: dict[int, int] = {}
    for index, cell in enumerate(node.cells):
        last[cell.turn] = index
    made: dict[int, list[Node]] = {}
    for child in node.children:
        made.setdefault(child.during if child.during >= 0 else last.get(child.turn, 0), []).append(child)
    return made


def _as_reply(cells: list[tuple[int, CellView]]) -> str:
    """Cells that stood in a document, as the reply that they would have been."""
    return "\n\n".join(_fenced(cell.source.rstrip()) for _, cell in cells)


def _fenced(source: str) -> str:
    longest = max(map(len, re.findall("`{3,}", source)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}repl\n{source}\n{fence}"


def _block(cell: CellView, made: Sequence[Node], tree: Tree, final: str | None) -> dict[str, Any]:
    return {
        "code": cell.source,
        "result": {
            "stdout": cell.output,
            "stderr": cell.error or "",
            "locals": {},
            "execution_time": cell.duration_s or 0.0,
            "rlm_calls": [_call(call, tree) for child in made for call in _of_models(child)],
            "final_answer": final,
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
    by_model = _by_model(node)
    model = node.model or next((turn.model for turn in node.turns), "") or str(arguments.get("model") or "")
    call: dict[str, Any] = {
        "root_model": model,
        "prompt": arguments.get("prompt", arguments),
        "response": _text(node.value) if node.outcome in FINE else f"[{_said(node)}] {node.message}",
        "prompt_tokens": sum(one["total_input_tokens"] for one in by_model.values()),
        "completion_tokens": sum(one["total_output_tokens"] for one in by_model.values()),
        "usage_summary": {"model_usage_summaries": by_model, "total_cost": node.usd},
        "execution_time": node.duration_s or 0.0,
    }
    if node.outcome not in FINE:
        call["error"] = node.message or _said(node)
    if node.turns:
        run = {**_config(tree), "root_model": model}
        iterations = [{"type": "iteration", **one} for one in _iterations(node, tree)]
        call["metadata"] = {"run_metadata": run, "iterations": iterations}
    return call


def _said(node: Node) -> str:
    return (node.outcome or "not finished").replace("_", " ")


def _by_model(node: Node) -> dict[str, dict[str, float]]:
    """What each model did for a call and all below it, as the reference sums it up."""
    found: dict[str, dict[str, float]] = {}
    for one in node.walk():
        asked: list[TurnView | Node] = [*(turn for turn in one.turns if turn.calls)]
        if one.kind == "llm" and one.calls:
            asked.append(one)
        for each in asked:
            sums = found.setdefault(each.model, dict.fromkeys(_SUMS, 0))
            amounts = (each.calls, each.tokens_in, each.tokens_out, each.usd)
            for name, amount in zip(_SUMS, amounts, strict=True):
                sums[name] += amount
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _line(value: dict[str, Any]) -> str:
    """One line in ASCII: no terminal and no reader of lines sees anything else in it."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    """The value with texts for the numbers that JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
