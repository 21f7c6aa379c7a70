"""Run Markdown workflows as recursive language model calls over a workspace of agent skills.

The names below are loaded when first used: importing this package loads nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.app import aresume, arun, load_skills, load_workflow, resume, run
    from orchestrator.memory.ranking import Ranked, Ranker
    from orchestrator.memory.suggestions import Suggestion, suggest
    from orchestrator.memory.usage import UsageStore
    from orchestrator.values import RunResult

__version__ = "0.1.0"
__all__ = [
    "Ranked",
    "Ranker",
    "RunResult",
    "Suggestion",
    "UsageStore",
    "aresume",
    "arun",
    "load_skills",
    "load_workflow",
    "resume",
    "run",
    "suggest",
]

_HOMES = {
    "Ranked": "orchestrator.memory.ranking",
    "Ranker": "orchestrator.memory.ranking",
    "RunResult": "orchestrator.values",
    "Suggestion": "orchestrator.memory.suggestions",
    "UsageStore": "orchestrator.memory.usage",
    "aresume": "orchestrator.app",
    "arun": "orchestrator.app",
    "load_skills": "orchestrator.app",
    "load_workflow": "orchestrator.app",
    "resume": "orchestrator.app",
    "run": "orchestrator.app",
    "suggest": "orchestrator.memory.suggestions",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
