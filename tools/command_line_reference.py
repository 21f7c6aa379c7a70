"""Writes docs/reference/command-line.md from the parser; with --check, says whether it is up to date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.interfaces.arguments import EXIT_CODES, build_parser, subparsers

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command-line.md"

INTRODUCTION = """\
# Command line

<!-- Written by `make docs` from the parser. Change orchestrator/interfaces/arguments.py instead. -->

```
orchestrate WORKFLOW [OPTIONS]        the same as `orchestrate run WORKFLOW [OPTIONS]`
orchestrate COMMAND [OPTIONS]
```

The answer goes to stdout; everything else goes to stderr. `NO_COLOR` is honoured, and nothing is coloured or redrawn
where the output is no terminal. The workspace is `--workspace`, else the nearest folder above the workflow (else above the
working directory) that has `skills/`, `memory/` or `skill-usage.json`, else the working directory.
"""


def main() -> int:
    """Write or check the page; the value is the exit code."""
    page = "\n".join(_page()) + "\n"
    if "--check" not in sys.argv[1:]:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    print(
        f"error: {PAGE.relative_to(Path.cwd())} is not what the parser says\nhint: run `make docs`",
        file=sys.stderr,
    )
    return 1


def _page() -> Iterator[str]:
    yield INTRODUCTION
    yield from ("## Exit codes", "", "| code | meaning |", "|---|---|")
    yield from (f"| {code} | {meaning} |" for code, meaning in EXIT_CODES)
    for name, parser in subparsers(build_parser()).items():
        yield from _command(name, parser)


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    words = [_times(action) for action in actions if not action.option_strings]
    yield from ("", f"## orchestrate {name}", "", parser.description or "", "")
    yield from ("```", f"orchestrate {' '.join([name, *words])} [OPTIONS]", "```", "")
    yield from ("| argument | meaning |", "|---|---|")
    for action in actions:
        value = f" {_times(action)}" if action.option_strings and action.nargs != 0 else ""
        shown = f"{', '.join(action.option_strings)}{value}" if action.option_strings else str(action.metavar)
        yield f"| `{shown.replace('|', chr(92) + '|')}` | {action.help} |"


def _times(action: argparse.Action) -> str:
    """The value's name, marked as a usage line marks what may be left out or repeated."""
    forms = {"?": "[{0}]", "*": "[{0} ...]", "+": "{0} [{0} ...]"}
    return forms.get(str(action.nargs), "{0}").format(action.metavar)


if __name__ == "__main__":
    sys.exit(main())
