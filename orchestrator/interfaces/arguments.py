"""The command line's words: which commands there are and what each takes.

This module is loaded by `orchestrate --help`, so it knows the commands' modules by name only.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from orchestrator import __version__
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EXIT_CODES = (
    (0, "answered, and all checks passed"),
    (1, "no answer, or a check failed"),
    (2, "bad usage or an invalid file"),
    (3, "suspended: it waits for answers"),
    (4, "budget exhausted; a partial answer is printed"),
    (5, "denied by policy"),
    (69, "no model or environment available"),
    (130, "interrupted (143 by SIGTERM, 129 by a closed terminal)"),
)


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong, with the closest option where an unknown one was typed."""
        raise UsageError(message, hint=f"`{self.prog} --help` shows what it takes")


def build_parser() -> Parser:
    """The whole command line. A parsed command carries `module`, the one that runs it."""
    parser = Parser(
        prog="orchestrate",
        description="Run Markdown workflows over a workspace of agent skills.",
        epilog="`orchestrate WORKFLOW` is short for `orchestrate run WORKFLOW`.\n\nexit codes:\n"
        + "\n".join(f"  {code:3}  {meaning}" for code, meaning in EXIT_CODES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"orchestrate {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", parser_class=Parser)
    _add_run(commands)
    _add_again(commands)
    _add_documents(commands)
    _add_shown(commands)
    _add_record(commands)
    _add_workspace(commands)
    return parser


def command_names(parser: Parser) -> list[str]:
    """The commands, in the order of the help."""
    return list(subparsers(parser))


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands, by name."""
    for action in parser._actions:  # argparse has no public way to ask
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments, with the command found. Raises UsageError; leaves by SystemExit for --help and --version."""
    parser = build_parser()
    implicit = (
        bool(argv) and argv[0] not in command_names(parser) and argv[0] not in ("-h", "--help", "--version")
    )
    if implicit and argv[0] in _SAID_SHORT and not os.path.exists(argv[0]):
        raise UsageError(
            f"`orchestrate` has no command `{argv[0]}`",
            hint=f"did you mean `orchestrate {_SAID_SHORT[argv[0]]}`?",
        )
    args, extras = parser.parse_known_args(["run", *argv] if implicit else argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    if isinstance(getattr(args, "names", None), list) and not any(word.startswith("-") for word in extras):
        args.names += extras  # argparse takes no more of them once an option came between
        extras = []
    if extras:
        close = _close(argv[0], command_names(parser)) if implicit else None
        if close and not os.path.exists(argv[0]):
            raise UsageError(f"`orchestrate` has no command `{argv[0]}`", hint=f"did you mean `{close}`?")
        _refuse(subparsers(parser)[args.command], extras)
    args.implicit = implicit
    return args


_SAID_SHORT = {name: f"skills {name}" for name in ("audit", "test", "trust")} | dict.fromkeys(
    ("distrust", "revoke", "untrust"), "skills trust --revoke"
)
"""What people type for a command that is a word of another."""


def _refuse(parser: argparse.ArgumentParser, extras: Sequence[str]) -> NoReturn:
    word, equals, _ = extras[0].partition("=")
    is_option = word.startswith("-")
    options = {option.lstrip("-"): option for action in parser._actions for option in action.option_strings}
    hint = f"`{parser.prog} --help` shows what it takes"
    if is_option and (close := _close(word.lstrip("-"), options)):
        hint = f"did you mean `{options[close]}`?"
    elif equals and not is_option and "--input" in options.values():
        hint = f"did you mean `--input {extras[0]}`?"
    raise UsageError(
        f"`{parser.prog}` has no option `{word}`" if is_option else f"`{extras[0]}` is one word too many",
        hint=hint,
    )


def _close(word: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches  # only when something was mistyped

    return next(iter(get_close_matches(word, list(known), n=1)), None)


Commands = argparse._SubParsersAction  # [Parser] at run time argparse has it private


def _command(commands: Commands[Parser], name: str, module: str, summary: str) -> Parser:
    parser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(module=f"orchestrator.interfaces.{module}")
    return parser


def _executor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--executor",
        metavar="X",
        help="over which machines skills and recursive children are spread: ray, ray:HOST:PORT, local (this one)",
    )


def _in_workspace(parser: Parser, *, json: bool = True) -> None:
    parser.add_argument("--workspace", metavar="DIR", help="folder with skills/, memory/ or skill-usage.json")
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON instead of text")


ACCEPTED = "accept the price of many model calls at once, and the workspace's own skills as they are"


def _add_run(commands: Commands[Parser]) -> None:
    run = _command(commands, "run", "run", "run a workflow and print its answer")
    run.add_argument(
        "workflow", metavar="WORKFLOW", nargs="?", help="a Markdown file, or the name of a bundled workflow"
    )
    _run_choices(run)
    run.add_argument("--input-json", metavar="FILE", help="a JSON object of inputs; - is stdin")
    run.add_argument(
        "--detach", action="store_true", help="print the run's id and let it go on apart from this process"
    )
    run.add_argument(
        "--as", dest="run_id", metavar="RUN", help=argparse.SUPPRESS
    )  # for a program that has to know it before
    run.add_argument("--dry-run", action="store_true", help="say what would run, and run nothing")
    run.add_argument("--strict", action="store_true", help="treat warnings about the workflow as errors")
    _in_workspace(run)


def _run_choices(run: Parser) -> None:
    """What is chosen of a run, whoever begins it."""
    run.add_argument(
        "--input",
        metavar="k=v",
        nargs="+",
        action="extend",
        default=[],
        help="an input, read by its declared type",
    )
    run.add_argument(
        "--budget",
        metavar="k=v",
        nargs="+",
        action="extend",
        default=[],
        help="a limit: seconds=60, calls=100, usd=1",
    )
    run.add_argument(
        "--model",
        metavar="M",
        help="what writes cells: openai/NAME, an alias of orchestrate.toml, litellm:NAME, command:NAME, recorded:FILE, host (the agent that calls)",
    )
    run.add_argument("--sub-model", metavar="M", help="what answers llm_query (the same model)")
    run.add_argument("--strategy", metavar="S", help="the one strategy to try")
    run.add_argument(
        "--environment", metavar="E", help="where cells and skills run (see `orchestrate doctor`)"
    )
    _executor(run)
    run.add_argument("--yes", action="store_true", help=ACCEPTED)
    run.add_argument(
        "--frozen",
        action="store_true",
        help="ask nobody about trust and add nothing to skills.lock, as in CI",
    )


def _add_documents(commands: Commands[Parser]) -> None:
    check = _command(commands, "check", "check", "find every problem of workflows, skills and manifests")
    check.add_argument(
        "files", metavar="FILE", nargs="+", help="a workflow, SKILL.md, manifest.yaml or skill folder"
    )
    check.add_argument("--strict", action="store_true", help="treat warnings as errors")
    _in_workspace(check, json=False)
    skills = _command(
        commands,
        "skills",
        "skills",
        "list the skills that workflows can call; show, test, audit or trust one",
    )
    skills.add_argument(
        "action", nargs="?", default="list", metavar="list|show|test|trust|audit", help="what to do (list)"
    )
    skills.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="of skills; without one, `test` takes all that have examples, `audit` all that are not the package's",
    )
    skills.add_argument("--yes", action="store_true", help="trust without a question, whatever was found")
    skills.add_argument("--revoke", action="store_true", help="of `trust`: trust them no more")
    _in_workspace(skills)
    suggest = _command(
        commands,
        "suggest",
        "suggest",
        "rank the skills that fit a task, by what they are for and how they did",
    )
    suggest.add_argument("task", nargs="*", metavar="TASK", help="what is to be done; - is stdin")
    suggest.add_argument("-k", type=int, default=5, metavar="N", help="at most so many (5)")
    suggest.add_argument(
        "--hook",
        action="store_true",
        help="take a host's prompt as an event on stdin, and print what its hook may say",
    )
    _in_workspace(suggest)


def _add_again(commands: Commands[Parser]) -> None:
    resume = _command(
        commands, "resume", "resume", "go on with a run that crashed, was stopped, or waits for answers"
    )
    _run_word(resume)
    resume.add_argument("--answers", metavar="FILE", help="JSON: {need's id: answer}; - is stdin")
    resume.add_argument(
        "--approve", metavar="ID", nargs="+", action="extend", default=[], help="agree to what a need asks"
    )
    resume.add_argument(
        "--deny", metavar="ID", nargs="+", action="extend", default=[], help="do not agree to it"
    )
    resume.add_argument("--yes", action="store_true", help=ACCEPTED)
    _executor(resume)
    _in_workspace(resume)
    replay = _command(
        commands,
        "replay",
        "replay",
        "run a finished run's cells again, with no model and no skill, and compare",
    )
    _run_word(replay)
    _in_workspace(replay)
    stop = _command(commands, "stop", "stop", "stop runs that go on, with their state saved")
    stop.add_argument("run", metavar="RUN", nargs="?", help="a run id, or the start or end of one")
    stop.add_argument("--all", action="store_true", help="every run of the workspace")
    _in_workspace(stop)


def _run_word(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run id, the start or end of one, or `latest`")


def _add_shown(commands: Commands[Parser]) -> None:
    show = _command(
        commands, "show", "show", "show one run as a tree: cells, what they printed, calls, checks"
    )
    show.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        default="latest",
        help="a run id or the start or end of one (the newest)",
    )
    _in_workspace(show)
    view = _command(commands, "view", "view", "write a page of a run or of what was learned, or serve them")
    view.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        help="a run id or the start or end of one (the newest)",
    )
    view.add_argument("--out", metavar="FILE", help="where to write it (view.html in the run's folder)")
    view.add_argument("--learning", action="store_true", help="a page of what the workspace has learned")
    view.add_argument(
        "--serve", action="store_true", help="serve all pages to this machine, with what goes on right now"
    )
    view.add_argument("--port", metavar="N", type=int, help="of --serve (any that is free)")
    _in_workspace(view, json=False)
    status = _command(commands, "status", "status", "list the runs of a workspace, newest first")
    status.add_argument("run", metavar="RUN", nargs="?", help="one run only")
    _in_workspace(status)
    export = _command(commands, "export", "export", "write one run in the form of another program")
    export.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        default="latest",
        help="a run id or the start or end of one (the newest)",
    )
    export.add_argument(
        "--format", metavar="F", default="rlm", help="rlm: the log of the reference RLM (rlm)"
    )
    export.add_argument("--out", metavar="FILE", help="where to write it (stdout)")
    _in_workspace(export, json=False)


