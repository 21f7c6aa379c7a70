"""Where the parts of a workspace lie, and how one is found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import UsageError

MARKERS = ("skills", "memory", "skill-usage.json")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with `skills/`, `memory/` and `skill-usage.json`; missing parts are made when first written."""

    root: Path

    @property
    def skills(self) -> Path:
        """Folder of the workspace's own skills."""
        return self.root / "skills"

    @property
    def memory(self) -> Path:
        """Folder of notes, learned strategies, reviews and runs."""
        return self.root / "memory"

    @property
    def runs(self) -> Path:
        """Folder with one folder for each run."""
        return self.memory / "runs"

    @property
    def cache(self) -> Path:
        """Folder whose content may be deleted at any time."""
        return self.memory / "cache"

    @property
    def scratch(self) -> Path:
        """Folder with one folder of scratch for each run that is going on."""
        return self.cache / "scratch"

    @property
    def texts(self) -> Path:
        """Folder of long texts that workers read or map, each named by its sha256."""
        return self.cache / "texts"

    @property
    def replies(self) -> Path:
        """Folder of replies of models that are kept for later runs, where that is asked for."""
        return self.cache / "replies"

    @property
    def settings(self) -> Path:
        """The file of settings: models, commands, thresholds."""
        return self.root / "orchestrate.toml"

    @property
    def lock(self) -> Path:
        """The file that says which skills are trusted."""
        return self.root / "skills.lock"

    @property
    def usage_log(self) -> Path:
        """The usage record: one JSON object a line."""
        return self.memory / "usage.jsonl"

    @property
    def usage_summary(self) -> Path:
        """The TinyDB document made from the usage record."""
        return self.root / "skill-usage.json"


def workspace_of(asked: Path | str | None, workflow: Path = Path()) -> Workspace:
    """The workspace to work in; without a workflow, the one of the working directory.

    Raises UsageError when the one that was asked for is no folder.
    """
    if asked is None:
        came_with_us = workflow.resolve().is_relative_to(bundled().resolve())
        elsewhere = not Path.cwd().is_relative_to(bundled().resolve())
        # A workflow of the package works on the folder it is called from: where it lies is nobody's workspace.
        return find_workspace(*([] if came_with_us and elsewhere else [workflow.parent]), Path.cwd())
    root = expanded_path(asked).absolute()
    if root.exists() and not root.is_dir():
        raise UsageError(f"the workspace `{root}` is no folder", hint="name a folder with --workspace DIR")
    return Workspace(root.resolve())


def existing_workspace(asked: Path | str | None) -> Workspace:
    """The workspace to read from. Raises UsageError when the one that was asked for is not there."""
    workspace = workspace_of(asked)
    if asked is not None and not workspace.root.exists():
        raise UsageError(
            f"there is no folder `{workspace.root}`",
            hint="name a workspace that is there with --workspace DIR",
        )
    return workspace


def find_workspace(*starts: Path) -> Workspace:
    """The nearest workspace from each start in turn, else the working directory."""
    found = (nearest_workspace(start) for start in starts)
    return next((workspace for workspace in found if workspace), Workspace(Path.cwd()))


def nearest_workspace(start: Path) -> Workspace | None:
    """The nearest folder with a workspace's parts, upwards from `start`; None where there is none."""
    absolute = start.resolve()
    for folder in (absolute, *absolute.parents):
        if any((folder / marker).exists() for marker in MARKERS):
            return Workspace(folder)
    return None


def bundled() -> Path:
    """Folder with the `skills/` and `workflows/` that come with the package."""
    package = Path(__file__).parent
    installed = package / "bundled"
    return installed if installed.is_dir() else package.parent


def expanded_path(text: str | Path) -> Path:
    """The path with a leading `~` or `~name` replaced. Raises UsageError where that is nobody's home."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        start = Path(text).parts[0]
        raise UsageError(
            f"`{text}` can't be expanded: `{start}` is no home folder here",
            hint=f"write the whole path, or `./{text}` for a name that starts with `~`",
        ) from None
