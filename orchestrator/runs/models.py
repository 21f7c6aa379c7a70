"""The models of a run: every model request of the whole tree is made here.

A request is paid for from the ledger before it is sent. One that fails is tried again where that may help, then the
model's fallbacks are asked. What holds for every further request (a key that is refused, a quota that is used up)
opens the breaker of that model: nothing more is sent to it, and what was not sent says so.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ModelFailed, ModelUnavailable, Unrepeatable, UsageError
from orchestrator.models.model import Prompt, Reply
from orchestrator.models.names import PROVIDERS, THROUGH_LITELLM
from orchestrator.models.prices import closest
from orchestrator.runs.amount import Amount
from orchestrator.runs.budget import Estimate
from orchestrator.runs.desk import Need, need_id
from orchestrator.runs.journal import INLINE_BYTES
from orchestrator.runs.line import Door, Line, schema_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from orchestrator.models.model import Finish, Message, Model
    from orchestrator.models.names import Target
    from orchestrator.runs.budget import Ledger, Reservation
    from orchestrator.runs.call import Call
    from orchestrator.runs.desk import Desk
    from orchestrator.runs.journal import Journal
    from orchestrator.runs.replies import ReplyCache
    from orchestrator.runs.slots import Slot


FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
"""Pauses before a request is made again: twice as long each time, and a random part of that (full jitter).

Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

PRICED = ("chat", "litellm")
"""Backends whose requests cost what a provider charges. Of the others only the user knows."""

ROOT_PROMPT = "Write the next turn of this recursive call, as its model."
SUB_PROMPT = "Answer this question, as the model that it was put to."
ROOT_FORM = (
    "your thoughts, then Python in a block that begins with a line ```repl and ends with a line ```; "
    "FINAL(value) in such a block gives the answer"
)

LASTING = frozenset({"auth", "quota"})
"""Faults that every further request to the same model would meet too."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked: the messages, and the model's name."""

    messages: tuple[Message, ...]
    model: str
    schema: Mapping[str, Any] | None = None
    for_root: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """A model's reply; `model` is the name of the one that gave it in the end, `cut` why its end is missing."""

    text: str
    model: str
    finish: Finish = "stop"


@dataclass(frozen=True, slots=True)
class Reach:
    """How names become models: what a name stands for, how it is opened, and the names that the user gave."""

    resolve: Callable[[str], Target]
    open: Callable[[Target], Model]
    aliases: frozenset[str] = frozenset()


COMMON_ALIASES = frozenset({"default", "small"})
"""Aliases that workflows name without knowing whether a workspace has them: without one, the caller's model is meant."""


