"""The targets: what is done with one input, for each reader of ours.

A target raises nothing but errors of our own tree for whatever bytes it is given; those say what is wrong, and are
passed over here. Anything else that leaves it was found.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import itertools
import json
import shutil
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.documents.manifest import MARKER, parse_manifest
from orchestrator.documents.skill import load_skill
from orchestrator.documents.strategy import parse_strategy
from orchestrator.documents.workflow import load_workflow
from orchestrator.environments import frames, worker
from orchestrator.environments.session import open_session
from orchestrator.errors import CallError, OrchestratorError
from orchestrator.interfaces import show, status
from orchestrator.memory import experience, summary
from orchestrator.memory.log import Place, is_at_end, read_on
from orchestrator.memory.record import parsed
from orchestrator.memory.tallies import Counts
from orchestrator.runs import history, resuming
from orchestrator.runs.export import rlm_lines
from orchestrator.runs.journal import FILE_NAME, Journal, read_ends, read_journal
from orchestrator.runs.rehearsal import Rehearsal
from orchestrator.values import Cell, WorkerSpec
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Target = Callable[[bytes], None]

BETWEEN = b"\n\n"
"""Stands between the frames of one input: JSON needs no empty line."""


def frame_codec(_: Path) -> Target:
    """One frame as the parent gets it from a worker, and as a worker gets it; values that pass come back equal."""

    def special(key: str, fields: Any) -> Any:
        if key == "$error" and isinstance(fields, dict):
            return CallError(str(fields.get("message")))
        raise worker.BadFrame("a marker")

    def try_frame(data: bytes) -> None:
        with contextlib.suppress(worker.BadFrame):
            worker.piece_of(data[:4].ljust(4, b"\0"))
        for read in (frames.cell_done, frames.function_done, frames.script_done, frames.expression_done,
                     frames.readings, frames.failure):  # fmt: skip
            with contextlib.suppress(worker.BadFrame):
                read(worker.unpack(data, special))
        with contextlib.suppress(ValueError, RecursionError):
            _comes_back(json.loads(data))

    return try_frame


def _comes_back(value: Any) -> None:
    """Whether a value is the same on the other side, by either way out."""

    def refuse(key: str, fields: Any) -> Any:
        raise AssertionError(f"data was taken for a marker: {key} {fields!r:.80}")

    try:
        encodings = (worker.json_value(value), frames.wire(value))
        packed = [worker.pack({"kind": "x", "value": one}) for one in encodings]
    except TypeError:  # infinite, or too deep: said so
        return
    for data in packed:
        assert worker.unpack(data[4:], refuse)["value"] == value


def forged_frames(folder: Path) -> Target:
    """A worker that says hello and then sends whatever it likes, seen by a session of ours."""
    spec = WorkerSpec(scratch=folder, cwd=folder)
    hello = _framed(b'{"kind":"hello","v":1,"python":"3","pid":1}')

    async def serve(fn: str, arguments: dict[str, Any]) -> Any:
        if fn == "fail":
            raise CallError("no", partial=arguments)
        return arguments

    async def talk(data: bytes) -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        with theirs:
            theirs.send(hello + b"".join(_framed(body) for body in data[:60_000].split(BETWEEN)))
            theirs.shutdown(socket.SHUT_WR)
            session = await open_session(ours, _Leash(), spec)
            with contextlib.suppress(OrchestratorError):
                await session.cell(Cell(1, "1"), serve, 1.0)
            with contextlib.suppress(OrchestratorError):
                await session.script(frames.ScriptCall(["a"], None, folder), 1.0)
            await session.close()

    def try_frames(data: bytes) -> None:
        with contextlib.suppress(OrchestratorError):
            asyncio.run(talk(data))

    return try_frames


@dataclass(slots=True)
class _Leash:
    """Holds no process: all that this worker will ever say is sent already."""

    pid: int = 1
    patience_s: float = 1.0
    why: str = ""

    def kill(self) -> None:
        """Nothing runs."""

    async def wait(self) -> int:
        """It ended well."""
        return 0


def _framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def skill_md(folder: Path) -> Target:
    """A SKILL.md: always a skill, with no error."""
    path = folder / "demo" / "SKILL.md"
    path.parent.mkdir()

    def try_skill(data: bytes) -> None:
        path.write_bytes(data)
        skill = load_skill(path)
        assert skill.name
        assert {problem.severity for problem in skill.diagnostics} <= {"warning"}

    return try_skill


def manifest(folder: Path) -> Target:
    """A manifest.yaml, and the same bytes as the Python file that it names."""
    (folder / "other.py").write_text("def go(path: str, n: int = 1) -> dict[str, int]:\n    return {}\n")
    (folder / "steps.md").write_text("# Steps\n")

    def try_manifest(data: bytes) -> None:
        (folder / "skill.py").write_bytes(data)
        text = data.decode("utf-8", "replace")
        parse_manifest(text, folder)
        parse_manifest(f"schema: {MARKER}\n{text}", folder)
        parse_manifest(f"schema: {MARKER}\nfunctions: {{f: {{entry: {{python: 'skill.py:go'}}}}}}", folder)

    return try_manifest


def workflow(folder: Path) -> Target:
    """A workflow file, read leniently and strictly, and as a strategy."""
    path = folder / "flow.md"

    def try_workflow(data: bytes) -> None:
        path.write_bytes(data)
        for strict in (False, True):
            with contextlib.suppress(OrchestratorError):
                load_workflow(path, strict=strict)
        with contextlib.suppress(OrchestratorError, UnicodeDecodeError):
            parse_strategy(data.decode(), path)

    return try_workflow


def journal(folder: Path) -> Target:
    """A journal, read by all who do: commands that show it, sums, resuming, replaying, writing on."""
    run = Workspace(folder).runs / "20260101-000000-abcd"
    run.mkdir(parents=True)
    path = run / FILE_NAME
    readers: tuple[Callable[[], object], ...] = (
        lambda: list(read_journal(path)),
        lambda: list(read_journal(path, only=resuming.TOLD)),
        lambda: read_ends(path),
        lambda: _shown(folder, run.name),
        lambda: history.end_of_run(run),
        lambda: history.process_of(run),
        lambda: history.spent_of_run(run),
        lambda: list(rlm_lines(history.read_tree(run))),
        lambda: _went_on(resuming.read_record(run)),
        lambda: Rehearsal(run, run.name),
        lambda: _written_on(run),
    )

    def try_journal(data: bytes) -> None:
        path.write_bytes(data)
        for read in readers:
            with contextlib.suppress(OrchestratorError):
                read()

    return try_journal


def _shown(workspace: Path, run: str) -> None:
    """What `status` and `show` print; the list of runs has a line for whatever there is."""
    given = argparse.Namespace(workspace=str(workspace), run=None, json=False)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status.run(given)
        for as_json in (False, True):
            one = argparse.Namespace(workspace=str(workspace), run=run, json=as_json)
            for command in (status, show):
                with contextlib.suppress(OrchestratorError):
                    command.run(one)


def _went_on(record: resuming.Record) -> None:
    """What resuming asks of the outline of a run."""
    assert isinstance(record.inputs, dict)
    resuming.checked_answers(record, {}, [], [])
    resuming.checked_answers(record, {need["id"]: "retry" for need in record.open}, [], [], by_asker=True)


def _written_on(run: Path) -> None:
    """An event that is appended is the last one of whoever reads then."""
    with Journal(run, run.name) as writer:
        for call in ("", "0", "0.1"):
            writer.past.claims(call, writer.past.stage(call)).take("llm", "llm_query", "")
        written = writer.append("check", "0", name="n", passed=True)
    assert list(read_journal(run / FILE_NAME))[-1] == written


def usage_log(folder: Path) -> Target:
    """A usage record, counted and learned from, at once and in two sittings; and as the summary that is kept of it."""
    workspace = Workspace(folder)
    log = workspace.usage_log
    log.parent.mkdir(exist_ok=True)

    def counted(*stops: int) -> tuple[int, int]:
        counts, place = Counts(), Place()
        data = log.read_bytes()
        for stop in (*stops, len(data)):
            log.write_bytes(data[:stop])
            place = read_on(log, place, lambda line: counts.add(parsed(line)), lambda: None)
            is_at_end(log, place)
        counts.frozen({})
        return counts.n_records, counts.n_skipped

    def try_log(data: bytes) -> None:
        log.write_bytes(data)
        for kept in (folder / "skill-usage.json", *log.parent.glob("*.json")):
            kept.unlink(missing_ok=True)
        assert counted() == counted(len(data) // 2)
        with contextlib.suppress(OrchestratorError):
            summary.fold(workspace)
        experience.experience_of(workspace)
        (folder / "skill-usage.json").write_bytes(data)
        with contextlib.suppress(OrchestratorError):
            summary.fold(workspace)

    return try_log


TARGETS: dict[str, Callable[[Path], Target]] = {
    "frames": frame_codec,
    "session": forged_frames,
    "skill": skill_md,
    "manifest": manifest,
    "workflow": workflow,
    "journal": journal,
    "usage": usage_log,
}


@contextlib.contextmanager
def opened(name: str, folder: Path) -> Iterator[Target]:
    """A target that keeps its files in a folder of its own below `folder`, which goes in the end."""
    for number in itertools.count():
        own = folder / f"{name}-{number}"
        with contextlib.suppress(FileExistsError):
            own.mkdir(parents=True)
            break
    try:
        yield TARGETS[name](own)
    finally:
        shutil.rmtree(own, ignore_errors=True)
