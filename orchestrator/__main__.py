"""`python -m orchestrator` and the `orchestrate` command."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; the value is the exit code."""
    from orchestrator.interfaces.cli import main as run_command_line

    return run_command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
