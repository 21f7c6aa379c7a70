"""Reviews of a workspace: made one at a time under a lock, kept in `memory/reviews/`, and read back.

Each is two files, `<date>.md` and `<date>.json`; those of a second one on that date end in `-2`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.catalog.trust import is_bundled
from orchestrator.documents.skill_files import folder_files
from orchestrator.documents.workflow import load_workflow
from orchestrator.errors import DocumentError, UsageError, WorkspaceError
from orchestrator.memory import files
from orchestrator.memory.asked import OFFERS
from orchestrator.memory.reviewing import finding, proposal
from orchestrator.memory.reviewing.page import markdown
from orchestrator.memory.reviewing.proposing import Known, KnownSkill, KnownWorkflow
from orchestrator.memory.reviewing.review import review, to_object
from orchestrator.memory.reviewing.window import window
from orchestrator.memory.reviewing.wording import answered, request, worded
from orchestrator.runs.journal import FILE_NAME, read_ends
from orchestrator.values import Limits
from orchestrator.workspace import bundled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.catalog.select import Catalog
    from orchestrator.documents.types import Skill
    from orchestrator.memory.reviewing.finding import Finding
    from orchestrator.memory.reviewing.proposal import Proposal
    from orchestrator.memory.reviewing.review import Wording
    from orchestrator.memory.reviewing.wording import Unclear
    from orchestrator.workspace import Workspace

Describe = Callable[[Sequence[str]], Sequence[str | None]]
"""Asks a model each of some questions; None for one that it does not answer."""

LOCK = "reviews.lock"
FRESH = timedelta(days=1)
"""How old a review may be for a heartbeat to tell of it again, rather than make one."""

_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?:-(\d{1,6}))?\.json")


@dataclass(frozen=True, slots=True)
class Kept:
    """A review as `--json` has it, and as Markdown. `path` is that of its Markdown file; None where it was not kept.

    `n_records` and `n_skipped` are None of one that was made before. `trouble` says why one was not kept.
    """

    value: dict[str, Any]
    page: str
    path: Path | None
    n_records: int | None = None
    n_skipped: int | None = None
    trouble: str = ""

    @property
    def end(self) -> datetime:
        """Until when it looked."""
        return datetime.fromisoformat(self.value["window"]["to"])

    @property
    def findings(self) -> list[Finding]:
        """What was found."""
        return [finding.from_object(one) for one in self.value["findings"]]

    @property
    def proposals(self) -> list[Proposal]:
        """What was proposed."""
        return [proposal.from_object(one) for one in self.value["proposals"]]


def make_review(
    workspace: Workspace,
    catalog: Callable[[], Catalog],
    since: str | None,
    now: datetime,
    describe: Describe | None = None,
) -> Kept:
    """Review the record up to `now` and keep what was found.

    `describe` has a model write what it is asked for; without it no description is proposed.
    Waits while another review goes on, and then takes that one's where no `since` was asked for. In a workspace that
    can't be written nothing is kept, and `trouble` says so. Raises UsageError for a `since` that means nothing.
    """
    with ExitStack() as held:
        trouble = ""
        try:
            held.enter_context(files.locked(workspace.memory / LOCK))
        except WorkspaceError as error:
            trouble = str(error)
        last = last_review(workspace, now)
        if last is not None and since is None and _is_newer(last, now):
            return last
        looked = window(now, since, last.end if last is not None else None)
        known = known_in(workspace, catalog())
        with workspace.usage_log.open("rb") as lines:
            made = review(lines, looked, known, _offers(workspace), _wording(catalog, known, describe))
        value, page = to_object(made), markdown(made)
        path = None
        if not trouble:
            try:
                path = _keep(workspace, value, page, now)
            except WorkspaceError as error:
                trouble = str(error)
    return Kept(value, page, path, made.reading.n_records, made.reading.n_skipped, trouble)


def last_review(workspace: Workspace, now: datetime) -> Kept | None:
    """The newest review that can be read; None where there is none.

    One that ends more than `FRESH` from now was made by a clock that was wrong: it would stand for all until then.
    """
    for path in _reviews(workspace):
        try:
            value = json.loads(path.read_bytes())
            page = path.with_suffix(".md")
            kept = Kept(value, page.read_text("utf-8") if page.exists() else "", page)
            if kept.end - now <= FRESH and kept.findings is not None and kept.proposals is not None:
                return kept
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # somebody changed it, or a writer was killed: the one before it stands
    return None


def standing(kept: Kept, known: Known) -> list[Proposal]:
    """The proposals whose files are as they were when they were made."""
    return [one for one in kept.proposals if one.hash == _hash_now(one, known)]


def all_proposals(workspace: Workspace) -> dict[str, Proposal]:
    """Whatever was ever proposed and is still kept, by id; of the reviews that can be read."""
    found: dict[str, Proposal] = {}
    for path in _reviews(workspace):
        try:
            value = json.loads(path.read_bytes())
            made = [proposal.from_object(one) for one in value["proposals"]]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        found = {**{one.id: one for one in made}, **found}
    return found


def workflow_file(workspace: Workspace, name: str) -> Path | None:
    """The file of a workflow that a proposal names; None where there is none of that name."""
    for path in _workflow_files(workspace):
        if (found := _workflow(path)) is not None and found[0] == name:
            return path
    return None


def known_in(workspace: Workspace, catalog: Catalog) -> Known:
    """What there is to change in a workspace: the skills that can be called, and its own workflows."""
    root = workspace.root.resolve()
    skills = {
        skill.name: KnownSkill(
            skill.version, _changed(skill), is_bundled(skill),
            is_shared=not skill.folder.resolve().is_relative_to(root),
        )
        for skill in catalog.skills
    }  # fmt: skip
    workflows: dict[str, KnownWorkflow] = {}
    for path in _workflow_files(workspace):
        if (found := _workflow(path)) is not None:
            workflows.setdefault(*found)
    return Known(skills, workflows)


def _wording(catalog: Callable[[], Catalog], known: Known, describe: Describe | None) -> Wording:
    """Proposals of better descriptions, written by a model; none where there is no model, or it can't be asked."""

    def write(found: Sequence[Unclear]) -> list[Proposal]:
        if describe is None or not found:
            return []
        skills = {skill.name: skill for skill in catalog().skills}
        prompts = [request(one, skills[one.skill].description, skills[one.skill].body) for one in found]
        made = []
        for one, reply in zip(found, describe(prompts), strict=False):
            now = skills[one.skill].description
            if reply is not None and (text := answered(reply, now)) is not None:
                made.append(worded(one, known, now, text))
        return made

    return write


