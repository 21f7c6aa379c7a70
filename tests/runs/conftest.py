"""A workspace with small real skills, and a way to run a workflow in it."""

from __future__ import annotations

import asyncio
import json
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator import app
from tests.ray_nodes import ray_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.runs.journal import Event
    from orchestrator.values import RunResult
    from tests.ray_nodes import Nodes

MATHS = """
from pathlib import Path


def double(n: int) -> dict:
    return {"n": 2 * n}


def count_down(ctx, n: int) -> dict:
    return {"steps": 0 if n == 0 else 1 + ctx.skills.maths.count_down(n=n - 1)["steps"]}


def again(ctx, n: int) -> dict:
    return ctx.skills.maths.again(n=n)


def broken_output(n: int) -> dict:
    return {"n": "many"}


def raises(n: int) -> dict:
    raise ValueError(f"no {n} today")


def sleeps(n: int) -> dict:
    while True:
        pass


def note(path: str) -> dict:
    with open(path, "a", encoding="utf-8") as file:
        file.write("x")
    return {"n": 1}


def dies_once(path: str) -> dict:
    import os

    if not Path(path).exists():
        Path(path).write_text("x", encoding="utf-8")
        os._exit(9)
    return {"n": 1}


def calls_greet(ctx, n: int) -> str:
    return ctx.skills.greet.run("hello.sh", str(n))


def calls_secret(ctx, n: int) -> str:
    return ctx.skills.secret(n=n)
"""

NUMBER = "{type: object, required: [n], properties: {n: {type: integer}}, additionalProperties: false}"
A_PATH = "{type: object, required: [path], properties: {path: {type: string, format: path}}}"


def _function(name: str, given: str = NUMBER, **fields: Any) -> str:
    lines = [f"  {name}:", f'    entry: {{python: "maths.py:{name}"}}', f"    input: {given}"]
    defaults = {"output": NUMBER, "effects": "none", **fields}
    return "\n".join(lines + [f"    {key}: {value}" for key, value in defaults.items() if value is not None])


MANIFEST = "\n".join(
    [
        "schema: orchestrate.skill/1",
        "functions:",
        _function("double"),
        _function("count_down", output=None),
        _function("again"),
        _function("broken_output"),
        _function("raises"),
        _function("sleeps", timeout_s=0.3),
        _function("note", A_PATH, effects="write"),
        _function("dies_once", A_PATH, effects="write", idempotent="true"),
        "  dies_for_good:",
        '    entry: {python: "maths.py:dies_once"}',
        f"    input: {A_PATH}",
        "    effects: write",
        _function("calls_greet", output=None),
        _function("calls_secret", output=None),
        "  tripled:",
        "    entry: {workflow: tripled.md}",
        f"    input: {NUMBER}",
        "default: double",
        "uses: [greet]",
        "permissions: {write: ['out/**']}",
        "examples:",
        "  - {input: {n: 2}, output: {n: 4}}",
        "  - {input: {n: 3}, output: {n: 7}}",
        "",
    ]
)

TRIPLED = """---
name: tripled
inputs: {n: integer}
skills: [maths]
output: {type: object, required: [n]}
---
```repl
FINAL({"n": skills.maths.double(n=inputs["n"])["n"] + inputs["n"]})
```
"""

FILES = {
    "skills/maths/SKILL.md": "---\nname: maths\ndescription: Arithmetic.\n---\n# Maths\n",
    "skills/maths/manifest.yaml": MANIFEST,
    "skills/maths/maths.py": MATHS,
    "skills/maths/tripled.md": TRIPLED,
    "skills/greet/SKILL.md": "---\nname: greet\ndescription: Says hello.\n---\nBe kind.\n",
    "skills/greet/hello.sh": '#!/bin/bash\necho "hello $1"\n',
    "skills/greet/facts.py": (
        "import argparse, json, os\nparser = argparse.ArgumentParser()\nparser.add_argument('--n', type=int, default=1)\n"
        "parser.add_argument('--loud', action='store_true')\nargs = parser.parse_args()\n"
        "print(json.dumps({'n': args.n, 'loud': args.loud, 'dir': os.environ['SKILL_DIR']}))\n"
    ),
    "skills/greet/fails.py": "import sys\nprint('half')\nsys.exit('it is too late')\n",
    "skills/greet/add.mjs": "console.log(JSON.stringify({sum: 1 + Number(process.argv[2])}))\n",
    "skills/secret/SKILL.md": "---\nname: secret\ndescription: Not for everyone.\n---\n",
    "skills/secret/manifest.yaml": (
        'schema: orchestrate.skill/1\nfunctions:\n  tell: {entry: {python: "s.py:tell"}, effects: none}\ndefault: tell\n'
    ),
    "skills/secret/s.py": "def tell(n: int) -> str:\n    return 'secret'\n",
    "notes/a.txt": "one two three",
    "notes/b.txt": "four",
}


