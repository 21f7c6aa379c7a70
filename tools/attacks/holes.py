"""What is known to escape, by environment; an environment that is not named here stops everything.

`process` keeps a worker from our keys and from going on for ever, and from nothing else: it says so.
"""

from __future__ import annotations

from attacks.table import ATTACKS

_STOPPED_BY_PROCESS = {
    "look at own variables",  # a clean environment
    "read own first variables",
    "search what was inherited",  # another program
    "use inherited descriptors",  # closed
}

HOLES: dict[str, frozenset[str]] = {
    "process": frozenset(
        name for name, attack in ATTACKS.items()
        if attack.group in ("files", "other processes", "network") and name not in _STOPPED_BY_PROCESS
    ) | {
        "go on as the terminals master", "go on beside its parent", "go on in a program", "go on in an orphan",
        "go on in another group",
    },
    # An engine counts threads and processes as one, and a worker may have 512 threads.
    "docker": frozenset({"start processes"}),
    "podman": frozenset({"start processes"}),
}  # fmt: skip