class Models:
    """The lines of one run to its models, by name. The run makes one and closes it.

    `strict_usd`: the workflow sets a limit in dollars, so that a model without a known price is refused. `cache`: kept
    replies are taken instead of asking again.
    """

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        reach: Reach,
        *,
        strict_usd: bool,
        desk: Desk,
        cache: ReplyCache | None = None,
    ) -> None:
        self._desk = desk
        self.aliases = reach.aliases
        self._ledger = ledger
        self._journal = journal
        self._reach = reach
        self._strict_usd = strict_usd
        self._cache = cache
        self._targets: dict[str, Target] = {}
        self._lines: dict[str, Line] = {}
        self._doors: dict[tuple[Any, ...], Door] = {}
        self._random = random.Random()  # noqa: S311  (pauses, not secrets)

    def target(self, name: str) -> Target:
        """What a name stands for. Raises ModelUnavailable and UsageError."""
        if name not in self._targets:
            self._targets[name] = self._reach.resolve(name)
        return self._targets[name]

    def is_known(self, name: str) -> bool:
        """Whether a document may mean a model by this name: not where it is an alias that nobody made."""
        return name in self.aliases or name not in COMMON_ALIASES

    def line(self, name: str) -> Line:
        """The line to a model, opened when first asked for. Raises ModelUnavailable and UsageError."""
        if name not in self._lines:
            target = self.target(name)
            place = (target.backend, target.api_base, target.key_env or target.provider)
            door = self._doors.setdefault(place, Door())
            model = None if target.backend == "host" else self._reach.open(target)
            self._lines[name] = Line(target, model, door)
            if target.usd_in is None and target.backend in PRICED:
                self._journal.tell(
                    "log", "0", text=f"the price of `{target.model}` is unknown: its tokens count 0 usd"
                )
        return self._lines[name]

    def estimate(self, question: Question) -> Estimate:
        """What one request for this may cost."""
        return self.line(question.model).estimate(question.messages)

    async def ask(self, call: Call, question: Question, slot: Slot | None = None) -> Answered:
        """The reply, for which `call` is charged. `slot` is a place that is held already; else one is waited for.

        Raises ModelFailed once retries and fallbacks are used up, BudgetExhausted when it does not fit, and
        ModelUnavailable when the model can't be reached at all.
        """
        failed: ModelFailed | None = None
        for name in (question.model, *self.line(question.model).target.fallbacks):
            if failed is not None:
                self._say(call, f"{failed}; asking `{name}` instead")
            try:
                return await self._tried(call, replace(question, model=name), slot)
            except ModelUnavailable:
                if failed is None:  # of a fallback it is no news: what failed before it is
                    raise
            except ModelFailed as error:
                if error.fault == "unknown_model":
                    error.hint = self._meant(name) or error.hint
                if error.fault in ("rejected", "too_long"):
                    raise
                failed = failed or error
        assert failed is not None
        raise failed

    def _meant(self, name: str) -> str:
        """Which models may have been meant by a name that an endpoint does not know."""
        near = [*get_close_matches(name, self.aliases, n=1), *closest(name)]
        return f"did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else ""

    async def close(self) -> None:
        """Let go of all connections."""
        for line in self._lines.values():
            if line.model is not None:
                await line.model.close()

    async def _tried(self, call: Call, question: Question, slot: Slot | None) -> Answered:
        """One model, asked as often as it may help.

        A place is held over all tries: who waits to try again keeps others from meeting the same refusal.
        """
        line = self.line(question.model)
        if self._cache is not None and (kept := self._cache.get(line.target, question)) is not None:
            call.model = question.model
            return Answered(kept.text, question.model)
        self.check_price(question.model)
        line.check_length(question.messages)
        async with self._place(call, slot, line):
            n_failed = 0
            while True:
                try:
                    return await self._once(call, line, question)
                except ModelFailed as error:
                    if error.fault == "no_schema":
                        line.refused_schemas.add(schema_key(question.schema))
                        continue
                    n_failed += 1
                    await self._recovered(call, line, error, n_failed)

    async def _recovered(self, call: Call, line: Line, error: ModelFailed, n_failed: int) -> None:
        """Wait until the request may be made again. Raises the error where that would not help, or last too long."""
        if error.fault in LASTING:
            line.door.closed = line.door.closed or str(error)
        if not error.retryable or n_failed > line.target.retries:
            raise error
        pause_s = self._pause_s(error, n_failed)
        left_s = self._ledger.seconds_left()
        if left_s is not None and pause_s >= left_s:
            raise error
        self._say(call, f"{line.target.name}: {error}; again in {pause_s:.1f} s")
        if error.fault == "rate":  # it holds for everybody who asks this model
            line.hold(pause_s)
        else:
            async with self._desk.working():
                await asyncio.sleep(pause_s)

    async def _once(self, call: Call, line: Line, question: Question) -> Answered:
        """One request, reserved before and settled after it, whatever becomes of it."""
        async with self._desk.working():
            await line.admitted()
        estimate = line.estimate(question.messages)
        reservation = await self._ledger.reserve(estimate)
        schema = question.schema if schema_key(question.schema) not in line.refused_schemas else None
        prompt = Prompt(question.messages, reservation.reply_tokens, schema, question.for_root)
        try:
            line.check_open()  # it may have waited long for room in the budget
            reply = await self._replied(call, line, question, prompt, estimate)
        except BaseException as error:
            in_vain = (Amount(), 0, 0) if line.model is None else _spent_in_vain(error, estimate)
            self._settle(call, reservation, *in_vain)
            raise
        self._settle(call, reservation, *_spent(reply, estimate))
        if reply.tokens_in is not None:
            line.learn(question.messages, reply.tokens_in)
        call.model = question.model
        if reply.finish == "length" and reservation.limit is not None:
            exhausted = self._ledger.exhausted(reservation.limit)
            exhausted.partial = reply.text
            raise exhausted
        if self._cache is not None:
            self._cache.keep(line.target, question, reply)
        return Answered(reply.text, question.model, reply.finish)

    async def _replied(
        self, call: Call, line: Line, question: Question, prompt: Prompt, estimate: Estimate
    ) -> Reply:
        """The reply to one request: of a model, or of the host that is one."""
        if self._journal.past.whole:
            raise Unrepeatable(f"`{call.name}` ({call.id}) asked a model for more than is on record")
        if line.model is None:
            return await self._by_host(call, question)
        # On record before it is sent, so that it counts also where nobody lives to see its reply.
        spent = estimate.amount(0)
        self._journal.append("request", call.id, model=question.model, tokens_in=spent.tokens, usd=spent.usd)
        async with self._desk.working():
            return await line.model.complete(prompt)

    async def _by_host(self, call: Call, question: Question) -> Reply:
        """The reply of the agent that called us."""
        call.n_posed += 1
        messages = [{"role": one.role, "content": one.content} for one in question.messages]
        shown: dict[str, Any] = {"messages": messages}
        data = json.dumps(messages, ensure_ascii=False).encode("utf-8", "backslashreplace")
        if len(data) > INLINE_BYTES:
            shown = {"messages_path": str(self._journal.blob(data).absolute()), "n_bytes": len(data)}
        need = Need(
            need_id(self._journal.run, call.id, "model", call.n_posed),
            "model",
            call.id,
            ROOT_PROMPT if question.for_root else SUB_PROMPT,
            {
                "role": "root" if question.for_root else "sub",
                **shown,
                "model": question.model,
                "reply_form": _reply_form(question),
                "independent": True,  # of all needs that are open beside it: else it would not be asked yet
            },
        )
        return Reply(str(await self._desk.answer(need)))

    def _settle(
        self, call: Call, reservation: Reservation, spent: Amount, tokens_in: int, tokens_out: int
    ) -> None:
        reservation.settle(spent)
        call.charge(spent, tokens_in, tokens_out)
        total = self._ledger.spent
        self._journal.tell("spent", "0", calls=total.calls, tokens=total.tokens, usd=total.usd)

    def check_price(self, name: str) -> None:
        """Raise ModelUnavailable where dollars are limited and nobody knows what the model costs."""
        target = self.target(name)
        if self._strict_usd and target.usd_in is None and target.backend in PRICED:
            raise ModelUnavailable(
                f"the price of `{target.model}` is unknown, and the budget sets `usd`",
                hint=f'say it in orchestrate.toml: [models.NAME] with model = "{target.name}", usd_in = ..., usd_out = ... '
                "(for a million tokens), and name that",
            )

    def may_be_named(self, name: str) -> bool:
        """Whether text that is not the user's own, as a cell's or a skill's, may choose this model.

        Aliases, and models of providers. Anything else would let it choose a file, a program, or an address to send to.
        """
        if name in self.aliases:
            return True
        target = self.target(name)
        return (
            target.backend in PRICED
            and target.provider in (*PROVIDERS, *THROUGH_LITELLM)
            and "://" not in name
            and ":" not in name.partition("/")[0]
        )

    def _pause_s(self, error: ModelFailed, n_failed: int) -> float:
        if error.retry_after_s is not None:
            return error.retry_after_s
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (n_failed - 1))
        return self._random.uniform(longest / 4, longest)

    @asynccontextmanager
    async def _place(self, call: Call, slot: Slot | None, line: Line) -> AsyncIterator[None]:
        if line.model is None:  # whoever only waits for the host takes no place
            async with slot.lent() if slot is not None else nullcontext():
                yield
        elif slot is not None:
            yield
        else:
            async with self._ledger.slot(call.depth):
                yield

    def _say(self, call: Call, text: str) -> None:
        self._journal.tell("log", call.id, text=text)


