"""Which of the skills that a run may call are trusted, who vouches for the others, and which stop it.

Pure but for reading skills' files. Skills that the workflow names, and all that these use, have to be trusted before
it begins. Where it names none it gets every trusted skill, and the others are barred: calling one ends the run.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from orchestrator.catalog.trust import judged, named, read_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.catalog.select import Catalog
    from orchestrator.catalog.trust import Distrust, Trusted
    from orchestrator.documents.types import Skill, Workflow
    from orchestrator.workspace import Workspace

Vouching = Literal["none", "program", "yes", "frozen"]
"""Who vouches for skills of the workspace's own `skills/`: nobody (the command line asks), the program that calls
`run()`, `--yes`; `frozen` is nobody, and nobody is asked."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a run is to do about trust, see the fields of Plan."""

    trusts: tuple[Skill, ...] = ()
    barred: tuple[str, ...] = ()
    distrusted: tuple[Distrust, ...] = ()
    lock: Mapping[str, Trusted] = field(default_factory=dict)


def vouched(workflow: Workflow, catalog: Catalog, workspace: Workspace, by: Vouching) -> Vouched:
    """Judge the skills that a workflow may call. Raises DocumentError for a lock that can't be read."""
    lock = read_lock(workspace)
    known = {skill.name: skill for skill in catalog.skills}
    checked = [
        known[name]
        for check in workflow.checks
        if check.kind == "skill" and (name := check.text.partition(".")[0]) in known
    ]
    names_some = workflow.skills is not None
    needed = named([*(catalog.select(workflow.skills)[0] if names_some else ()), *checked], known)
    trusts: list[Skill] = []
    distrusted: list[Distrust] = []
    barred: list[str] = []
    for skill in needed if names_some else known.values():
        found = judged(skill, lock.get(skill.name))
        if found is None:
            continue
        if _vouches(by, found, workspace):
            trusts.append(skill)
        elif skill in needed or not (found.was is None or found.was.is_revoked):
            distrusted.append(found)
        else:
            barred.append(skill.name)
    return Vouched(tuple(trusts), tuple(barred), tuple(distrusted), lock)


def stand_ins(skills: Iterable[Skill], barred: Iterable[str]) -> tuple[Skill, ...]:
    """The skills, and in the place of the barred ones what says no word of theirs: their texts would steer a model."""
    names = set(barred)
    return tuple(_stand_in(skill) if skill.name in names else skill for skill in skills)


def _vouches(by: Vouching, found: Distrust, workspace: Workspace) -> bool:
    if by not in ("yes", "program") or not found.skill.folder.resolve().is_relative_to(
        workspace.skills.resolve()
    ):
        return False
    if found.was is None:
        return True
    if found.was.is_revoked:  # only who names the skill means that one
        return False
    # What somebody has looked at stays as it was looked at until they, or `--yes`, say otherwise.
    return not found.wider and (by == "yes" or found.was.how == "program")


def _stand_in(skill: Skill) -> Skill:
    return replace(
        skill,
        description=f"not trusted: `orchestrate skills trust {skill.name}`",
        body="",
        functions={name: replace(one, description="") for name, one in skill.functions.items()},
        scripts={path: replace(one, description="") for path, one in skill.scripts.items()},
        diagnostics=(),
        metadata={},
    )
