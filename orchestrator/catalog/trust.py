"""Which skills a workspace trusts: what `skills.lock` says of each, and what has changed since.

The lock lies at the top of the workspace and belongs into version control. It is JSON, with keys in order and one line
for each file, so that a change of it can be read:

    {"version": 1, "skills": {NAME: {
        "path": "skills/word-count", "source": "workspace", "first_seen": iso,
        "trusted": {"by": user, "at": iso, "how": "person" | "yes" | "program" | "revoked"},
        "files": {path: sha256}, "permissions": {"network": [], "read": [], "write": [], "env": [], "bins": []},
        "effects": {function: "none" | "read" | "write"}, "uses": [NAME], "provenance": {...}}}}

A skill is trusted while its folder holds exactly these files, wherever the folder lies now. So a nearer skill that takes
the name of a trusted one is a changed one. Of one that was revoked no file is trusted, and its entry stays, so that only somebody
who names it brings it back. Skills of the package come with it: whoever can write them can write this.

Covered: every file that a skill's version covers. Not covered: programs and packages that a skill calls, and what it
downloads; what it does with what it is allowed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.documents.skill_files import UNREADABLE, file_digests
from orchestrator.errors import DocumentError
from orchestrator.values import Problem
from orchestrator.workspace import bundled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.documents.types import Skill
    from orchestrator.workspace import Workspace

VERSION = 1
EFFECTS = ("none", "read", "write")

How = Literal["person", "yes", "program"]
"""Who said so: somebody who was asked or named the skill, `--yes`, or a program that called `run()`."""

REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Trusted:
    """What was trusted, and by whom."""

    files: Mapping[str, str]
    path: str = ""
    source: str = ""
    first_seen: str = ""
    by: str = ""
    at: str = ""
    how: str = ""
    permissions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    effects: Mapping[str, str] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_revoked(self) -> bool:
        """Whether somebody took the trust back."""
        return self.how == REVOKED

    def revoked(self) -> Trusted:
        """The same without the trust."""
        return replace(self, files={}, how=REVOKED)


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is not as it was trusted. `was` and `now` are its hashes; empty for a file that was or is not there."""

    path: str
    was: str
    now: str

    @property
    def word(self) -> str:
        """What became of it."""
        return "added" if not self.was else "removed" if not self.now else "changed"


@dataclass(frozen=True, slots=True)
class Distrust:
    """A skill that may not be called yet: new to the workspace, revoked, or not what was trusted. `wider`: what it now asks for."""

    skill: Skill
    was: Trusted | None = None
    changes: tuple[Change, ...] = ()
    wider: tuple[str, ...] = ()

    def __str__(self) -> str:
        name, was = self.skill.name, self.was
        if was is None:
            return f"`{name}` ({self.skill.folder}) is not trusted yet"
        if was.is_revoked:
            return f"`{name}` ({self.skill.folder}) is not trusted any more: somebody took that back"
        files = ", ".join(f"{one.path} {one.word}" for one in self.changes[:5])
        more = f" and {len(self.changes) - 5} more" if len(self.changes) > 5 else ""
        said = f"`{name}` has changed since {was.by or 'somebody'} trusted it on {was.at[:10]}: {files}{more}"
        return f"{said}; it now asks for more: {', '.join(self.wider)}" if self.wider else said


def read_lock(workspace: Workspace) -> dict[str, Trusted]:
    """What is trusted, by the skills' names; nothing where there is no lock. Raises DocumentError for one that can't be read."""
    try:
        text = workspace.lock.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(workspace.lock, 0, f"can't be read: {error}") from error
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        is_conflict = "\n<<<<<<< " in f"\n{text}"
        said = "two versions were merged and not settled" if is_conflict else f"no JSON: {error.msg}"
        raise _damaged(workspace.lock, error.lineno, said) from error
    except RecursionError as error:
        raise _damaged(workspace.lock, 0, "nested too deep") from error
    if not isinstance(whole, dict) or not isinstance(whole.get("skills"), dict):
        raise _damaged(workspace.lock, 1, "has no object `skills`")
    if whole.get("version") != VERSION:
        said = f"has the version {whole.get('version')!r:.40}; this program reads {VERSION}"
        raise _damaged(
            workspace.lock, 1, said, "update the program, or delete the lock and trust the skills again"
        )
    return {name: _entry(workspace.lock, name, one) for name, one in whole["skills"].items()}


def lock_text(entries: Mapping[str, Trusted]) -> str:
    """The lock as it is written."""
    skills = {name: _fields(entries[name]) for name in sorted(entries)}
    return json.dumps({"version": VERSION, "skills": skills}, indent=1) + "\n"