def _offers(workspace: Workspace) -> list[bytes]:
    """The lines of what was offered to hosts; none where nothing was."""
    try:
        return (workspace.memory / OFFERS).read_bytes().splitlines()
    except OSError:
        return []


def _is_newer(last: Kept, asked: datetime) -> bool:
    """Whether a review was made while somebody waited who asked at this time."""
    if last.end >= asked:
        return True
    if last.path is None:
        return False
    written_s = last.path.with_suffix(".json").stat().st_mtime - asked.timestamp()
    return 0 <= written_s <= FRESH.total_seconds()


def _keep(workspace: Workspace, value: dict[str, Any], page: str, now: datetime) -> Path:
    """Write both files under the first name of the day that is free; the caller holds the lock."""
    folder, day, number = workspace.memory / "reviews", now.astimezone(UTC).date().isoformat(), 1
    while True:
        path = folder / (f"{day}.md" if number == 1 else f"{day}-{number}.md")
        if not path.exists() and not path.with_suffix(".json").exists():
            break
        number += 1
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    files.replace(path, page.encode("utf-8", "backslashreplace"))
    files.replace(
        path.with_suffix(".json"), text.encode("utf-8", "backslashreplace")
    )  # last: it is what is read back
    return path


def _reviews(workspace: Workspace) -> list[Path]:
    """The reviews' JSON files, newest first."""
    try:
        found = [
            (match, path)
            for path in (workspace.memory / "reviews").iterdir()
            if (match := _NAME.fullmatch(path.name))
        ]
    except OSError:
        return []
    found.sort(key=lambda pair: (pair[0][1], int(pair[0][2] or 1)), reverse=True)
    return [path for _, path in found]


def _hash_now(one: Proposal, known: Known) -> str | None:
    kind, _, name = one.subject.partition(":")
    if kind == "skill":
        return known.skills[name].hash if name in known.skills else None
    workflow = known.workflows.get(name.partition("/")[0])
    return workflow.hash if workflow is not None else None


def _changed(skill: Skill) -> date:
    """The day on which a file of the skill was last changed."""
    times = [0.0]
    for path in folder_files(skill.folder):
        try:
            times.append(path.lstat().st_mtime)
        except OSError:
            continue
    return datetime.fromtimestamp(max(times), UTC).date()


def _workflow_files(workspace: Workspace) -> Iterator[Path]:
    """The workspace's own workflows where they are looked for by name, then where its latest runs had them from."""
    ours = bundled().resolve() / "workflows"
    for folder in (workspace.root / "workflows", workspace.root):
        if folder.resolve() != ours and folder.is_dir():
            yield from sorted(folder.glob("*.md"))
    yield from (path for path in _run_files(workspace) if ours not in path.parents)


def _run_files(workspace: Workspace) -> Sequence[Path]:
    """Files that the latest runs were made of, the newest first."""
    try:
        folders = sorted(
            (path for path in workspace.runs.iterdir() if (path / FILE_NAME).is_file()), reverse=True
        )
    except OSError:
        return []
    found: dict[Path, None] = {}
    for folder in folders[:MAX_RUNS]:
        try:
            started, _ = read_ends(folder / FILE_NAME)
        except (UsageError, OSError):
            continue
        if started is not None and isinstance(path := started.fields.get("path"), str):
            found[workspace.root / path] = None
    return list(found)


MAX_RUNS = 300
"""Runs whose journals are asked where their workflows lie."""


def _workflow(path: Path) -> tuple[str, KnownWorkflow] | None:
    """A workflow by its name; None where the file is none, or has errors."""
    try:
        data = path.read_bytes()
        loaded = load_workflow(path)
    except (DocumentError, OSError):
        return None
    limits = {name: getattr(loaded.limits, name) for name in Limits.__dataclass_fields__}
    digest = hashlib.sha256(data).hexdigest()
    return loaded.name, KnownWorkflow(digest, limits, loaded.written_limits, loaded.strategies)
