"""The terms of a text: its words without case, endings and what carries no meaning, in order.

The stemmer takes one ending off, the longest that leaves a stem with a vowel; it is much smaller than Porter's ("An
algorithm for suffix stripping", 1980) and errs on the side of keeping words apart.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

WEAK = 0.6
"""What a word counts that everybody uses in passing; others count 1."""

_HERE = Path(__file__).parent
_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])")
_VOWEL = re.compile("[aeiouy]")

# What takes the place of each ending.
_ENDINGS = {
    ending: kept
    for kept, endings in {
        "": "izations ization isation fulness ousness iveness ements ement ments ment nesses ness ability ibility "
        "ities ity ables able ible ances ance ences ence izers izer iser izing ising ized ised izes ises ize ise "
        "fully ful ously ous ively ives ive ions ion ers er ors or ingly ings ing edly ed ly es s e",
        "at": "ational ations ation ators ator ating ated ates ate",
        "ic": "ically ical",
        "al": "ally",
        "y": "ies ied",
    }.items()
    for ending in endings.split()
}
_LONGEST = max(map(len, _ENDINGS))

# Words that would fall together with others of another meaning, or apart from their own.
_IRREGULAR = {
    word: stem
    for stem, words in {
        "analy": "analysis analyses analyze analyzes analyzed analyzing analyse analysed analysing analytics analytical analyst analysts",
        "customer": "customer customers",
        "container": "container containers containerize containerized",
        "server": "server servers",
        "letter": "letter letters",
        "summar": "summary summaries",
        "writ": "wrote written",
        "send": "sent",
        "build": "built",
        "buy": "bought",
        "memory": "memory memories",
        "general": "general generally",
        "univers": "university universities",
    }.items()
    for word in words.split()
}


def words(text: str) -> list[str]:
    """The words of a text without case; what is written as camelCase or with underscores falls into its parts."""
    return [word.casefold() for word in _WORD.findall(_CAMEL.sub(" ", text))]


def terms(text: str) -> list[str]:
    """The terms of a text in order, with repetitions; common words are left out."""
    common = _common()[0]
    return [stem(word) for word in words(text) if word not in common]


def weak_terms() -> frozenset[str]:
    """The terms of words that everybody uses in passing."""
    return _common()[1]


def weight(term: str) -> float:
    """How much a term says of what a text is about."""
    return WEAK if term in _common()[1] or len(term) < 2 else 1.0


@cache
def stem(word: str) -> str:
    """The word without its ending."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 3 or not (word.isascii() and word.isalpha()) or word.endswith(("ss", "us", "is")):
        return word
    for length in range(min(_LONGEST, len(word)), 0, -1):
        kept = _ENDINGS.get(word[-length:])
        if kept is not None:
            base = word[:-length] + kept
            if len(base) >= (3 if length < 5 else 4) and _VOWEL.search(base):
                return _tidy(base)
    return word


def _tidy(base: str) -> str:
    """Stems that differ by spelling only, made the same: `planned` and `plan`, `policies` and `policy`."""
    if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "aeioulsz":
        base = base[:-1]
    if len(base) > 5 and base.endswith("at"):
        base = base[:-2]
    return base[:-1] + "y" if len(base) > 4 and base.endswith("i") else base


@cache
def _common() -> tuple[frozenset[str], frozenset[str]]:
    """Words to leave out, and stems of those that count for little."""
    passed_over, weak = (
        " ".join(line for line in part.splitlines() if not line.startswith("#")).split()
        for part in (_HERE / "common.txt").read_text("utf-8").split("\n\n")
    )
    return frozenset(passed_over), frozenset(stem(word) for word in weak)
