"""What a run takes from the record and gives to it: the order of strategies, verdicts, and programs for the next run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError, WorkspaceError
from orchestrator.memory import files
from orchestrator.memory.experience import experience_of
from orchestrator.memory.record import UNDECIDED
from orchestrator.memory.suggestions import learn
from orchestrator.runs.context import n_bytes
from orchestrator.runs.prompting import task_text
from orchestrator.runs.proof import Program, why_unproved
from orchestrator.runs.story import story_of
from orchestrator.strategies.advice import advice
from orchestrator.strategies.choose import Choice, ordered
from orchestrator.strategies.learned import (
    PREFIX,
    folder_of,
    is_learned,
    program_of,
    programs_of,
    promoted,
)
from orchestrator.strategies.situation import shape_of, situation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orchestrator.memory.experience import Experience
    from orchestrator.memory.usage import UsageStore
    from orchestrator.runs.attempt import Task
    from orchestrator.runs.results import Tried
    from orchestrator.runs.story import Story
    from orchestrator.strategies import learned
    from orchestrator.strategies.situation import Situation
    from orchestrator.values import Attempt
    from orchestrator.workspace import Workspace

MAX_TAUGHT = 5
MAX_TASK_CHARS = 4_000
"""Skills of one run that suggestions learn of, and so much of its task."""

MAX_PROGRAMS = 5
"""Learned programs of one workflow that are tried, the newest first. Older ones stay where they are."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The order of strategies for one document, and what its model is told of earlier ways to do it."""

    choices: tuple[Choice, ...]
    situation: Situation
    advice: str = ""

    def of(self, strategy: str) -> Choice:
        """The place of a strategy in the order."""
        return next(one for one in self.choices if one.strategy == strategy)


