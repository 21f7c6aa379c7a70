"""The one module that imports TinyDB: a published document, written at once. Reading one needs JSON only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tinydb import TinyDB
from tinydb.storages import Storage

from orchestrator.memory import files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def write(path: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Put a TinyDB document with these tables in the place of a file. Under a lock that the caller holds."""
    storage = _WholeFile(path)
    with TinyDB(storage=lambda: storage) as db:
        for name, documents in tables.items():
            db.table(name).insert_multiple(documents)
        storage.commit()


class _WholeFile(Storage):
    """TinyDB's storage over a value in memory; `commit` puts it on the disk at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data: dict[str, dict[str, Any]] | None = None

    def read(self) -> dict[str, dict[str, Any]] | None:
        return self._data

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        self._data = data

    def commit(self) -> None:
        text = json.dumps(self._data, ensure_ascii=False, indent=1)
        files.replace(self._path, text.encode("utf-8", "backslashreplace") + b"\n")
