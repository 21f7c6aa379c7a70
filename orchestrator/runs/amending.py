"""Makes a proposed change and takes it back, so that a kill at any point leaves what can be taken back.

What is to be written, and what was there, lies in `memory/reviews/applied/<id>.json` before the first file is touched:

    {"v": 1, "state": "begun" | "kept", "at": iso, "proposal": {...},
     "edits": [{"path": from the workspace, "mode": bits | null, "before": base64 | null, "after": base64 | null}]}

`begun`: some of the files may have been written; whether the change holds was not found out. `kept`: all were, and it
does. The record goes when all files are as they were: what has no record was never applied, or is undone.

Covered: who is killed, or interrupted, at any point; two that apply or roll back at once; a file that changes between
the question and the write; a record that is not ours, as out of another's repository: of the files that it can name,
none is run by anything, and what it would make is shown. Not covered: who writes to one of the files in the instant between the look at it and the
write, without `memory/trust.lock`.
"""

from __future__ import annotations

import base64
import difflib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import UsageError, WorkspaceError
from orchestrator.memory import files
from orchestrator.memory.reviewing import proposal as proposals_
from orchestrator.runs.reviewing import all_proposals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from orchestrator.memory.reviewing.proposal import Proposal
    from orchestrator.workspace import Workspace

VERSION = 1
LOCK = "amending.lock"
_ID = re.compile(r"[0-9a-f]{8}")
_TEXT = re.compile(r".+\.(?:md|markdown|txt)(?:\.retired)?", re.IGNORECASE | re.DOTALL)

