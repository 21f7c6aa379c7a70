"""`orchestrate watch`: checks skills and workflows again when they change, and says what is wrong and what no longer is."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from orchestrator.app import check_workflow, load_skills, open_catalog
from orchestrator.catalog.trust import judged, read_lock
from orchestrator.catalog.watching import SKILL_ROOTS, Stamp, skills_in, stamp_of, touched, workflows_in
from orchestrator.errors import DocumentError, OrchestratorError
from orchestrator.interfaces.terminal import clean, plural, say, show
from orchestrator.runs.trusting import denied

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.catalog.select import Catalog
    from orchestrator.catalog.trust import Trusted
    from orchestrator.documents.types import Skill
    from orchestrator.interfaces.file_events import Hints
    from orchestrator.workspace import Workspace

QUIET_S = 0.2
"""A change is looked at once nothing has changed for so long: an editor, or git, writes in several steps."""

GONE_S = 1.0
"""The same where something is gone: what is deleted and made anew is not."""

LONGEST_S = 2.0
"""What is written without a pause is looked at as it is after so long."""

Verdicts = dict[str, tuple[str, ...]]
"""What was said of each skill and workflow, by its path from the workspace; nothing of one that is as it should be."""


@dataclass(frozen=True, slots=True)
class News:
    """What has become of a skill or workflow: `problems` now, all of them, or `ok`, or `gone`."""

    path: str
    state: Literal["ok", "problems", "gone"]
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """The workspace at one moment. `around` are files that decide about more than one of the others."""

    skills: Mapping[Path, Stamp]
    workflows: Mapping[Path, Stamp]
    around: Mapping[Path, Stamp]


def recheck(workspace: Workspace, hints: Hints, *, once: bool, as_json: bool) -> int:
    """Check all, then what changes, until it is told to stop; the value is the exit code.

    With `once`, check all and end: 2 where there is a problem.
    """
    hints.watch(_folders(workspace))
    look = _look(workspace)
    verdicts = _checked(workspace, look, {}, {*look.skills, *look.workflows})
    _tell(news({}, {path: lines for path, lines in verdicts.items() if lines}), as_json=as_json)
    n_bad = sum(map(bool, verdicts.values()))
    counts = f"{plural(len(look.skills), 'skill')} and {plural(len(look.workflows), 'workflow')}"
    say(f"{counts} checked, {n_bad} with something to say")
    if once:
        return 2 if n_bad else 0
    say(f"watching `{clean(str(workspace.root))}`; Ctrl-C ends it")
    told = ""
    while hints.stopped_by is None:
        if hints.trouble != told:
            told = hints.trouble
            say(f"warning: {told}")
        hints.wait(hints.interval_s)
        now = _settled(workspace, look, hints)
        hints.watch(_folders(workspace))
        changed = touched(look.skills, now.skills) | touched(look.workflows, now.workflows)
        if touched(look.around, now.around) or touched(look.skills, now.skills):
            changed |= {
                *now.skills,
                *now.workflows,
            }  # a workflow's problems depend on the skills that there are
        if changed and hints.stopped_by is None:
            found = _checked(workspace, now, verdicts, changed)
            wrote = {str(path.relative_to(workspace.root)) for path in _written(look, now)}
            _tell(news(verdicts, found, wrote), as_json=as_json)
            verdicts, look = found, now
    return 128 + hints.stopped_by


def news(before: Verdicts, now: Verdicts, wrote: set[str] | frozenset[str] = frozenset()) -> list[News]:
    """What is to be said after a change: of what was written, all; of the rest, what has become different."""
    told = []
    for path in sorted({*before, *now}):
        if path not in now:
            told.append(News(path, "gone"))
        elif now[path] and (path in wrote or now[path] != before.get(path)):
            told.append(News(path, "problems", now[path]))
        elif not now[path] and (path in wrote or before.get(path)):
            told.append(News(path, "ok"))
    return told


def _look(workspace: Workspace) -> Look:
    around = {path: stamp for path in (workspace.lock, workspace.settings) if (stamp := stamp_of(path))}
    return Look(skills_in(workspace), workflows_in(workspace), around)


def _settled(workspace: Workspace, before: Look, hints: Hints) -> Look:
    """The workspace once its files have been left alone for a moment."""
    now, until = _look(workspace), time.monotonic() + LONGEST_S
    while now != before and hints.stopped_by is None and time.monotonic() < until:
        is_gone = before.skills.keys() - now.skills.keys() or before.workflows.keys() - now.workflows.keys()
        quiet_until = time.monotonic() + (GONE_S if is_gone else QUIET_S)
        last = now
        while now == last and hints.stopped_by is None and (left := quiet_until - time.monotonic()) > 0:
            hints.wait(min(left, QUIET_S))
            now = _look(workspace)
        if now == last:
            break
    return now


def _written(before: Look, now: Look) -> set[Path]:
    """What was changed or is new, without what is gone."""
    return (touched(before.skills, now.skills) & now.skills.keys()) | (
        touched(before.workflows, now.workflows) & now.workflows.keys()
    )


def _checked(workspace: Workspace, look: Look, before: Verdicts, changed: set[Path]) -> Verdicts:
    lock, lines_of_lock = _lock(workspace)
    verdicts: Verdicts = {workspace.lock.name: lines_of_lock} if workspace.lock in look.around else {}
    catalog = open_catalog(workspace)
    called = {skill.folder: skill for skill in catalog.skills}
    for path in (*look.skills, *look.workflows):
        key = str(path.relative_to(workspace.root))
        if path not in changed and key in before:
            verdicts[key] = before[key]
            continue
        is_skill = path in look.skills
        lines = _skill_lines(path, called.get(path), lock) if is_skill else _workflow_lines(path, catalog)
        verdicts[key] = tuple(line.replace(f"{workspace.root}/", "") for line in lines)
    return verdicts


def _lock(workspace: Workspace) -> tuple[Mapping[str, Trusted], tuple[str, ...]]:
    try:
        return read_lock(workspace), ()
    except OrchestratorError as error:
        return {}, (error.whole,)


def _skill_lines(folder: Path, called: Skill | None, lock: Mapping[str, Trusted]) -> Iterator[str]:
    """What is to be said of a skill. Only one that is called by its name, and not shadowed, is held to the lock."""
    try:
        skills = [called] if called else [skill for skill in load_skills([folder]) if skill.folder == folder]
        for skill in skills:
            yield from map(str, skill.diagnostics)
        if called and called.name in lock and (found := judged(called, lock[called.name])):
            yield f"{folder}: {denied([found])}\nhint: {denied([found]).hint}"
    except (OrchestratorError, OSError) as error:
        yield f"{folder}: {error}"


def _workflow_lines(path: Path, catalog: Catalog) -> Iterator[str]:
    try:
        yield from map(str, check_workflow(path, catalog=catalog))
    except DocumentError as error:
        yield from map(str, error.problems)
    except (OrchestratorError, OSError) as error:
        yield f"{path}: {error}"


def _folders(workspace: Workspace) -> dict[Path, bool]:
    """Where hints come from. The top itself without what is below it: `memory/` and `.git` change all the time."""
    tops = {workspace.root: False, workspace.root / ".claude": False, workspace.root / ".agents": False}
    return tops | {workspace.root / name: True for name in (*SKILL_ROOTS, "workflows")}


def _tell(told: list[News], *, as_json: bool) -> None:
    for one in told:
        if as_json:
            show(json.dumps({"path": one.path, "state": one.state, "problems": one.lines}))
        for line in () if as_json else one.lines or (f"{one.path}: {one.state}",):
            show(clean(line))
    sys.stdout.flush()  # who reads a pipe wants it now
