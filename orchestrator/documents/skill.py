"""A skill's folder as a `Skill` value, whatever its SKILL.md looks like.

Lenient as the Agent Skills client guide asks ("adding skills support"): a SKILL.md found in the wild always loads.
Each repair leaves one diagnostic, and they go from mild to rough: YAML as written, YAML with its values quoted,
line by line, the folder's name and the first paragraph.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.documents import frontmatter, yaml_values
from orchestrator.documents.findings import Findings
from orchestrator.documents.manifest import FILE_NAME, Manifest, parse_manifest
from orchestrator.documents.types import Skill

if TYPE_CHECKING:
    from orchestrator.documents.frontmatter import Parts

MAX_BYTES = 1 << 20
MAX_NAME_CHARS = 64
MAX_DESCRIPTION_CHARS = 1024
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_KEY_LINE = re.compile(r"([A-Za-z_][\w.-]*)[ \t]*:(?:[ \t]+(.*)|)$")
_SKIPPED_FOLDERS = {".git", "__pycache__"}


def load_skill(skill_md: Path, source: str = "folder") -> Skill:
    """The skill whose SKILL.md this is, with its manifest. Raises nothing; what was odd is in `.diagnostics`."""
    folder = skill_md.parent
    found = Findings(str(skill_md))
    text = _read_text(skill_md, found)
    fields, body = _fields_and_body(text, found)
    manifest = _load_manifest(folder)
    name = _name(fields, folder, found)
    description = _description(fields, body, found)
    return Skill(
        name=name,
        description=description,
        folder=folder,
        body=body,
        version=folder_version(folder),
        source=source,
        functions=manifest.functions,
        default=manifest.default,
        uses=manifest.uses,
        permissions=manifest.permissions,
        requires=manifest.requires,
        examples=manifest.examples,
        diagnostics=(*found.problems, *manifest.problems),
        metadata={key: value for key, value in fields.items() if key not in ("name", "description")},
    )


def folder_version(folder: Path) -> str:
    """A sha256 over the relative paths and contents of a folder's files, in an order that no host changes.

    Left out: `.git`, `__pycache__`, links that leave the folder. A link that stays counts by where it points.
    """
    total = hashlib.sha256()
    for path in _files(folder):
        relative = path.relative_to(folder).as_posix()
        total.update(os.fsencode(relative) + b"\0" + _content_digest(path, folder) + b"\0")
    return total.hexdigest()


def _files(folder: Path) -> list[Path]:
    files: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED_FOLDERS]
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        files += [Path(parent, name) for name in (*names, *links)]
    return sorted(path for path in files if _counts(path, folder))


def _counts(path: Path, folder: Path) -> bool:
    """Whether a file is part of the skill: a link that leaves it is not, nor is a socket or a pipe."""
    try:
        if path.is_symlink():
            return path.resolve().is_relative_to(folder.resolve())
        return path.is_file()
    except (OSError, RuntimeError):  # RuntimeError: a loop of links, before Python 3.13
        return False


def _content_digest(path: Path, folder: Path) -> bytes:
    try:
        if path.is_symlink():
            return b"link " + os.fsencode(os.path.relpath(path.resolve(), folder.resolve()))
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b"unreadable"


def _read_text(path: Path, found: Findings) -> str:
    try:
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


def _fields_and_body(text: str, found: Findings) -> tuple[dict[str, Any], str]:
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
    if isinstance(located.value, dict) and not any(
        flaw.message.startswith("the alias") for flaw in located.flaws
    ):
        for flaw in located.flaws:
            found.warning(flaw.line, flaw.message, flaw.hint)
        return located.value
    why = next((flaw for flaw in located.flaws), None)
    at, message = (why.line, why.message) if why else (line, "the frontmatter is no mapping")
    quoted = yaml_values.read(_with_quoted_values(text), line)
    if isinstance(quoted.value, dict) and not quoted.flaws:
        found.warning(at, f"{message}; read with its values quoted", "quote values that hold `: ` or ` #`")
        return quoted.value
    found.warning(at, f"{message}; read line by line", "quote values that hold `: ` or ` #`")
    return _line_by_line(text)


def _with_quoted_values(text: str) -> str:
    """The YAML with each one-line value of a top-level key in quotes, unless it is quoted or a block already."""
    lines = text.replace("\t", "  ").split("\n")
    for number, line in enumerate(lines):
        match = _KEY_LINE.match(line)
        value = (match[2] or "").strip() if match else ""
        follows = lines[number + 1] if number + 1 < len(lines) else ""
        if match and value and value[0] not in "\"'|>" and not follows.startswith(" "):
            lines[number] = f"{match[1]}: {json.dumps(value, ensure_ascii=False)}"
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
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value.lstrip("\"'") if value[:1] in ('"', "'") else value


def _name(fields: dict[str, Any], folder: Path, found: Findings) -> str:
    written = fields.get("name")
    if isinstance(written, dict | list) or not str("" if written is None else written).strip():
        name = folder.resolve().name if folder.name in ("", "..") else folder.name
        found.warning(1, f"it has no name; `{name}` is its folder's", f"add `name: {name}`")
        return name
    name = str(written).strip()
    if not isinstance(written, str):
        found.warning(1, f"the name `{name}` is read as text", f'write `name: "{name}"`')
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_CHARS:
        hint = f"up to {MAX_NAME_CHARS} of a-z, 0-9 and single `-`"
        found.warning(1, f"the name `{name[:80]}` is not what the specification allows", hint)
    if folder.name not in ("", "..", name):
        found.warning(
            1, f"the name `{name[:80]}` is not the folder's, `{folder.name}`", "give both the same name"
        )
    return name


def _description(fields: dict[str, Any], body: str, found: Findings) -> str:
    written = fields.get("description")
    description = (
        written.strip() if isinstance(written, str) else "" if written is None else _as_text(written)
    )
    if not description:
        description = _first_paragraph(body)
        found.warning(
            1, "it has no description; its first paragraph is used", "add `description:` with what and when"
        )
    elif not isinstance(written, str):
        found.warning(1, "the description is no text; it is used as written", "quote it")
    if len(description) > MAX_DESCRIPTION_CHARS:
        found.warning(
            1,
            f"the description has {len(description):,} characters, not up to {MAX_DESCRIPTION_CHARS:,}",
            "shorten it",
        )
    return description


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _first_paragraph(body: str) -> str:
    """The first lines of the body that are no heading, rule, fence or comment; at most what a description may have."""
    for block in re.split(r"\n[ \t]*\n", body):
        lines = [line.strip() for line in block.strip().split("\n")]
        prose = [
            line for line in lines if line and not line.startswith(("#", "---", "===", "```", "~~~", "<!--"))
        ]
        if prose:
            return " ".join(prose)[:MAX_DESCRIPTION_CHARS]
    return ""


def _load_manifest(folder: Path) -> Manifest:
    path = folder / FILE_NAME
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES)
    except OSError:
        return Manifest()
    return parse_manifest(data.decode("utf-8", "replace"), folder)
