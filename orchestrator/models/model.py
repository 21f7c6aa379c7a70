"""What a model is: something that answers a list of messages. Backends know one way each to reach one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

Role = Literal["system", "user", "assistant"]

Finish = Literal["stop", "length", "filtered"]
"""Why a reply ended: by itself, at `max_tokens`, or held back by the provider."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request to a model: what it is shown and how long its reply may be.

    `schema`: a JSON Schema that the reply should meet where the endpoint can see to that; whoever asks checks the
    reply all the same. `for_root`: a turn of a recursive call, as opposed to a plain question (`sub`).
    """

    messages: tuple[Message, ...]
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    for_root: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered, and what it cost.

    `tokens_in` and `tokens_out` are the provider's figures, None where it gives none. `usd` is what the provider says
    it charged, None where it says nothing: the price table then has the last word.
    """

    text: str
    tokens_in: int | None = None
    tokens_out: int | None = None
    usd: float | None = None
    finish: Finish = "stop"


class Model(Protocol):
    """One way to reach one model. A run makes one for each model it uses and closes it.

    Belongs to one event loop; any number of `complete` may go on at once. It sends exactly one request for each
    `complete`: trying again, budgets and fallbacks are the caller's.
    """

    async def complete(self, prompt: Prompt) -> Reply:
        """The reply. Raises ModelFailed, which says whether the same request may work later."""
        ...

    async def close(self) -> None:
        """Let go of connections. Safe to call twice."""
        ...
