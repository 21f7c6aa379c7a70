"""Reading an append-only log of lines from where the last reader stopped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from os import SEEK_END
from typing import TYPE_CHECKING, BinaryIO

from orchestrator.errors import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MARK_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """How far a log was read: its first `offset` bytes, which `mark` tells from another file's."""

    offset: int = 0
    mark: str = ""


def read_on(path: Path, place: Place, take: Callable[[bytes], None], again: Callable[[], None]) -> Place:
    """Hand every whole line after `place` to `take`; the place reached.

    `again` is called first where the log is another file now, or shorter: all of it is read then. Raises WorkspaceError.
    """
    try:
        with path.open("rb") as file:
            offset = place.offset
            if place.mark != _mark(file, offset):
                again()
                offset = 0
            for line in _lines(file, offset):
                offset += len(line)
                if line.strip():
                    take(line)
            return Place(offset, _mark(file, offset))
    except FileNotFoundError:
        if place.offset:
            again()
        return Place()
    except OSError as error:
        raise WorkspaceError(
            f"can't read `{path}`: {error.strerror}", hint="it is the usage record"
        ) from error


def is_at_end(path: Path, place: Place) -> bool:
    """Whether nothing was added since."""
    try:
        with path.open("rb") as file:
            return file.seek(0, SEEK_END) == place.offset and _mark(file, place.offset) == place.mark
    except FileNotFoundError:
        return place.offset == 0
    except OSError:
        return False


def _lines(file: BinaryIO, offset: int) -> Iterator[bytes]:
    """Each whole line after `offset`. A last one without its end is being written, or torn: left for later."""
    file.seek(offset)
    return (line for line in file if line.endswith(b"\n"))


def _mark(file: BinaryIO, offset: int) -> str:
    """Tells the first `offset` bytes of this file from those of one put in its place: their two ends, hashed.

    Empty where there are fewer bytes. Lines carry times and ids, so two records never end alike by chance.
    """
    n_bytes = min(offset, _MARK_BYTES)
    file.seek(0)
    head = file.read(n_bytes)
    file.seek(offset - n_bytes)
    tail = file.read(n_bytes)
    is_whole = len(head) == len(tail) == n_bytes > 0
    return hashlib.sha256(head + tail).hexdigest()[:16] if is_whole else ""
