"""Which skills fit a task: by the words that task and skill share, and by how the skill did before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.memory.relevance import scores, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.documents.types import Skill
    from orchestrator.memory.tallies import Tallies, Tally

THRESHOLD = 0.4
"""Below it a skill does not fit. 1 is what one word brings that no other skill has."""

DOUBT = 2
"""A skill counts as having done well so many times before it was used: one failure proves little."""

COMMON = frozenset(
    words(
        "a about all also am an and any are as at be been but by can could did do does each every for from get give had has "
        "have help how i if in into is it its just like make many may me more most much must my need no not now of on one or "
        "other our out please should so some such take tell than that the their them then there these they this those to up "
        "us use used using very want was we were what when where which while who why will with without would you your"
    )
)
"""Words that say nothing of what a task is about."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A skill that fits a task. `calls` and `failed` are of its tally, 0 without one."""

    name: str
    score: float
    description: str = ""
    calls: int = 0
    failed: int = 0


def suggest(
    task: str,
    skills: Sequence[Skill],
    tallies: Tallies | None = None,
    *,
    k: int = 5,
    threshold: float | None = THRESHOLD,
) -> list[Suggestion]:
    """The best `k` skills for a task, best first; none where none fits. `threshold=None` ranks all.

    A skill whose files have errors is left out: it can't be called.
    """
    usable = [skill for skill in skills if all(problem.severity != "error" for problem in skill.diagnostics)]
    query = " ".join(word for word in words(task) if word not in COMMON)
    fit = scores(query, [f"{skill.name} {skill.description}" for skill in usable])
    unit = math.log(1 + (len(usable) - 0.5) / 1.5) if usable else 1.0  # see `relevance`: a word of one text
    found = []
    for skill, score in zip(usable, fit, strict=True):
        relevance = score / unit
        if threshold is None or relevance >= threshold:
            tally = tallies.skills.get(skill.name) if tallies else None
            found.append(_suggestion(skill, relevance, tally))
    return sorted(found, key=lambda one: (-one.score, one.name))[:k]


def _suggestion(skill: Skill, relevance: float, tally: Tally | None) -> Suggestion:
    calls, failed = (tally.calls, tally.failed) if tally else (0, 0)
    fine = tally.ok + tally.unverified if tally else 0
    share = (fine + DOUBT) / (fine + failed + DOUBT)
    return Suggestion(skill.name, round(relevance * share, 4), skill.description, calls, failed)
