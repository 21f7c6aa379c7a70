"""`python -P -m crash.runner SEQ MOMENT WHO WORDS...` is `orchestrate WORDS...`, which dies at an event of its journal.

The product is as it is: only the write of the one event is watched.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from crash.processes import kill_below
from orchestrator.interfaces.cli import main as run_command_line
from orchestrator.runs.journal import Journal

if TYPE_CHECKING:
    from crash.kills import Moment, Who


def main() -> int:
    """Run the command line; the value is the exit code, where it is lived to see."""
    seq, moment, who, *words = sys.argv[1:]
    die_at(int(seq), moment, who)  # type: ignore[arg-type]  # the keeper's words
    return run_command_line(words)


def die_at(seq: int, moment: Moment, who: Who) -> None:
    """Let this process die when it writes the event of this number."""
    write = Journal._write  # the one place that every event passes

    def watched(journal: Journal, line: bytes) -> None:
        if journal._seq != seq or line == b"\n":
            write(journal, line)
            return
        if moment != "before":
            write(journal, line if moment == "after" else line[: len(line) // 2])
        die(who)

    Journal._write = watched  # type: ignore[method-assign, assignment]


def die(who: Who) -> NoReturn:
    """Kill -9 this process, with all below it where it is not to die alone."""
    if who == "all":
        kill_below(os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody lives after that")


if __name__ == "__main__":
    sys.exit(main())
