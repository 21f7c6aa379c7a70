"""`orchestrate watch WORKFLOW --on GLOB`: runs a workflow once for each file that arrives.

Each run is a process of its own, of whose id the record of arrivals knows before it begins. So whatever is killed, the
next watcher finds the run: it waits for one that goes on, goes on with one that died, and begins none a second time.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.app import run_id
from orchestrator.catalog.watching import Stamp, is_on_the_way, stamp_of
from orchestrator.errors import UsageError
from orchestrator.interfaces.detaching import OUTPUT
from orchestrator.interfaces.feeding import Feeding
from orchestrator.interfaces.following import COMMAND
from orchestrator.interfaces.ordering import PLACE, Order, order_of
from orchestrator.interfaces.terminal import clean, one_line, plural, say, show
from orchestrator.memory.arrivals import N_TRIES, REFUSED, Arrival, Arrivals
from orchestrator.runs.history import process_of, result_of_run, run_info
from orchestrator.runs.journal import FILE_NAME, is_alive
from orchestrator.runs.past import RESUMABLE
from orchestrator.runs.permissions import writable, write_patterns

if TYPE_CHECKING:
    import argparse

    from orchestrator.interfaces.file_events import Hints

SETTLE_S = 0.5
"""A file has arrived once its size, times and inode have stayed for so long."""

BUSY_S = 0.1
"""How often it is looked while a file settles or a run goes on."""

MERCY_S = 1.8
"""How long a run may take to stop; its own mercy for its workers is shorter (`stopping`)."""

_ENDS = {ord("\n"): "\\n"}
"""So that a file's name can't tell of another file's run."""


@dataclass(slots=True)
class Going:
    """A run that goes on. `process` is ours; None of one that an earlier watcher began."""

    arrival: Arrival
    process: subprocess.Popen[bytes] | None


@dataclass(slots=True)
class Desk:
    """What lies on the table of a watcher, made and read by it alone."""

    arrivals: Arrivals
    waiting: list[Arrival] = field(default_factory=list)
    going: list[Going] = field(default_factory=list)
    settling: dict[Path, tuple[Stamp, float]] = field(default_factory=dict)  # since when it is so
    arrived: dict[Path, Stamp] = field(default_factory=dict)
    feeding: Feeding = field(default_factory=Feeding)


def run_on_files(args: argparse.Namespace, hints: Hints) -> int:
    """Run the workflow on each file until it is told to stop; the value is the exit code.

    With `--once`, on those that are there now: 1 where one of the runs gave no good answer.
    """
    order = order_of(args)
    desk = Desk(Arrivals(order.workspace.memory, order.name))
    with desk.arrivals.alone() as is_alone:
        if not is_alone:
            raise UsageError(
                f"another process watches for `{order.name}` in this workspace",
                hint="one watcher runs a workflow on each file once; two would be in each other's way",
            )
        desk.arrivals.load()
        desk.waiting = list(_left(order, desk.arrivals, hints))
        jobs = f"at most {plural(order.n_jobs, 'run')} at once"
        say(
            f"runs `{clean(order.name)}` on each file of `{clean(order.pattern)}`, those that are there too; {jobs}"
        )
        try:
            return _keep_on(order, desk, hints, once=args.once)
        finally:
            _stop(order, desk)


def _keep_on(order: Order, desk: Desk, hints: Hints, *, once: bool) -> int:
    n_bad, told = 0, ""
    while hints.stopped_by is None:
        hints.watch(_folders(order))
        if hints.trouble != told:
            told = hints.trouble
            say(f"warning: {told}")
        n_bad += _take_ended(order, desk)
        _take_arrived(order, desk)
        _begin_some(order, desk)
        is_busy = bool(desk.going or desk.settling or desk.waiting)
        if once and not is_busy:
            return 1 if n_bad else 0
        hints.wait(BUSY_S if is_busy else hints.interval_s)
    return 128 + hints.stopped_by


def _take_arrived(order: Order, desk: Desk) -> None:
    """Put on the table what has arrived: files that nobody writes any more, with a content that is not on record."""
    found = dict(_files(order))
    for kept in (desk.settling, desk.arrived):
        for path in kept.keys() - found.keys():
            del kept[path]
    now = time.monotonic()
    for path, stamp in found.items():
        if desk.arrived.get(path) == stamp:
            continue
        before, since = desk.settling.get(path, (None, now))
        if before != stamp:
            desk.settling[path] = stamp, now
        elif now - since >= SETTLE_S:
            del desk.settling[path]
            digest = _digest(path)
            if digest is None or stamp_of(path) != stamp:
                continue  # it is written again: seen at the next look
            desk.arrived[path] = stamp
            name = (
                os.path.relpath(path, order.workspace.root)
                if path.is_relative_to(order.workspace.root)
                else str(path)
            )
            is_waiting = any((one.path, one.digest) == (name, digest) for one in desk.waiting)
            if (name, digest) not in desk.arrivals.known and not is_waiting:
                desk.waiting.append(Arrival(name, digest, run_id(datetime.now(UTC))))