@dataclass
class Place:
    """A workspace in a folder of the test."""

    root: Path
    events: list[Event] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def plan(self, *cells: str, head: str = "", **request: Any) -> app.Plan:
        body = "\n\n".join(f"```repl\n{textwrap.dedent(cell).strip()}\n```" for cell in cells)
        path = self.write("w.md", "")
        path.write_text(f"---\nname: w\n{textwrap.dedent(head).strip()}\n---\n{body}\n", encoding="utf-8")
        return app.plan(app.RunRequest(path, workspace=self.root, **request))

    def run(self, *cells: str, head: str = "", ask: Any = None, **request: Any) -> RunResult:
        """Run cells as a workflow; events are kept."""
        self.events.clear()
        return asyncio.run(
            app.execute(self.plan(*cells, head=head, **request), listen=self.events.append, person=ask)
        )

    def script(self, *replies: dict[str, Any], name: str = "script.json") -> str:
        """The name of a model that answers from these replies, in order where they do not say what they fit."""
        self.write(name, "")
        (self.root / name).write_text(json.dumps({"replies": list(replies)}), encoding="utf-8")
        return f"recorded:{self.root / name}"

    def solve(
        self, *replies: dict[str, Any], head: str = "", body: str = "Do it.", **request: Any
    ) -> RunResult:
        """Run a workflow without cells; the model that writes them answers from `replies`."""
        self.events.clear()
        path = self.write("w.md", "")
        path.write_text(f"---\nname: w\n{textwrap.dedent(head).strip()}\n---\n{body}\n", encoding="utf-8")
        request = {"model": self.script(*replies), **request}
        return self.execute(app.plan(app.RunRequest(path, workspace=self.root, **request)))

    def resume(self, run: str = "latest", **given: Any) -> RunResult:
        """Go on with a run as a process that did not ask its questions; events are kept."""
        self.events.clear()
        planned = app.plan_resume(app.ResumeRequest(run, self.root, **given))
        return self.execute(planned) if isinstance(planned, app.Plan) else planned

    def journal(self, run: str) -> Path:
        return self.root / "memory/runs" / run / "journal.jsonl"

    def cut(self, run: str, n: int) -> None:
        """Leave a run with its first n events, as a process does that was killed then."""
        path = self.journal(run)
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:n]))

    def execute(self, planned: app.Plan) -> RunResult:
        """Run what was planned; events are kept."""
        return asyncio.run(app.execute(planned, listen=self.events.append))

    def calls(self, kind: str) -> list[dict[str, Any]]:
        """Fields of `call_finished` of all calls of a kind, in the order of their ends, with their call ids."""
        kinds = {event.call: event.fields["kind"] for event in self.events if event.event == "call_started"}
        return [
            {"call": event.call, **event.fields}
            for event in self.events
            if event.event == "call_finished" and kinds.get(event.call) == kind
        ]

    def shown_to_root(self, call: str = "0") -> list[str]:
        """What the model of a recursive call was told in each of its turns."""
        return [
            event.fields["messages"][-1]["content"]
            for event in self.events
            if event.event == "iteration" and event.call == call and "messages" in event.fields
        ]

    def observed(self, number: int) -> str:
        """What a cell of the last run showed."""
        return next(
            event.fields["output"]
            for event in self.events
            if event.event == "cell_finished" and event.fields["cell"] == number
        )

    def usage(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.root / "memory/usage.jsonl").read_text().splitlines()]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    made = Place((tmp_path / "work").resolve())
    for name, text in FILES.items():
        made.write(name, "")
        (made.root / name).write_text(text, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A cluster of two nodes for the tests of one module."""
    with ray_nodes(2) as started:
        yield started
