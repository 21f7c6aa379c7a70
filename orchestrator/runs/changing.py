"""What each proposal does to files: as few bytes as can be, by what is there already.

deny      the skill's entry in `skills.lock` is revoked, as `orchestrate skills trust --revoke` does it
retire    its SKILL.md is named SKILL.md.retired, so that no host finds a skill in the folder
describe  `description:` of its SKILL.md, and the file's hash in `skills.lock` where the skill was trusted
prefer    the strategy stands first in the workflow's `strategies:`
drop      it does not stand there any more
budget    one limit of the workflow's `budget:`
promote   `first: true` in the learned program's file, so that it is tried before all others
split     nothing: a person does it

Files are read and hashed here, and not written.
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.catalog.trust import is_bundled, lock_text, read_lock
from orchestrator.documents.amending import with_items, with_value
from orchestrator.documents.skill_files import file_digests, version_of
from orchestrator.documents.workflow import load_workflow
from orchestrator.errors import UsageError
from orchestrator.memory.editions import original
from orchestrator.runs.amending import Edit, bytes_of
from orchestrator.runs.reviewing import workflow_file
from orchestrator.strategies.choose import NAMES
from orchestrator.strategies.learned import PREFIX, folder_of
from orchestrator.values import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from orchestrator.catalog.select import Catalog
    from orchestrator.catalog.trust import Trusted
    from orchestrator.documents.types import Skill, Workflow
    from orchestrator.memory.reviewing.proposal import Proposal
    from orchestrator.workspace import Workspace

RETIRED = ".retired"


@dataclass(frozen=True, slots=True)
class Change:
    """A proposal with what it is about: the skill, or the workflow and its file. `edits` is what it does."""

    proposal: Proposal
    workspace: Workspace
    skill: Skill | None = None
    workflow: Workflow | None = None
    edits: tuple[Edit, ...] = ()

    @property
    def workflow_source(self) -> str | None:
        """What the workflow's file will say; None where it stays as it is."""
        if self.workflow is not None:
            path = self.workflow.path.resolve()
            for edit in self.edits:
                if edit.path == path and edit.after is not None:
                    return edit.after.decode("utf-8")
        return None


def change_of(proposal: Proposal, workspace: Workspace, catalog: Catalog) -> Change:
    """What a proposal would change now.

    Raises UsageError where it is advice, where its subject is gone, has moved since the review or comes with the
    package, where nothing would change, and where the file can't be changed without a person.
    """
    if proposal.action == "split":
        raise UsageError(
            f"`{proposal.id}` is advice: how `{proposal.subject}` is to be split, a person has to say",
            hint=proposal.why,
        )
    kind, _, name = proposal.subject.partition(":")
    if kind == "skill":
        change = Change(proposal, workspace, skill=_skill(proposal, name, workspace, catalog))
    else:
        change = Change(proposal, workspace, workflow=_workflow(proposal, name.partition("/")[0], workspace))
    edits = _EDITS[proposal.action](change)
    if all(edit.before == edit.after for edit in edits):
        raise UsageError(f"`{proposal.id}` changes nothing: it is so already", hint="nothing is to be done")
    return replace(change, edits=edits)


def _skill(proposal: Proposal, name: str, workspace: Workspace, catalog: Catalog) -> Skill:
    skill = catalog.get(name)
    if skill is None:
        raise UsageError(
            f"there is no skill `{name}` any more", hint="`orchestrate skills` lists those that there are"
        )
    if is_bundled(skill):
        raise UsageError(
            f"`{name}` comes with the package: a workspace does not change it",
            hint="leave it out of a workflow's `skills:`",
        )
    now = file_digests(skill.folder)
    if version_of(now) != proposal.hash:
        raise UsageError(
            f"`{name}` has changed since the review: {_changes(now, proposal, read_lock(workspace).get(name))}",
            hint="`orchestrate review` looks at it as it is now",
        )
    return skill


def _changes(now: dict[str, str], proposal: Proposal, trusted: Trusted | None) -> str:
    """Which files have changed, where the lock has those that the review saw."""
    if trusted is None or version_of(dict(trusted.files)) != proposal.hash:
        return f"its files had the hash {proposal.hash[:12]}…, and have {version_of(now)[:12]}… now"
    was = trusted.files
    words = [
        f"{path} {'added' if path not in was else 'removed' if path not in now else 'changed'}"
        for path in sorted({*now, *was})
        if now.get(path) != was.get(path)
    ]
    return ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")


