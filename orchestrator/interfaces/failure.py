"""What a command says when it ends badly: always on stderr, never a traceback."""

from __future__ import annotations

import os
import tempfile
import traceback
from pathlib import Path

from orchestrator.errors import DocumentError, InputError, OrchestratorError
from orchestrator.interfaces.terminal import clean, say


def report(error: OrchestratorError) -> int:
    """Print an error with its hint, or all problems that it carries; the value is the exit code."""
    if isinstance(error, DocumentError | InputError):
        for problem in error.problems:
            say(clean(f"error: {problem}" if problem.severity == "error" else str(problem)))
        return error.exit_code
    say(f"error: {clean(str(error))}")
    if error.hint:
        say(f"hint: {clean(error.hint)}")
    return error.exit_code


def report_os_error(error: OSError) -> int:
    """Print what the system refused; the value is the exit code."""
    name = error.filename if isinstance(error.filename, str | bytes) else str(error.filename)
    where = "" if error.filename is None else f" `{clean(os.fsdecode(name))}`"
    say(f"error: the system refused{where}: {_reason(error)}")
    say("hint: look at the rights and the free space there, or choose another workspace with --workspace DIR")
    return 2


def report_closed_stdout() -> int:
    """Print that no answer can be printed; the value is the exit code."""
    say("error: stdout is closed, so there is nowhere to print to")
    say("hint: `>/dev/null` drops what is printed")
    return 1


def report_lost_answer(error: OSError) -> int:
    """Print that the answer could not be written; the value is the exit code."""
    say(f"error: the answer could not be written to stdout: {_reason(error)}")
    say("hint: it is in the run's record: `orchestrate show`")
    return 1


def _reason(error: OSError) -> str:
    """What the system says, or whoever raised the error in its place; at least what kind of error it is."""
    return clean(error.strerror or str(error) or type(error).__name__)


def report_bug(error: BaseException) -> int:
    """Print what an unexpected exception was and where its traceback is; the value is the exit code."""
    text = "".join(traceback.format_exception(error))
    say(f"error: orchestrate itself failed: {type(error).__name__}: {clean(str(error))[:500]}")
    if os.environ.get("ORCHESTRATE_DEBUG"):
        say(clean(text))
    elif path := _kept(text):
        say(f"hint: please report it with `{path}`, which holds the traceback")
    else:
        say("hint: run it again with ORCHESTRATE_DEBUG=1 and report the traceback that it prints")
    return 1


def _kept(text: str) -> Path | None:
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix="orchestrate-",
            suffix=".traceback.txt",
            delete=False,
            encoding="utf-8",
            errors="backslashreplace",
        ) as file:
            file.write(text)
    except OSError:
        return None
    return Path(file.name)
