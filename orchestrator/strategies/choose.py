"""Which strategies a run tries, and in which order."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from orchestrator.errors import ModelUnavailable, UsageError
from orchestrator.strategies.written import Written

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.documents.types import Workflow
    from orchestrator.strategies.strategy import Strategy

BUILT_IN = {"written": Written}
"""Strategies by name, in the order in which they are tried without a record."""

NEED_A_MODEL = ("rlm", "direct", "grep", "map-reduce", "split-recurse", "verify-refine")
"""Names that workflows may list already; each is a strategy in which a model answers."""

NAMES = (*BUILT_IN, *NEED_A_MODEL)
"""Every name that a workflow may list."""


def candidates(workflow: Workflow, forced: str | None = None) -> dict[str, Callable[[Workflow], Strategy]]:
    """The strategies to try, by name, best first.

    Raises UsageError for a name nobody knows or one that does not apply, and ModelUnavailable when only a model
    could run the workflow.
    """
    asked = [forced] if forced else list(workflow.strategies or BUILT_IN)
    for name in asked:
        _known(name)
    found = {name: BUILT_IN[name] for name in asked if name in BUILT_IN and BUILT_IN[name].applies(workflow)}
    if found:
        return dict(found)
    if forced and forced in BUILT_IN:
        raise UsageError(
            f"strategy `{forced}` does not apply: `{workflow.path}` has no cells",
            hint="a cell is a fenced block that begins with ```repl",
        )
    raise ModelUnavailable(
        f"`{workflow.path}` has no cells to run, and no model is configured to write them"
        if not forced
        else f"strategy `{forced}` needs a model, and none is configured",
        hint="add a cell: a fenced block that begins with ```repl; `orchestrate init` makes an example",
    )


def _known(name: str) -> None:
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, n=1)
        raise UsageError(
            f"no strategy named `{name}` ({len(NAMES)} known: {', '.join(NAMES)})",
            hint=f"did you mean `{close[0]}`?" if close else "",
        )
