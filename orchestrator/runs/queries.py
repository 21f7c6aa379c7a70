"""Serves what cells and skills ask of models: plain questions and recursive calls, one or many.

Each is a call of the tree, paid from the same ledger. A failed one is a CallError for the asking code; in a batch it
stands in its slot. Many at once are priced before the first is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.documents.schema_check import schema_flaws
from orchestrator.documents.types import Workflow
from orchestrator.environments.frames import TextFile
from orchestrator.errors import BudgetExhausted, CallError, ModelFailed, SkillError, UsageError, WorldError
from orchestrator.models.model import Message
from orchestrator.runs import requests
from orchestrator.runs.batch import all_of
from orchestrator.runs.budget import Estimate
from orchestrator.runs.fan_out import CHILD_TURN_TOKENS, CHILD_TURNS, n_below, priced
from orchestrator.runs.models import Question
from orchestrator.runs.parts import Errand
from orchestrator.runs.record import on_record, repeated
from orchestrator.runs.structured import asked_again, asked_for, read_value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from orchestrator.documents.types import Schema
    from orchestrator.runs.call import Call
    from orchestrator.runs.calls import Server

ROLES = ("system", "user", "assistant")

NO_MODEL = "no model configured"
NO_MODEL_HINT = "name one with --model, or as [models.default] in orchestrate.toml"

Request = dict[str, Any]


async def llm_query(server: Server, request: Request) -> Any:
    """Serve `llm_query`."""
    return await ask(server, request.get("prompt"), *_options(server, request))


async def llm_query_batched(server: Server, request: Request) -> list[Any]:
    """Serve `llm_query_batched`."""
    prompts = requests.part(request, "prompts", list)
    model, schema = _options(server, request)
    estimates = [_estimate(server, prompt, model, schema) for prompt in prompts]
    n = await allowed(server, "llm_query", estimates)
    return await batch(prompts, n, lambda prompt: ask(server, prompt, model, schema))


async def rlm_query(server: Server, request: Request) -> Any:
    """Serve `rlm_query`."""
    model, schema = _options(server, request, for_root=True)
    return await _child(server, request.get("prompt"), request.get("context"), model, schema)


async def rlm_query_batched(server: Server, request: Request) -> list[Any]:
    """Serve `rlm_query_batched`."""
    prompts = requests.part(request, "prompts", list)
    contexts = requests.optional(request, "contexts", list) or [None] * len(prompts)
    if len(contexts) != len(prompts):
        raise _invalid(f"there are {len(prompts)} prompts and {len(contexts)} contexts")
    model, schema = _options(server, request, for_root=True)
    n = await allowed(
        server, "rlm_query", [child_estimate(server, model)] * len(prompts), n_turns=CHILD_TURNS
    )
    pairs = list(zip(prompts, contexts, strict=True))
    return await batch(pairs, n, lambda pair: _child(server, pair[0], pair[1], model, schema))


def no_model(why: str, *, skill: bool = False) -> CallError:
    """What a call says that needs a model where none is configured."""
    kind = SkillError if skill else CallError
    return kind(f"{NO_MODEL}: {why}", error_kind="no_model", hint=NO_MODEL_HINT)


def call_error(
    error: ModelFailed | BudgetExhausted, *, skill: bool = False, partial: Any = None
) -> CallError:
    """What the asking code sees of a request that failed, or was never made."""
    kind = SkillError if skill else CallError
    if isinstance(error, BudgetExhausted):
        had = error.partial if partial is None else partial
        return kind(str(error), kind="budget", error_kind=error.limit, hint=error.hint, partial=had)
    outcomes: dict[str, Any] = {"not_run": "not_run", "timeout": "timeout", "too_long": "invalid"}
    return kind(
        str(error),
        kind=outcomes.get(error.fault, "error"),
        error_kind=error.fault,
        retryable=error.retryable,
        hint=error.hint,
        partial=partial,
    )


def child_estimate(server: Server, model: str) -> Estimate:
    """What one turn of a recursive child is taken to cost."""
    return server.parts.models.estimate(Question((Message("user", "x" * 3 * CHILD_TURN_TOKENS),), model))


async def ask(server: Server, prompt: Any, model: str, schema: Schema | None, name: str = "llm_query") -> Any:
    """One plain question, as a call of its own."""
    arguments = {"prompt": prompt, "model": model} | ({"schema": schema} if schema is not None else {})
    call = server.call.child("llm", name, arguments)

    async def work() -> Any:
        try:
            if isinstance(prompt, TextFile):
                server.parts.models.line(model).check_size(prompt.n_bytes)  # before it is read
            question = _question(prompt, model, schema)
            return await _value(server, call, question)
        except (ModelFailed, BudgetExhausted) as error:
            if isinstance(error, BudgetExhausted) and error.limit == "seconds":
                raise
            raise call_error(error) from error

    return await on_record(server.parts, call, work)


async def _value(server: Server, call: Call, question: Question) -> Any:
    models, schema = server.parts.models, question.schema
    answered = await models.ask(call, question)
    if schema is None:
        return answered.text
    value, problem = read_value(answered.text, schema)
    if problem:
        told = (Message("assistant", answered.text or "(empty)"), Message("user", asked_again(problem)))
        again = Question((*question.messages, *told), question.model, schema)
        value, problem = read_value((await models.ask(call, again)).text, schema)
    if problem:
        raise CallError(
            f"`{question.model}` gave no value of the schema, asked twice: {problem}", kind="invalid", error_kind="schema"
        )  # fmt: skip
    return value


async def _child(server: Server, prompt: Any, context: Any, model: str, schema: Schema | None) -> Any:
    """One recursive call."""
    arguments = {"prompt": prompt, "context": context, "model": model, "schema": schema}
    call = server.call.child("rlm", "rlm_query", arguments)
    error = call.refused(server.parts.ledger.limits.depth)
    if not isinstance(prompt, str | TextFile):
        error = _invalid(f"`prompt` has to be str, not {type(prompt).__name__}")
    if error is not None:
        refusal = error

        async def refuse() -> Any:
            raise refusal

        return await on_record(server.parts, call, refuse)
    task = prompt if isinstance(prompt, str) else "The task is the text in `context`."
    given = prompt if isinstance(prompt, TextFile) and context is None else context
    workflow = bare("rlm_query", task, server.parts.workflow.path, "", model=model, output=schema)
    if call.is_settled:
        return repeated(server.parts, call)
    async with server.parts.ledger.slot(call.depth) as slot:
        child = server.serving(call, slot)
        errand = Errand(workflow, {}, server.rights.granted, given)
        return await on_record(server.parts, call, lambda: server.solve(child, errand))


def bare(
    name: str, task: str, path: Any, version: str, *, model: str | None = None, output: Schema | None = None
) -> Workflow:
    """A task as the document that it would be if somebody had written it down."""
    return Workflow(
        name, "", path, task, (), {"type": "object"}, version, output, root_model=model, strategies=("rlm",)
    )


def _question(prompt: Any, model: str, schema: Schema | None) -> Question:
    told = (Message("system", asked_for(schema)),) if schema is not None else ()
    return Question((*told, *_messages(prompt)), model, schema)


def _estimate(server: Server, prompt: Any, model: str, schema: Schema | None) -> Estimate:
    """What a question may cost; nothing, of a prompt that is none: its call says so, in its place."""
    if isinstance(prompt, TextFile):
        line = server.parts.models.line(model)
        return Estimate(
            prompt.n_bytes // 3, line.target.max_tokens, line.target.usd_in or 0.0, line.target.usd_out or 0.0
        )
    try:
        return server.parts.models.estimate(_question(prompt, model, schema))
    except CallError:
        return Estimate(0, 0)


def _messages(prompt: Any) -> list[Message]:
    """The messages of a prompt: a text, or a list of messages as endpoints take them. Raises CallError."""
    if isinstance(prompt, str):
        return [Message("user", prompt)]
    if isinstance(prompt, TextFile):
        with prompt.path.open("rb") as file:
            file.seek(prompt.offset)
            return [Message("user", file.read(prompt.n_bytes).decode("utf-8", "replace"))]
    if isinstance(prompt, list) and prompt and all(map(_is_message, prompt)):
        return [Message(one["role"], one["content"]) for one in prompt]
    raise _invalid(
        f"a prompt has to be str, or a list of {{'role': ..., 'content': str}}, not {type(prompt).__name__}"
    )


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"role", "content"}
        and value["role"] in ROLES
        and isinstance(value["content"], str)
    )


def _options(server: Server, request: Request, *, for_root: bool = False) -> tuple[str, Schema | None]:
    """The model that is meant, and the schema. Raises CallError where there is none, or it may not be named here."""
    asked, schema = requests.optional(request, "model", str), requests.optional(request, "schema", dict)
    for flaw in schema_flaws(schema) if schema is not None else ():
        if flaw.severity == "error":
            raise _invalid(f"`schema`: {flaw.message}")
    names = server.rights.models
    usual = (names.root or names.sub) if for_root else names.sub
    if asked is None or asked in (names.root, names.sub):
        chosen = asked or usual
        if chosen is None:
            raise no_model("this call needs a model")
        return chosen, schema
    models = server.parts.models
    try:
        open_to_cells = models.may_be_named(asked)
        if open_to_cells:  # a key or a price may be missing: the cell's affair, since it named the model
            models.line(asked)
            models.check_price(asked)
    except (WorldError, UsageError) as error:
        raise CallError(str(error), kind="invalid", error_kind="model", hint=error.hint) from error
    if not open_to_cells:
        raise CallError(
            f"a cell may not ask `{asked:.80}`: it is no model of a provider",
            kind="denied",
            error_kind="model",
            hint=f"give it an alias in orchestrate.toml; there are: {', '.join(sorted(models.aliases)) or 'none'}",
        )
    return asked, schema


async def allowed(server: Server, name: str, estimates: Sequence[Estimate], *, n_turns: int = 1) -> int:
    """How many of the calls may be made. Raises CallError where it is none of them.

    What was decided is on record: when the cell is run again, it holds.
    """
    call, fn = server.call, f"{name} x {len(estimates)}"
    decided = call.claims.note(fn) if call.claims is not None else None
    if decided is None:
        decided = await _decided(server, name, estimates, n_turns)
        if call.claims is None or not call.claims.is_whole:
            server.parts.journal.append("noted", call.id, fn=fn, value=decided)
    if isinstance(decided, str):
        hint = "ask for less at once, accept prices with --yes, or set [fan_out] in orchestrate.toml"
        raise CallError(decided, kind="denied", error_kind="fan_out", hint=hint)
    return int(decided)


async def _decided(server: Server, name: str, estimates: Sequence[Estimate], n_turns: int) -> int | str:
    """How many of the calls may be made, or why none."""
    parts = server.parts
    price = priced(estimates, parts.ledger, n_turns=n_turns)
    if not price.is_above(parts.fan_out) or parts.accepts_prices:
        return len(estimates)
    left = parts.ledger.left()
    said = f"{name} x {price}; left: {left['calls']} calls, {left['tokens']} tokens, {left['usd']} usd"
    if parts.desk.has_person:
        agreed = await server.asked(f"Make {said}?", name, {"calls": price.n})
        return len(estimates) if agreed else f"{said}: not accepted"
    n = 0
    if parts.fan_out.otherwise == "shrink":
        n = n_below([priced([one], parts.ledger, n_turns=n_turns) for one in estimates], parts.fan_out)
    if not n:
        return f"{said}: that needs somebody's word, and nobody can be asked"
    parts.journal.tell("log", server.call.id, text=f"{said}: made the first {n:,}")
    return n


async def batch(items: Sequence[Any], n: int, make: Callable[[Any], Awaitable[Any]]) -> list[Any]:
    """What the first n calls came to, side by side and in order; the others were not made, and say so."""
    left_out = CallError(
        f"not run: only the first {n:,} of {len(items):,} calls were made",
        kind="not_run",
        error_kind="fan_out",
        hint="accept prices with --yes, or set [fan_out] in orchestrate.toml",
    )
    return [*await all_of([make(item) for item in items[:n]]), *[left_out] * (len(items) - n)]


def _invalid(message: str) -> CallError:
    return CallError(message, kind="invalid", error_kind="request")


SERVED: Mapping[str, Callable[[Server, Request], Awaitable[Any]]] = {
    "llm_query": llm_query,
    "llm_query_batched": llm_query_batched,
    "rlm_query": rlm_query,
    "rlm_query_batched": rlm_query_batched,
}
