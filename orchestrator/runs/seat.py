"""Where the model of a recursive call is asked for its turns: counted, paid for, and on record."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BudgetExhausted
from orchestrator.runs.amount import Amount
from orchestrator.runs.call import Call
from orchestrator.runs.line import n_text_bytes
from orchestrator.runs.models import Question
from orchestrator.runs.prompting import left_line
from orchestrator.runs.record import on_record
from orchestrator.strategies.rlm import Turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.models.model import Message
    from orchestrator.runs.models import Answered
    from orchestrator.runs.parts import Parts
    from orchestrator.runs.repl import Repl
    from orchestrator.runs.slots import Slot


class ModelSeat:
    """The seat of the model that writes the cells of one attempt. The engine makes it.

    True between turns: the first `_n_told` of the messages are in the journal; `_last` are the fields of a reply
    that `judged` has not put there yet.
    """

    def __init__(self, parts: Parts, call: Call, repl: Repl, model: str, slot: Slot | None) -> None:
        self._parts = parts
        self._call = call
        self._repl = repl
        self._model = model
        self._slot = slot
        self._n_turns = 0
        self._n_told = 0
        self._compacted = False
        self._status = ""
        self._last: dict[str, object] = {}

    async def turn(self, messages: Sequence[Message]) -> Turn:
        """The reply to these messages."""
        limit = self._parts.ledger.limits.iterations
        if limit is not None and self._n_turns >= limit:
            raise BudgetExhausted("iterations", self._n_turns, limit)
        self._n_turns += 1
        self._call.n_posed += 1
        tape = self._call.tape
        if tape.take("iteration", strategy="rlm", iteration=self._n_turns) is None:
            self._parts.journal.append(
                "iteration", self._call.id, strategy="rlm", iteration=self._n_turns, model=self._model,
                messages=[{"role": one.role, "content": one.content} for one in messages[self._n_told :]],
                compacted=self._compacted, status=self._status,
            )  # fmt: skip
        self._n_told = len(messages) + 1  # the reply is told of in an event of its own
        self._compacted = False
        if not tape.ran_out and (told := tape.take("reply", iteration=self._n_turns)) is not None:
            return self._repeated(told.event.fields)
        began = time.monotonic()
        mine = Call(self._call.id, self._call.kind, self._call.name, parent=self._call)
        mine.n_posed = self._call.n_posed - 1
        answered = await self._ask(messages, mine)
        self._last = {
            "iteration": self._n_turns,
            "text": answered.text,
            "model": answered.model,
            "calls": mine.spent.calls,
            "tokens_in": mine.tokens_in,
            "tokens_out": mine.tokens_out,
            "usd": mine.spent.usd,
            "duration_s": round(time.monotonic() - began, 6),
            "cut": answered.finish == "length",
        }
        return Turn(answered.text, answered.finish == "length")

    def _repeated(self, fields: Mapping[str, Any]) -> Turn:
        """The reply that is on record."""
        tokens_in, tokens_out = fields.get("tokens_in", 0), fields.get("tokens_out", 0)
        spent = Amount(fields.get("calls", 0), tokens_in + tokens_out, fields.get("usd", 0.0))
        self._call.charge(spent, tokens_in, tokens_out)
        self._last = {}
        return Turn(fields["text"], fields.get("cut", False))

    async def summary(self, messages: Sequence[Message]) -> str:
        """The reply to these messages, counted as no turn."""
        told = [{"role": one.role, "content": one.content} for one in messages]
        call = self._call.child("llm", "summary", {"prompt": told, "model": self._model})

        async def ask() -> str:
            question = Question(tuple(messages), self._model)
            return (await self._parts.models.ask(call, question, self._slot)).text

        return str(await on_record(self._parts, call, ask))

    def judged(self, problem: str) -> None:
        """Put the last reply on record, with what is wrong with it."""
        if not self._last:
            return  # it is there
        self._parts.journal.append("reply", self._call.id, **self._last, problem=problem or None)

    def keep(self, history: Sequence[Message]) -> None:
        """Bind `history` to these messages; the next turn's messages are told of from the first on."""
        self._repl.bind("history", [{"role": one.role, "content": one.content} for one in history])
        self._n_told, self._compacted = 0, True

    def is_full(self, messages: Sequence[Message], share: float) -> bool:
        """Whether the messages, with a reply, take more than this share of the model's window."""
        target = self._parts.models.line(self._model).target
        # The refusal of long prompts counts 4 bytes for a token; to be full earlier than that is no harm.
        room = target.window_tokens - min(target.max_tokens, target.window_tokens // 4)
        return sum(n_text_bytes(messages)) / 3.5 > share * room

    def status(self) -> str:
        """Which turn comes next, and what is left; of a turn that is on record, as it was then."""
        again = self._call.tape.next("iteration", iteration=self._n_turns + 1)
        self._status = again.event.fields.get("status", "") if again else self._status_now()
        return self._status

    def _status_now(self) -> str:
        limit, left = self._parts.ledger.limits.iterations, left_line(self._parts.ledger.left())
        number = self._n_turns + 1
        if limit is None:
            return f"[turn {number}. {left}]"
        last = " This is the last turn: give your answer in it with FINAL(value)." if number == limit else ""
        return f"[turn {number} of {limit}. {left}.{last}]"

    async def _ask(self, messages: Sequence[Message], call: Call) -> Answered:
        question = Question(tuple(messages), self._model, for_root=True)
        return await self._parts.models.ask(call, question, self._slot)
