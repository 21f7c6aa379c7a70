"""Serves what the cells of a call, or the code of a skill, ask for: every effect outside a REPL goes through here.

Each request becomes a call of the tree: journaled before and after, counted, recorded. What fails is raised as
CallError and reaches the asking code; anything else ends the run.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BudgetExhausted, CallError, SkillError
from orchestrator.runs import skills
from orchestrator.runs.call import Call, described
from orchestrator.runs.context import recorded
from orchestrator.runs.parts import Approval
from orchestrator.runs.table import bound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.documents.types import Function, Skill
    from orchestrator.runs.budget import Slot
    from orchestrator.runs.parts import Parts, Solve

NO_MODEL = "no model configured"
NO_MODEL_HINT = "this version runs workflows with cells and skills with code; it has no model backends yet"


@dataclass(frozen=True, slots=True)
class Server:
    """What one call's code may ask for. `scope` are the skills that it may call, by name.

    `slot` is the place that the call holds while it works; it is lent to others while the call waits.
    """

    parts: Parts
    call: Call
    scope: Mapping[str, Skill]
    solve: Solve
    slot: Slot | None = None

    async def __call__(self, fn: str, arguments: dict[str, Any]) -> Any:
        """The JSON value that answers one request. Raises CallError for what the asking code is to see."""
        serve = _SERVED.get(fn)
        if serve is None:
            raise CallError(f"there is no `{fn}` to call", kind="invalid")
        if self.slot is None:
            return await serve(self, arguments)
        async with self.slot.lent():
            return await serve(self, arguments)

    async def _skill(self, request: dict[str, Any]) -> Any:
        skill = self._find(request["skill"])
        function = _function(skill, request.get("function"))
        if function is None:
            return await self._prose(skill, request)
        arguments = bound(function, skill, request.get("args", ()), request.get("kwargs", {}))
        return await self._function(skill, function, arguments)

    async def _skill_map(self, request: dict[str, Any]) -> list[Any]:
        skill = self._find(request["skill"])
        function = _function(skill, request.get("function"))
        if function is None:
            raise _no_model(f"`{skill.name}` has no code: it is run by a model")
        jobs = [self._function(skill, function, dict(item)) for item in request["items"]]
        return await _all(jobs)

    async def _skill_run(self, request: dict[str, Any]) -> Any:
        skill, script = self._find(request["skill"]), request["script"]
        argv, options = list(request.get("argv", ())), dict(request.get("options", {}))
        words = [*argv, *skills.script_argv(skill, script, options)] if options else argv
        call = self._child("skill", f"{skill.name}/{script}", {"argv": argv, **options})

        async def work(_: Slot) -> Any:
            return await skills.run_script(
                self.parts, skill, script, words, timeout_s=skills.SCRIPT_TIMEOUT_S
            )

        await self._approved(skill, script, {"argv": words}, marked=False)
        return await self._worked(call, skill, work, writes=True)

    async def _prose(self, skill: Skill, request: dict[str, Any]) -> Any:
        call = self._child(
            "skill", skill.name, {"args": request.get("args", []), **request.get("kwargs", {})}
        )

        async def work(_: Slot) -> Any:
            raise _no_model(f"`{skill.name}` has no code: it is run by a model")

        return await self._worked(call, skill, work)

    async def _function(self, skill: Skill, function: Function, arguments: dict[str, Any]) -> Any:
        name = f"{skill.name}.{function.name}"
        arguments = skills.checked_arguments(skill, function, arguments)
        call = self._child("skill", name, arguments)
        await self._approved(skill, function.name, arguments, marked=function.approval)

        async def work(slot: Slot) -> Any:
            value = await self._run(call, skill, function, arguments, slot)
            return skills.checked_value(skill, function, value)

        return await self._worked(call, skill, work, writes=function.effects == "write")

    async def _run(
        self, call: Call, skill: Skill, function: Function, arguments: dict[str, Any], slot: Slot
    ) -> Any:
        match function.kind:
            case "python":
                scope = skills.scope_of(skill, self.parts.known)
                server = Server(self.parts, call, scope.uses, self.solve, slot)
                return await skills.run_python(self.parts, scope, function, arguments, server)
            case "script":
                return await skills.run_function_script(self.parts, skill, function, arguments)
            case "workflow":
                workflow = skills.nested_workflow(skill, function)
                scope = skills.scope_of(skill, self.parts.known)
                async with slot.lent():
                    return await self.solve(call, workflow, arguments, scope.uses)
            case "prompt":
                raise _no_model(f"`{skill.name}.{function.name}` is a prompt")

    async def _worked(
        self, call: Call, skill: Skill, work: Callable[[Slot], Awaitable[Any]], *, writes: bool = False
    ) -> Any:
        """The work's value, in a slot, with its beginning and end journaled and recorded."""
        parts = self.parts
        async with parts.ledger.slot() as slot:
            _started(parts, call)
            if writes:
                parts.journal.sync()
            began = time.monotonic()
            try:
                value = await work(slot)
            except BaseException as error:
                _finished(parts, call, skill, began, error=error)
                raise
            _finished(parts, call, skill, began, value=value)
            return value

    async def _approved(
        self, skill: Skill, function: str, arguments: dict[str, Any], *, marked: bool
    ) -> None:
        patterns = {f"skill:{skill.name}", f"skill:{skill.name}.{function}"}
        if not marked and not patterns.intersection(self.parts.workflow.approvals):
            return
        name = f"{skill.name}.{function}"
        if not await self._asked(Approval(f"Run {name}({described(arguments)})?", name, arguments)):
            raise SkillError(
                f"`{name}` needs a person's approval, and has none", kind="denied", error_kind="approval",
                hint="run it on a terminal to be asked",
            )  # fmt: skip

    async def _approve(self, request: dict[str, Any]) -> bool:
        prompt, items = request["prompt"], request.get("items")
        call = self._child("approval", "approve", {"prompt": prompt, "items": items})
        _started(self.parts, call)
        began = time.monotonic()
        agreed = await self._asked(Approval(prompt, None, items))
        _finished(self.parts, call, None, began, value=agreed)
        return agreed

    async def _asked(self, approval: Approval) -> bool:
        return self.parts.ask is not None and await self.parts.ask(approval)

    async def _skill_doc(self, request: dict[str, Any]) -> str:
        return self._find(request["skill"]).body

    async def _skill_files(self, request: dict[str, Any]) -> list[str]:
        folder = self._find(request["skill"]).folder
        files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return sorted(path.relative_to(folder).as_posix() for path in files)

    async def _skill_read(self, request: dict[str, Any]) -> str:
        skill = self._find(request["skill"])
        path: Path = (skill.folder / request["path"]).resolve()
        if not path.is_relative_to(skill.folder.resolve()):
            raise SkillError(f"`{request['path']}` lies outside the skill `{skill.name}`", kind="denied")
        try:
            return path.read_text("utf-8", "replace")
        except OSError as error:
            raise SkillError(
                f"`{skill.name}`: can't read `{request['path']}`: {error.strerror}",
                hint=f"`skills.{skill.attribute}.files()` lists what is there",
            ) from error

    async def _memory(self, name: str, arguments: dict[str, Any], work: Callable[[], Any]) -> Any:
        call = self._child("memory", f"memory.{name}", arguments)
        _started(self.parts, call)
        began = time.monotonic()
        try:
            value = work()
        except CallError as error:
            _finished(self.parts, call, None, began, error=error)
            raise
        _finished(self.parts, call, None, began, value=value)
        return value

    async def _memory_search(self, request: dict[str, Any]) -> Any:
        query, limit = request["query"], request.get("limit") or 10
        return await self._memory("search", request, lambda: self.parts.notes.search(query, limit))

    async def _memory_read(self, request: dict[str, Any]) -> Any:
        return await self._memory("read", request, lambda: self.parts.notes.read(request["path"]))

    async def _memory_write(self, request: dict[str, Any]) -> Any:
        append = bool(request.get("append"))
        work = lambda: self.parts.notes.write(request["path"], request["text"], append=append)  # noqa: E731
        return await self._memory("write", request, work)

    async def _budget(self, _: dict[str, Any]) -> dict[str, Any]:
        return self.parts.ledger.left()

    async def _log(self, request: dict[str, Any]) -> None:
        self.parts.journal.tell("log", self.call.id, text=request["text"])

    async def _model(self, _: dict[str, Any]) -> Any:
        raise _no_model("this call needs a model")

    def _find(self, name: str) -> Skill:
        skill = self.scope.get(name)
        if skill is not None:
            return skill
        where = "`skills:` of the workflow" if self.call.kind == "root" else f"`uses:` of `{self.call.name}`"
        if name in self.parts.known:
            raise SkillError(
                f"`{name}` may not be called from here", kind="denied", hint=f"name it in {where}"
            )
        raise SkillError(
            f"there is no skill `{name}`", kind="invalid", hint="`orchestrate skills` lists them"
        )

    def _child(self, kind: Any, name: str, arguments: Any) -> Call:
        return self.call.child(kind, name, arguments, depth_limit=self.parts.ledger.limits.depth)


