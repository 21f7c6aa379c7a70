"""`orchestrate schedule`: a line or unit that has this machine start the review on time. It is printed, never installed."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.interfaces.terminal import as_json, clean, columns, say, show, table
from orchestrator.interfaces.timetables import TIMETABLES, Job, moment, path_of, refuse_unwritable
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse

OWN_LOCK = ("systemd", "launchd")
"""They never start a job that still runs."""


def run(args: argparse.Namespace) -> int:
    """Print a schedule, or what this machine has; the value is the exit code."""
    if args.action != "print":
        raise UsageError(
            f"`orchestrate schedule` has no `{clean(args.action)}`", hint="it has: print; it installs nothing"
        )
    if args.timer is None:
        return _show_timers(as_object=args.json)
    if args.timer not in TIMETABLES:
        close = difflib.get_close_matches(args.timer, TIMETABLES, n=1)
        raise UsageError(
            f"no timer named `{clean(args.timer)}` ({len(TIMETABLES)} known: {', '.join(TIMETABLES)})",
            hint=f"did you mean `{close[0]}`?" if close else "orchestrate schedule print shows what is here",
        )
    found = TIMETABLES[args.timer](_job(args))
    if args.json:
        show(as_json({"for": args.timer, "text": found.text, "install": found.install}))
        return 0
    show(found.text.removesuffix("\n"))
    for line in found.install:
        say(line)
    return 0


def _job(args: argparse.Namespace) -> Job:
    workspace = str(existing_workspace(args.workspace).root)
    refuse_unwritable([workspace, sys.executable])
    current = os.environ.get("PATH", "")
    return Job(
        workspace=workspace,
        python=sys.executable,
        path=path_of(current, [one for one in current.split(":") if Path(one).is_dir()]),
        at=moment(args.at),
        flock=None if args.timer in OWN_LOCK else shutil.which("flock"),
    )


def _show_timers(*, as_object: bool) -> int:
    here = _timers()
    choice = next((name for name in ("launchd", "systemd", "cron", "openclaw") if not here[name]), None)
    if as_object:
        show(
            as_json(
                {
                    "timers": {name: {"here": not why, "why": why} for name, why in here.items()},
                    "choice": choice,
                }
            )
        )
        return 0
    rows = [
        [name, "no" if why else "yes", why or f"orchestrate schedule print --for {name}"]
        for name, why in here.items()
    ]
    for line in table(["TIMER", "HERE", ""], rows, width=columns(sys.stdout)):
        show(line)
    if choice:
        say(f"hint: `orchestrate schedule print --for {choice}`: a weekly review, to be installed by you")
    else:
        say("hint: no timer is here; `orchestrate review` can be run by hand")
    return 0


def _timers() -> dict[str, str]:
    """Why each timer can't be used here; empty where it can."""
    return {
        "cron": "" if shutil.which("crontab") else "there is no `crontab`",
        "systemd": "" if Path("/run/systemd/system").is_dir() else "systemd does not run this machine",
        "launchd": "" if sys.platform == "darwin" else "it is part of macOS",
        "openclaw": "" if shutil.which("openclaw") else "there is no `openclaw`",
    }
