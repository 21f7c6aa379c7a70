"""Trust, kept: writes `skills.lock`, and holds each call of a run to it.

The texts of what was trusted lie in `memory/cache/trusted`, by their hashes, so that a change can be shown as a diff;
without them it is told by files.
"""

from __future__ import annotations

import difflib
import getpass
import glob
import hashlib
import math
import os
import shlex
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.catalog.trust import (
    Trusted,
    asked_permissions,
    is_bundled,
    judged,
    lock_text,
    provenance,
    read_lock,
)
from orchestrator.documents.skill_files import UNREADABLE, file_digests, folder_entries, version_of
from orchestrator.errors import Denied, UsageError
from orchestrator.memory import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.catalog.trust import Change, Distrust, How
    from orchestrator.documents.types import Skill
    from orchestrator.workspace import Workspace

MAX_KEPT_BYTES = 256 * 1024
"""A larger file is not kept for a diff."""

MAX_DIFF_LINES = 400

Stamp = tuple[tuple[str, int, int, int, int], ...]


class Trust:
    """What a run may call. Made once for each run; `assure` is asked before each call of a skill.

    True between calls: `_seen` has the stamps of the files of each skill that was found as it was trusted, and when
    they are to be looked at again: looking takes a tenth of the time at most, so that a skill with thousands of files
    can be called often. For one with a few files that is at each call that is more than a millisecond after another.
    """

    def __init__(
        self, lock: Mapping[str, Trusted], vouched: Iterable[Skill] = (), barred: Iterable[str] = ()
    ) -> None:
        self.barred = frozenset(barred)  # names of skills that were left out when the run began
        self._lock = {**lock, **{skill.name: Trusted(file_digests(skill.folder)) for skill in vouched}}
        self._seen: dict[Path, tuple[Stamp, float]] = {}

    def assure(self, skill: Skill) -> None:
        """Raise Denied unless the skill's files are what was trusted. While none was touched, none is read again."""
        before, again_at = self._seen.get(skill.folder, (None, 0.0))
        began = time.monotonic()
        if before is not None and began < again_at:
            return
        if is_bundled(skill):
            self._seen[skill.folder] = (), math.inf
            return
        stamp = _stamp(skill.folder)
        if stamp != before and (found := judged(skill, self._lock.get(skill.name))) is not None:
            raise denied([found])
        now = time.monotonic()
        self._seen[skill.folder] = stamp, now + 9 * (now - began)


def denied(found: Iterable[Distrust]) -> Denied:
    """The end of a run for skills that may not be called: which, why, what to do."""
    found = list(found)
    names = " ".join(dict.fromkeys(_word(one.skill.name) for one in found))
    return Denied(
        "; ".join(map(str, found)),
        hint=f"read what it is, then `orchestrate skills trust {names}`; `orchestrate skills audit` finds what is odd",
    )


def _word(name: str) -> str:
    """A skill's name as it can be typed, and means this skill only: a name is what its author wrote."""
    pattern = glob.escape(name)
    return shlex.quote(f"[-]{pattern[1:]}" if pattern.startswith("-") else pattern)


