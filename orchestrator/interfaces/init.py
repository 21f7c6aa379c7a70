"""`orchestrate init`: a workspace that runs at once. Nothing that is there is ever overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.documents.skill import load_skill
from orchestrator.documents.skill_files import file_digests
from orchestrator.errors import UsageError
from orchestrator.interfaces.terminal import clean, show
from orchestrator.runs.trusting import trust
from orchestrator.workspace import Workspace, expanded_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

TEMPLATE = Path(__file__).parent / "first_workspace"
SKILL = "skills/word-count"
WORKFLOW = "workflows/count-words.md"


def run(args: argparse.Namespace) -> int:
    """Make what a workspace needs and say what to do next; the value is the exit code."""
    folder = expanded_path(args.folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"`{folder}` is no folder", hint="name a folder, new or not: orchestrate init DIR")
    for target, content in _files(folder):
        made = _made(target, content)
        show(f"{'made' if made else 'kept'}  {clean(str(target))}")
    _trust_own(Workspace(folder.resolve()))
    here = folder.resolve() == Path.cwd()
    show(f"\nnext: {'' if here else f'cd {clean(str(folder))} && '}orchestrate {WORKFLOW}")
    return 0


def _trust_own(workspace: Workspace) -> None:
    """Put the skill that was just made on the lock, where it is as we make it: somebody may have put another there."""
    folder = workspace.root / SKILL
    if file_digests(folder) == file_digests(TEMPLATE / SKILL):
        skill = load_skill(folder / "SKILL.md", "workspace")
        trust(workspace, [skill], "person")
        show(f"trusts `{skill.name}`, see skills.lock")


def _files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for source in sorted(TEMPLATE.rglob("*")):
        inside = source.relative_to(TEMPLATE)
        if source.is_file() and "__pycache__" not in inside.parts:
            # Stored without its dot: a .gitignore inside the package would be obeyed there.
            name = ".gitignore" if source.name == "gitignore" else source.name
            yield folder / inside.with_name(name), source.read_bytes()
    yield folder / "skill-usage.json", b"{}\n"


def _made(target: Path, content: bytes) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True
