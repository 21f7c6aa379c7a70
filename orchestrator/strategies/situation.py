"""What is known of a run before it begins, as the numbers and categories that a ranking goes by."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.documents.types import Workflow

Situation = dict[str, float | int | str | bool]


def situation(
    workflow: Workflow, skills: Sequence[str], *, n_context_bytes: int, n_items: int, depth: int, model: str
) -> Situation:
    """The situation of a call that runs `workflow`; sizes are logarithms, so that ten times as much is one step."""
    return {
        "workflow": workflow.name,
        "skills": " ".join(sorted(skills)),
        "n_skills": len(skills),
        "context_log_bytes": round(math.log10(1 + n_context_bytes), 2),
        "n_items": n_items,
        "context_type": "files" if workflow.context else "inputs",
        "depth": depth,
        "model": model,
        "output": str((workflow.output or {}).get("type", "any")),
    }
