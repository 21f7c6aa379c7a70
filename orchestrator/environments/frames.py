"""Requests to a worker and what it answers, as values.

What a worker sends is not trusted: a cell that looks for the stream can write to it. Each `done` frame is checked
piece by piece, and anything that is not as agreed raises BadFrame, which costs the worker its life.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.environments.worker import BadFrame, escaped
from orchestrator.errors import CallError, SkillError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text that goes to a worker as a file, which is never changed while workers live.

    It may stand anywhere in variables, arguments, or the value of a reply. A cell sees a `str` up to 64 MiB and a
    `Context` above. `n_bytes` from `offset` on are meant; `sha256` names the content of the whole file.
    """

    path: Path
    n_bytes: int
    sha256: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function of a Python file, and its arguments by name; `folder` comes first on `sys.path`."""

    file: Path
    name: str
    arguments: Mapping[str, Any]
    folder: Path


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """A program to run: `env` is added to the worker's own variables."""

    argv: Sequence[str]
    stdin: str | None
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Repeat:
    """What makes a request come out the same when it is made again."""

    seed: str  # of identifiers: os.urandom, secrets, uuid4, uuid1
    clock: Sequence[int] = ()  # readings of the clock to give again, in order, in ns since the epoch
    took: Callable[[list[int]], None] | None = (
        None  # is told new readings, before the call that came after them
    )


@dataclass(frozen=True, slots=True)
class Output:
    """What was printed: all of it when `n_chars` is head and tail; else the whole is in the file `path`, if any."""

    head: str = ""
    tail: str = ""
    n_chars: int = 0
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception of somebody's code. `traceback` holds their frames only; `line` is in the cell or file."""

    type: str
    message: str
    traceback: str = ""
    line: int | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class CellDone:
    """How a cell ended. `partial` is `answer["content"]` so far, None where there is none."""

    output: Output
    failure: Failure | None
    answered: bool
    answer: Any
    partial: Any


@dataclass(frozen=True, slots=True)
class FunctionDone:
    """How a function ended; `value` is None when it failed. `loaded`: its file could be imported and has it."""

    value: Any
    output: Output
    failure: Failure | None
    loaded: bool = True


@dataclass(frozen=True, slots=True)
class ScriptDone:
    """How a program ended: 127 when it could not be started, negative for a signal; `stderr` is its end only."""

    returncode: int
    stdout: str
    stderr: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class ExpressionDone:
    """What an expression came to: `value` where it is JSON, `shown` its shortened repr, `truth` its bool()."""

    value: Any
    shown: str
    truth: bool
    failure: Failure | None


def wire(value: Any) -> Any:
    """A copy that a frame can carry: a TextFile or CallError in it becomes its marker, look-alikes are escaped."""
    if isinstance(value, TextFile):
        return {
            "$text": {
                "path": str(value.path),
                "n_bytes": value.n_bytes,
                "sha256": value.sha256,
                "offset": value.offset,
            }
        }
    if isinstance(value, CallError):
        return {"$error": error_fields(value)}
    if isinstance(value, list | tuple):
        return [wire(item) for item in value]
    if isinstance(value, dict):
        copy = {key: wire(item) for key, item in value.items()}
        if len(copy) == 1:
            (key,) = copy
            if isinstance(key, str) and escaped(key):
                return {f"${key}": copy[key]}
        return copy
    return value


def error_fields(error: CallError) -> dict[str, Any]:
    """What a worker needs to raise the error again."""
    return {
        "type": "SkillError" if isinstance(error, SkillError) else "SubCallError",
        "message": str(error),
        "kind": error.kind,
        "retryable": error.retryable,
        "hint": error.hint,
        "partial": error.partial,
    }


def cell_done(frame: dict[str, Any]) -> CellDone:
    """Read the `done` frame of a cell."""
    return CellDone(
        output=_output(frame),
        failure=failure(frame),
        answered=part(frame, "answered", bool),
        answer=frame.get("answer"),
        partial=frame.get("partial"),
    )


def function_done(frame: dict[str, Any]) -> FunctionDone:
    """Read the `done` frame of a function."""
    return FunctionDone(
        value=frame.get("value"),
        output=_output(frame),
        failure=failure(frame),
        loaded=part(frame, "loaded", bool),
    )


def script_done(frame: dict[str, Any]) -> ScriptDone:
    """Read the `done` frame of a program."""
    return ScriptDone(
        returncode=part(frame, "returncode", int),
        stdout=part(frame, "stdout", str),
        stderr=part(frame, "stderr", str),
        truncated=part(frame, "truncated", bool),
    )


def expression_done(frame: dict[str, Any]) -> ExpressionDone:
    """Read the `done` frame of an expression."""
    return ExpressionDone(
        value=frame.get("value"),
        shown=part(frame, "shown", str),
        truth=part(frame, "truth", bool),
        failure=failure(frame),
    )


def failure(frame: dict[str, Any]) -> Failure | None:
    """The `failure` of a `done` frame."""
    fields = frame.get("failure")
    if fields is None:
        return None
    if not isinstance(fields, dict):
        raise BadFrame("a `failure` that is no object")
    line = fields.get("line")
    return Failure(
        type=part(fields, "type", str),
        message=part(fields, "message", str),
        traceback=part(fields, "traceback", str),
        line=line if isinstance(line, int) else None,
        hint=part(fields, "hint", str),
    )


def readings(frame: dict[str, Any]) -> list[int]:
    """New readings of the clock in a `call` or `done` frame, in ns."""
    fields = part(frame, "clock", list) if "clock" in frame else []
    if not all(type(ns) is int and abs(ns) < 1 << 63 for ns in fields):
        raise BadFrame("a reading of the clock that is none")
    return fields


def part(frame: dict[str, Any], name: str, kind: type[T]) -> T:
    """A part of a frame. Raises BadFrame when it is missing or of another type."""
    value = frame.get(name)
    if type(value) is not kind:
        raise BadFrame(f"a frame whose `{name}` is {type(value).__name__} and not {kind.__name__}")
    return value


def _output(frame: dict[str, Any]) -> Output:
    fields = part(frame, "output", dict)
    path = fields.get("path")
    return Output(
        head=part(fields, "head", str),
        tail=part(fields, "tail", str),
        n_chars=part(fields, "n_chars", int),
        path=path if isinstance(path, str) else None,
    )
