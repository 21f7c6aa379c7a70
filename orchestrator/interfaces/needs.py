"""What a run waits for, as people read it, and how it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.interfaces.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

N_SHOWN = 5
"""Needs that are named; `status --json` has all."""


def need_lines(run: str, needs: Sequence[Mapping[str, Any]], width: int) -> Iterator[str]:
    """The needs, a line each, and the commands that answer them."""
    for need in needs[:N_SHOWN]:
        yield "  " + one_line(f"{need['id']}  {_said(need)}", width - 2)
    if len(needs) > N_SHOWN:
        yield f"  … and {len(needs) - N_SHOWN} more: orchestrate status {run} --json"
    kinds = {need["kind"] for need in needs}
    if "approval" in kinds:
        yield f"  orchestrate resume {run} --approve ID   (or --deny ID)"
    if kinds - {"approval"}:
        yield f'  orchestrate resume {run} --answers FILE   ({{"ID": answer}}; -: stdin)'
    if "in_doubt" in kinds:
        yield '  in doubt: look whether it was done, then answer "retry" or {"done": VALUE}'


def _said(need: Mapping[str, Any]) -> str:
    if need["kind"] != "in_doubt":
        return f"{need['kind']}: {need['prompt']}"
    from orchestrator.runs.call import described  # here: who lists runs needs nothing that runs

    return f"in doubt: {need['function']}({described(need['arguments'] or {})})"