def _workflow(proposal: Proposal, name: str, workspace: Workspace) -> Workflow:
    path = workflow_file(workspace, name)
    if path is None:
        raise UsageError(
            f"there is no workflow `{name}` any more",
            hint="give its file the place that it had, or review again",
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != proposal.hash:
        raise UsageError(
            f"`{path}` has changed since the review: it had the hash {proposal.hash[:12]}…, and has {digest[:12]}… now",
            hint="`orchestrate review` looks at it as it is now",
        )
    return load_workflow(path)


def _deny(change: Change) -> tuple[Edit, ...]:
    workspace, name = change.workspace, _skill_of(change).name
    entries = read_lock(workspace)
    if name not in entries or entries[name].is_revoked:
        raise UsageError(
            f"`{name}` is not trusted: there is no trust to take back",
            hint="leave it out of the workflows' `skills:`, or take its folder away",
        )
    entries[name] = entries[name].revoked()
    return (_edit(workspace.lock, lock_text(entries).encode()),)


def _retire(change: Change) -> tuple[Edit, ...]:
    path = _skill_md(_skill_of(change))
    retired = path.with_name(path.name + RETIRED)
    if retired.exists():
        raise UsageError(f"there is a file `{retired}` already", hint="take it away, then apply this again")
    there = _edit(path, None)
    return replace(there, path=retired, before=None, after=there.before), there


def _describe(change: Change) -> tuple[Edit, ...]:
    skill, workspace = _skill_of(change), change.workspace
    path = _skill_md(skill)
    edit = _text_edit(path, lambda text: with_value(text, ("description",), str(_of(change, "to", str))))
    entries = read_lock(workspace)
    entry = entries.get(skill.name)
    if entry is None or version_of(dict(entry.files)) != skill.version or edit.after is None:
        return (edit,)
    # Whoever applies it has seen the change: the skill stays trusted, with this file as it will be.
    entries[skill.name] = replace(
        entry, files={**entry.files, path.name: hashlib.sha256(edit.after).hexdigest()}
    )
    return edit, _edit(workspace.lock, lock_text(entries).encode())


def _prefer(change: Change) -> tuple[Edit, ...]:
    name = _of(change, "strategy", str)
    return _listed(change, lambda there: [name, *(one for one in there if one != name)])


def _drop(change: Change) -> tuple[Edit, ...]:
    name = _of(change, "strategy", str)
    if name.startswith(PREFIX):
        raise UsageError(
            f"`{name}` is a learned program, and stands in no list",
            hint=f"`orchestrate strategies forget {name}` deletes it",
        )
    return _listed(change, lambda there: [one for one in there if one != name])


def _listed(change: Change, changed: Callable[[Sequence[str]], list[str]]) -> tuple[Edit, ...]:
    """The workflow's `strategies:` with other items, or another order."""
    workflow = _workflow_of(change)
    items = changed(workflow.strategies or _applying(workflow))
    if not items:
        raise UsageError(
            f"`{workflow.name}` has no other strategy", hint="add one to `strategies:`, or drop the workflow"
        )
    if unknown := [one for one in items if one not in NAMES]:
        raise UsageError(
            f"`{unknown[0]}` can't stand in `strategies:`", hint=f"known are: {', '.join(NAMES)}"
        )
    return (_text_edit(workflow.path, lambda text: with_items(text, ("strategies",), items)),)


def _applying(workflow: Workflow) -> tuple[str, ...]:
    """What a workflow without a list tries: its own cells, where it has some, and all that a model does."""
    return NAMES if workflow.cells else tuple(name for name in NAMES if name != "written")


def _budget(change: Change) -> tuple[Edit, ...]:
    limit, to = _of(change, "budget", str), _of(change, "to", (int, float))
    workflow = _workflow_of(change)
    if limit not in Limits.__dataclass_fields__ or isinstance(to, bool) or not 0 <= to < float("inf"):
        raise UsageError(
            f"`{limit}: {to}` is no limit", hint=f"the limits are: {', '.join(Limits.__dataclass_fields__)}"
        )
    to = int(to) if limit not in ("usd", "seconds") or float(to).is_integer() else to
    return (_text_edit(workflow.path, lambda text: with_value(text, ("budget", limit), to)),)


def _promote(change: Change) -> tuple[Edit, ...]:
    name = _of(change, "strategy", str)
    path = (
        folder_of(change.workspace, _workflow_of(change).name) / f"{original(name).removeprefix(PREFIX)}.md"
    )
    if (
        not name.startswith(PREFIX)
        or path.parent.resolve() not in path.resolve().parents
        or not path.is_file()
    ):
        raise UsageError(
            f"there is no learned program `{name}` any more", hint="`orchestrate strategies` lists them"
        )
    return (_text_edit(path, lambda text: with_value(text, ("first",), True)),)


_EDITS: dict[str, Callable[[Change], tuple[Edit, ...]]] = {
    "deny": _deny,
    "retire": _retire,
    "describe": _describe,
    "prefer": _prefer,
    "drop": _drop,
    "budget": _budget,
    "promote": _promote,
}


def _of(change: Change, key: str, kind: Any) -> Any:
    value = change.proposal.change.get(key)
    if not isinstance(value, kind):
        raise UsageError(
            f"the proposal `{change.proposal.id}` does not say `{key}`",
            hint="`orchestrate review` makes it anew",
        )
    return value


def _skill_of(change: Change) -> Skill:
    if change.skill is None:
        raise UsageError(
            f"`{change.proposal.action}` is for skills", hint="`orchestrate review` makes it anew"
        )
    return change.skill


def _workflow_of(change: Change) -> Workflow:
    if change.workflow is None:
        raise UsageError(
            f"`{change.proposal.action}` is for workflows", hint="`orchestrate review` makes it anew"
        )
    return change.workflow


def _skill_md(skill: Skill) -> Path:
    found = sorted(path for path in skill.folder.iterdir() if path.name.lower() == "skill.md")
    chosen = next((path for path in found if path.name == "SKILL.md"), found[0] if found else None)
    if chosen is None:
        raise UsageError(
            f"`{skill.folder}` has no SKILL.md any more", hint="`orchestrate skills` lists what there is"
        )
    if chosen.is_symlink():
        raise UsageError(f"`{chosen}` is a link", hint="make the change yourself, where others want it too")
    return chosen


def _text_edit(path: Path, changed: Callable[[str], str]) -> Edit:
    edit = _edit(path, b"")
    try:
        text = (edit.before or b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}` is no UTF-8 text", hint="make the change in the file yourself") from error
    try:
        return replace(edit, after=changed(text).encode("utf-8"))
    except UsageError as error:
        raise UsageError(f"`{path}`: {error}", hint=error.hint) from error


def _edit(path: Path, after: bytes | None) -> Edit:
    path = path.resolve()
    before = bytes_of(path)
    return Edit(path, before, after, None if before is None else stat.S_IMODE(path.stat().st_mode))
