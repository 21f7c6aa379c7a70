"""What is said of skills, prepared so that a task is matched in a millisecond: every weight that no task changes.

The score of a skill for a task is the sum of two parts over what both have:

- words: BM25F over name, description and the head of the body (Robertson and Zaragoza, "The Probabilistic Relevance
  Framework: BM25 and Beyond", 2009, sections 3.4 and 3.6). A word that no skill has is taken for the one that is
  spelled most alike. What stands after "do not use for" counts against the skill.
- topics: the same form of sum over the topics that the words belong to (see `topics`).

Logarithms of rarity are divided by that of a word of a single skill, so that scores mean the same whatever the number
of skills: 1 is about what one word brings that no other skill has. The constants were set on two catalogues with
requests and are flat around their values: see docs/decisions/0024.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.memory.matching.terms import terms, weight, words
from orchestrator.memory.matching.topics import Topics, general_topics, topics_of

K1 = 1.0
B = 0.5
NAME, DESCRIPTION, BODY = 2.5, 1.0, 0.25
BODY_CHARS = 2500
AGAINST = 0.5
"""What a word counts in the name, the description, the body's head, and where a description says what it is not for."""

WORD, TOPIC = 0.6, 1.2
TOPIC_K = 2.5
TOPIC_B = 0.4
TOPIC_BODY = 0.15
TOPIC_CAP, TOPIC_POWER = 3.0, 1.3
"""What a word and a topic count; a topic named with several words counts for more than so many topics with a word each."""

ALIKE = 0.8
MIN_ALIKE = 0.55
"""Share of letter triples (Dice) from which a word is taken for another that is spelled alike, and what it then counts."""

USUAL_TERMS = 8
"""Terms of a usual task. Scores of longer ones are made smaller by a logarithm: they meet more by chance."""

_NOT_FOR = re.compile(
    r"\b(?:do not|don't|not|never) (?:use|for|to be used|intended|suitable|needed)\b|\b(?:skip|avoid) (?:this|it|when|for)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.;!?])\s+")

Weights = Sequence[Sequence[float]]
"""What something counts: the numbers of the skills, and a weight for each. Two lists, which JSON takes as they are."""

_Weights = dict[int, float]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is said of one skill."""

    name: str
    description: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A task as it is matched: its terms, in order and once each, with the words they were made from, and its topics."""

    terms: Mapping[str, str]
    topics: Mapping[str, float]

    @property
    def length(self) -> float:
        """What the scores of a task with so many terms are divided by; 1 for a usual one."""
        return math.log(3 + len(self.terms)) / math.log(3 + USUAL_TERMS)


@dataclass(frozen=True, slots=True)
class SkillIndex:
    """Skills by number, in the order in which they were given, and what each word and topic counts for them."""

    n_skills: int
    words: Mapping[str, Weights]
    topics: Mapping[str, Weights]
    triples: Mapping[str, Sequence[str]]  # words by their letter triples
    general: Topics

    def asked(self, task: str) -> Asked:
        """The task, prepared."""
        typed: dict[str, str] = {}
        for word in words(task):
            for term in terms(word):
                typed.setdefault(term, word)
        return Asked(typed, topics_of(terms(task), self.general))

    def scores(self, asked: Asked) -> list[float]:
        """How well each skill fits. 0 where it shares nothing with the task; below, where it says that it does not fit."""
        total = [0.0] * self.n_skills
        for _, factor, weights in self._shared(asked):
            for number, each in zip(*weights, strict=True):
                total[int(number)] += factor * each
        return [one / asked.length for one in total]

    def why(self, asked: Asked, number: int) -> list[str]:
        """The task's words that speak for a skill, then its topics, what counts most first."""
        found: dict[str, float] = {}
        for said, factor, weights in self._shared(asked):
            counts = factor * dict(zip(*weights, strict=True)).get(number, 0.0)
            if counts > 0.0:
                found[said] = found.get(said, 0.0) + counts
        return sorted(found, key=lambda said: (said in asked.topics, -found[said], said))

    def rarity(self, n_with: int) -> float:
        """What it says that something is found with `n_with` of the skills: 1 for one of them, near 0 for all."""
        return _rarity(n_with, self.n_skills)

    def _shared(self, asked: Asked) -> Iterable[tuple[str, float, Weights]]:
        for term, word in asked.terms.items():
            known, alike = (term, 1.0) if term in self.words else self._nearest(term)
            if known:
                yield word, WORD * weight(term) * alike, self.words[known]
        for topic, named in asked.topics.items():
            if topic in self.topics:
                yield topic, TOPIC * min(named, TOPIC_CAP) ** TOPIC_POWER, self.topics[topic]

    def _nearest(self, term: str) -> tuple[str, float]:
        """The known term spelled most like this one and what that counts; an empty one where none is."""
        if len(term) < 4 or weight(term) < 1:
            return "", 0.0
        own = _triples(term)
        common = Counter(known for triple in own for known in self.triples.get(triple, ()))
        found = [(2 * n / (len(own) + len(known) - 1), known) for known, n in common.items()]
        share, known = max(found, default=(0.0, ""))
        return (known, share * ALIKE) if share >= MIN_ALIKE else ("", 0.0)


