"""The `context` of a run: what its globs find, ready to hand to a worker without passing through a prompt."""

from __future__ import annotations

import glob
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.documents.template import fill
from orchestrator.environments.frames import TextFile
from orchestrator.errors import UsageError
from orchestrator.runs.journal import keep_blob
from orchestrator.workspace import expanded_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents.types import Workflow
    from orchestrator.workspace import Workspace

BY_FILE_BYTES = 1 << 20
"""Texts above this reach a worker as a file that it reads or maps, not through its stream."""


_SHA256 = re.compile("[0-9a-f]{64}")

KEPT_S = 7 * 24 * 3600
"""How long a text is kept that no run uses."""


def unmatched(pattern: str, inputs: Mapping[str, Any], workspace: Workspace) -> bool:
    """Whether a pattern of `context:` fits no file."""
    return not _found(fill(pattern, inputs, quote=glob.escape), workspace.root)


def load_context(workflow: Workflow, inputs: Mapping[str, Any], workspace: Workspace, texts: Path) -> Any:
    """The value of the REPL variable `context`.

    `{path: text}` of the workflow's `context:` globs (paths relative to the workspace where they are inside),
    else the input named `context`, else the inputs. Large texts are kept in the folder `texts` and stand as a TextFile.
    """
    if not workflow.context:
        return by_file(inputs.get("context", dict(inputs)), texts)
    patterns = [fill(pattern, inputs, quote=glob.escape) for pattern in workflow.context]
    paths = [path for pattern in patterns for path in _found(pattern, workspace.root)]
    return {_shown(path, workspace.root): _text(path, texts) for path in paths}


def by_file(value: Any, texts: Path) -> Any:
    """The value with each long text in it replaced by a TextFile."""
    if isinstance(value, str) and len(value) > BY_FILE_BYTES:
        return _kept(value.encode("utf-8", "replace"), texts)
    if isinstance(value, list):
        return [by_file(item, texts) for item in value]
    if isinstance(value, dict):
        return {name: by_file(item, texts) for name, item in value.items()}
    return value


def forget_texts(texts: Path) -> None:
    """Delete kept texts that no run has used for a week: each run finds its own again, or makes them."""
    for path in texts.glob("*"):
        with suppress(OSError):  # another run may be doing the same
            if time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink()


def as_shown(value: Any) -> Any:
    """The value with an empty text in the place of each TextFile: for whoever asks only what kinds of values it has."""
    if isinstance(value, TextFile):
        return ""
    if isinstance(value, list):
        return [as_shown(item) for item in value]
    if isinstance(value, dict):
        return {name: as_shown(item) for name, item in value.items()}
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
        place = {"$text": value.sha256, "n_bytes": value.n_bytes}
        return place | ({"offset": value.offset} if value.offset else {})
    if isinstance(value, list):
        return [recorded(item) for item in value]
    if isinstance(value, dict):
        return {name: recorded(item) for name, item in value.items()}
    return value


def restored(value: Any, texts: Path) -> Any:
    """What `recorded` was given. Raises UsageError for a text that is kept no longer."""
    if isinstance(value, list):
        return [restored(item, texts) for item in value]
    if not isinstance(value, dict):
        return value
    if (
        "$text" in value
        and value.keys() <= {"$text", "n_bytes", "offset"}
        and _SHA256.fullmatch(str(value["$text"]))
    ):
        path = texts / str(value["$text"])
        if not path.is_file():
            raise UsageError(
                f"the text {value['$text'][:12]} ({value['n_bytes']:,} bytes), which the run goes on with, is gone",
                hint=f"long texts are kept for {KEPT_S // 86400} days; run the workflow anew",
            )
        return TextFile(path, value["n_bytes"], path.name, value.get("offset", 0))
    return {name: restored(item, texts) for name, item in value.items()}


def _found(pattern: str, root: Path) -> list[Path]:
    full = os.path.normpath(root / expanded_path(pattern))
    return sorted(path for path in map(Path, glob.glob(full, recursive=True)) if path.is_file())


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _text(path: Path, texts: Path) -> Any:
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
    return _kept(data, texts) if len(data) > BY_FILE_BYTES else text


def _kept(data: bytes, texts: Path) -> TextFile:
    path = keep_blob(texts, data)
    return TextFile(path=path, n_bytes=len(data), sha256=path.name)
