"""`orchestrate review`: what the usage record says has changed, and what to do about it; proposals only."""

from __future__ import annotations

import gc
import importlib
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.app import open_catalog
from orchestrator.errors import UsageError
from orchestrator.interfaces.terminal import as_json, clean, plural, say, show
from orchestrator.memory.reviewing.finding import sentence
from orchestrator.memory.reviewing.page import QUIET, heartbeat
from orchestrator.runs.reviewing import FRESH, known_in, last_review, make_review, standing
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from orchestrator.runs.reviewing import Kept
    from orchestrator.workspace import Workspace

DESCRIPTION_TOKENS = 2000
"""What an answer of a model that thinks before it writes may take."""

ACTIONS = {"apply": "run_apply", "rollback": "run_rollback"}


def run(args: argparse.Namespace) -> int:
    """Review the record, or apply a proposal or take it back; the value is the exit code."""
    if args.action is not None:
        return _change(args)
    if args.json and args.heartbeat:
        raise UsageError("`--json` and `--heartbeat` are two forms of one answer", hint="take one of them")
    workspace = existing_workspace(args.workspace)
    if not workspace.usage_log.exists():
        return _nothing(args, workspace)
    gc.disable()  # nothing that reading a record makes is a cycle, and to look for some takes a sixth of the time
    now = datetime.now(UTC)
    if (
        args.heartbeat
        and args.since is None
        and (last := last_review(workspace, now))
        and now - last.end < FRESH
    ):
        proposed = standing(last, known_in(workspace, open_catalog(workspace)))
        for line in heartbeat(last.findings, proposed):
            show(clean(line))
        return 0
    kept = make_review(
        workspace, partial(open_catalog, workspace), args.since, now, partial(_described, workspace)
    )
    _tell(args, kept)
    return 0


def _described(workspace: Workspace, prompts: Sequence[str]) -> list[str | None]:
    """What the workspace's usual model answers. Few reviews ask, so what that takes is loaded then."""
    from orchestrator.backends import Backends

    return Backends(workspace).answers(prompts, DESCRIPTION_TOKENS)


def _change(args: argparse.Namespace) -> int:
    """Hand `apply ID` and `rollback ID` to the module that does them."""
    if args.action not in ACTIONS:
        close = get_close_matches(args.action, ACTIONS, n=1)
        hint = (
            f"did you mean `{close[0]}`? " * bool(close)
            + "without a word it reviews; else: apply ID, rollback ID"
        )
        raise UsageError(f"`orchestrate review` has no `{args.action}`", hint=hint)
    if args.id is None:
        raise UsageError(
            f"`orchestrate review {args.action}` needs the id of a proposal",
            hint="`orchestrate review` shows them",
        )
    module = importlib.import_module("orchestrator.interfaces.amending")  # who reviews needs none of it
    code: int = getattr(module, ACTIONS[args.action])(args)
    return code


def _nothing(args: argparse.Namespace, workspace: Workspace) -> int:
    """Say that there is no record; nothing is written."""
    if args.heartbeat:
        show(QUIET)
    elif args.json:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        show(as_json({"window": {"from": now, "to": now}, "findings": [], "proposals": []}))
    say(f"nothing recorded in `{clean(str(workspace.root))}`\nhint: `orchestrate WORKFLOW` makes a record")
    return 0


def _tell(args: argparse.Namespace, kept: Kept) -> None:
    if args.json:
        show(as_json(kept.value))
    else:
        for line in heartbeat(kept.findings, kept.proposals) if args.heartbeat else _lines(kept):
            show(clean(line))
    if kept.n_skipped:
        say(f"{plural(kept.n_skipped, 'line')} skipped: no records")
    if kept.path is not None and not args.heartbeat:
        say(f"the whole review: {clean(str(kept.path))}")
    if kept.trouble:
        say(f"warning: this review is not kept: {clean(kept.trouble)}")


def _lines(kept: Kept) -> Iterator[str]:
    span = kept.value["window"]
    rests = "" if kept.n_records is None else f", {plural(kept.n_records, 'record')} with the time before it"
    yield f"{span['from']} to {span['to']}{rests}"
    for one in kept.proposals:
        yield f"propose {one.id}: {one.action} {one.subject}"
        yield f"  {one.evidence.says}"
        yield f"  why: {one.why}; wrong if {one.refuted_by}"
        yield f"  orchestrate review apply {one.id}"
    for found in kept.findings:
        yield f"{found.subject} {sentence(found)}"
    if not kept.findings and not kept.proposals:
        yield "nothing to propose: no change that chance would hardly make"
