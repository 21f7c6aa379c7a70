"""Models whose requests leave from the nodes of a cluster, each over the pooled connections of its node.

The run's owner pays for a request and has it on record before it goes; a node only sends it and hands back what came.
So a budget holds as on one machine. What it is good for: a request through litellm takes 5 ms of a processor, one that is
handed to a node 0.6, and one in OpenAI's protocol 0.3 to 0.6 (benchmarks/RESULTS.md). So the first leave from nodes, the
last only where every one is to.

Always stay with the owner: models on the owner's own machine (a loopback address), those that no address is asked for (`host`,
`command`, `recorded`), and providers of which it is not known here which variables they read. A model that the nodes can't
reach is asked from the owner for the rest of the run.

Keys: a node is told the variables that a model's requests need, and no other. They are in the memory of its host alone.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orchestrator.errors import EnvironmentUnavailable, ModelFailed, OrchestratorError
from orchestrator.models.keys import header_names, needed_names
from orchestrator.models.model import Reply
from orchestrator.models.names import THROUGH_LITELLM
from orchestrator.models.opening import open_model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from orchestrator.errors import ModelFault
    from orchestrator.models.model import Model, Prompt
    from orchestrator.models.names import Target

MOST_CUT = 3
"""So many connections in a row that failed from nodes, and a model is asked from the owner: it may be they can't reach it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as a node is told of it. `number` is the model's in this run."""

    number: int
    target: Target
    variables: Mapping[str, str] = field(repr=False)
    prompt: Prompt = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """A ModelFailed, in values."""

    message: str
    fault: ModelFault
    retryable: bool
    retry_after_s: float | None
    was_sent: bool
    was_made: bool
    hint: str

    @classmethod
    def of(cls, error: ModelFailed) -> Failed:
        """The same failure."""
        return cls(
            str(error), error.fault, error.retryable, error.retry_after_s, error.was_sent, error.was_made, error.hint
        )  # fmt: skip

    def error(self) -> ModelFailed:
        """The same failure."""
        return ModelFailed(
            self.message, self.fault, retryable=self.retryable, retry_after_s=self.retry_after_s,
            was_sent=self.was_sent, was_made=self.was_made, hint=self.hint,
        )  # fmt: skip


class Clients:
    """The open models of one node. Its host makes it and closes it; it belongs to the host's event loop."""

    def __init__(self) -> None:
        self._models: dict[int, asyncio.Task[Model]] = {}

    async def answer(self, asked: Asked) -> Reply | Failed:
        """What came of one request."""
        try:
            if asked.number not in self._models:
                self._models[asked.number] = asyncio.create_task(asyncio.to_thread(_opened, asked))
            model = await asyncio.shield(self._models[asked.number])
            return await model.complete(asked.prompt)
        except ModelFailed as error:
            return Failed.of(error)
        except OrchestratorError as error:  # what it needs is not installed there
            return Failed(str(error), "connection", True, None, False, False, error.hint)

    async def close(self) -> None:
        """Let go of all connections."""
        for opening in self._models.values():
            if opening.done() and not opening.exception():
                await opening.result().close()


def _opened(asked: Asked) -> Model:
    if asked.target.backend == "litellm":  # it reads the variables of its provider by itself
        os.environ.update(asked.variables)
    return open_model(asked.target, asked.variables)


class OnNodes:
    """A model that is asked from the nodes. The run makes it and closes it.

    `ask` hands a request to a node and raises ConnectionError when that is lost meanwhile. True between requests:
    `_n_cut` connections in a row failed from nodes; from `MOST_CUT` on all requests leave from here.
    """

    def __init__(
        self, target: Target, here: Model, ask: Callable[[Prompt], Awaitable[Reply | Failed]]
    ) -> None:
        self._name = target.name
        self._here = here
        self._ask = ask
        self._n_cut = 0

    async def complete(self, prompt: Prompt) -> Reply:
        """The reply. Raises ModelFailed."""
        if self._n_cut >= MOST_CUT:
            return await self._here.complete(prompt)
        try:
            told = await self._ask(prompt)
        except ConnectionError as error:
            raise ModelFailed(
                f"`{self._name}` was being asked from a node that was lost: {error}", "connection", retryable=True,
                was_sent=True,
            ) from error  # fmt: skip
        except EnvironmentUnavailable:  # no node is left
            return await self._here.complete(prompt)
        if isinstance(told, Reply):
            self._n_cut = 0
            return told
        if told.fault != "connection":
            raise told.error()
        self._n_cut += 1
        if told.was_made:  # a second request would be one that nobody has paid for
            raise told.error()
        reply = await self._here.complete(prompt)
        self._n_cut = MOST_CUT
        return reply

    async def close(self) -> None:
        """Let go of connections. Safe to call twice."""
        await self._here.close()


def over(
    ask: Callable[[Asked], Awaitable[Any]],
    open_here: Callable[[Target], Model],
    environ: Mapping[str, str],
    *,
    every: bool = False,
) -> Callable[[Target], Model]:
    """What opens models so that requests leave from the nodes where that pays; all that can, with `every`.

    `open_here` opens them as usual.
    """
    numbers = count(1)

    def open_one(target: Target) -> Model:
        here = open_here(target)
        if not leaves(target, every=every):
            return here
        number, variables = next(numbers), variables_of(target, environ)

        async def ask_one(prompt: Prompt) -> Reply | Failed:
            told: Reply | Failed = await ask(Asked(number, target, variables, prompt))
            return told

        return OnNodes(target, here, ask_one)

    return open_one


def leaves(target: Target, *, every: bool) -> bool:
    """Whether requests to a model leave from the nodes: those that cost much to send, or every one that can."""
    if target.backend == "litellm":
        is_known = target.provider in THROUGH_LITELLM or bool(target.key_env)
        return is_known and not _is_loopback(target.api_base)
    return every and target.backend == "chat" and not _is_loopback(target.api_base)


def variables_of(target: Target, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that requests to a model read, of those that are set."""
    return {name: environ[name] for name in (*needed_names(target), *header_names(target)) if name in environ}


def _is_loopback(address: str | None) -> bool:
    host = urlsplit(address or "").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