class Learning:
    """What one run knows from before, and what it adds. The run makes one.

    The experience is read once, when the run first asks: its order of strategies is the same from beginning to end.
    `is_on` False: nothing is read from it, and nothing is distilled; the usage record is written all the same.
    """

    def __init__(self, workspace: Workspace, usage: UsageStore, *, is_on: bool = True) -> None:
        self._workspace = workspace
        self._usage = usage
        self._is_on = is_on
        self._programs: dict[str, Mapping[str, learned.Program]] = {}
        self.news: list[str] = []  # what was learned, a sentence each

    def programs(self, task: Task) -> Mapping[str, learned.Program]:
        """The learned programs of a workflow that may be tried; of a run that goes on, as they were when it began.

        One that names a skill which is not trusted any more would end the run, where another way may do without it.
        """
        if (step := task.server.call.tape.next("chosen")) is not None:
            told = step.event.fields.get("programs", {})
            return {name: program_of(name, text) for name, text in told.items()}
        if not self._is_on:
            return {}
        workflow = task.workflow.name
        if workflow not in self._programs:
            found, _ = programs_of(self._workspace, workflow)
            barred = [task.parts.known[name] for name in task.parts.trust.barred]
            able = [(name, one) for name, one in found.items() if not any(map(one.names, barred))]
            self._programs[workflow] = dict(able[:MAX_PROGRAMS])
        return self._programs[workflow]

    def choose(self, task: Task, names: Sequence[str]) -> Chosen:
        """The order in which strategies are tried; of a run that goes on, the one it began with. On record."""
        call, journal = task.server.call, task.parts.journal
        here = situation_of(task)
        if (step := call.tape.next("chosen")) is not None:
            call.tape.take("chosen")
            return _told(step.event.fields, names, here)
        if not call.tape.is_empty:  # it began with the order without a record, and keeps it
            return Chosen(tuple(Choice(name) for name in names if not is_learned(name)), here)
        experience = self._experience if self._is_judged(task) else None
        leading = promoted(self.programs(task))
        choices = ordered(task.workflow.name, task.workflow.version, names, experience, here, leading)
        said = advice(task.workflow.name, experience) if experience and "rlm" in names else ""
        chosen = Chosen(tuple(choices), here, said)
        learned_ones = {name: self.programs(task)[name].text for name in names if is_learned(name)}
        if learned_ones or (experience is not None and len(names) > 1):
            programs = {"programs": learned_ones} if learned_ones else {}
            journal.append("chosen", call.id, **_fields(chosen), **programs)
        return chosen

    def record(
        self, task: Task, attempt: Attempt, error_kind: str | None, chosen: Chosen, tokens: tuple[int, int]
    ) -> None:
        """Put an attempt on the usage record, with who gave the verdict. `tokens`: in and out."""
        parts, call = task.parts, task.server.call
        story = story_of(parts.journal.past, call.id, parts.known)
        failed = attempt.outcome not in ("ok", "unverified")
        if failed and call.world_fault:
            error_kind = call.world_fault
        choice = chosen.of(attempt.strategy)
        self._usage.record(
            run=parts.journal.run, call=call.id, parent=call.parent.id if call.parent else None, depth=call.depth,
            strategy=attempt.strategy, version=task.workflow.version or None, workflow=task.workflow.name,
            situation=chosen.situation, outcome=None if error_kind in UNDECIDED else attempt.outcome,
            duration_s=attempt.usage.seconds, tokens_in=tokens[0], tokens_out=tokens[1], usd=attempt.usage.usd,
            checks_passed=all(check.passed for check in attempt.checks) if attempt.checks else None,
            error_kind=error_kind, verdict=_verdict(task, attempt), probability=round(choice.probability, 6),
            tags=_tags(attempt.strategy, story), skills=" ".join(story.skills)[:2000],
        )  # fmt: skip

    async def after(self, task: Task, tried: Tried, chosen: Chosen) -> None:
        """Learn from a document that was answered: distil its program, and say what the order is now."""
        if not self._is_on or task.server.call.kind != "root":
            return
        try:
            await self._learn(task, tried, chosen)
        except (WorkspaceError, OSError) as error:  # the answer is there all the same
            self.news.append(f"what this run taught could not be kept: {error}")

    async def _learn(self, task: Task, tried: Tried, chosen: Chosen) -> None:
        if tried.attempt.outcome == "ok" and task.workflow.checks:
            self._teach(task)
        if tried.attempt.strategy == "rlm" and tried.attempt.outcome == "ok" and task.workflow.checks:
            await self._distil(task, tried)
        self._compare(task, chosen)

    def _is_judged(self, task: Task) -> bool:
        """Whether the record may order strategies: without checks, nobody would notice that another one does worse."""
        return self._is_on and bool(task.workflow.checks) and self._usage.has_records

    @cached_property
    def _experience(self) -> Experience:
        return experience_of(self._workspace)

    def _teach(self, task: Task) -> None:
        """Let suggestions know which skills such a task was done with."""
        story = story_of(task.parts.journal.past, task.server.call.id, task.parts.known)
        for name in story.skills[:MAX_TAUGHT]:
            learn(
                self._workspace,
                f"{task.workflow.description}\n{task.workflow.body}"[:MAX_TASK_CHARS],
                name,
                success=True,
            )

    async def _distil(self, task: Task, tried: Tried) -> None:
        from orchestrator.strategies.distilling import (
            binding,
            distil,
            rendering,
        )  # here: most runs distil nothing

        call, parts = task.server.call, task.parts
        story = story_of(parts.journal.past, call.id, parts.known)
        context = _texts_only(task.context)
        came_to = [call.fields.get("value") for call in story.calls if call.fields]
        is_all = context is not None or task.context is None
        seen = distil.Seen(story.shown, context, task.workflow.body, tried.answer, came_to, is_all)
        found = distil.distil(story.cells, task.inputs, seen)
        if isinstance(found, distil.Refused):
            self._refused(task, found.reason)
            return
        if bound := binding.why_bound(found, task.workflow, task.inputs):
            self._refused(task, bound)
            return
        name = rendering.learned_name(found.cells)
        path = folder_of(self._workspace, task.workflow.name) / f"{name.removeprefix(rendering.PREFIX)}.md"
        if there := self._there_already(task, path, rendering.digest(found.cells)):
            self._refused(task, there)
            return
        through = frozenset(binding.of_context(task.workflow, task.inputs))
        retold = partial(task_text, task.workflow)
        program = Program(found.cells, task.variables(), story.calls, tried.answer, through, retold)
        try:
            why = await why_unproved(task.server, program)
        except OrchestratorError as error:
            why = str(error)
        if why:
            self._refused(task, why)
            return
        evidence = {
            "run": parts.journal.run, "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "workflow_version": task.workflow.version, "checks": [check.name for check in tried.attempt.checks],
            "usd": tried.attempt.usage.usd, "tokens": tried.attempt.usage.tokens, "calls": tried.attempt.usage.calls,
        }  # fmt: skip
        text = rendering.document(name, task.workflow.name, found, evidence)
        with files.locked(self._workspace.memory / "strategies.lock"):
            files.replace(path, text.encode("utf-8", "surrogatepass"))
        parts.journal.append("learned", call.id, program=f"{PREFIX}{path.stem}", path=str(path))
        shown = path.relative_to(self._workspace.root)
        self.news.append(
            f"learned a program for `{task.workflow.name}`: `{shown}`; the next run tries it first"
        )

    def _there_already(self, task: Task, path: Path, digest: str) -> str:
        """What there is to say of an earlier program with these cells, or of a file in its place; empty where none is."""
        workflow = task.workflow.name
        found, _ = programs_of(self._workspace, workflow)
        for name, program in found.items():
            if program.digest == digest:
                row = experience_of(self._workspace).row(workflow, name)
                failed = f", and failed {row.failed} of {row.tried} times" if row.failed else ""
                return f"its cells are there already as `{name}`{failed}"
        if path.exists():  # cells that somebody has changed are not written over
            shown = path.relative_to(self._workspace.root)
            return f"its cells are those that `{shown}` was made with, and that file has been edited since"
        return ""

    def _refused(self, task: Task, why: str) -> None:
        """Nothing was learned: who ran it is told why, and the record."""
        self.news.append(f"no program was learned for `{task.workflow.name}`: {why}")
        task.parts.journal.append("learned", task.server.call.id, program=None, why=why)

    def _compare(self, task: Task, chosen: Chosen) -> None:
        """Say it where another strategy would be first now."""
        if len(chosen.choices) < 2 or not self._is_judged(task):
            return
        experience = experience_of(self._workspace)
        names = [one.strategy for one in chosen.choices]
        workflow = task.workflow
        leading = promoted(self.programs(task))
        now = ordered(workflow.name, workflow.version, names, experience, chosen.situation, leading)[
            0
        ].strategy
        if now == names[0]:
            return
        row = experience.row(task.workflow.name, now)
        place = names.index(now) + 1
        figures = f"{row.succeeded}/{row.tried}, " if row.tried else ""
        self.news.append(f"`{now}` now first for `{task.workflow.name}`: {figures}was {_ordinal(place)}")


