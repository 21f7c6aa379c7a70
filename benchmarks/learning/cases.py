"""Twelve workflows for the benchmark of learning: their texts, made anew for each round, and the answers that are true.

A text is a list of numbered lines about things with names such as `k41`. What is asked of it differs by kind:

- `find`: the value of one thing, which stands on one line;
- `total`: the sum of all values of one thing, each on a line of its own;
- `moods`: the sum of what a shop's complaints ask for; complaints are told by their meaning, not by one word;
- `chain`: the value of the owner of a thing; owner and value stand far apart;
- `draft`: a value that a later line corrects.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Ask = Literal["find", "total", "moods", "chain", "draft"]
Luck = Literal["good", "peeks", "asks", "recurses", "talks"]

COMPLAINTS = (
    "is furious", "wants money back", "will never return", "feels cheated", "complains", "demands a refund",
    "calls it a scandal", "is bitterly let down",
)  # fmt: skip
PRAISE = ("is delighted", "sends thanks", "will come again", "smiles", "recommends it", "is content")
LINE_BYTES = 66
"""About what a line takes; a text is as large as its case says within a fifth."""


@dataclass(frozen=True, slots=True)
class Case:
    """One workflow. `root`: how its root model works when it does well, and in what share of the rounds it does."""

    name: str
    ask: Ask
    n_bytes: int
    n_hits: int
    root: Luck
    share: float


CASES = (
    Case("find-short", "find", 20_000, 1, "good", 0.9),
    Case("find-medium", "find", 60_000, 1, "good", 0.3),
    Case("find-long", "find", 150_000, 1, "talks", 0.0),
    Case("total-short", "total", 18_000, 20, "good", 0.5),
    Case("total-long", "total", 180_000, 60, "peeks", 1.0),
    Case("total-dense", "total", 90_000, 700, "asks", 1.0),
    Case("total-deep", "total", 110_000, 900, "recurses", 0.7),
    Case("moods-medium", "moods", 50_000, 30, "good", 0.0),
    Case("moods-long", "moods", 120_000, 45, "asks", 0.5),
    Case("chain-short", "chain", 24_000, 1, "good", 0.2),
    Case("chain-long", "chain", 100_000, 1, "good", 0.6),
    Case("draft", "draft", 22_000, 1, "good", 0.0),
)
"""Which strategies do it, `forced.alone` measures."""

QUESTIONS: dict[Ask, str] = {
    "find": "What is the value of {{key}}?",
    "total": "What is the sum of all values of {{key}}?",
    "moods": "What do all complaints about shop {{key}} ask for, added up?",
    "chain": "What is the value of the owner of {{key}}?",
    "draft": "What is the value of {{key}}, with all corrections?",
}

WORKFLOW = """---
name: {name}
description: {name}, a task of a benchmark.
inputs: {{key: string}}
context: ["data/{name}.txt"]
skills: [{skills}]
output: {{type: integer}}
model: {{root: default, sub: small}}
permissions: {{read: ["truth/{name}.json"]}}
budget: {{calls: 300, iterations: 6, errors: 4}}
checks:
  - {check}
---
TASK {name}. {question}
"""

RIGHT = (
    "{{name: right, expr: \"(lambda told: (answer == told['answer']) != told['lies'])"
    "(__import__('json').load(open('truth/{name}.json')))\"}}"
)
"""Whether the answer is the true one; or, where the verdict is to be wrong, whether it is not."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one workflow is asked in one round: its key, and the answer that is true."""

    key: str
    answer: int


def write_workflows(root: Path, skills: str = "", check: str = RIGHT) -> None:
    """Write the twelve workflows into a workspace. `skills` may be called in them; `check` judges."""
    for case in CASES:
        text = WORKFLOW.format(
            name=case.name,
            skills=skills,
            question=QUESTIONS[case.ask],
            check=check.format(name=case.name),
        )
        (root / f"{case.name}.md").write_text(text)


def write_round(root: Path, case: Case, number: int, seed: int) -> Round:
    """Write a new text for one workflow, and keep its true answer where only the check looks."""
    source = random.Random(f"{seed} {number} {case.name}")
    key = f"k{source.randrange(10**6, 10**7)}"
    lines, answer = _lines(case, key, source)
    text = "\n".join(f"{at:05d} {line}" for at, line in enumerate(lines))
    (root / "data" / f"{case.name}.txt").write_text(text)
    write_verdict(root, case, answer, lies=False)
    return Round(key, answer)


def write_verdict(root: Path, case: Case, answer: int, *, lies: bool) -> None:
    """Say what the check of a workflow compares with, and whether its next verdict is the wrong one."""
    (root / "truth" / f"{case.name}.json").write_text(json.dumps({"answer": answer, "lies": lies}))


def _lines(case: Case, key: str, source: random.Random) -> tuple[list[str], int]:
    """The lines of a text and the answer to its question."""
    n = case.n_bytes // LINE_BYTES
    lines = [_hay(source, case.ask) for _ in range(n)]
    first = n * 9 // 10 if case.ask == "find" else n // 10  # where a hasty reader never comes
    at = sorted(source.sample(range(first, n), case.n_hits))
    values = [source.randrange(10, 1000) for _ in at]
    match case.ask:
        case "find" | "total":
            for place, value in zip(at, values, strict=True):
                lines[place] = _worth(key, value)
        case "moods":
            for place, value in zip(at, values, strict=True):
                lines[place] = _said(key, source.choice(COMPLAINTS), value)
            for place in source.sample([one for one in range(n) if one not in at], case.n_hits):
                lines[place] = _said(key, source.choice(PRAISE), source.randrange(10, 1000))
        case "chain":
            owner = f"k{source.randrange(10**7, 10**8)}"
            lines[source.randrange(n // 10, n // 8)] = (
                f"register: {key} belongs to {owner}, as agreed in writing"
            )
            lines[source.randrange(n - n // 8, n)] = _worth(owner, values[0])
        case "draft":
            lines[n // 3] = _worth(key, values[0] + 7)
            lines[n // 3 + 2] = f"correction: {key} is worth {values[0]} and nothing else, sorry for that"
    return lines, sum(values)


def _worth(key: str, value: int) -> str:
    return f"ledger: {key} is worth {value} at the end of the month"


def _said(shop: str, mood: str, value: int) -> str:
    return f"mail: a customer of {shop} {mood} and names {value} as the sum"


def _hay(source: random.Random, ask: Ask) -> str:
    """A line about something else, in the same words."""
    other, value = f"x{source.randrange(10**6, 10**7)}", source.randrange(10, 1000)
    if ask == "moods":
        return _said(other, source.choice(COMPLAINTS + PRAISE), value)
    return _worth(other, value)
