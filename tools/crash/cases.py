"""The workflows that are killed: each is one way in which a run meets the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GAVE_UP = "FINAL('a worker was lost')"
"""What the model does when it is shown something that its script does not know."""


@dataclass(frozen=True, slots=True)
class Case:
    """A workflow. `turns` are the cells that its model writes for a task, by a text that only that task holds."""

    name: str
    cells: Sequence[str]
    head: str = ""
    body: str = "Do it."
    turns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    model: str = ""  # default: the loopback server's; `host`: whoever runs the case
    latency_s: float = 0.02

    @property
    def text(self) -> str:
        """The workflow's file."""
        blocks = "\n\n".join(f"```repl\n{cell.strip()}\n```" for cell in self.cells)
        grants = 'permissions: {read: ["out/**"], write: ["out/**"]}'
        return f"---\nname: {self.name}\n{self.head.strip()}\n{grants}\n---\n# {self.name}\n\n{self.body}\n\n{blocks}\n"

    @property
    def words(self) -> list[str]:
        """The command line that runs it."""
        model = ["--model", self.model] if self.model else []
        return ["run", "workflow.md", "--workspace", ".", "--json", *model]

    def reply(self, messages: Sequence[tuple[str, str]], *, is_root: bool) -> str:
        """What the model answers: the same for the same messages, whenever it is asked."""
        last = messages[-1][1]
        if not is_root:
            return f"re: {last[:60]}"
        task = messages[1][1]
        turns = next((cells for mark, cells in self.turns.items() if mark in task), ())
        n = sum(role == "assistant" for role, _ in messages)
        cell = turns[n] if n < len(turns) and "The cell was ended" not in last else GAVE_UP
        return f"So.\n```repl\n{cell.strip()}\n```"


WRITTEN = Case(
    "written",
    (
        """
import random, uuid
first = [skills.maths(n=n)["n"] for n in range(4)]
token, values = uuid.uuid4().hex, [random.randrange(10**9) for _ in range(4)]
skills.ledger.append(key="token", note=token)
""",
        """
import concurrent.futures as futures
def keep(pair):
    return skills.ledger.append(key=f"thread-{pair[0]}", note=str(pair[1]))["written"]
with futures.ThreadPoolExecutor(4) as pool:
    kept = list(pool.map(keep, enumerate(values)))
    doubled = list(pool.map(lambda n: skills.maths(n=n)["n"], range(10, 14)))
""",
        """
import datetime, os, time
stamp, moment = repr(time.time()), datetime.datetime.now().isoformat()
skills.ledger.append(key="stamp", note=stamp)
time.sleep(0.01)
skills.ledger.append(key="moment", note=moment)
mapped = [one["n"] for one in skills.maths.map([{"n": n} for n in range(20, 23)])]
noise = os.urandom(4).hex()
skills.ledger.put(key="noise", note=noise)
""",
        """
told = dict(line.split(" ", 1) for line in skills.ledger.lines()["lines"])
same = [told["token"] == token, told["stamp"] == stamp, told["moment"] == moment]
same += [told[f"thread-{n}"] == str(value) for n, value in enumerate(values)]
FINAL({"first": first, "kept": kept, "doubled": doubled, "mapped": mapped, "same": same})
""",
    ),
    "skills: [ledger, maths]",
)

NESTED = Case(
    "nested",
    (
        'a = skills.publish.entry(name="a")\nb = skills.publish.plain(name="b")',
        """
c = skills.ledger.run("scripts/append.py", key="c")
both = skills.publish.entry.map([{"name": "d"}, {"name": "e"}])
""",
        'FINAL({"a": a, "b": b, "c": c, "both": both})',
    ),
    "skills: [publish, ledger]",
)

BATCHED = Case(
    "batched",
    (
        'one = llm_query("first?")\nmany = llm_query_batched([f"question {n}?" for n in range(6)])',
        'again = llm_query_batched([f"about {text}" for text in many[:4]])\nskills.ledger.append(key="asked")',
        'FINAL({"one": one, "many": many, "again": again, "last": llm_query("last?")})',
    ),
    "skills: [ledger]\nbudget: {concurrency: 4}",
    model="default",
)

CHILD = (
    """
x = llm_query(f"child {context}?")
n = skills.maths(n=context)["n"]
""",
    """
line = skills.ledger.append(key=f"child-{context}", note=x)["written"]
FINAL({"x": x, "n": n, "line": line})
""",
)
RECURSIVE = Case(
    "recursive",
    (),
    "skills: [ledger, maths]\nbudget: {depth: 3}",
    "The outer task.",
    {
        "The outer task.": (
            'children = rlm_query_batched([f"Task child {n}." for n in range(3)], contexts=list(range(3)))',
            'asked = llm_query_batched([f"sum of {one}" for one in children])\nskills.ledger.append(key="root")',
            'FINAL({"children": children, "asked": asked})',
        ),
        "Task child": CHILD,
    },
    model="default",
)

HOST = Case(
    "host",
    (),
    "skills: [ledger, maths]\nbudget: {depth: 3}",
    "The hosted task.",
    {
        "The hosted task.": (
            'many = llm_query_batched([f"question {n}?" for n in range(3)])\nskills.ledger.append(key="root")',
            'child = rlm_query("Task child 7.", context=7)\nFINAL({"many": many, "child": child})',
        ),
        "Task child": CHILD,
    },
    model="host",
)

APPROVED = Case(
    "approved",
    (
        """
skills.ledger.append(key="first")
try:
    skills.ledger.append(key="first")
    refused = ""
except SkillError as error:
    refused = str(error)
agreed = approve("Go on?", ["all"])
""",
        'FINAL({"right": False, "agreed": agreed, "refused": refused})',
    ),
    """
skills: [ledger, maths]
strategies: [written, rlm]
approvals: ["skill:ledger.append"]
checks:
  - {name: right, expr: "answer['right']"}
""",
    "The checked task.",
    {
        "The checked task.": (
            'x = llm_query("second?")\nskills.ledger.append(key="second", note=x)',
            'FINAL({"right": True, "x": x, "n": skills.maths(n=4)["n"]})',
        )
    },
    model="default",
)

CASES = {case.name: case for case in (WRITTEN, NESTED, BATCHED, RECURSIVE, HOST, APPROVED)}