def is_bundled(skill: Skill) -> bool:
    """Whether a skill comes with the package."""
    return skill.source == "bundled" or skill.folder.resolve().is_relative_to(_bundled_skills())


@cache
def _bundled_skills() -> Path:
    return (bundled() / "skills").resolve()


def judged(skill: Skill, entry: Trusted | None) -> Distrust | None:
    """Why a skill may not be called; None where it may. Reads its files."""
    if is_bundled(skill):
        return None
    if entry is None or entry.is_revoked:
        return Distrust(skill, entry)
    now = file_digests(skill.folder)
    changes = tuple(
        Change(path, entry.files.get(path, ""), now.get(path, ""))
        for path in sorted({*entry.files, *now})
        if entry.files.get(path) != now.get(path) or now.get(path) == UNREADABLE
    )
    return Distrust(skill, entry, changes, tuple(_wider(skill, entry))) if changes else None


def standing(
    skill: Skill, lock: Mapping[str, Trusted]
) -> Literal["package", "trusted", "changed", "revoked", "new"]:
    """What a list of skills says of its trust."""
    if is_bundled(skill):
        return "package"
    found = judged(skill, lock.get(skill.name))
    if found is None:
        return "trusted"
    return "new" if found.was is None else "revoked" if found.was.is_revoked else "changed"


def named(workflow_skills: Iterable[Skill], known: Mapping[str, Skill]) -> list[Skill]:
    """Skills with all that they use, and what these use, each once."""
    found: dict[str, Skill] = {}
    waiting = list(workflow_skills)
    while waiting:
        skill = waiting.pop(0)
        if skill.name not in found:
            found[skill.name] = skill
            waiting += [known[name] for name in skill.uses if name in known]
    return list(found.values())


def asked_permissions(skill: Skill) -> dict[str, tuple[str, ...]]:
    """What a skill's manifest asks for."""
    asked = skill.permissions
    return {
        "network": asked.network, "read": asked.read, "write": asked.write, "env": asked.env,
        "bins": skill.requires.bins,
    }  # fmt: skip


def provenance(workspace: Workspace, name: str) -> dict[str, Any]:
    """What `skills-lock.json`, which installers of skills write, says of where a skill came from.

    The format of `npx skills` (vercel-labs/skills), version 1: `{skills: {name: {source, sourceType, ref, ...}}}`.
    """
    try:
        whole = json.loads((workspace.root / "skills-lock.json").read_text("utf-8"))
        entry = whole["skills"][name]
        kept = ("source", "sourceType", "ref", "skillPath", "computedHash")
        return {key: entry[key] for key in kept if isinstance(entry.get(key), str)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}  # somebody else's file: without it, nothing is known


def _wider(skill: Skill, entry: Trusted) -> Iterator[str]:
    for kind, values in asked_permissions(skill).items():
        yield from (f"{kind} `{one}`" for one in values if one not in entry.permissions.get(kind, ()))
    for name, function in skill.functions.items():
        was = entry.effects.get(name, "none")
        if EFFECTS.index(function.effects) > (EFFECTS.index(was) if was in EFFECTS else 0):
            yield f"`{name}` {function.effects}s"
    yield from (f"the skill `{name}`" for name in skill.uses if name not in entry.uses)


def _fields(entry: Trusted) -> dict[str, Any]:
    told = {
        "path": entry.path,
        "source": entry.source,
        "first_seen": entry.first_seen,
        "trusted": {"by": entry.by, "at": entry.at, "how": entry.how},
        "files": dict(sorted(entry.files.items())),
        "permissions": {kind: list(values) for kind, values in entry.permissions.items()},
        "effects": dict(entry.effects),
        "uses": list(entry.uses),
    }
    return {**told, "provenance": dict(entry.provenance)} if entry.provenance else told


def _entry(lock: Path, name: str, given: Any) -> Trusted:
    try:
        trusted = given["trusted"]
        return Trusted(
            files={path: str(digest) for path, digest in given["files"].items()}, path=str(given["path"]), source=str(given["source"]),
            first_seen=str(given["first_seen"]), by=str(trusted["by"]), at=str(trusted["at"]), how=str(trusted["how"]),
            permissions={kind: tuple(values) for kind, values in given["permissions"].items()},
            effects=dict(given["effects"]), uses=tuple(given["uses"]), provenance=dict(given.get("provenance", {})),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _damaged(lock, 0, f"the entry `{name:.80}` is damaged ({error})") from error


def _damaged(lock: Path, line: int, said: str, hint: str = "") -> DocumentError:
    hint = hint or "take it back from version control, or delete it and trust the skills again"
    return DocumentError([Problem(str(lock), line, said, hint)])