def _add_record(commands: Commands[Parser]) -> None:
    strategies = _command(
        commands, "strategies", "strategies", "show how strategies did, and why they stand in this order"
    )
    strategies.add_argument(
        "action", metavar="ACTION", nargs="?", default="list", help="list, show or forget (list)"
    )
    strategies.add_argument(
        "name", metavar="NAME", nargs="?", help="a strategy, as `learned:1a2b3c4d`; of `list`, a workflow"
    )
    strategies.add_argument("--workflow", metavar="W", help="in one workflow only")
    _in_workspace(strategies)
    usage = _command(commands, "usage", "usage", "show how skills, workflows and strategies did")
    _in_workspace(usage)
    bring = _command(
        commands,
        "import",
        "importing",
        "add uses of skills from Claude Code's transcripts and other tools' files to the record, once",
    )
    bring.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="a transcript (.jsonl) or a file of skill usage (.json, .jsonl)",
    )
    bring.add_argument("--dry-run", action="store_true", help="say what would be added, and add nothing")
    _in_workspace(bring)
    record = _command(
        commands, "record", "record", "record a host's own use of a skill: a hook's event on stdin"
    )
    _in_workspace(record, json=False)
    _add_review(commands)


def _add_review(commands: Commands[Parser]) -> None:
    review = _command(
        commands,
        "review",
        "review",
        "say what has changed in the usage record, and propose what to do about it",
    )
    review.add_argument(
        "action",
        metavar="apply|rollback",
        nargs="?",
        help="make a proposed change, or take it back (neither)",
    )
    review.add_argument("id", metavar="ID", nargs="?", help="a proposal's, as the review shows it")
    review.add_argument(
        "--since", metavar="7d", help="look at so long, or from a date (since the last review, else 7d)"
    )
    review.add_argument(
        "--heartbeat",
        action="store_true",
        help="print HEARTBEAT_OK, or at most ten lines that need attention",
    )
    review.add_argument(
        "--yes", action="store_true", help="of `apply` and `rollback`: do it without a question"
    )
    _in_workspace(review)


