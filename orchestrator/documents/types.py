"""What documents are once read: workflows, skills and their functions, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.values import Cell, Effects, Limits, Permissions, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema = dict[str, Any]
"""A JSON Schema (2020-12) as plain JSON values."""


@dataclass(frozen=True, slots=True)
class Check:
    """An acceptance test of a workflow; `text` is the expression, command line, skill name or claim."""

    name: str
    kind: Literal["expr", "shell", "skill", "judge"]
    text: str
    arguments: Mapping[str, Any] = field(default_factory=dict)  # of a `skill` check; `{{answer}}` is replaced
    runs: int = 1  # of a `judge` check: how often it is asked,
    passes: int = 1  # and how many times it has to agree
    line: int = 0


@dataclass(frozen=True, slots=True)
class Workflow:
    """A Markdown file that can be run. `version` is the sha256 of its text."""

    name: str
    description: str
    path: Path
    body: str  # the prose and cells below the frontmatter, as written
    cells: tuple[Cell, ...]
    inputs: Schema  # an object schema; `{"type": "object"}` where none was written
    version: str
    output: Schema | None = None
    skills: tuple[str, ...] | None = None  # names and globs; None = every trusted skill
    context: tuple[str, ...] = ()  # globs, with `{{input}}` still in them
    root_model: str | None = None
    sub_model: str | None = None
    strategies: tuple[str, ...] | None = None
    limits: Limits = field(default_factory=Limits)
    written_limits: frozenset[str] = frozenset()  # names of those that the author set
    permissions: Permissions = field(default_factory=Permissions)
    approvals: tuple[str, ...] = ()
    remember: tuple[str, ...] = ()  # globs of notes that its cells may write
    checks: tuple[Check, ...] = ()
    max_retries: int = 0
    cell_timeout_s: float = 120.0
    warnings: tuple[Problem, ...] = ()
    source: str = field(default="", compare=False, repr=False)  # the whole text


@dataclass(frozen=True, slots=True)
class Fit:
    """When a strategy applies: bounds of the context's size, in bytes and as a share of the sub model's window."""

    min_bytes: int = 0
    max_bytes: int | None = None
    min_windows: float = 0.0
    max_windows: float | None = None
    depth: int = 0  # levels of recursion that it needs


@dataclass(frozen=True, slots=True)
class Evidence:
    """The run that a strategy was learned from: which, when, of which text of the workflow, what it passed and cost."""

    run: str = ""
    at: str = ""
    workflow: str = ""
    workflow_version: str = ""
    checks: tuple[str, ...] = ()  # names of those that passed
    usd: float = 0.0
    tokens: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class StrategyDocument:
    """A way to decompose, written as cells that ask a sub model. `version` is the sha256 of its text."""

    name: str
    description: str
    path: Path
    cells: tuple[Cell, ...]
    version: str
    fit: Fit = field(default_factory=Fit)
    evidence: Evidence | None = None  # of a learned one
    first: bool = False  # of a learned one: somebody wants it tried before all others


@dataclass(frozen=True, slots=True)
class Script:
    """A program in a skill's folder. `input` is what its argparse calls say, None where they say nothing."""

    path: str  # relative to the skill, with `/`
    description: str = ""
    input: Schema | None = None  # carries `"inferred": true`
    dependencies: tuple[str, ...] = ()  # of its PEP 723 block
    unread: tuple[str, ...] = ()  # what can't be known without running it, one sentence each


@dataclass(frozen=True, slots=True)
class Function:
    """One callable of a skill."""

    name: str
    kind: Literal["python", "script", "prompt", "workflow"]
    entry: str  # `skill.py:count`, or a path relative to the skill
    description: str = ""
    style: Literal["argparse", "stdin-json"] = "argparse"  # how a script takes its arguments
    input: Schema | None = None
    output: Schema | None = None
    effects: Effects = "write"  # what nobody declared may have changed the world
    idempotent: bool = False
    approval: bool = False  # each call waits for a person
    timeout_s: float = 60.0
    inferred: bool = False


@dataclass(frozen=True, slots=True)
class Requires:
    """What has to be on the machine for a skill to work."""

    bins: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """A call and what it must come to; `orchestrate skills test` runs it. Output None = any."""

    input: Mapping[str, Any]
    output: Any = None
    function: str | None = None  # None = the default function


@dataclass(frozen=True, slots=True)
class Skill:
    """A folder with SKILL.md. `version` is a hash over all its files; `name` is what the frontmatter says."""

    name: str
    description: str
    folder: Path
    body: str
    version: str
    source: str = "folder"  # workspace | claude | agents | home-claude | home-agents | bundled | folder
    has_manifest: bool = False  # a manifest.yaml with our marker, also one with errors
    functions: Mapping[str, Function] = field(default_factory=dict)
    default: str | None = None
    scripts: Mapping[str, Script] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    permissions: Permissions = field(default_factory=Permissions)
    requires: Requires = field(default_factory=Requires)
    examples: tuple[Example, ...] = ()
    diagnostics: tuple[Problem, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)  # the frontmatter's other keys, as read

    @property
    def path(self) -> Path:
        """The skill's folder: what is called `path` of a workflow is `folder` here."""
        return self.folder

    @property
    def attribute(self) -> str:
        """The name it has on `skills` in a REPL: `-` becomes `_`."""
        return self.name.replace("-", "_")
