"""What tasks taught of skills: which words and topics were asked for where a skill did well, and where it did not.

Of a task only words are kept that stand in the package's own lists or in what is said of the skills; never a name, a
number or a password of whoever asked, and never their order. See docs/decisions/0024.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.memory.matching.terms import weight

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.memory.matching.index import Asked, SkillIndex

WORD, TOPIC = 0.5, 0.4
"""What one word and one topic count that a skill did well with, where no other skill did."""

ENOUGH = 2.0
"""Half of what a word can count is reached when so many more tasks with it went well than badly."""

FAILURE = 0.5
"""What a task that a skill was wrong for counts, beside one that it was right for."""

MAX_TERMS = 300
"""Words, and topics, kept of one skill; those that say least go first."""

MAX_SKILLS = 2000
MAX_COUNT = 1000.0


@dataclass(slots=True)
class Lesson:
    """What one skill was right (above 0) and wrong for, by word and by the name of the topic; tasks counted."""

    words: dict[str, float] = field(default_factory=dict)
    topics: dict[str, float] = field(default_factory=dict)
    right: int = 0
    wrong: int = 0


Lessons = dict[str, Lesson]
"""Lessons by the name of the skill, the one that was taught last at the end."""


def teach(
    lessons: Lessons, skill: str, words: Iterable[str], topics: Iterable[str], *, success: bool
) -> None:
    """Count one task for a skill."""
    lesson = lessons.pop(skill, None) or Lesson()
    lessons[skill] = lesson
    while len(lessons) > MAX_SKILLS:
        del lessons[next(iter(lessons))]
    counts = 1.0 if success else -FAILURE
    lesson.right += success
    lesson.wrong += not success
    lesson.words = _added(lesson.words, words, counts)
    lesson.topics = _added(lesson.topics, topics, counts)


def taught(lessons: Lessons, index: SkillIndex, asked: Asked, names: list[str]) -> list[float]:
    """What the lessons add to the score of each of the skills, which are named in the index's order."""
    number_of = {name: number for number, name in enumerate(names)}
    known = {number_of[name]: lesson for name, lesson in lessons.items() if name in number_of}
    total = [0.0] * len(names)
    for term in asked.terms:
        found = {number: lesson.words[term] for number, lesson in known.items() if term in lesson.words}
        _count(total, found, WORD * weight(term), index)
    for topic, named in asked.topics.items():
        found = {number: lesson.topics[topic] for number, lesson in known.items() if topic in lesson.topics}
        _count(total, found, TOPIC * min(named, 1.0), index)
    return [one / asked.length for one in total]


def encoded(lessons: Lessons) -> dict[str, Any]:
    """The lessons as values for JSON."""
    return {
        name: {"right": one.right, "wrong": one.wrong, "words": one.words, "topics": one.topics}
        for name, one in lessons.items()
    }


def decoded(value: Any) -> Lessons:
    """The lessons that were encoded; what is none is left out."""
    return {
        name: Lesson(
            _numbers(one.get("words")),
            _numbers(one.get("topics")),
            _whole(one.get("right")),
            _whole(one.get("wrong")),
        )
        for name, one in (value.items() if isinstance(value, Mapping) else ())
        if isinstance(one, Mapping)
    }


def _count(total: list[float], found: Mapping[int, float], factor: float, index: SkillIndex) -> None:
    n_right = sum(counts > 0 for counts in found.values())
    rarity = index.rarity(max(n_right, 1))
    for number, counts in found.items():
        total[number] += factor * rarity * 2 * counts / (abs(counts) + ENOUGH)


def _added(before: Mapping[str, float], keys: Iterable[str], counts: float) -> dict[str, float]:
    after = dict(before)
    for key in keys:
        after[key] = max(-MAX_COUNT, min(MAX_COUNT, after.get(key, 0.0) + counts))
    if len(after) > MAX_TERMS:
        kept = sorted(after, key=lambda key: (-abs(after[key]), key))[:MAX_TERMS]
        after = {key: after[key] for key in kept}
    return after


def _numbers(value: Any) -> dict[str, float]:
    entries = value.items() if isinstance(value, Mapping) else ()
    return {
        key: float(number)
        for key, number in entries
        if type(number) in (int, float) and abs(number) <= MAX_COUNT
    }


def _whole(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**53 else 0
