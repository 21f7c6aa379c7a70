"""Serves what the cells of a call, or the code of a skill, ask for: every effect outside a REPL goes through here.

Each request becomes a call of the tree, on record also when it is refused. What fails is raised as CallError and
reaches the asking code; anything else ends the run.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.documents.skill_files import folder_files, is_covered
from orchestrator.errors import CallError, SkillError
from orchestrator.runs import by_model, queries, requests, skills
from orchestrator.runs.batch import all_of
from orchestrator.runs.call import Call, described
from orchestrator.runs.context import recorded
from orchestrator.runs.desk import Need, need_id
from orchestrator.runs.parts import Errand
from orchestrator.runs.past import canonical
from orchestrator.runs.record import on_record, repeated
from orchestrator.runs.table import bound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from orchestrator.documents.types import Function, Skill
    from orchestrator.runs.parts import Parts, Rights
    from orchestrator.runs.slots import Slot

    Solve = Callable[["Server", Errand], Awaitable[Any]]

Request = dict[str, Any]

QUICK = frozenset(
    {
        "memory_search",
        "memory_read",
        "memory_write",
        "skill_doc",
        "skill_files",
        "skill_read",
        "budget",
        "log",
    }
)
"""Requests that wait for nobody: to fetch a place again would take longer than they do."""


MANY = frozenset({"skill_map", "llm_query_batched", "rlm_query_batched"})
"""Requests of many calls side by side: their order means nothing."""


@dataclass(frozen=True, slots=True)
class Server:
    """What one call's code may ask for. `scope` are the skills that it may call, by name; `rights` what they may do.

    `solve` runs a document as this call, within its scope and rights. `slot` is the place that the call holds while
    it works; it is lent to others while the call waits.
    """

    parts: Parts
    call: Call
    scope: Mapping[str, Skill]
    rights: Rights
    solve: Solve
    slot: Slot | None = None

    async def __call__(self, fn: str, arguments: Request) -> Any:
        """The JSON value that answers one request. Raises CallError for what the asking code is to see."""
        serve = _SERVED.get(fn)
        if serve is None:
            raise CallError(f"there is no `{fn:.60}` to call", kind="invalid", error_kind="request")
        n_at_once = 2 if fn in MANY else 1
        self.call.n_asked += n_at_once
        try:
            if self.slot is None or fn in QUICK:
                return await serve(self, arguments)
            async with self.slot.lent():
                return await serve(self, arguments)
        finally:
            self.call.n_asked -= n_at_once

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """A section in which the call only waits for others, and its place is theirs."""
        if self.slot is None:
            yield
        else:
            async with self.slot.lent():
                yield

    async def _skill(self, request: Request) -> Any:
        asked = requests.skill_request(request)
        skill = self._find(asked.skill)
        function = _function(skill, asked.function)
        if function is None:
            return await self._prose(skill, {"args": asked.args, **asked.kwargs})
        return await self._function(skill, function, bound(function, skill, asked.args, asked.kwargs))

    async def _skill_map(self, request: Request) -> list[Any]:
        asked = requests.map_request(request)
        skill = self._find(asked.skill)
        function = _function(skill, asked.function)
        n = await by_model.allowed_of(self, skill, function, asked.items)
        if function is None:
            return await queries.batch(asked.items, n, lambda item: self._prose(skill, item))
        if n < len(asked.items):
            return await queries.batch(asked.items, n, lambda item: self._function(skill, function, item))
        return await all_of([self._function(skill, function, item) for item in asked.items])

    async def _skill_run(self, request: Request) -> Any:
        asked = requests.script_request(request)
        skill = self._find(asked.skill)
        call = self.call.child("skill", f"{skill.name}/{asked.script}", {"argv": asked.argv, **asked.options})

        async def work(slot: Slot) -> Any:
            options = skills.script_argv(skill, asked.script, asked.options) if asked.options else []
            program = skills.Program(skill, asked.script, [*asked.argv, *options])
            return await skills.run_script(self.serving(call, slot), program)

        return await self._worked(call, skill, asked.script, work, once=True)

    async def _prose(self, skill: Skill, arguments: dict[str, Any]) -> Any:
        call = self.call.child("skill", skill.name, arguments)

        async def work(slot: Slot) -> Any:
            return await by_model.prose(self._for_skill(call, skill, slot), skill, arguments)

        return await self._worked(call, skill, "", work)

    async def _function(self, skill: Skill, function: Function, arguments: dict[str, Any]) -> Any:
        name = f"{skill.name}.{function.name}"
        try:
            call = self.call.child("skill", name, skills.checked_arguments(skill, function, arguments))
        except SkillError as error:
            return await self._refused(self.call.child("skill", name, arguments), skill, error)

        async def work(slot: Slot) -> Any:
            value = await self._run(call, skill, function, slot)
            return skills.checked_value(skill, function, value)

        # What a workflow or a prompt does in the world, it does by calls of its own, each on record.
        writes = function.effects == "write" and function.kind in ("python", "script")
        once = writes and not function.idempotent
        return await self._worked(
            call, skill, function.name, work, writes=writes, once=once, asks=function.approval
        )

    async def _run(self, call: Call, skill: Skill, function: Function, slot: Slot) -> Any:
        server = self._for_skill(call, skill, slot)
        match function.kind:
            case "python":
                return await skills.run_python(server, skill, function)
            case "script":
                program = skills.program_of(skill, function, call.arguments)
                return await skills.run_script(server, program)
            case "workflow":
                workflow = skills.nested_workflow(skill, function)
                return await self.solve(server, Errand(workflow, call.arguments))
            case "prompt":
                async with slot.lent():
                    return await by_model.prompt_entry(server, skill, function)

    def serving(self, call: Call, slot: Slot) -> Server:
        """A server for a call of this one that may do what this one may."""
        return replace(self, call=call, slot=slot)

    def _for_skill(self, call: Call, skill: Skill, slot: Slot) -> Server:
        return replace(self.serving(call, slot), scope=skills.uses_of(skill, self.parts.known))

    async def _worked(
        self,
        call: Call,
        skill: Skill,
        function: str,
        work: Callable[[Slot], Awaitable[Any]],
        *,
        writes: bool = False,
        once: bool = False,
        asks: bool = False,
    ) -> Any:
        """The work's value: allowed, approved, in a slot, on record. `once`: not to be done twice unasked."""
        if call.is_settled:
            self._claim_approval(call, skill, function, asks=asks)
            return repeated(self.parts, call)
        self.parts.trust.assure(skill)
        error = call.refused(self.parts.ledger.limits.depth)
        if error is None and not await self._approved(call, skill, function, asks=asks):
            error = SkillError(f"`{call.name}` was not approved", kind="denied", error_kind="approval")
        if error is not None:
            return await self._refused(call, skill, error)
        async with self.parts.ledger.slot(call.depth) as slot:
            if writes or once:
                self.parts.journal.sync()
            return await on_record(self.parts, call, lambda: work(slot), skill=skill, once=once)

    async def _refused(self, call: Call, skill: Skill, error: CallError) -> Any:
        async def refuse() -> Any:
            raise error

        return await on_record(self.parts, call, refuse, skill=skill)

    async def _approved(self, call: Call, skill: Skill, function: str, *, asks: bool) -> bool:
        if not asks and not self._is_asked_about(skill, function):
            return True
        return await self.asked(_question(call), call.name, call.arguments)

    def _is_asked_about(self, skill: Skill, function: str) -> bool:
        """Whether the document's `approvals:` name it."""
        # A script is asked about under its functions' names too: it is the same code.
        names = {function, *(one.name for one in skill.functions.values() if one.entry == function)}
        patterns = {f"skill:{skill.name}", *(f"skill:{skill.name}.{name}" for name in names)}
        return bool(patterns.intersection(self.rights.approvals))

    def _claim_approval(self, call: Call, skill: Skill, function: str, *, asks: bool) -> None:
        """Take the approval that belongs to a call on record: it may not let another call through."""
        claims = self.call.claims
        if claims is not None and (asks or self._is_asked_about(skill, function)):
            claims.take(
                "approval", call.name, canonical(recorded(_approval(_question(call), call.arguments)))
            )

    async def _approve(self, request: Request) -> bool:
        return await self.asked(requests.part(request, "prompt", str), "approve", request.get("items"))

    async def asked(self, prompt: str, function: str, arguments: Any) -> bool:
        """Whether a person agrees, who may have to be waited for."""
        call = self.call.child("approval", function, _approval(prompt, arguments))

        async def put() -> bool:
            fields = {"function": function, "arguments": recorded(arguments)}
            number = need_id(self.parts.journal.run, call.id, "approval")
            return bool(await self.parts.desk.answer(Need(number, "approval", call.id, prompt, fields)))

        agreed: bool = await on_record(self.parts, call, put)
        return agreed

    async def _skill_doc(self, request: Request) -> str:
        return self._trusted(requests.part(request, "skill", str)).body

    async def _skill_files(self, request: Request) -> list[str]:
        folder = self._trusted(requests.part(request, "skill", str)).folder
        return [
            path.relative_to(folder).as_posix() for path in folder_files(folder) if is_covered(path, folder)
        ]

    async def _skill_read(self, request: Request) -> str:
        skill, name = self._trusted(requests.part(request, "skill", str)), requests.path_part(request, "path")
        path: Path = (skill.folder / name).resolve()
        if not is_covered(path, skill.folder):
            raise SkillError(f"`{name}` lies outside the skill `{skill.name}`", kind="denied")
        try:
            return path.read_text("utf-8", "replace")
        except OSError as error:
            raise SkillError(
                f"`{skill.name}`: can't read `{name}`: {error.strerror}",
                hint=f"`skills.{skill.attribute}.files()` lists what is there",
            ) from error

    async def _memory_search(self, request: Request) -> Any:
        query, limit = requests.part(request, "query", str), requests.part(request, "limit", int, 10)
        return await self._memory("search", request, lambda: self.rights.notes.search(query, limit))

    async def _memory_read(self, request: Request) -> Any:
        path = requests.path_part(request, "path")
        return await self._memory("read", request, lambda: self.rights.notes.read(path))

    async def _memory_write(self, request: Request) -> Any:
        path, text = requests.path_part(request, "path"), requests.part(request, "text", str)
        append = requests.part(request, "append", bool, False)
        return await self._memory(
            "write", request, lambda: self.rights.notes.write(path, text, append=append)
        )

    async def _memory(self, name: str, request: Request, work: Callable[[], Any]) -> Any:
        call = self.call.child("memory", f"memory.{name}", request)

        async def do() -> Any:
            # In a thread: a search walks all notes, and a write waits for the disk.
            async with self.parts.desk.working():
                return await asyncio.to_thread(work)

        return await on_record(self.parts, call, do, once=bool(request.get("append")))

    async def _budget(self, _: Request) -> dict[str, Any]:
        claims = self.call.claims
        if claims is not None and (told := claims.note("budget")) is not None:
            return dict(told)
        left = self.parts.ledger.left()
        if claims is None or not claims.is_whole:
            self.parts.journal.append("noted", self.call.id, fn="budget", value=left)
        return left

    async def _log(self, request: Request) -> None:
        self.parts.journal.tell("log", self.call.id, text=requests.part(request, "text", str))

    def _trusted(self, name: str) -> Skill:
        skill = self._find(name)
        self.parts.trust.assure(skill)
        return skill

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
            f"there is no skill `{name:.80}`", kind="invalid", hint="`orchestrate skills` lists them"
        )


_SERVED: dict[str, Callable[[Server, Request], Awaitable[Any]]] = {
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
    **queries.SERVED,
}


def _question(call: Call) -> str:
    return f"Run {call.name}({described(call.arguments)})?"


def _approval(prompt: str, arguments: Any) -> dict[str, Any]:
    """The arguments of an approval's call."""
    return {"prompt": prompt, "arguments": arguments}


def _function(skill: Skill, name: str | None) -> Function | None:
    """The function that is meant; None where the skill itself is, to be run by a model with its text.

    Without a name that is the default. A script that nobody declared has to be asked for by name.
    """
    if name is None and skill.default is None:
        if any(function.kind != "script" or not function.inferred for function in skill.functions.values()):
            raise SkillError(
                f"`{skill.name}` has no default function",
                kind="invalid",
                hint=f"call one of: {', '.join(skill.functions)}",
            )
        return None
    wanted = name or skill.default or ""
    if wanted not in skill.functions:
        raise SkillError(
            f"`{skill.name}` has no function `{wanted:.80}`",
            kind="invalid",
            hint=f"it has: {', '.join(skill.functions) or 'none'}",
        )
    return skill.functions[wanted]