def index_of(subjects: Sequence[Subject]) -> SkillIndex:
    """The index of these skills."""
    general = general_topics()
    parsed = [_Parsed.of(one) for one in subjects]
    return SkillIndex(
        n_skills=len(subjects),
        words=_listed(_word_weights(parsed)),
        topics=_listed(_topic_weights([_named(one, general) for one in parsed])),
        triples=_by_triples({term for one in parsed for term in one.all}),
        general=general,
    )


@dataclass(frozen=True, slots=True)
class _Parsed:
    """The terms of a subject; `against` are of sentences that say what it is not for."""

    name: list[str]
    description: list[str]
    body: list[str]
    against: set[str]

    @classmethod
    def of(cls, one: Subject) -> _Parsed:
        fits, fits_not = [], []
        for sentence in _SENTENCE_END.split(one.description):
            found = _NOT_FOR.search(sentence)
            fits.append(sentence[: found.start()] if found else sentence)
            fits_not.append(sentence[found.end() :] if found else "")
        name, description = terms(one.name), terms(" ".join(fits))
        against = set(terms(" ".join(fits_not))) - set(name) - set(description)
        return cls(name, description, terms(one.body[:BODY_CHARS]), against)

    @property
    def all(self) -> set[str]:
        return {*self.name, *self.description, *self.body}


def _listed(weighed: Mapping[str, _Weights]) -> dict[str, Weights]:
    return {
        key: ([*by_skill], [round(one, 4) for one in by_skill.values()]) for key, by_skill in weighed.items()
    }


def _word_weights(parsed: Sequence[_Parsed]) -> dict[str, _Weights]:
    n_description = _average([len(one.description) for one in parsed])
    n_body = _average([len(one.body) for one in parsed])
    often: dict[str, _Weights] = {}
    for number, one in enumerate(parsed):
        fields = (
            (one.name, NAME),
            (one.description, DESCRIPTION / (1 - B + B * len(one.description) / n_description)),
            (one.body, BODY / (1 - B + B * len(one.body) / n_body)),
        )
        for text, counts in fields:
            for term in text:
                mine = often.setdefault(term, {})
                mine[number] = mine.get(number, 0.0) + counts
    found = {term: _saturated(by_skill, K1) for term, by_skill in often.items()}
    n_with = {term: sum(min(counts, 1.0) for counts in by_skill.values()) for term, by_skill in often.items()}
    rarity = {term: _rarity(n, len(parsed)) for term, n in n_with.items()}
    weighed = {term: {n: x * rarity[term] for n, x in by_skill.items()} for term, by_skill in found.items()}
    for number, one in enumerate(parsed):
        for term in one.against & weighed.keys():
            weighed[term][number] = -AGAINST * rarity[term]
    return weighed


def _named(one: _Parsed, general: Topics) -> dict[str, float]:
    """How much a subject speaks of each topic; its body's topics count little, and never much."""
    named = topics_of([*one.name, "|", *one.description], general)
    for topic, counts in topics_of(one.body, general).items():
        named[topic] = named.get(topic, 0.0) + TOPIC_BODY * min(counts, 2.0)
    return {topic: counts for topic, counts in named.items() if counts >= 0.1}


def _topic_weights(named: Sequence[Mapping[str, float]]) -> dict[str, _Weights]:
    total = [sum(one.values()) for one in named]
    average = _average(total)
    by_topic: dict[str, _Weights] = {}
    for number, one in enumerate(named):
        bound = TOPIC_K * (1 - TOPIC_B + TOPIC_B * total[number] / average)
        for topic, counts in one.items():
            by_topic.setdefault(topic, {})[number] = counts * (TOPIC_K + 1) / (counts + bound)
    return {
        topic: {n: x * _rarity(len(by_skill), len(named)) for n, x in by_skill.items()}
        for topic, by_skill in by_topic.items()
    }


def _saturated(often: _Weights, k: float) -> _Weights:
    return {number: counts * (k + 1) / (counts + k) for number, counts in often.items()}


def _rarity(n_with: float, n_all: int) -> float:
    return math.log(1 + (n_all - n_with + 0.5) / (n_with + 0.5)) / math.log(1 + (n_all - 0.5) / 1.5)


def _average(values: Sequence[float]) -> float:
    return (sum(values) / len(values) if values else 0.0) or 1.0


def _by_triples(known: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for term in sorted(known):
        if len(term) >= 4:
            for triple in _triples(term):
                found.setdefault(triple, []).append(term)
    return found


def _triples(term: str) -> set[str]:
    """Letter triples; the beginning is one, so that endings count less."""
    marked = f"^{term}"
    return {marked[start : start + 3] for start in range(len(marked) - 2)}
