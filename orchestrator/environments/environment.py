"""What an environment is: a way to start workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from orchestrator.environments.session import Session
    from orchestrator.values import WorkerSpec


class Environment(Protocol):
    """A way to start workers. Making one is cheap; nothing starts before the first `start`.

    Workers may be started from several event loops in several threads at once.
    """

    name: str
    covers: str  # what it keeps workers from and what not, on one line that every run shows

    async def start(self, spec: WorkerSpec) -> Session:
        """A worker that is ready for requests. The caller closes it. Raises EnvironmentUnavailable."""
        ...

    async def close(self) -> None:
        """Let go of what the environment itself holds. Sessions are closed by who started them."""
        ...
