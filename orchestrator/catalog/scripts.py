"""The programs in a skill's folder, described from their text alone: nothing is imported or run."""

from __future__ import annotations

import ast
import re
import warnings
from typing import TYPE_CHECKING

from orchestrator.catalog.follow import read_parser
from orchestrator.catalog.parsers import first_paragraph, schema_of
from orchestrator.documents.types import Script

if TYPE_CHECKING:
    from pathlib import Path

MAX_SCRIPT_BYTES = 1 << 20
MAX_BLOCKS = 20
"""Starts of inline metadata in one script. The pattern below is quadratic in them, and one is all there should be."""

OTHER_PARSERS = ("absl", "click", "cyclopts", "docopt", "fire", "optparse", "typer")
"""Libraries that declare options as well, and are not read."""

# The pattern that PEP 723 gives ("Inline script metadata", reference implementation).
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")


def read_script(file: Path, path: str) -> Script:
    """What a program says about itself. `path` is its name in the skill; raises OSError where it can't be read."""
    if file.suffix != ".py":
        return Script(path)
    if file.stat().st_size > MAX_SCRIPT_BYTES:
        return Script(path, unread=(f"it is larger than {MAX_SCRIPT_BYTES:,} bytes",))
    return parse_script(file.read_bytes(), path)


def parse_script(source: bytes, path: str) -> Script:
    """What a Python program's text says: description, options, dependencies. Never raises on content."""
    dependencies, unread = _dependencies(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a script's odd escapes are its own affair
            tree = ast.parse(source)
        parser, sentences = read_parser(tree) if b"argparse" in source else (None, ())
        description = ast.get_docstring(tree) or ""
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = f"it can't be read as Python: {type(error).__name__}"
        return Script(path, dependencies=dependencies, unread=(*unread, why))
    if parser is None:
        return Script(
            path, first_paragraph(description), None, dependencies, (*unread, *sentences, *_others(tree))
        )
    text = first_paragraph(parser.description or description)
    return Script(path, text, schema_of(parser), dependencies, (*unread, *sentences))


def _others(tree: ast.Module) -> list[str]:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        )
    }
    return [
        f"its options are declared with `{name}`, which is not read"
        for name in OTHER_PARSERS
        if name in imported
    ]


def _dependencies(source: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The requirements in a script's inline metadata, and why they can't be told where they can't."""
    if b"# /// script" not in source:
        return (), ()
    text = source.decode("utf-8", "replace").replace("\r\n", "\n")
    if text.count("\n# /// ") > MAX_BLOCKS:
        return (), ("its inline metadata is not read: too many blocks",)
    blocks = [match for match in _BLOCK.finditer(text) if match["type"] == "script"]
    if len(blocks) != 1:
        return (), ("its inline metadata is not read: no single, closed block",)
    content = "".join(
        line[2:] if line.startswith("# ") else line[1:]
        for line in blocks[0]["content"].splitlines(keepends=True)
    )
    return _requirements(content)


def _requirements(content: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    import tomllib  # few scripts need it

    try:
        listed = tomllib.loads(content).get("dependencies", [])
    except (tomllib.TOMLDecodeError, RecursionError):
        return (), ("its inline metadata is not read: no TOML",)
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        return (), ("its inline metadata is not read: `dependencies` is no list of texts",)
    return tuple(listed), ()
