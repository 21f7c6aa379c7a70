"""Which skills fit a task: by what is said of them, by what was learned from tasks, and by how they did before."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.memory.matching.lessons import taught
from orchestrator.memory.matching.stored import index_in_memory, index_on_disk
from orchestrator.memory.record import SURROUNDINGS
from orchestrator.memory.taught import Taught, lessons_of
from orchestrator.memory.taught import learn as learn
from orchestrator.workspace import Workspace, bundled, existing_workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.documents.types import Skill
    from orchestrator.memory.matching.index import Asked, SkillIndex
    from orchestrator.memory.tallies import Tally

THRESHOLD = 1.6
"""Below it a skill does not fit. 1 is about what one word brings that no other skill has, in a task of usual length."""

DOUBT = 2
"""A skill counts as having done well so many times before it was used: one failure proves little."""

JUDGED_DOUBT = 5
"""The same of checks, which often fail for other reasons than the skills that were called."""

ELSEWHERE = 0.5
"""What a lesson of all workspaces counts, beside one of this workspace."""

N_REASONS = 4


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A skill that fits a task. `calls` and `failed` are of its tally, 0 without one.

    `why` holds the task's words and topics that spoke for it, what counted most first.
    """

    name: str
    score: float
    description: str = ""
    calls: int = 0
    failed: int = 0
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of skills beside what is said of them: tallies by name, and lessons."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    taught: Taught = field(default_factory=Taught)


def suggest(
    task: str,
    skills: Iterable[Skill] | None = None,
    *,
    k: int = 5,
    threshold: float | None = THRESHOLD,
    workspace: Path | str | None = None,
) -> list[Suggestion]:
    """The best `k` skills for a task, best first; empty where none fits. `threshold=None` ranks all.

    Without `skills`, those that the workspace can call: the one given, else that of the working directory, whose record
    and lessons count in any case. A skill whose files have errors is left out: it can't be called. Raises UsageError for
    a workspace that is not there.
    """
    place = existing_workspace(workspace)
    known = experience_of(place)
    if skills is not None:
        usable = callable_ones(skills)
        return ranked(task, usable, index_in_memory(usable), known, k=k, threshold=threshold)
    from orchestrator.catalog.discover import discover  # who gives the skills needs none

    found = discover(place, home=Path.home(), bundled=bundled() / "skills")
    usable = callable_ones(found.skills)
    return ranked(task, usable, index_on_disk(place, usable), known, k=k, threshold=threshold)


def callable_ones(skills: Iterable[Skill]) -> list[Skill]:
    """Those whose files have no errors."""
    return [skill for skill in skills if all(problem.severity != "error" for problem in skill.diagnostics)]


def experience_of(workspace: Workspace) -> Known:
    """What the workspace's record and the lessons say."""
    from orchestrator.memory.usage import UsageStore  # for one who has a record

    usage = UsageStore(workspace)
    return Known(dict(usage.tallies().skills) if usage.has_records else {}, lessons_of(workspace))


def ranked(
    task: str,
    skills: Sequence[Skill],
    index: SkillIndex,
    known: Known,
    *,
    k: int = 5,
    threshold: float | None = THRESHOLD,
) -> list[Suggestion]:
    """The best `k` of the skills that the index was made of, in that order; nothing is read."""
    asked = index.asked(task)
    scores = _scores(skills, index, asked, known)
    order = sorted(range(len(skills)), key=lambda number: (-scores[number], skills[number].name))
    fitting = [number for number in order if threshold is None or scores[number] >= threshold]
    return [
        _suggestion(skills[number], scores[number], known, index.why(asked, number))
        for number in fitting[: max(k, 0)]
    ]


def _scores(skills: Sequence[Skill], index: SkillIndex, asked: Asked, known: Known) -> list[float]:
    names = [skill.name for skill in skills]
    said = index.scores(asked)
    here = taught(known.taught.here, index, asked, names)
    everywhere = taught(known.taught.everywhere, index, asked, names)
    sums = [mine + own + ELSEWHERE * other for mine, own, other in zip(said, here, everywhere, strict=True)]
    return [
        round(score * _share(known.tallies.get(name)) if score > 0 else score, 4)
        for name, score in zip(names, sums, strict=True)
    ]


def _suggestion(skill: Skill, score: float, known: Known, why: Sequence[str]) -> Suggestion:
    tally = known.tallies.get(skill.name)
    calls, failed = (tally.calls, tally.failed) if tally else (0, 0)
    return Suggestion(skill.name, score, skill.description, calls, failed, tuple(why[:N_REASONS]))


def _share(tally: Tally | None) -> float:
    """How much of what it was called for it did, with some doubt about few calls; failures of the surroundings aside.

    Whoever reports success and helps nobody is found out by the checks of those that called it.
    """
    if tally is None:
        return 1.0
    fine = tally.ok + tally.unverified
    own = tally.failed - sum(n for kind, n in tally.error_kinds.items() if kind in SURROUNDINGS)
    own_word = (fine + DOUBT) / (fine + own + DOUBT)
    return own_word * (tally.passed + JUDGED_DOUBT) / (tally.passed + tally.not_passed + JUDGED_DOUBT)
