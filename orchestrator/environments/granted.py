"""Granted paths, for environments that show a worker these and nothing else of the file system."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.values import WorkerSpec

OWN = (Path("/proc"), Path("/dev"))
"""Folders that a worker has of its own: what was granted there is what stands in these."""


def shown(spec: WorkerSpec) -> list[tuple[Path, bool]]:
    """Paths that a worker sees and whether it may write there, in the order to mount them.

    What may be written comes after what may be read: a path that is beneath both is writable, as under `confined`.
    """
    grants = spec.grants
    read = [(path, False) for path in sorted(grants.read)]
    write = [(path, True) for path in sorted(grants.write)]
    texts = [(spec.blobs, False)] if spec.blobs is not None else []
    return [
        (path, writes)
        for path, writes in (*read, *write, *texts, (spec.scratch, True))
        if path.exists() and not any(path.is_relative_to(own) for own in OWN)
    ]


def make_missing_files(spec: WorkerSpec) -> list[Path]:
    """Files that may be written and are not there yet: nothing can be granted that is not. What was made."""
    made = []
    for path in spec.grants.write:
        if not path.exists() and path.parent.is_dir():
            path.touch()
            made.append(path)
    return made


def remove_untouched(made: Sequence[Path]) -> None:
    """Take away those that nobody wrote to."""
    for path in made:
        with contextlib.suppress(OSError):
            if path.stat().st_size == 0:
                path.unlink()