_SERVED: dict[str, Callable[[Server, dict[str, Any]], Awaitable[Any]]] = {
    "skill": Server._skill,
    "skill_map": Server._skill_map,
    "skill_run": Server._skill_run,
    "skill_doc": Server._skill_doc,
    "skill_files": Server._skill_files,
    "skill_read": Server._skill_read,
    "memory_search": Server._memory_search,
    "memory_read": Server._memory_read,
    "memory_write": Server._memory_write,
    "approve": Server._approve,
    "budget": Server._budget,
    "log": Server._log,
    "llm_query": Server._model,
    "llm_query_batched": Server._model,
    "rlm_query": Server._model,
    "rlm_query_batched": Server._model,
}


async def _all(jobs: Sequence[Awaitable[Any]]) -> list[Any]:
    """Values of all jobs in order, run side by side; a job that failed with CallError leaves the error in its place."""

    async def kept(job: Awaitable[Any]) -> Any:
        try:
            return await job
        except CallError as error:
            return error

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(kept(job)) for job in jobs]
    except BaseExceptionGroup as group_error:  # what ends the run ends it as itself
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]


def _started(parts: Parts, call: Call) -> None:
    parent = call.parent.id if call.parent else None
    parts.journal.append(
        "call_started", call.id,
        parent=parent, kind=call.kind, name=call.name, arguments=recorded(call.arguments), depth=call.depth,
    )  # fmt: skip