def _reply_form(question: Question) -> str:
    if question.for_root:
        return ROOT_FORM
    if question.schema is not None:
        return f"JSON alone, a value of this schema: {json.dumps(question.schema, ensure_ascii=False)}"
    return "text: it is handed to the asking code as it is"


def _spent(reply: Reply, estimate: Estimate) -> tuple[Amount, int, int]:
    """What a reply cost: as the provider says, else by the price and the estimate."""
    tokens_in = estimate.prompt_tokens if reply.tokens_in is None else reply.tokens_in
    n_bytes = len(reply.text.encode("utf-8", "surrogatepass"))
    tokens_out = n_bytes // 3 + 1 if reply.tokens_out is None else reply.tokens_out
    usd = tokens_in * estimate.usd_in + tokens_out * estimate.usd_out if reply.usd is None else reply.usd
    return Amount(1, tokens_in + tokens_out, usd), tokens_in, tokens_out


def _spent_in_vain(error: BaseException, estimate: Estimate) -> tuple[Amount, int, int]:
    """What a request without a reply is charged: its prompt, where the endpoint may have worked on it."""
    if isinstance(error, ModelUnavailable | UsageError) or (
        isinstance(error, ModelFailed) and not error.was_made
    ):
        return Amount(), 0, 0
    if isinstance(error, ModelFailed) and not error.was_sent:
        return Amount(1), 0, 0
    return estimate.amount(0), estimate.prompt_tokens, 0
