"""The line of a run to one model, and what it learned of it: whether it is open, and how dense its prompts are."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ModelFailed
from orchestrator.runs.budget import MIN_REPLY_TOKENS, Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.models.model import Message, Model
    from orchestrator.models.names import Target

SAFETY = 1.1
"""How much more than the densest prompt so far a prompt is taken to hold of tokens for each byte."""

MIN_MEASURED_BYTES = 400
"""Shorter prompts say little about tokens for each byte: what the endpoint adds to each weighs too much."""


@dataclass(slots=True)
class Door:
    """What all models behind one address and key have in common: `closed` says why nothing more is sent there."""

    closed: str = ""


@dataclass(slots=True)
class Line:
    """The line to one model, None where that is the host. `not_before` is when the next request may go, on the clock of the event loop."""

    target: Target
    model: Model | None
    door: Door
    not_before: float = 0.0
    tokens_a_byte: float | None = None  # in the densest prompt so far
    refused_schemas: set[str] = field(default_factory=set)  # that the endpoint can't hold its replies to

    def check_open(self) -> None:
        """Raise ModelFailed when nothing more is sent."""
        if self.door.closed:
            raise ModelFailed(f"not run: {self.door.closed}", "not_run")

    def hold(self, pause_s: float) -> None:
        """Let no request go before so many seconds have passed."""
        self.not_before = max(self.not_before, asyncio.get_running_loop().time() + pause_s)

    async def admitted(self) -> None:
        """Wait until a request may go. Raises ModelFailed when none may."""
        self.check_open()
        while (wait_s := self.not_before - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(wait_s)
            self.check_open()

    def estimate(self, messages: Sequence[Message]) -> Estimate:
        """What a request with these messages may cost: its prompt, and the longest reply."""
        target, n_tokens = self.target, self.estimated_tokens(messages)
        longest = min(target.max_tokens, max(MIN_REPLY_TOKENS, target.window_tokens - n_tokens))
        return Estimate(n_tokens, longest, target.usd_in or 0.0, target.usd_out or 0.0)

    def check_length(self, messages: Sequence[Message]) -> None:
        """Raise ModelFailed for a prompt that the model has no room for, counting a token for 4 bytes."""
        self.check_size(sum(n_text_bytes(messages)))

    def check_size(self, n_bytes: int) -> None:
        """The same for a prompt of so many bytes."""
        if n_bytes // 4 + 1 > self.target.window_tokens:
            raise ModelFailed(
                f"the prompt has about {n_bytes // 4:,} tokens ({n_bytes:,} bytes), and `{self.target.name}` reads "
                f"{self.target.window_tokens:,}",
                "too_long",
                hint="ask about a part of it at a time, or give it to rlm_query as its `context`",
            )

    def estimated_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt: as dense as the densest one that this model counted, or 1 for 3 bytes before that.

        Text that is not ASCII is denser by an amount that nobody knows beforehand: it counts a token for 2 bytes.
        """
        n_ascii, n_other = n_text_bytes(messages)
        rate = 1 / 3 if self.tokens_a_byte is None else self.tokens_a_byte * SAFETY
        return int(n_ascii * rate + n_other * max(rate, 0.5)) + 8 * len(messages) + 8

    def learn(self, messages: Sequence[Message], tokens_in: int) -> None:
        """Take in what the endpoint counted. No text has more than a token for each byte."""
        n_bytes = sum(n_text_bytes(messages))
        if n_bytes >= MIN_MEASURED_BYTES:
            self.tokens_a_byte = max(self.tokens_a_byte or 0.0, min(tokens_in / n_bytes, 1.0))


def schema_key(schema: Mapping[str, Any] | None) -> str:
    """The same text for equal schemas."""
    return "" if schema is None else json.dumps(schema, sort_keys=True)


def n_text_bytes(messages: Sequence[Message]) -> tuple[int, int]:
    """UTF-8 bytes of all messages: of ASCII characters, and of all others."""
    n_ascii = n_other = 0
    for message in messages:
        text = message.content
        if text.isascii():
            n_ascii += len(text)
        else:
            n_mine = len(text.encode("ascii", "ignore"))
            n_ascii += n_mine
            n_other += len(text.encode("utf-8", "surrogatepass")) - n_mine
    return n_ascii, n_other