State = Literal["begun", "kept"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One file: its bytes before and after; None where there is no file. `path` is no link, `mode` is what it had."""

    path: Path
    before: bytes | None
    after: bytes | None
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What is on record of a change that was begun."""

    proposal: Proposal
    state: State
    at: str
    edits: tuple[Edit, ...]


def proposed(workspace: Workspace, number: str) -> Proposal:
    """The proposal with this id, of whichever review. Raises UsageError, naming the closest ids."""
    known = all_proposals(workspace)
    if number in known:
        return known[number]
    raise UsageError(
        f"no review in `{workspace.memory / 'reviews'}` proposes `{number}` ({len(known)} known)",
        hint=_closest(number, known) or "`orchestrate review` makes proposals, and shows their ids",
    )


def applied(workspace: Workspace, number: str) -> Applied | None:
    """What is on record of a change; None where it is not applied. Raises UsageError for a damaged record."""
    if not _ID.fullmatch(number):
        return None  # it is to be a file's name
    path = _record(workspace, number)
    try:
        return _read(workspace, json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"the record `{path}` of what was applied is damaged: {error}",
            hint="take it back from version control; or restore the files by hand, and delete it",
        ) from error


def check_not_applied(workspace: Workspace, number: str) -> None:
    """Raise UsageError where a change is applied already, or was begun."""
    found = applied(workspace, number)
    if found is None:
        return
    back = f"`orchestrate review rollback {number}` takes it back"
    if found.state == "begun":
        raise UsageError(
            f"applying `{number}` was begun on {found.at} and cut off", hint=f"{back}, then apply it again"
        )
    raise UsageError(f"`{number}` was applied on {found.at}", hint=back)


def apply(
    workspace: Workspace,
    proposal: Proposal,
    edits: Sequence[Edit],
    is_worse: Callable[[], bool],
    now: datetime,
) -> bool:
    """Make a change that somebody has agreed to; whether it is kept. It is undone where `is_worse` says so, or raises.

    Raises UsageError where a file is not what was agreed to any more, or the change is applied already.
    """
    for edit in edits:
        _check_kind(workspace, edit)
    with files.locked(workspace.memory / LOCK):
        check_not_applied(workspace, proposal.id)
        begun = Applied(proposal, "begun", now.isoformat(timespec="seconds"), tuple(edits))
        with files.locked(workspace.memory / "trust.lock"):
            for edit in edits:
                if (moved := _other_than(edit, "before")) is not None:
                    raise UsageError(
                        f"{moved} since you were asked", hint="apply it again, and look at it again"
                    )
            _write(workspace, begun)
            try:
                _put(edits, "after")
            except BaseException:
                _undo(workspace, begun)
                raise
        try:
            kept = not is_worse()
        except BaseException:
            _take_back(workspace, begun)
            raise
        if kept:
            _write(workspace, replace(begun, state="kept"))
        else:
            _take_back(workspace, begun)
        return kept


def rollback(workspace: Workspace, number: str) -> Applied:
    """Put back the bytes that were there before a change. Raises UsageError where it is not applied, or a file has changed."""
    with files.locked(workspace.memory / LOCK):
        found = to_roll_back(workspace, number)
        _take_back(workspace, found)
    return found


def to_roll_back(workspace: Workspace, number: str) -> Applied:
    """What a rollback would undo. Raises UsageError as that does, and changes nothing."""
    found = applied(workspace, number)
    if found is None:
        there = sorted(path.stem for path in _record(workspace, number).parent.glob("*.json"))
        if number not in all_proposals(workspace):
            what = f"no change `{number}` is on record in `{_folder(workspace)}`"
        else:
            what = f"`{number}` is not applied: there is nothing to take back"
        known = f"applied: {', '.join(there[:10])}" if there else "nothing is applied"
        raise UsageError(what, hint=_closest(number, there) or known)
    _check_ours(workspace, found)
    return found


def diff(edits: Iterable[Edit], workspace: Workspace) -> Iterator[str]:
    """What edits change, as lines of a unified diff."""
    edits = tuple(edits)
    moved = {edit.before for edit in edits if edit.after is None}
    for edit in edits:
        name = shown_path(edit.path, workspace)
        if edit.after is None or (edit.before is None and edit.after in moved):
            yield f"{name}: {'new' if edit.before is None else 'goes'}"
            continue
        now, then = (one.decode("utf-8", "replace").splitlines() for one in (edit.before or b"", edit.after))
        yield from difflib.unified_diff(now, then, f"now/{name}", f"then/{name}", lineterm="", n=2)


def reverse(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """The edits that undo these."""
    return tuple(replace(edit, before=edit.after, after=edit.before) for edit in edits)


def shown_path(path: Path, workspace: Workspace) -> str:
    """A path from the workspace, where it lies in it."""
    root = workspace.root.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def bytes_of(path: Path) -> bytes | None:
    """The content of a file; None where there is none. Raises WorkspaceError for one that can't be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorkspaceError(
            f"can't read `{path}`: {error.strerror or error}", hint="make it readable"
        ) from error


def _check_ours(workspace: Workspace, found: Applied) -> None:
    """Raise UsageError where a file is neither what it was nor what the change made of it."""
    for edit in found.edits:
        now = bytes_of(edit.path)
        if now in (edit.before, edit.after):
            continue
        record = shown_path(_record(workspace, found.proposal.id), workspace)
        raise UsageError(
            f"`{edit.path}` has changed since `{found.proposal.id}` was applied: taking it back would lose that",
            hint=f"undo the later change first; or change the file by hand, and delete `{record}`",
        )


def _other_than(edit: Edit, side: Literal["before", "after"]) -> str | None:
    """What has become of a file that is not as it should be on one side of an edit."""
    now = bytes_of(edit.path)
    if now == getattr(edit, side):
        return None
    return f"`{edit.path}` {'is gone' if now is None else 'has changed'}"


def _take_back(workspace: Workspace, found: Applied) -> None:
    with files.locked(workspace.memory / "trust.lock"):
        _check_ours(workspace, found)
        _undo(workspace, found)


def _undo(workspace: Workspace, found: Applied) -> None:
    _put(found.edits[::-1], "before")
    path = _record(workspace, found.proposal.id)
    path.unlink(missing_ok=True)
    files.sync(path.parent)


def _put(edits: Iterable[Edit], side: Literal["before", "after"]) -> None:
    for edit in edits:
        data: bytes | None = getattr(edit, side)
        is_so = bytes_of(edit.path) == data
        if data is None and not is_so:
            edit.path.unlink(missing_ok=True)
            files.sync(edit.path.parent)
        elif data is not None:
            if not is_so:
                files.replace(edit.path, data)
            if edit.mode is not None and None in (edit.before, edit.after):
                edit.path.chmod(edit.mode)  # it was made anew, perhaps by somebody who was killed before this


def _write(workspace: Workspace, what: Applied) -> None:
    value = {
        "v": VERSION,
        "state": what.state,
        "at": what.at,
        "proposal": proposals_.to_object(what.proposal),
        "edits": [
            {
                "path": shown_path(edit.path, workspace),
                "mode": edit.mode,
                "before": _text(edit.before),
                "after": _text(edit.after),
            }
            for edit in what.edits
        ],
    }
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    files.replace(_record(workspace, what.proposal.id), text.encode("utf-8", "backslashreplace"))


def _read(workspace: Workspace, value: Any) -> Applied:
    if value["v"] != VERSION or value["state"] not in ("begun", "kept"):
        raise ValueError(f"version {value['v']!r:.20}, state {value['state']!r:.20}")
    edits = tuple(
        Edit(workspace.root.resolve() / one["path"], _bytes(one["before"]), _bytes(one["after"]), one["mode"])
        for one in value["edits"]
    )
    for edit in edits:
        _check_kind(workspace, edit)
        if edit.mode is not None and (type(edit.mode) is not int or not 0 <= edit.mode <= 0o777):
            raise ValueError(f"mode {edit.mode!r:.20}")
    return Applied(proposals_.from_object(value["proposal"]), value["state"], str(value["at"]), edits)


def _check_kind(workspace: Workspace, edit: Edit) -> None:
    """Raise UsageError for a file that no proposal is about: they are texts, and the workspace's lock."""
    if edit.path != workspace.lock.resolve() and not _TEXT.fullmatch(edit.path.name):
        raise UsageError(
            f"`{edit.path}` is no Markdown, and no `{workspace.lock.name}`: no review changes it",
            hint="make the change in the file yourself",
        )


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def _folder(workspace: Workspace) -> Path:
    return workspace.memory / "reviews" / "applied"


def _record(workspace: Workspace, number: str) -> Path:
    return _folder(workspace) / f"{number}.json"


def _closest(number: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(number, list(known), n=3, cutoff=0.5)
    return f"did you mean {', '.join(f'`{one}`' for one in close)}?" if close else ""