def situation_of(task: Task) -> Situation:
    """The situation that a document is run in."""
    shape = shape_of(task.context, n_bytes(task.context), from_files=bool(task.workflow.context))
    model = task.server.rights.models.root or ""
    return situation(task.workflow, list(task.server.scope), shape, depth=task.server.call.depth, model=model)


def _told(fields: Mapping[str, Any], names: Sequence[str], here: Situation) -> Chosen:
    """The order that is on record; what has appeared since stands at its end, what is gone is left out."""
    found = [Choice(**one) for one in fields["strategies"] if one["strategy"] in names]
    known = {one.strategy for one in found}
    rest = [Choice(name, 0.0) for name in names if name not in known]
    return Chosen((*found, *rest), here, fields.get("advice", ""))


def _fields(chosen: Chosen) -> dict[str, Any]:
    strategies = [
        {
            "strategy": one.strategy,
            "probability": round(one.probability, 6),
            "score": one.score,
            "why": one.why,
        }
        for one in chosen.choices
    ]
    return {"strategies": strategies, **({"advice": chosen.advice} if chosen.advice else {})}


def _verdict(task: Task, attempt: Attempt) -> str | None:
    """The kinds of checks that the attempt was judged by; None where it was not."""
    if not attempt.checks:
        return None
    kinds = [check.kind for check in task.workflow.checks]
    return " ".join(sorted({*kinds, *(["schema"] if task.workflow.output is not None else [])}))


def _tags(strategy: str, story: Story) -> str | None:
    if strategy != "rlm" or not story.cells:
        return None
    from orchestrator.strategies.distilling.tags import tags  # here: other strategies do what their names say

    return " ".join(tags(story.cells))


def _texts_only(context: Any) -> Any:
    """The context where it is small enough to look for copies of it."""
    return context if n_bytes(context) <= MAX_SEEN_BYTES else None


MAX_SEEN_BYTES = 2_000_000


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
