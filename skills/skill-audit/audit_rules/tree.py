"""The files of one skill, read within bounds: what a rule gets to see, and what was left out and why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["markdown", "shell", "python", "javascript", "text"]

N_FILES = 2_000
N_FOLDERS = 2_000
N_DEEPEST = 6
N_TEXT_BYTES = 2 * 1024 * 1024
SKIPPED_FOLDERS = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv"})
KINDS: dict[str, Kind] = {
    **dict.fromkeys((".md", ".markdown", ".mdx", ".txt", ".rst"), "markdown"),
    **dict.fromkeys((".sh", ".bash", ".zsh", ".command", ".ps1", ".psm1", ".bat", ".cmd"), "shell"),
    **dict.fromkeys((".py", ".pyw"), "python"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".ts", ".mts", ".tsx", ".jsx"), "javascript"),
}
SHEBANGS: tuple[tuple[str, Kind], ...] = (
    ("python", "python"),
    ("node", "javascript"),
    ("deno", "javascript"),
    ("bun", "javascript"),
    ("sh", "shell"),
)


@dataclass(frozen=True)
class TextFile:
    """A file that rules read. `name` is relative to the skill, with `/`."""

    name: str
    kind: Kind
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines without their ends; only real line breaks count, as in an editor."""
        return self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


@dataclass(frozen=True)
class BinaryFile:
    """A file that is no text: its first bytes and its permission to be executed."""

    name: str
    head: bytes
    is_executable: bool


@dataclass(frozen=True)
class Link:
    """A symbolic link: what it says, where that leads, and whether it leaves the skill."""

    name: str
    target: str
    leaves: bool
    is_broken: bool


@dataclass
class Tree:
    """All of one skill. `nested` are the folders of skills inside it; their files belong to them."""

    folder: Path
    texts: list[TextFile] = field(default_factory=list)
    binaries: list[BinaryFile] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    nested: list[Path] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)  # name and why

    @property
    def n_files(self) -> int:
        """How many files were looked at."""
        return len(self.texts) + len(self.binaries)


def skill_file(folder: Path) -> Path | None:
    """The folder's SKILL.md in any case, or None when this is no skill."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.lower() == "skill.md")
    except OSError:
        return None
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_tree(folder: Path) -> Tree:
    """The files of one skill, without those of skills inside it."""
    tree = Tree(folder)
    for path in _walk(tree, folder):
        name = path.relative_to(folder).as_posix()
        if tree.n_files >= N_FILES:
            tree.unread.append((name, f"more than {N_FILES:,} files; this one and the rest were left out"))
            break
        try:
            _add(tree, path, name)
        except OSError as error:
            tree.unread.append((name, error.strerror or "can't be read"))
    return tree


def find_skills(roots: list[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Every skill folder below the roots that is not inside another skill, and what was passed over and why.

    Bounds are those of the Agent Skills client guide: 6 levels, 2,000 folders for each root. A link is followed
    when it stays below one of the roots.
    """
    found: dict[Path, None] = {}
    passed: list[tuple[Path, str]] = []
    real_roots = [root.resolve() for root in roots]
    for root in roots:
        _find_below(root, real_roots, found, passed)
    return list(found), passed


def _find_below(
    root: Path, real_roots: list[Path], found: dict[Path, None], passed: list[tuple[Path, str]]
) -> None:
    waiting = [(root, 0)]
    seen = {path.resolve() for path in found}
    for n_folders, (folder, depth) in enumerate(waiting):
        if n_folders >= N_FOLDERS:
            passed.append((folder, f"more than {N_FOLDERS:,} folders below `{root}`; the rest was left out"))
            return
        real = folder.resolve()
        if real in seen:
            continue
        seen.add(real)
        if not any(real.is_relative_to(base) for base in real_roots):
            passed.append((folder, f"a link that leaves the given folders: {real}"))
        elif skill_file(folder):
            found[folder] = None
        elif depth < N_DEEPEST:
            waiting.extend((child, depth + 1) for child in _folders(folder, passed))


def _folders(folder: Path, passed: list[tuple[Path, str]]) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in SKIPPED_FOLDERS)
    except OSError as error:
        passed.append((folder, error.strerror or "can't be read"))
        return []


def _walk(tree: Tree, folder: Path) -> Iterator[Path]:
    """Every file; links are noted, never followed, so that nothing outside is read or counted as the skill's."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        tree.unread.append((folder.relative_to(tree.folder).as_posix(), error.strerror or "can't be read"))
        return
    for path in paths:
        if path.is_symlink():
            tree.links.append(_link(tree.folder, path))
        elif path.is_dir():
            if skill_file(path):
                tree.nested.append(path)
            elif path.name not in SKIPPED_FOLDERS:
                yield from _walk(tree, path)
        elif path.is_file():
            yield path


def _link(folder: Path, path: Path) -> Link:
    leaves = not path.resolve().is_relative_to(folder.resolve())
    return Link(path.relative_to(folder).as_posix(), os.readlink(path), leaves, not path.exists())


def _add(tree: Tree, path: Path, name: str) -> None:
    with path.open("rb") as file:
        data = file.read(N_TEXT_BYTES + 1)
    head = data[:512]
    text = _decoded(data[:N_TEXT_BYTES])
    if text is None:
        tree.binaries.append(BinaryFile(name, head, os.access(path, os.X_OK)))
        return
    if len(data) > N_TEXT_BYTES:
        tree.unread.append((name, f"only its first {N_TEXT_BYTES // 1024**2} MiB were read"))
    tree.texts.append(TextFile(name, _kind(name, text), text))


def _decoded(data: bytes) -> str | None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Text in an older encoding has most of its bytes right; a cut at the size limit breaks one letter.
        text = data.decode("utf-8", errors="replace")
        return text if text.count("\ufffd") <= len(text) // 20 or error.start > len(data) - 4 else None


def _kind(name: str, text: str) -> Kind:
    suffix = os.path.splitext(name)[1].lower()
    if suffix in KINDS:
        return KINDS[suffix]
    first_line = text[:200].split("\n", 1)[0]
    if first_line.startswith("#!"):
        return next((kind for program, kind in SHEBANGS if program in first_line), "text")
    return "text"