def _add_workspace(commands: Commands[Parser]) -> None:
    init = _command(commands, "init", "init", "make a workspace with a first skill and workflow")
    init.add_argument("folder", metavar="DIR", nargs="?", default=".", help="where (here)")
    doctor = _command(
        commands, "doctor", "doctor", "check this machine: Python, environments, programs, workspace"
    )
    doctor.add_argument(
        "--environment", metavar="E", help="try this one, as ssh:HOST, and fail where it does not work"
    )
    _in_workspace(doctor)
    _add_watch(commands)
    mcp = _command(commands, "mcp", "mcp", "serve runs and skills to a host over MCP, on stdin and stdout")
    _in_workspace(mcp, json=False)
    schedule = _command(
        commands, "schedule", "schedule", "print what has this machine review the usage record every week"
    )
    schedule.add_argument("action", metavar="print", nargs="?", default="print", help="it installs nothing")
    schedule.add_argument(
        "--for",
        dest="timer",
        metavar="TIMER",
        help="cron, systemd, launchd or openclaw (what this machine has is shown)",
    )
    schedule.add_argument(
        "--at", metavar="WHEN", default="mon 04:17", help='"mon 04:17", or "04:17" for every day (mon 04:17)'
    )
    _in_workspace(schedule)


def _add_watch(commands: Commands[Parser]) -> None:
    watch = _command(
        commands,
        "watch",
        "watch",
        "check skills and workflows as they change, or run a workflow for each file that arrives",
    )
    watch.add_argument(
        "workflow", metavar="WORKFLOW", nargs="?", help="what to run for each file (nothing: check)"
    )
    watch.add_argument(
        "--on", metavar="GLOB", help="the files, from the workspace, quoted: 'inbox/*', 'inbox/**/*.pdf'"
    )
    watch.add_argument("--once", action="store_true", help="take what is there now, and end")
    watch.add_argument("--jobs", type=int, metavar="N", help="at most so many runs at once (2)")
    watch.add_argument(
        "--in-a-row",
        type=int,
        metavar="N",
        help="stop after so many runs in a row, each on a file that the one before may have made (20)",
    )
    _run_choices(watch)
    _in_workspace(watch)
