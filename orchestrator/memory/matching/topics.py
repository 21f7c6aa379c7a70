"""Topics: what words go together in general, whatever skills there are. `topics.txt` holds them.

A request for "a shout before the disk fills up" shares no word with a skill that "configures alerting"; both belong to
the topic `monitoring`. A line of the file is a topic with its words and phrases; one may stand in several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from math import sqrt
from pathlib import Path

from orchestrator.memory.matching.terms import terms, weight

PHRASE = 1.5
"""What a phrase of several words counts, where a word counts 1: it is hardly ever meant otherwise."""

MAX_WORDS = 4


Topics = Mapping[str, Sequence[str]]
"""The topics of each phrase, by its terms with a space between."""


@cache
def general_topics() -> Topics:
    """All phrases of `topics.txt`. Raises ValueError for a topic that stands there twice."""
    lines = (Path(__file__).parent / "topics.txt").read_text("utf-8").splitlines()
    listed = [line.partition(":") for line in lines if line and not line.startswith("#")]
    names = [name for name, _, _ in listed]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"`topics.txt` has a topic twice: {', '.join(sorted(twice))}")
    found: dict[str, list[str]] = {}
    for name, _, rest in listed:
        for phrase in dict.fromkeys(" ".join(terms(part)) for part in (name, *rest.split(","))):
            if phrase:
                found.setdefault(phrase, []).append(name)
    return found


def topics_of(text: Sequence[str], known: Topics) -> dict[str, float]:
    """How much each topic is spoken of in a text, given by its terms: the sum over the phrases found in it.

    Each phrase counts once; one of n topics counts 1 / sqrt(n) for each of them.
    """
    found: dict[str, float] = {}
    for phrase in sorted(_distinct(text)):
        if names := known.get(phrase):
            each = (PHRASE if " " in phrase else weight(phrase)) / sqrt(len(names))
            for name in names:
                found[name] = found.get(name, 0.0) + each
    return found


def _distinct(text: Sequence[str]) -> set[str]:
    return {
        " ".join(text[start : start + n_words])
        for n_words in range(1, MAX_WORDS + 1)
        for start in range(len(text) - n_words + 1)
    }
