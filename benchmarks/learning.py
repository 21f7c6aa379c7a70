"""What learning is worth: twelve workflows over many rounds, with a scripted model that fails where models fail.

    python benchmarks/learning.py [--rounds 30] [--seeds 1]

The model is served on loopback. As a reader it notices only the first `READ_CHARS` of the material in a prompt, and counts
no more than `COUNTS` things right; so one prompt is too long, a selection too small, or a part too large, as the kind of
task has it. As a root it writes good cells for some kinds, wrong ones for others, and for some now and then. Each round has
other data and another key. The checks compare with the true answer, and lie for a share of all answers; success is
what the benchmark itself finds. Runs are real ones in a workspace of their own, one after the other.

Ablations replace one function of the product in this process: the situation by an empty one, the distilling by nothing,
the ranking's shrinkage by none.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from report import report

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from model_server import Answer, ModelServer, Seen

import orchestrator
from orchestrator.memory import experience
from orchestrator.memory.ranking import Ranker, Tuning
from orchestrator.runs import learning

READ_CHARS = 12_000
COUNTS = 25
USD_IN, USD_OUT = 1.0, 4.0  # for a million tokens

Rows = list[list[object]]


@dataclass(frozen=True)
class Kind:
    """A kind of task. `root`: the share of rounds in which the root model's cells are right."""

    name: str
    n_lines: int
    n_hits: int
    root: float


KINDS = (
    Kind("find-short", 60, 1, 0.9),
    Kind("find-long", 900, 1, 0.2),
    Kind("total-short", 80, 20, 0.9),
    Kind("total-long", 900, 60, 0.2),
    Kind("total-dense", 1200, 900, 0.2),
    Kind("talks", 50, 1, 0.0),
)
"""A search and sums, in texts that one prompt holds and in such that it does not; `talks`: a root that never answers."""

FILES_OF = [(kind, twin) for kind in KINDS for twin in "ab"]

WORKFLOW = """---
name: {name}
description: A scripted task.
inputs: {{key: string}}
context: [data/{name}.txt]
skills: []
permissions: {{read: ["truth/**"]}}
output: {{type: integer}}
budget: {{calls: 200, iterations: 4}}
checks:
  - {{name: right, expr: "(lambda t: (answer == t['answer']) != t['lies'][answer % 97])(__import__('json').load(open('truth/{name}.json')))"}}
---
KIND {kind}. What is the sum of the values of {{{{key}}}}?
"""

CELL = "FINAL(sum(int(line.split()[-1]) for line in next(iter(context.values())).splitlines() if inputs['key'] in line))"
WRONG = "lines = next(iter(context.values())).splitlines()\nFINAL(sum(int(line.split()[-1]) for line in lines[:9] if inputs['key'] in line) - 1)"


def policy(seen: Seen) -> Answer:
    """What the model says."""
    text = "\n".join(message for _, message in seen.messages)
    if seen.is_root:
        return Answer(_root(text))
    task, _, material = seen.last.partition("\n# ")
    keys = re.findall(r"values of (\w+)", task)
    key = keys[-1] if keys else "nothing"
    if "regular expressions" in task:
        return Answer(json.dumps({"patterns": [key]}))
    if (
        "mistakes" in task
        and "examined" not in task
        and seen.schema
        and "mistakes" in json.dumps(seen.schema)
    ):
        return Answer('{"mistakes": []}')
    total, n_found = _read(re.escape(key), material[:READ_CHARS])
    if "write NOTHING" in task or "Condense" in task:
        return Answer(f"{key} has the sum {total}" if n_found else "NOTHING")
    if seen.schema and "found" in json.dumps(seen.schema):
        return Answer(json.dumps({"found": n_found > 0, "answer": total}))
    return Answer(str(total))


