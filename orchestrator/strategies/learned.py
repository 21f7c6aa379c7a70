"""Programs learned for a workflow: distilled from runs that passed their checks, as files that a person can edit.

They lie in `memory/strategies/<workflow>/<hash>.md`, in the form of every strategy (`documents.strategy`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.documents.strategy import parse_strategy
from orchestrator.errors import DocumentError
from orchestrator.memory.editions import edition, original
from orchestrator.strategies.distilling import rendering

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.documents.types import Skill, StrategyDocument
    from orchestrator.workspace import Workspace

PREFIX = "learned:"

MAX_NAME_BYTES = 200
"""Of a workflow's folder: a heading is as long as it likes, a file name is not."""

_SUB_CALL = re.compile(r"\b(?:llm|rlm)_query(?:_batched)?\b")


@dataclass(frozen=True, slots=True)
class Program:
    """A learned program, by the name of its strategy: `learned:<hash>`, of an edited one `learned:<hash>+<new hash>`."""

    name: str
    document: StrategyDocument
    text: str  # the whole file

    @property
    def digest(self) -> str:
        """Tells its cells from those of other programs, wherever they lie."""
        return _digest(self.document)

    @property
    def asks(self) -> bool:
        """Whether its cells name a function that asks a model, so that it needs one."""
        return any(_SUB_CALL.search(cell.source) for cell in self.document.cells)

    def names(self, skill: Skill) -> bool:
        """Whether its cells name a skill, as `skills.word_count` or `skills["word-count"]`."""
        name = rf"\bskills\s*(?:\.\s*{re.escape(skill.attribute)}\b|\[\s*['\"]{re.escape(skill.name)}['\"])"
        return any(re.search(name, cell.source) for cell in self.document.cells)


def is_learned(name: str) -> bool:
    """Whether a strategy's name is that of a learned program."""
    return name.startswith(PREFIX)


def program_of(name: str, text: str) -> Program:
    """A program from the text of its file, wherever that is now. Raises DocumentError."""
    return Program(name, parse_strategy(text, Path(f"{original(name).removeprefix(PREFIX)}.md")), text)


def named(name: str, programs: Iterable[str]) -> str:
    """The program that is meant by a name: where its file was edited, the edition that is there now."""
    there = list(programs)
    if name in there or not is_learned(name):
        return name
    return next((one for one in there if original(one) == name), name)


def folder_of(workspace: Workspace, workflow: str) -> Path:
    """Where the programs of a workflow lie: its name, without what could leave the folder."""
    name = re.sub(r"[^\w.-]", "-", workflow).strip(".") or "workflow"
    kept = name.encode("utf-8", "ignore")[:MAX_NAME_BYTES].decode("utf-8", "ignore")
    return workspace.memory / "strategies" / kept


def programs_of(workspace: Workspace, workflow: str) -> tuple[dict[str, Program], list[str]]:
    """The programs of a workflow by name, and what is wrong with files that are none.

    Those that say `first: true` lead, then the newest.
    """
    folder = folder_of(workspace, workflow)
    if not folder.is_dir():
        return {}, []
    found: dict[str, Program] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("[!.]*.md"), key=_newest_first):
        try:
            text = path.read_text("utf-8")
            document = parse_strategy(text, path)
            name = _name(path.stem, document)
            found[name] = Program(name, document, text)
        except (DocumentError, OSError, UnicodeDecodeError) as error:
            problems.append(f"`{path}` is no strategy, and is left out: {error}")
    return dict(sorted(found.items(), key=lambda pair: not pair[1].document.first)), problems


def promoted(programs: Mapping[str, Program]) -> tuple[str, ...]:
    """Those that somebody wants tried before all others."""
    return tuple(name for name, program in programs.items() if program.document.first)


def _name(stem: str, document: StrategyDocument) -> str:
    """The file's name, and what its cells are where they are not those that it was made with."""
    name, cells = f"{PREFIX}{stem}", _digest(document)
    as_learned = (stem, document.name.removeprefix(rendering.PREFIX))  # a file may be given another name
    return name if cells in as_learned else edition(name, cells)


def _digest(document: StrategyDocument) -> str:
    return rendering.digest([cell.source for cell in document.cells])


def _newest_first(path: Path) -> tuple[float, str]:
    try:
        return -path.stat().st_mtime, path.name
    except OSError:  # gone, or a link to nowhere: who reads it says so
        return 0.0, path.name
