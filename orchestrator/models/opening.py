"""Opens models: which backend answers for a target, and what it needs to have imported."""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.models.model import Model
    from orchestrator.models.names import Target

BACKENDS = {
    "chat": "orchestrator.models.chat:Chat",
    "litellm": "orchestrator.models.through_litellm:ThroughLitellm",
    "command": "orchestrator.models.command:Command",
    "recorded": "orchestrator.models.recorded:Recorded",
}
"""Backends by name: each is called with the target and the variables."""

HEAVY = {"chat": "aiohttp", "litellm": "orchestrator.models.through_litellm"}
"""What takes long to import."""


def open_model(target: Target, environ: Mapping[str, str]) -> Model:
    """What answers for a target. Raises UsageError, and ModelUnavailable where something is not there."""
    module, _, name = BACKENDS.get(target.backend, target.model).partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"can't use the model `{target.name}`: {error}", hint="write it as your.module:Factory"
        ) from error
    made: Model = factory(target, environ)
    return made


def warm(target: Target) -> None:
    """Begin to import what the target needs, in a thread, so that the first request waits for less."""
    module = HEAVY.get(target.backend)
    if module is not None:
        threading.Thread(target=_import, args=(module,), daemon=True).start()


def _import(module: str) -> None:
    imported = importlib.import_module(module)
    begin = getattr(imported, "warm", None)
    if begin is not None:
        begin()
