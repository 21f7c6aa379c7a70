"""What is known of a run before it begins, as the numbers and categories that a ranking goes by."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.documents.types import Workflow

Situation = dict[str, float | int | str | bool]

SAMPLE_CHARS = 16_384
"""So much of a context is looked at for its density."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a context looks like from outside. `density`: bytes of a sample after compression for one before."""

    kind: str  # files | text | list | object | none
    n_bytes: int
    n_items: int
    density: float


def shape_of(context: Any, n_bytes: int, *, from_files: bool) -> Shape:
    """The shape of a context of so many bytes. What is not at hand as text (a mapped file) is not looked into."""
    if from_files:
        kind = "files"
    elif isinstance(context, dict):
        kind = "object"
    elif isinstance(context, list):
        kind = "list"
    else:
        kind = "text" if context else "none"
    n_items = len(context) if isinstance(context, (dict, list)) else 1
    return Shape(kind, n_bytes, n_items, _density(context))


def situation(
    workflow: Workflow, skills: Sequence[str], shape: Shape, *, depth: int, model: str
) -> Situation:
    """The situation of a call that runs `workflow`; sizes are logarithms, so that ten times as much is one step."""
    return {
        "workflow": workflow.name,
        "version": workflow.version[:12],
        "skills": " ".join(sorted(skills)),
        "n_skills": len(skills),
        "context_log_bytes": round(math.log10(1 + shape.n_bytes), 2),
        "n_items": shape.n_items,
        "context_type": shape.kind,
        "density": shape.density,
        "depth": depth,
        "model": model,
        "output": str((workflow.output or {}).get("type", "any")),
    }


def _density(context: Any) -> float:
    sample = "\n".join(_texts(context, SAMPLE_CHARS))[:SAMPLE_CHARS].encode("utf-8", "replace")
    return round(len(zlib.compress(sample, 1)) / len(sample), 2) if sample else 0.0


def _texts(value: Any, room: int) -> list[str]:
    """Texts in a value, from its beginning, until they fill the room."""
    found: list[str] = []
    left = [value]
    while left and room > 0:
        one = left.pop()
        if isinstance(one, str):
            found.append(one[:room])
            room -= len(one)
        elif isinstance(one, list):
            left += reversed(one[:room])
        elif isinstance(one, dict):
            left += reversed(list(one.values())[:room])
    return found
