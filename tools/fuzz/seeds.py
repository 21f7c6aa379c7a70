"""Seeds: what the readers read in this repository, and what was found before (`tests/tools/found/<target>/`)."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import orchestrator
from fuzz.targets import BETWEEN
from orchestrator.runs.journal import FILE_NAME
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[2]
FOUND = ROOT / "tests" / "tools" / "found"
EXAMPLE = ROOT / "examples" / "many-notes"
MAX_BYTES = 64 * 1024
N_LINES = 12

_OUTPUT = {"head": "a\n", "tail": "", "n_chars": 2, "path": None}
_FAILURE = {"type": "E", "message": "m", "traceback": "t", "line": 1, "hint": "h"}
FRAMES = (
    {"kind": "hello", "v": 1, "python": "3.11.7", "pid": 5},
    {"kind": "fault", "reason": "no"},
    {"kind": "call", "id": 1, "fn": "llm_query", "arguments": {"prompt": "q"}, "line": 2, "clock": [1, 2]},
    {"kind": "call", "id": 2, "fn": "fail", "arguments": {}, "line": 0},
    {"kind": "note", "fn": "log", "arguments": {"text": "t"}},
    {"kind": "waiting", "id": 1, "is": True},
    {"kind": "file", "name": ".frame-" + "0" * 24},
    {"kind": "done", "id": 1, "output": _OUTPUT, "failure": None, "answered": True, "answer": {"a": [1]}, "partial": None},
    {"kind": "done", "id": 1, "output": _OUTPUT, "failure": _FAILURE, "value": None, "loaded": True, "clock": []},
    {"kind": "done", "id": 2, "returncode": 0, "stdout": "o", "stderr": "", "truncated": False, "late": False},
    {"kind": "done", "id": 1, "failure": None, "value": 1.5, "shown": "1.5", "truth": True},
    {"kind": "x", "value": {"$text": {"path": "/a", "n_bytes": 1, "sha256": "0", "offset": 0}, "$$error": {"$error": 1}}},
    {"kind": "x", "value": {"$text": {"path": "/a", "n_bytes": 1, "sha256": "0", "offset": 0}}},
)  # fmt: skip


def seeds(target: str) -> list[bytes]:
    """The seeds of a target, each once, none longer than `MAX_BYTES`."""
    made = {
        "frames": _frames, "session": _talks, "skill": _skills, "manifest": _manifests, "workflow": _workflows,
        "journal": _journals, "usage": _usage,
    }[target]()  # fmt: skip
    return list(dict.fromkeys(one for one in (*made, *found(target)) if 0 < len(one) <= MAX_BYTES))


def found(target: str) -> list[bytes]:
    """Inputs that broke the target once, oldest name first."""
    return [path.read_bytes() for path in sorted((FOUND / target).glob("*"))]


def _frames() -> list[bytes]:
    return [json.dumps(frame, separators=(",", ":")).encode() for frame in FRAMES]


def _talks() -> list[bytes]:
    bodies = _frames()
    return [*bodies, BETWEEN.join(bodies[2:8]), BETWEEN.join([*bodies[7:8], *bodies[9:10]])]


def _skills() -> Iterator[bytes]:
    return _read("skills/*/SKILL.md", "examples/downloaded-skills/*/SKILL.md")


def _manifests() -> Iterator[bytes]:
    return _read("skills/*/manifest.yaml", "examples/*/*/manifest.yaml", "skills/*/*.py")


def _workflows() -> Iterator[bytes]:
    return _read(
        "workflows/*.md", "examples/*/workflow.md", "orchestrator/strategies/built_in/*.md", "README.md"
    )


def _read(*patterns: str) -> Iterator[bytes]:
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            yield path.read_bytes()


def _journals() -> Iterator[bytes]:
    """Beginnings of a run's journal, and each kind of its events behind the first."""
    journal, _ = _records()
    first = journal[0]
    yield from (b"".join(journal[:stop]) for stop in range(1, len(journal), N_LINES))
    yield b"".join([first, *journal[-3:]])
    kinds = {json.loads(line)["event"]: line for line in journal}
    yield from (first + line for line in kinds.values())
    yield from (first + json.dumps({**_HEAD, **event}).encode() + b"\n" for event in _RARE)


def _usage() -> Iterator[bytes]:
    _, usage = _records()
    yield b"".join(usage)
    yield from usage
    yield from _read("examples/*/skill-usage.json", "skill-usage.json")


_HEAD = {"v": 1, "seq": 1, "at": "2026-01-01T00:00:00.000000Z", "run": "r", "call": "0"}
_NEED = {"id": "a1b2c3d4", "kind": "approval", "call": "0", "prompt": "p"}
_RARE: tuple[dict[str, object], ...] = (
    {"event": "suspended", "needs": [_NEED, {**_NEED, "id": "b", "kind": "input", "name": "n"}], "usage": {"seconds": 1.0}},
    {"event": "resumed", "answers": {"a1b2c3d4": True}, "process": {"pid": 1}},
    {"event": "diverged", "cell": 1, "line": 2, "message": "m"},
    {"event": "noted", "fn": "clock", "value": [1]},
    {"event": "request", "tokens_in": 5, "usd": 0.1},
    {"event": "call_finished", "value": {"$blob": "0" * 64, "n_bytes": 20000}, "outcome": "ok"},
)  # fmt: skip


def _records() -> tuple[list[bytes], list[bytes]]:
    """The lines of the journal and of the usage record that a run of an example leaves."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(shutil.copytree(EXAMPLE, Path(folder, "example")))
        shutil.rmtree(root / "memory", ignore_errors=True)
        result = orchestrator.run(
            root / "workflow.md",
            workspace=root,
            model=f"recorded:{root / 'recorded.yaml'}",
            environment="process",
        )
        workspace = Workspace(root)
        journal = workspace.runs / result.run / FILE_NAME
        return _lines(journal), _lines(workspace.usage_log)


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def keep(folder: Path, inputs: Iterable[bytes]) -> None:
    """Write inputs as files of a corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(inputs):
        (folder / f"seed-{number:03d}").write_bytes(data)