def _finished(
    parts: Parts,
    call: Call,
    skill: Skill | None,
    began: float,
    *,
    value: Any = None,
    error: BaseException | None = None,
) -> None:
    """Journal the end of a call, and of a skill's call keep a usage record."""
    outcome, error_kind = ("ok", None) if error is None else _outcome(error)
    duration_s = round(time.monotonic() - began, 6)
    parts.journal.append(
        "call_finished", call.id,
        outcome=outcome, value=value, error=None if error is None else str(error) or type(error).__name__,
        duration_s=duration_s, calls=0, tokens=0, usd=0.0,
    )  # fmt: skip
    if skill is None:
        return
    parts.usage.record(
        run=parts.journal.run, call=call.id, parent=call.parent.id if call.parent else None, depth=call.depth,
        skill=skill.name, version=skill.version, workflow=parts.workflow.name, outcome=outcome,
        duration_s=duration_s, tokens_in=0, tokens_out=0, usd=0.0, error_kind=error_kind,
    )  # fmt: skip


def _outcome(error: BaseException) -> tuple[str, str]:
    if isinstance(error, CallError):
        return error.kind, error.error_kind
    if isinstance(error, BudgetExhausted):
        return "budget", error.limit
    if isinstance(error, asyncio.CancelledError):
        return "error", "cancelled"
    return "error", type(error).__name__


def _function(skill: Skill, name: str | None) -> Function | None:
    """The function that is meant; None where the skill itself is, to be run by a model with its text.

    Without a name that is the default. What was merely inferred from a script has to be asked for by name.
    """
    if name is None and skill.default is None:
        if any(not function.inferred for function in skill.functions.values()):
            raise SkillError(
                f"`{skill.name}` has no default function",
                kind="invalid",
                hint=f"call one of: {', '.join(skill.functions)}",
            )
        return None
    wanted = name or skill.default or ""
    if wanted not in skill.functions:
        raise SkillError(
            f"`{skill.name}` has no function `{wanted}`",
            kind="invalid",
            hint=f"it has: {', '.join(skill.functions) or 'none'}",
        )
    return skill.functions[wanted]


def _no_model(why: str) -> CallError:
    return CallError(f"{NO_MODEL}: {why}", error_kind="no_model", hint=NO_MODEL_HINT)