def _begin_some(order: Order, desk: Desk) -> None:
    """Begin runs up to the limit, none for a path of which one goes on."""
    for arrival in list(desk.waiting):
        if len(desk.going) >= order.n_jobs:
            return
        if any(one.arrival.path == arrival.path for one in desk.going):
            continue
        file = order.workspace.root / arrival.path
        number = desk.feeding.before(file) + 1
        if number > order.n_in_a_row:
            raise _feeds_itself(order, arrival)
        desk.waiting.remove(arrival)
        inputs = {name: text.replace(PLACE, str(file)) for name, text in order.typed.items()}
        may_write = writable(write_patterns(order.workflow, inputs), order.workspace.root)
        desk.feeding.begun(arrival.run, number, may_write, time.time_ns())
        desk.going.append(_begun(order, desk.arrivals, arrival))


def _feeds_itself(order: Order, arrival: Arrival) -> UsageError:
    return UsageError(
        f"`{order.name}` seems to be run on files that it makes: the {plural(order.n_in_a_row, 'run')} before "
        f"`{one_line(arrival.path, 80)}` were each on a file that the one before may have written",
        hint=f"have it write where `{order.pattern}` does not look; if they are not its own, "
        "watch again, with a higher --in-a-row N",
    )


def _begun(order: Order, arrivals: Arrivals, arrival: Arrival) -> Going:
    folder = order.workspace.runs / arrival.run
    goes_on = (folder / FILE_NAME).exists()
    if goes_on and is_alive(folder):
        return Going(arrival, None)
    noted = arrivals.note(arrival, "begun", _now())
    if goes_on:
        words = ["resume", arrival.run, "--json", *(["--yes"] if "--yes" in order.words else [])]
    else:
        inputs = [f"--input={name}={text.replace(PLACE, arrival.path)}" for name, text in order.typed.items()]
        words = ["run", *order.words, *inputs, f"--as={arrival.run}", "--json"]
    place = ["--workspace", str(order.workspace.root)]
    words += place if goes_on else [*place, "--", str(order.path)]
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    output = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            [*COMMAND, *words], cwd=order.workspace.root, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(output)
    _tell(order, noted, "resumed" if goes_on else "begun")
    return Going(noted, process)


def _take_ended(order: Order, desk: Desk) -> int:
    """Take runs that have ended from the table; how many of them gave no good answer."""
    n_bad = 0
    for one in list(desk.going):
        folder = order.workspace.runs / one.arrival.run
        if one.process.poll() is None if one.process else is_alive(folder):
            continue
        if is_alive(folder):  # of an earlier watcher that died just as it had begun it
            one.process = None
            continue
        desk.going.remove(one)
        desk.feeding.ended(one.arrival.run, time.time_ns())
        status, said = _end(folder)
        if status == "crashed" and one.arrival.n_begun < N_TRIES:
            desk.waiting.insert(0, one.arrival)
            continue
        ended = desk.arrivals.note(one.arrival, "ended", _now(), status)
        n_bad += status != "answered"
        _tell(order, ended, status, said)
    return n_bad


def _end(folder: Path) -> tuple[str, str]:
    """What a run without a process came to, and what is to be said of it."""
    if not (folder / FILE_NAME).exists():
        said = _last_words(folder)
        with contextlib.suppress(OSError):
            (folder / OUTPUT).unlink()
            folder.rmdir()
        return REFUSED, said
    info = run_info(folder)
    if info.status == "denied" and not (result_of_run(folder) or {}).get("attempts"):
        return REFUSED, _last_words(
            folder
        ) or info.message  # it would be so for each file until somebody trusts a skill
    if info.status == "suspended":
        needs = [str(need["id"]) for need in info.needs if need["kind"] == "approval"]
        answer = f" --approve {' '.join(needs)}" if needs else ""
        return info.status, f"it waits: orchestrate resume {folder.name}{answer}"
    if info.status in RESUMABLE or info.status == "crashed":
        return info.status, f"{info.message}\n  orchestrate resume {folder.name}".strip("\n")
    return info.status, info.message


