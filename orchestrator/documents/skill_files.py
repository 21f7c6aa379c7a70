"""The files that a skill is made of: what its version covers, and what is trusted with it.

Left out are `.git`, which changes with each fetch, and what Python compiles. So neither is run, read or shown as a
skill's: it could change unseen.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNREADABLE = "unreadable"

_COMPILED = re.compile(r".+\.pyc(\.\d+)?")
"""What Python writes to `__pycache__`, with a number while it writes. From a skill's folder none is loaded."""


def folder_version(folder: Path) -> str:
    """A sha256 over the relative paths and contents of a folder's files, in an order that no host changes."""
    return version_of(file_digests(folder))


def version_of(digests: Mapping[str, str]) -> str:
    """The version of a folder with these files, see `file_digests`."""
    total = hashlib.sha256()
    for path, digest in digests.items():
        total.update(os.fsencode(path) + b"\0" + os.fsencode(digest) + b"\0")
    return total.hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """The sha256 of each file of a skill, by its path from the folder, with `/`, in order.

    Of a link, where it points (`link helper.py`, `leaves ../lib`); UNREADABLE of what can't be read, and of a link to
    what is left out. That is what `is_covered` does not name, and all that is no file.
    """
    return {path.relative_to(folder).as_posix(): _digest(path, folder) for path in folder_files(folder)}


def folder_files(folder: Path) -> list[Path]:
    """What a skill's version covers, in order."""
    paths = (entry.path for entry in folder_entries(folder))
    return [Path(path) for path in sorted(paths, key=lambda path: path.split(os.sep))]


def folder_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The same as they are on the disk, in no order: a folder of 20,000 files is looked through before each call."""
    waiting = [os.fspath(folder)]
    while waiting:
        parent = waiting.pop()
        has_compiled = os.path.basename(parent) == "__pycache__"
        with suppress(OSError), os.scandir(parent) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != ".git":
                        waiting.append(entry.path)
                elif not (has_compiled and _COMPILED.fullmatch(entry.name)) and (
                    entry.is_symlink() or entry.is_file()  # no socket, no pipe
                ):
                    yield entry


def is_covered(path: Path, folder: Path) -> bool:
    """Whether a skill's version covers a path, after its links: nothing else is run, read or shown as the skill's."""
    try:
        inside = path.resolve().relative_to(folder.resolve())
    except (ValueError, OSError, RuntimeError):  # RuntimeError: a loop of links, before Python 3.13
        return False
    names = [name.casefold() for name in inside.parts]  # there are disks that take `.GIT` for `.git`
    return ".git" not in names and not ("__pycache__" in names[-2:-1] and _COMPILED.fullmatch(inside.name))


def _digest(path: Path, folder: Path) -> str:
    try:
        if path.is_symlink():
            return _link(path, folder)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return UNREADABLE


def _link(path: Path, folder: Path) -> str:
    try:
        inside = os.path.relpath(path.resolve(), folder.resolve())
    except RuntimeError:  # a loop of links
        inside = os.pardir
    if inside.partition(os.sep)[0] == os.pardir:
        return f"leaves {os.readlink(path)}"
    return f"link {inside}" if is_covered(path, folder) else UNREADABLE
