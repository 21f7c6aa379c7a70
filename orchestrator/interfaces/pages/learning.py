"""The page of what a workspace has learned: figures gathered, put into words, charts and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.interfaces.pages.learned_skills import imported_skills, unused_skills, used_skills
from orchestrator.interfaces.pages.learned_workflow import part_of
from orchestrator.interfaces.pages.rendering import page
from orchestrator.interfaces.strategies import workflows_of
from orchestrator.interfaces.terminal import clean, plural
from orchestrator.memory.experience import experience_of
from orchestrator.memory.figures import read_record
from orchestrator.memory.usage import UsageStore
from orchestrator.strategies.course import standings
from orchestrator.strategies.learned import folder_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.interfaces.pages.learned_workflow import Part
    from orchestrator.interfaces.pages.tables import Shown, Table
    from orchestrator.memory.figures import Record
    from orchestrator.memory.tallies import Tallies
    from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Learned:
    """The whole page."""

    name: str
    facts: tuple[str, ...]
    parts: tuple[Part, ...]
    skills: Shown
    unused: tuple[str, ...] = ()
    imported: Table | None = None


def learning_page(workspace: Workspace, *, live: str = "", home: str = "") -> str:
    """The HTML of the page. `live` and `home` are addresses where it is served. Raises WorkspaceError."""
    shown = gathered(workspace)
    data = {"learned": shown, "home": home}
    parts = ("learning.css", *(("live.js", "refresh.js") if live else ()))
    return page("learning.html", f"Learned · {shown.name}", data, parts, live=live)


def gathered(workspace: Workspace) -> Learned:
    """What the workspace's record says by now."""
    record, _ = read_record(workspace)
    experience, tallies = experience_of(workspace), UsageStore(workspace).tallies()
    courses = standings(list(record.attempts))
    folders = {folder_of(workspace, name).name for name in record.workflows}
    names = {*record.workflows, *(workflows_of(workspace, experience) - folders)}
    latest = {name: solved.latest[-1].at for name, solved in record.workflows.items()}
    parts = [
        part_of(workspace, name, record.workflows.get(name), courses.get(name, []), experience)
        for name in sorted(names, key=lambda name: (latest.get(name, ""), name), reverse=True)
        if name
    ]
    return Learned(
        clean(workspace.root.name or str(workspace.root)),
        _facts(record, tallies, parts),
        tuple(parts),
        used_skills(tallies),
        unused_skills(workspace, tallies),
        imported_skills(list(tallies.imported.values())),
    )


def _facts(record: Record, tallies: Tallies, parts: Sequence[Part]) -> tuple[str, ...]:
    n_runs = sum(solved.n for solved in record.workflows.values())
    if not tallies.n_records:
        return ("nothing is on record yet",)
    n_calls = sum(one.calls for one in tallies.skills.values())
    n_programs = sum(part.n_programs for part in parts)
    facts = [f"{plural(n_runs, 'run')} of {plural(len(record.workflows), 'workflow')}"]
    if n_calls:
        facts.append(f"{plural(n_calls, 'call')} of {plural(len(tallies.skills), 'skill')}")
    return (*facts, f"{plural(n_programs, 'program')} learned")
