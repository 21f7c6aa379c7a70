"""The `orchestrate` command: finds the command's module, runs it, and turns every end into an exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from orchestrator.errors import OrchestratorError
from orchestrator.interfaces.arguments import parse
from orchestrator.interfaces.terminal import hush, lose_what_stderr_refuses

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run one command; the value is its exit code."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 - it is open until this process ends
    lose_what_stderr_refuses()
    if sys.stdout is None:
        from orchestrator.interfaces.failure import report_closed_stdout

        return report_closed_stdout()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold what no encoding has
    try:
        code = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        hush()
        return 128 + signal.SIGPIPE
    except OSError as error:  # the disk that stdout leads to is full
        from orchestrator.interfaces.failure import report_lost_answer

        hush()
        return report_lost_answer(error)
    return code


def _run(argv: Sequence[str]) -> int:
    try:
        args = parse(argv)
        code: int = importlib.import_module(args.module).run(args)
    except SystemExit as leaving:  # argparse printed help or the version
        return leaving.code if isinstance(leaving.code, int) else 0
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        raise
    except OrchestratorError as error:
        from orchestrator.interfaces.failure import report

        return report(error)
    except OSError as error:
        from orchestrator.interfaces.failure import report_os_error

        return report_os_error(error)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a person never sees a bare traceback
        from orchestrator.interfaces.failure import report_bug

        return report_bug(error)
    return code
