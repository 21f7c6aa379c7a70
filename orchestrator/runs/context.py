"""The `context` of a run: what its globs find, ready to hand to a worker without passing through a prompt."""

from __future__ import annotations

import glob
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.documents.template import fill
from orchestrator.environments.session import TextFile
from orchestrator.errors import UsageError
from orchestrator.runs.journal import keep_blob

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents.types import Workflow
    from orchestrator.workspace import Workspace

BY_FILE_BYTES = 1 << 20
"""Texts above this reach a worker as a file that it reads or maps, not through its stream."""


def load_context(workflow: Workflow, inputs: Mapping[str, Any], workspace: Workspace, blobs: Path) -> Any:
    """The value of the REPL variable `context`.

    `{path: text}` of the workflow's `context:` globs (paths relative to the workspace where they are inside),
    else the input named `context`, else the inputs. Large texts are kept in `blobs` and stand as a TextFile.
    """
    if not workflow.context:
        return by_file(inputs.get("context", dict(inputs)), blobs)
    texts: dict[str, Any] = {}
    for pattern in workflow.context:
        for path in _found(fill(pattern, inputs, quote=glob.escape), workspace.root):
            texts[_shown(path, workspace.root)] = _text(path, blobs)
    return texts


def by_file(value: Any, blobs: Path) -> Any:
    """The value with each long text in it replaced by a TextFile."""
    if isinstance(value, str) and len(value) > BY_FILE_BYTES:
        return _kept(value.encode("utf-8", "replace"), blobs)
    if isinstance(value, list):
        return [by_file(item, blobs) for item in value]
    if isinstance(value, dict):
        return {name: by_file(item, blobs) for name, item in value.items()}
    return value


def n_bytes(value: Any) -> int:
    """Size of the texts in a value, about as many bytes as they have in UTF-8."""
    if isinstance(value, TextFile):
        return value.n_bytes
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(n_bytes, value))
    if isinstance(value, dict):
        return sum(map(n_bytes, value.values()))
    return 8


def recorded(value: Any) -> Any:
    """The value as the journal holds it: a TextFile stands as its sha256 and size."""
    if isinstance(value, TextFile):
        return {"$text": value.sha256, "n_bytes": value.n_bytes}
    if isinstance(value, list):
        return [recorded(item) for item in value]
    if isinstance(value, dict):
        return {name: recorded(item) for name, item in value.items()}
    return value


def _found(pattern: str, root: Path) -> list[Path]:
    full = os.path.normpath(root / Path(pattern).expanduser())
    return sorted(path for path in map(Path, glob.glob(full, recursive=True)) if path.is_file())


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _text(path: Path, blobs: Path) -> Any:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"can't read `{path}`, which `context:` names: {error.strerror}",
            hint="make it readable, or narrow the glob",
        ) from error
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        data = text.encode()
    return _kept(data, blobs) if len(data) > BY_FILE_BYTES else text


def _kept(data: bytes, blobs: Path) -> TextFile:
    return TextFile(path=keep_blob(blobs, data), n_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