def trust(workspace: Workspace, skills: Iterable[Skill], how: How) -> list[Trusted]:
    """Put skills on the lock as they were read.

    Raises UsageError for files that can't be read, Denied where they are others by now, WorkspaceError.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    added = []
    with files.locked(workspace.memory / "trust.lock"):
        entries = read_lock(workspace)
        for skill in skills:
            if is_bundled(skill):
                continue
            entries[skill.name] = entry = _entry(workspace, skill, entries.get(skill.name), how, now)
            _keep_texts(workspace, skill, entry)
            added.append(entry)
        if added:
            files.replace(workspace.lock, lock_text(entries).encode())
    return added


def distrust(workspace: Workspace, names: Iterable[str]) -> list[str]:
    """Take trust back; those of the names that had it. Their entries stay on the lock, as revoked."""
    with files.locked(workspace.memory / "trust.lock"):
        entries = read_lock(workspace)
        gone = [one for one in dict.fromkeys(names) if one in entries and not entries[one].is_revoked]
        entries |= {name: entries[name].revoked() for name in gone}
        if gone:
            files.replace(workspace.lock, lock_text(entries).encode())
    return gone


def diff(workspace: Workspace, skill: Skill, changes: Iterable[Change]) -> Iterator[str]:
    """What has changed in a skill since it was trusted, as lines of a unified diff, at most MAX_DIFF_LINES of them."""
    n_left = MAX_DIFF_LINES
    for change in changes:
        lines = list(_file_diff(workspace, skill, change))
        yield from lines[:n_left]
        if len(lines) > n_left:
            yield f"[... more lines; compare `{skill.folder}` yourself]"
            return
        n_left -= len(lines)


def _file_diff(workspace: Workspace, skill: Skill, change: Change) -> Iterator[str]:
    was = _kept_text(workspace, change.was) if change.was else ""
    now = _text(skill.folder / change.path) if change.now else ""
    if was is None or now is None:
        yield f"{change.path}: {change.word} (no text to compare)"
        return
    names = f"trusted/{change.path}", f"now/{change.path}"
    yield from difflib.unified_diff(was.splitlines(), now.splitlines(), *names, lineterm="", n=2)


def _kept_text(workspace: Workspace, digest: str) -> str | None:
    """The text that was trusted, where it was kept and is still what it was."""
    text = _text(_kept(workspace, digest))
    return text if text is not None and hashlib.sha256(text.encode()).hexdigest() == digest else None


def _text(path: Path) -> str | None:
    """The text of a file; None where it is none, or too long to compare."""
    try:
        if path.is_symlink() or path.stat().st_size > MAX_KEPT_BYTES:
            return None
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _entry(workspace: Workspace, skill: Skill, before: Trusted | None, how: How, now: str) -> Trusted:
    digests = file_digests(skill.folder)
    unread = [path for path, digest in digests.items() if digest == UNREADABLE]
    if unread:
        raise UsageError(
            f"`{skill.name}` can't be trusted: `{skill.folder / unread[0]}` can't be read",
            hint="make the file readable, or take it away",
        )
    if version_of(digests) != skill.version:
        raise Denied(
            f"`{skill.name}` was changed while it was looked at",
            hint="look at it again: only what was shown can be trusted",
        )
    return Trusted(
        files=digests,
        path=_shown_path(skill.folder, workspace.root),
        source=skill.source,
        first_seen=before.first_seen if before else now,
        by=_user(),
        at=now,
        how=how,
        permissions=asked_permissions(skill),
        effects={name: function.effects for name, function in skill.functions.items()},
        uses=skill.uses,
        provenance=provenance(workspace, skill.name),
    )


def _shown_path(folder: Path, root: Path) -> str:
    """A folder as it can stand in a file that is shared: from the workspace, or from somebody's home."""
    from pathlib import Path  # here: what is above needs it for types only

    for base, sign in ((root, ""), (Path.home(), "~/")):
        if folder.is_relative_to(base):
            return sign + folder.relative_to(base).as_posix()
    return folder.as_posix()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number that is in no list of users
        return f"user {os.getuid()}"


def _keep_texts(workspace: Workspace, skill: Skill, entry: Trusted) -> None:
    """Keep what was trusted, so that a change can be shown. The kept files may be deleted at any time."""
    for path, digest in entry.files.items():
        kept, source = _kept(workspace, digest), skill.folder / path
        if digest.startswith(("link ", "leaves ")) or kept.exists() or (text := _text(source)) is None:
            continue
        data = text.encode()
        if hashlib.sha256(data).hexdigest() == digest:
            files.replace(kept, data)


def _kept(workspace: Workspace, digest: str) -> Path:
    return workspace.cache / "trusted" / digest


def _stamp(folder: Path) -> Stamp:
    """What changes when a file of a skill does: a time of change (ctime) can't be set back."""
    found = []
    for entry in folder_entries(folder):
        with suppress(FileNotFoundError):  # it went away meanwhile
            facts = entry.stat(follow_symlinks=False)
            found.append((entry.path, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns))
    return tuple(sorted(found))