def _read(key: str, shown: str) -> tuple[int, int]:
    """The sum that a reader finds, and of how many values: of many it forgets some."""
    noted = [int(n) for n in re.findall(rf"{key} has the sum (-?\d+)", shown)]
    noted += [int(n) for n in re.findall(r"^(-?\d+)$", shown, re.MULTILINE)]  # of sections
    values = [int(n) for n in re.findall(rf"{key} is worth (\d+)", shown)]
    if len(values) > COUNTS:
        values = values[:COUNTS]
    return sum(values) + sum(noted), len(values) + len(noted)


def _root(text: str) -> str:
    """A root's reply: of a recursive call below, good cells; of the root itself, as its kind and luck have it."""
    kind = next(one for one in KINDS if f"KIND {one.name}." in text)
    if "You have section" in text:
        return "I add up.\n```repl\nimport re\nkey = re.search(r'values of (\\w+)', task)[1]\n" + (
            "FINAL(str(sum(int(line.split()[-1]) for line in context.splitlines() if key in line)))\n```"
        )
    if kind.name == "talks":
        return "I would have to think about this."
    luck = random.Random(re.findall(r"values of (\w+)", text)[0]).random()
    return f"I add up.\n```repl\n{CELL if luck < kind.root else WRONG}\n```"


@dataclass
class Tried:
    """What came of the runs of one side."""

    right: list[bool] = field(default_factory=list)
    first: list[bool] = field(default_factory=list)  # the first attempt was the last
    calls: list[int] = field(default_factory=list)
    usd: list[float] = field(default_factory=list)
    root_tokens: list[int] = field(default_factory=list)
    learned: list[bool] = field(default_factory=list)

    def row(self, begin: int, end: int) -> list[object]:
        """Means over the runs from one to another."""
        parts = [self.right, self.first, self.calls, self.usd, self.root_tokens, self.learned]
        n = len(self.right[begin:end])
        right, first, calls, usd, root, learned = (sum(part[begin:end]) / n for part in parts)
        return [
            f"{right:.3f}",
            f"{first:.3f}",
            f"{calls:.1f}",
            f"{1000 * usd:.2f}",
            f"{root:,.0f}",
            f"{learned:.2f}",
        ]


@dataclass(frozen=True)
class Side:
    """A way to run: its name, how often checks lie, whether it learns, and what is taken away."""

    name: str
    lies: float
    learns: bool = True
    without: str = ""


def write_round(root: Path, number: int, seed: int, lies: float) -> dict[str, tuple[str, int]]:
    """New data for every workflow; its key and the true answer."""
    found = {}
    for kind, twin in FILES_OF:
        name = f"{kind.name}-{twin}"
        source = random.Random(f"{seed} {number} {name}")
        key = f"k{source.randrange(10**6)}"
        hits = set(source.sample(range(kind.n_lines), kind.n_hits))
        lines, answer = [], 0
        for at in range(kind.n_lines):
            value = source.randrange(1, 1000)
            lines.append(
                f"line {at}: {key if at in hits else f'x{source.randrange(10**6)}'} is worth {value}"
            )
            answer += value if at in hits else 0
        (root / "data" / f"{name}.txt").write_text("\n".join(lines))
        told = {"answer": answer, "lies": [source.random() < lies for _ in range(97)]}
        (root / "truth" / f"{name}.json").write_text(json.dumps(told))
        found[name] = key, answer
    return found


def measured(side: Side, url: str, n_rounds: int, seed: int, server: ModelServer) -> Tried:
    """All rounds of one side."""
    tried = Tried()
    with tempfile.TemporaryDirectory() as folder, taken_away(side.without):
        root = Path(folder)
        for name in ("data", "truth", "memory"):
            (root / name).mkdir()
        for kind, twin in FILES_OF:
            name = f"{kind.name}-{twin}"
            (root / f"{name}.md").write_text(WORKFLOW.format(name=name, kind=kind.name))
        (root / "orchestrate.toml").write_text(
            f'[learning]\nenabled = {str(side.learns).lower()}\n[models.default]\nmodel = "openai/scripted"\n'
            f'api_base = "{url}/v1"\nkey_env = "BENCH_KEY"\nwindow = 32000\nusd_in = {USD_IN}\nusd_out = {USD_OUT}\n'
        )
        for number in range(n_rounds):
            for name, (key, answer) in write_round(root, number, seed, side.lies).items():
                server.requests.clear()
                result = orchestrator.run(root / f"{name}.md", inputs={"key": key}, workspace=root)
                _note(tried, result, answer, server)
    return tried


