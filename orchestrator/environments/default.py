"""Which environment is meant where none is named: the usual one, or where that can't work here, a stronger one.

Never a weaker one: `process`, which keeps workers from nothing, has to be asked for.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

USUAL = "confined" if sys.platform == "linux" else "seatbelt" if sys.platform == "darwin" else "docker"
STRONGER = {
    "confined": ("bubblewrap", "docker", "podman"),
    "seatbelt": ("docker", "podman"),
    "docker": ("podman",),
}[USUAL]
"""What takes its place, in this order."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """An environment, and what to say of it; `said` is empty for the usual one."""

    name: str
    said: str = ""


def choose(usual: str, reason: str, others: Sequence[str], tried: Callable[[str], str]) -> Chosen:
    """The first of the others that works, where the usual one does not for this reason.

    `tried(name)` says why one does not work, and nothing when it does. When none does it is the usual one, whose own
    refusal says what to do.
    """
    if not reason:
        return Chosen(usual)
    for name in others:
        if not tried(name):
            return Chosen(name, f"`{usual}` does not work here ({reason}), so `{name}` is used in its place")
    return Chosen(usual)


def why_unusable() -> str:
    """Why the usual environment can't work here, as far as can be told in a moment; empty when it may."""
    if USUAL != "confined":
        return "" if USUAL != "seatbelt" or shutil.which("sandbox-exec") else "`sandbox-exec` is not on PATH"
    from orchestrator.environments import confine  # here: it loads ctypes, which only Linux needs

    return confine.obstacle()
