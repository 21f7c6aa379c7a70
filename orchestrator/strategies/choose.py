"""Which strategies a run tries, and in which order."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import ModelUnavailable, UsageError

if TYPE_CHECKING:
    from orchestrator.documents.types import StrategyDocument, Workflow

BUILT_IN = ("direct", "grep", "map-reduce", "split-recurse", "verify-refine")
"""Strategies whose cells are in `built_in/`; they need a sub model and no root."""

NAMES = ("written", "rlm", *BUILT_IN)
"""Every name that a workflow may list, in the order in which they are tried without a record."""

BYTES_A_TOKEN = 4
"""What a window of so many tokens is taken to hold of text."""


def candidates(
    workflow: Workflow, forced: str | None = None, root: str | None = None, sub: str | None = None
) -> tuple[str, ...]:
    """The strategies to try, best first, given the models that there are; whether a built-in fits is seen later.

    Raises UsageError for a name nobody knows or one that does not apply, and ModelUnavailable when only a model
    could run the workflow and there is none.
    """
    asked = [forced] if forced else list(workflow.strategies or NAMES)
    for name in asked:
        _known(name)
    there = {"written": bool(workflow.cells), "rlm": root is not None} | dict.fromkeys(
        BUILT_IN, sub is not None
    )
    found = tuple(name for name in asked if there[name])
    if found:
        return found
    if asked == ["written"] or (workflow.strategies == ("written",) and not forced):
        raise UsageError(
            f"strategy `written` does not apply: `{workflow.path}` has no cells",
            hint="a cell is a fenced block that begins with ```repl",
        )
    raise ModelUnavailable(
        f"strategy `{forced}` needs a model, and none is configured"
        if forced
        else f"`{workflow.path}` has no cells to run, and no model is configured to write them",
        hint="name one with --model, or as [models.default] in orchestrate.toml; or add a cell: a fenced block that "
        "begins with ```repl",
    )


@cache
def document_of(name: str) -> StrategyDocument | None:
    """The document of a built-in strategy; None for those that have none."""
    if name not in BUILT_IN:
        return None
    from orchestrator.documents.strategy import load_strategy  # here: most runs need none of them

    return load_strategy(Path(__file__).parent / "built_in" / f"{name}.md")


def misfit(
    document: StrategyDocument, n_bytes: int, window_tokens: int, depth_left: int | None
) -> str | None:
    """Why a strategy does not apply to a context of this size; None when it does."""
    fit, n_windows = document.fit, n_bytes / (window_tokens * BYTES_A_TOKEN)
    size = f"`{document.name}` is not for a context of {n_bytes:,} bytes"
    if n_bytes < fit.min_bytes or n_windows < fit.min_windows:
        return f"{size}: it is too small"
    if (fit.max_bytes is not None and n_bytes > fit.max_bytes) or (
        fit.max_windows is not None and n_windows > fit.max_windows
    ):
        return f"{size}: it is too large"
    if depth_left is not None and depth_left < fit.depth:
        return f"`{document.name}` needs {fit.depth} levels of depth, {depth_left} are left"
    return None


def _known(name: str) -> None:
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, n=1)
        raise UsageError(
            f"no strategy named `{name}` ({len(NAMES)} known: {', '.join(NAMES)})",
            hint=f"did you mean `{close[0]}`?" if close else "",
        )