def _note(tried: Tried, result: orchestrator.RunResult, answer: int, server: ModelServer) -> None:
    tried.right.append(result.status == "answered" and result.answer == answer)
    tried.first.append(result.status == "answered" and len(result.attempts) == 1)
    tried.calls.append(result.usage.calls)
    tried.usd.append(result.usage.usd)
    tried.root_tokens.append(sum(seen.n_prompt_bytes // 4 for seen in server.requests if seen.is_root))
    tried.learned.append((result.strategy or "").startswith("learned:"))


@contextlib.contextmanager
def taken_away(what: str) -> Iterator[None]:
    """Without one part of learning, as long as the section lasts."""
    kept = learning.situation_of, learning.Learning._distil, experience.Ranker

    async def nothing(*_: Any) -> None:
        return None

    def unshrunk(arms: Any, seed: int | None = None, **_: Any) -> Ranker:
        return Ranker(arms, seed, tuning=Tuning(shrinkage=0.0))

    unshrunk.from_dict = Ranker.from_dict  # type: ignore[attr-defined]
    try:
        if what == "context":
            learning.situation_of = lambda _: {}
        elif what == "distil":
            learning.Learning._distil = nothing  # type: ignore[method-assign]
        elif what == "shrinkage":
            experience.Ranker = unshrunk  # type: ignore[misc,assignment]
        yield
    finally:
        learning.situation_of, learning.Learning._distil, experience.Ranker = kept  # type: ignore[method-assign,misc]


SIDES = (
    Side("no learning, checks right", 0.0, learns=False),
    Side("learning, checks right", 0.0),
    Side("no learning, 5 % wrong verdicts", 0.05, learns=False),
    Side("learning, 5 % wrong verdicts", 0.05),
    Side("learning without distilling, 5 %", 0.05, without="distil"),
    Side("learning without context, 5 %", 0.05, without="context"),
    Side("learning without shrinkage, 5 %", 0.05, without="shrinkage"),
    Side("no learning, 20 % wrong verdicts", 0.2, learns=False),
    Side("learning, 20 % wrong verdicts", 0.2),
)


def main() -> None:
    """Run all sides and print one table."""
    parser = argparse.ArgumentParser(description="Measure what learning is worth.")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    os.environ["BENCH_KEY"] = "sk-test"
    rows: Rows = []
    n = len(FILES_OF)
    with ModelServer(policy, check_keys=False) as server:
        for side in SIDES:
            for seed in range(args.seeds):
                tried = measured(side, server.url, args.rounds, seed, server)
                spans = {"all": (0, args.rounds), "last 5": (args.rounds - 5, args.rounds)}
                for span, (begin, end) in spans.items():
                    rows.append([side.name, seed, span, *tried.row(begin * n, end * n)])
            print(rows[-2], rows[-1], file=sys.stderr, flush=True)
    columns = [
        "side", "seed", "rounds", "right", "right at first try", "requests a run", "$ for 1,000 runs",
        "root prompt tokens a run", "answered by a learned program",
    ]  # fmt: skip
    notes = f"{len(FILES_OF)} workflows, {args.rounds} rounds. `right`: the answer is the true one, whatever the check said."
    report("Learning: twelve workflows over many rounds", columns, rows, notes)


Policy = Callable[[Seen], Answer]

if __name__ == "__main__":
    main()
