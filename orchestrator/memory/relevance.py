"""How well texts fit a query, by the words they share: BM25.

Score of a text D for a query Q, as in Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and
Beyond" (2009), section 3.4, with the logarithm kept from going below zero as Apache Lucene does:

    sum over words q of Q:  idf(q) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * |D| / average |D|))
    idf(q) = ln(1 + (N - n + 0.5) / (n + 0.5))        N texts, n of them with q; tf = how often q is in D
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

K1 = 1.2
B = 0.75


def scores(query: str, texts: Sequence[str]) -> list[float]:
    """The score of each text; 0 where it shares no word with the query."""
    asked = set(words(query))
    counts = [Counter(words(text)) for text in texts]
    lengths = [count.total() for count in counts]
    average = sum(lengths) / len(lengths) if lengths else 0.0
    n_with = {word: sum(word in count for count in counts) for word in asked}
    idf = {word: math.log(1 + (len(texts) - n + 0.5) / (n + 0.5)) for word, n in n_with.items()}
    return [
        sum(idf[word] * _saturated(count[word], length / average) for word in sorted(asked) if word in count)
        for count, length in zip(counts, lengths, strict=True)
    ]


def words(text: str) -> list[str]:
    """The words of a text, without case. An underscore parts words, as in a file's name."""
    return re.findall(r"[^\W_]+", text.casefold())


def _saturated(n_times: int, relative_length: float) -> float:
    return n_times * (K1 + 1) / (n_times + K1 * (1 - B + B * relative_length))
