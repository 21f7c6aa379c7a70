"""The text of a SKILL.md, repaired as far as it takes to have keys and a body; each repair leaves one diagnostic.

Repairs go from mild to rough: YAML as written, YAML with its values quoted, line by line.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any

from orchestrator.documents import frontmatter, yaml_values

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.documents.findings import Findings
    from orchestrator.documents.frontmatter import Parts

MAX_BYTES = 1 << 20
_KEY_LINE = re.compile(r"([A-Za-z_][\w.-]*)[ \t]*:(?:[ \t]+(.*)|)$")


def read_text(path: Path, found: Findings) -> str:
    """The file's text with LF line ends, whatever bytes it holds; empty where it can't be read."""
    try:
        if not path.is_file():  # a pipe would be waited for
            found.error(0, "there is no such file")
            return ""
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        found.error(0, f"it can't be read: {error.strerror}")
        return ""
    if len(data) > MAX_BYTES:
        found.warning(
            0,
            f"it is larger than {MAX_BYTES:,} bytes; the rest is not read",
            "move what is long into files of its own",
        )
        data = data[:MAX_BYTES]
    text = _decoded(data, found)
    if "\0" in text:
        found.warning(text.count("\n", 0, text.index("\0")) + 1, "NUL bytes were removed", "save it as UTF-8")
        text = text.replace("\0", "")
    return frontmatter.normalised(text)


def fields_and_body(text: str, found: Findings) -> tuple[dict[str, Any], str]:
    """The frontmatter's keys with JSON values, and the body below it."""
    parts = frontmatter.split(text)
    if parts.frontmatter is None:
        found.warning(1, "there is no frontmatter", "start it with `---`, `name:`, `description:`, `---`")
        return {}, text
    if not parts.closed:
        found.warning(
            parts.frontmatter_line - 1, "the frontmatter is never closed", "put `---` below its last key"
        )
        parts = _closed(parts)
    elif parts.frontmatter_line > 2:
        found.warning(1, "the frontmatter does not start on the first line", "remove what stands above it")
    return _fields(parts, found), parts.body


def _decoded(data: bytes, found: Findings) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        found.warning(1, "read as UTF-16", "save it as UTF-8")
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end >= len(data) == MAX_BYTES:  # cut in the middle of a character
            return data.decode("utf-8", "ignore")
        line = data.count(b"\n", 0, error.start) + 1
        found.warning(line, f"byte {error.start} is no UTF-8; read as Latin-1", "save it as UTF-8")
        return data.decode("latin-1")


def _closed(parts: Parts) -> Parts:
    """Unclosed frontmatter ended where its lines stop looking like keys and their continuations."""
    lines = (parts.frontmatter or "").split("\n")
    n_keys = next(
        (
            n
            for n, line in enumerate(lines)
            if not (_KEY_LINE.match(line) or (line[:1] in (" ", "\t") and line.strip()))
        ),
        len(lines),
    )
    return frontmatter.Parts(
        frontmatter="\n".join(lines[:n_keys]),
        body="\n".join(lines[n_keys:]),
        frontmatter_line=parts.frontmatter_line,
        body_line=parts.frontmatter_line + n_keys,
    )


def _fields(parts: Parts, found: Findings) -> dict[str, Any]:
    """The frontmatter's keys, by the mildest reading that works."""
    text = parts.frontmatter or ""
    if not text.strip():
        return {}
    line = parts.frontmatter_line
    located = yaml_values.read(text, line)
    if isinstance(located.value, dict) and all(flaw.lost == "nothing" for flaw in located.flaws):
        for flaw in located.flaws:
            found.warning(flaw.line, flaw.message, flaw.hint)
        return located.value
    why = next((flaw for flaw in located.flaws if flaw.lost != "nothing"), None)
    at, message = (why.line, why.message) if why else (line, "the frontmatter is no mapping")
    quoted = yaml_values.read(_with_quoted_values(text), line)
    if isinstance(quoted.value, dict) and not quoted.flaws:
        found.warning(at, f"{message}; read with its values quoted", "quote values that hold `: ` or ` #`")
        return quoted.value
    found.warning(at, f"{message}; read line by line", "quote values that hold `: ` or ` #`")
    return _line_by_line(text)


def _with_quoted_values(text: str) -> str:
    """The YAML with the values in quotes that can't be read by themselves, of top-level keys on one line."""
    lines = text.replace("\t", "  ").split("\n")
    for number, line in enumerate(lines):
        match = _KEY_LINE.match(line)
        if match and match[2] and yaml_values.read(line).flaws:
            lines[number] = f"{match[1]}: {json.dumps(_unquoted(match[2].strip()), ensure_ascii=False)}"
    return "\n".join(lines)


def _line_by_line(text: str) -> dict[str, Any]:
    """Keys and values as text, with indented lines joined to the key above them."""
    fields: dict[str, Any] = {}
    key = ""
    for line in text.split("\n"):
        match = _KEY_LINE.match(line)
        if match:
            key = match[1]
            value = (match[2] or "").strip()
            fields[key] = "" if value in ("|", ">", "|-", ">-", "|+", ">+") else value
        elif key and line.strip() and not line.lstrip().startswith("#"):
            fields[key] = f"{fields[key]} {line.strip()}".strip()
    return {key: _unquoted(value) for key, value in fields.items()}


def _unquoted(value: str) -> str:
    """The value without the quotes around it, or without the one before it that nothing closes."""
    quote = value[:1]
    if quote not in ('"', "'"):
        return value
    n_quotes = value.count(quote)
    if n_quotes % 2:
        return value[1:]
    return value[1:-1] if n_quotes == 2 and value.endswith(quote) else value
