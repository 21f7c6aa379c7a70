"""Questions of trust: what a skill is and may do, what has changed in it, and whether somebody wants it called."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from orchestrator.app import audit_skills, open_catalog
from orchestrator.catalog.trust import Distrust, asked_permissions, is_bundled, judged, read_lock
from orchestrator.errors import Denied
from orchestrator.interfaces.auditing import told
from orchestrator.interfaces.terminal import (
    as_json,
    clean,
    columns,
    plural,
    put,
    say,
    show,
    somebody_is_there,
)
from orchestrator.runs.resuming import within_a_run
from orchestrator.runs.trusting import diff, distrust, trust

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from orchestrator.app import Plan
    from orchestrator.catalog.select import Catalog
    from orchestrator.catalog.trust import Trusted
    from orchestrator.documents.types import Skill
    from orchestrator.workspace import Workspace

EFFECTS = {"none": "no effects", "read": "reads", "write": "writes"}


def trust_named(args: argparse.Namespace, catalog: Catalog, workspace: Workspace) -> int:
    """`orchestrate skills trust NAME ...`: show what they are, then put them on the lock; the value is the exit code."""
    if within_a_run():
        raise Denied("trust can't be given from within a run", hint="type it in a terminal of your own")
    if args.revoke:
        return _revoke(args, catalog, workspace)
    skills, unknown = catalog.select(args.names)
    if unknown:
        raise catalog.unknown(unknown[0])
    lock = read_lock(workspace)
    asked, wanted, left = [], [], []
    for skill in skills:
        if found := judged(skill, lock.get(skill.name)):
            asked.append(found)
        else:
            why = "comes with the package" if is_bundled(skill) else "is trusted as it is"
            say(f"`{clean(skill.name)}` {why}")
    for found, is_bad in _shown(asked, workspace):
        if args.yes or _wanted(found.skill, is_bad=is_bad):
            wanted.append(found.skill)
        else:
            say(f"`{clean(found.skill.name)}` is left as it was")
            left.append(found.skill.name)
    entries = trust(workspace, wanted, "yes" if args.yes else "person")
    if args.json:
        show(as_json({"trusted": [_object(entry) for entry in entries], "left": left}))
    for entry in () if args.json else entries:
        files = plural(len(entry.files), "file")
        show(f"trusted: {clean(entry.path)} ({files}), see {workspace.lock.name}")
    return Denied.exit_code if left else 0


def asked_trust(planned: Plan) -> bool:
    """Whether the person at the terminal agreed to call skills that are not trusted yet, which are so from now on.

    Asked about are those that stop the run, and of those that it does without, the workspace's own that nobody has judged.
    """
    if not somebody_is_there() or within_a_run():
        return False
    own = planned.workspace.skills
    barred = [
        Distrust(skill)
        for skill in (open_catalog(planned.workspace).skills if planned.barred else ())
        if skill.name in planned.barred
        and skill.name not in planned.lock
        and skill.folder.is_relative_to(own)
    ]
    agreed: list[Skill] = []
    for found, _ in _shown([*planned.distrusted, *barred], planned.workspace):
        if _agrees(f"trust `{found.skill.name}` from now on? [y/N] "):
            agreed.append(found.skill)
        elif found in planned.distrusted:
            break
    trust(planned.workspace, agreed, "person")
    return bool(agreed)


def _shown(asked: Sequence[Distrust], workspace: Workspace) -> Iterator[tuple[Distrust, bool]]:
    """Say of each in turn what it is and what the audit finds; whether something of that is `high`."""
    audits = audit_skills(workspace, [found.skill for found in asked])
    for found, audited in zip(asked, audits, strict=True):
        for line in _told(found, workspace):
            say(clean(line))
        for line in told(audited, columns(sys.stderr)):
            say(line)
        yield found, audited.is_bad


def _wanted(skill: Skill, *, is_bad: bool) -> bool:
    """Whether somebody wants the skill trusted: who is asked says so, who can't be asked by naming it, unless it looks bad."""
    if somebody_is_there():
        return _agrees(f"trust `{skill.name}`? [y/N] ")
    if is_bad:
        say("hint: read what is `high` in it; `--yes` trusts it all the same")
    return not is_bad


def _revoke(args: argparse.Namespace, catalog: Catalog, workspace: Workspace) -> int:
    gone = distrust(workspace, args.names)
    if args.json:
        show(as_json({"revoked": gone, "left": [name for name in args.names if name not in gone]}))
        return 0 if gone else 1
    for name in args.names:
        skill = catalog.get(name)
        why = "comes with the package" if skill is not None and is_bundled(skill) else "was not trusted"
        show(f"{'no longer trusted' if name in gone else why}: {clean(name)}")
    return 0 if gone else 1


def _object(entry: Trusted) -> dict[str, Any]:
    return {"path": entry.path, "files": dict(entry.files), "how": entry.how, "at": entry.at}


def _told(found: Distrust, workspace: Workspace) -> Iterator[str]:
    """What somebody should know before they trust a skill."""
    skill = found.skill
    yield str(found)
    if skill.description:
        yield f"  {' '.join(skill.description.split())[:300]}"
    asked = [f"{kind}: {', '.join(values)}" for kind, values in asked_permissions(skill).items() if values]
    yield f"  asks for: {'; '.join(asked) or 'nothing beyond its own folder'}" + (
        "" if skill.has_manifest else " (no manifest: it gets what the workflow's cells may read and write)"
    )
    effects = [f"{name} ({EFFECTS[one.effects]})" for name, one in skill.functions.items()]
    if effects:
        yield f"  functions: {', '.join(effects)}"
    elif skill.scripts:
        yield f"  scripts: {', '.join(skill.scripts)}"
    else:
        yield "  no code that can be called: its text is given to a model, and steers it"
    if skill.uses:
        yield f"  uses: {', '.join(skill.uses)}"
    if found.changes:
        yield from (f"  {line}" for line in diff(workspace, skill, found.changes))


def _agrees(question: str) -> bool:
    """Whether the person at the terminal says yes."""
    put(clean(question))
    return sys.stdin.readline().strip().lower() in ("y", "yes")