def _last_words(folder: Path) -> str:
    """The error that a run printed, with its hint."""
    try:
        lines = (folder / OUTPUT).read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    begin = next((number for number, line in enumerate(lines) if line.startswith("error: ")), 0)
    end = next((number for number, line in enumerate(lines) if line.startswith("denied ")), len(lines))
    return "\n".join(lines[begin:end]).removeprefix("error: ").strip()


def _left(order: Order, arrivals: Arrivals, hints: Hints) -> Iterator[Arrival]:
    """What an earlier watcher left: begun and not ended, or refused; without files that are no longer what they were."""
    for arrival in [one for one in arrivals.known.values() if one.status in ("", REFUSED)]:
        if hints.stopped_by is not None:
            return
        if arrival.status == REFUSED:
            arrival = Arrival(arrival.path, arrival.digest, run_id(datetime.now(UTC)))
        has_begun = (order.workspace.runs / arrival.run / FILE_NAME).exists()
        if not has_begun and _digest(order.workspace.root / arrival.path) != arrival.digest:
            if not arrival.status:
                arrivals.note(arrival, "ended", _now(), "gone")
            continue
        status, said = _end(order.workspace.runs / arrival.run) if has_begun else ("", "")
        is_over = has_begun and status not in ("running", "crashed", "interrupted")
        if is_over or (arrival.n_begun >= N_TRIES and status == "crashed"):
            _tell(order, arrivals.note(arrival, "ended", _now(), status), status, said)
        else:
            yield arrival


def _stop(order: Order, desk: Desk) -> None:
    """Stop the runs that go on, also those of an earlier watcher: the next one goes on with them."""
    for one in desk.going:
        _signal(order, one, signal.SIGTERM)
    until = time.monotonic() + MERCY_S
    while time.monotonic() < until and any(_has_process(order, one) for one in desk.going):
        time.sleep(0.02)
    for one in desk.going:
        if _has_process(order, one):
            _signal(order, one, signal.SIGKILL)
        if one.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.process.wait(0.2)
        folder = order.workspace.runs / one.arrival.run
        status, said = _end(folder) if (folder / FILE_NAME).exists() else ("interrupted", "")
        if status in ("running", "crashed", "interrupted"):
            desk.arrivals.note(one.arrival, "stopped", _now())
            _tell(order, one.arrival, "stopped", "the next `orchestrate watch` goes on with it")
        else:
            _tell(order, desk.arrivals.note(one.arrival, "ended", _now(), status), status, said)


def _has_process(order: Order, one: Going) -> bool:
    return one.process.poll() is None if one.process else is_alive(order.workspace.runs / one.arrival.run)


def _signal(order: Order, one: Going, signum: signal.Signals) -> None:
    pid = one.process.pid if one.process else process_of(order.workspace.runs / one.arrival.run)
    if pid is None or not _has_process(order, one):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum) if one.process and signum == signal.SIGKILL else os.kill(pid, signum)


def _files(order: Order) -> Iterator[tuple[Path, Stamp]]:
    """The files that the pattern names now, but for those that somebody has not finished and those of the record."""
    own = order.workspace.memory
    for name in sorted(glob.glob(order.pattern, root_dir=order.workspace.root, recursive=True)):
        path = Path(order.workspace.root, name)
        if (
            not is_on_the_way(path.name)
            and not path.is_relative_to(own)
            and (stamp := stamp_of(path)) is not None
        ):
            yield path, stamp


def _folders(order: Order) -> dict[Path, bool]:
    """The folder that the pattern begins with, or the nearest above it that is there."""
    parts = Path(order.workspace.root, order.pattern).parts
    fixed = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    folder = Path(*parts[:fixed])
    if folder.is_dir():
        return {
            folder: len(parts) - fixed > 1,
            **({folder.parent: False} if folder != order.workspace.root else {}),
        }
    return {next(parent for parent in folder.parents if parent.is_dir()): False}


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _tell(order: Order, arrival: Arrival, event: str, said: str = "") -> None:
    if order.as_json:
        fields = {"path": arrival.path, "run": arrival.run, "event": event, "message": said}
        show(json.dumps(fields))
    else:
        show(
            clean(
                f"{arrival.path.translate(_ENDS)}: {event} ({arrival.run})"
                + "".join(f"\n  {line}" for line in said.splitlines())
            )
        )
    sys.stdout.flush()  # who reads a pipe wants it now


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
