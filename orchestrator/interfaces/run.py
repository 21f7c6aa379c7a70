"""`orchestrate run`: run a workflow, show what goes on, print its answer."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from orchestrator.app import DEFAULT_ENVIRONMENT, RunRequest, find_workflow, plan
from orchestrator.environments.confined import Confined
from orchestrator.errors import UsageError
from orchestrator.interfaces.arguments import build_parser, command_names
from orchestrator.interfaces.asking import asked_inputs
from orchestrator.interfaces.given import read_object
from orchestrator.interfaces.outcome import print_plan, say_warnings
from orchestrator.interfaces.running import run_planned
from orchestrator.interfaces.terminal import clean, say, somebody_is_there
from orchestrator.interfaces.trusting import asked_trust
from orchestrator.runs.trusting import denied
from orchestrator.workspace import expanded_path

if TYPE_CHECKING:
    import argparse

RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


def run(args: argparse.Namespace) -> int:
    """Run a workflow; the value is the exit code."""
    request = _request(args)
    if not args.dry_run and not args.detach and (request.environment or DEFAULT_ENVIRONMENT) == Confined.name:
        Confined.warm()  # it starts while the workflow is read, which takes about as long
    if args.workspace and not (new := expanded_path(args.workspace).absolute()).exists():
        say(f"warning: there is no folder `{clean(str(new))}` yet: it is made when the run writes its record")
    planned = plan(request)
    if not (args.dry_run or args.frozen) and asked_trust(planned):
        planned = plan(request)
    say_warnings(planned.warnings)
    if args.dry_run:
        if planned.missing:
            raise UsageError(
                f"inputs that nobody gave: {', '.join(planned.missing)}",
                hint="give them as `--input name=value`",
            )
        print_plan(planned, as_object=args.json)
        if planned.distrusted:
            raise denied(planned.distrusted)
        return 0
    if planned.missing and somebody_is_there():
        typed = {**request.typed, **asked_inputs(planned)}
        planned = plan(replace(request, typed=typed))
    if args.detach and not planned.distrusted:
        from orchestrator.interfaces.detaching import detach

        return detach(planned, as_object=args.json)
    return run_planned(planned, as_object=args.json)


def _request(args: argparse.Namespace) -> RunRequest:
    typed, budget, word = pairs(args)
    if word is None:
        raise UsageError(
            "no workflow was named", hint="orchestrate WORKFLOW.md, or `orchestrate init` to make one"
        )
    if args.run_id is not None and not RUN_ID.fullmatch(args.run_id):
        raise UsageError(f"`--as {args.run_id}` is no run's id", hint="leave it out: a run finds its own")
    path = Path(word)
    if args.implicit and not find_workflow(path, args.workspace).exists():
        _neither_command_nor_file(word)
    return RunRequest(
        workflow=path,
        inputs=read_object("--input-json", args.input_json, '{"days": 7}') if args.input_json else {},
        typed=typed,
        workspace=args.workspace,
        model=args.model,
        sub_model=args.sub_model,
        strategy=args.strategy,
        environment=args.environment,
        executor=args.executor,
        budget=budget,
        strict=args.strict,
        accepts_prices=args.yes,
        vouching="frozen" if args.frozen else "yes" if args.yes else "none",
        run=args.run_id,
    )


def pairs(args: argparse.Namespace) -> tuple[dict[str, str], dict[str, str], str | None]:
    """Inputs, limits and the workflow.

    `--input a=1 b=2` takes several words, and so also a workflow that follows it: that is the last one without `=`.
    """
    inputs, limits, word = list(args.input), list(args.budget), args.workflow
    for words in (inputs, limits):
        if word is None and words and "=" not in words[-1]:
            word = words.pop()
    return _split("--input", inputs), _split("--budget", limits), word


def _split(option: str, words: list[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(
                f"`{option} {word}` is no name=value",
                hint=f"write {option} name=value, quoted if it has spaces",
            )
        pairs[name] = value
    return pairs


def _neither_command_nor_file(word: str) -> NoReturn:
    known = command_names(build_parser())
    files = [str(path) for path in (*Path().glob("*.md"), *Path().glob("workflows/*.md"))]
    by_stem = {Path(file).stem: file for file in files} | {file: file for file in files}
    close = [f"`orchestrate {name}`" for name in get_close_matches(word, known, n=1)]
    close += [f"`{by_stem[name]}`" for name in get_close_matches(word, by_stem, n=1)]
    raise UsageError(
        f"`{word}` is neither a command nor a file",
        hint=f"did you mean {' or '.join(close)}?" if close else f"the commands are: {', '.join(known)}",
    )
