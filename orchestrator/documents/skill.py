"""A skill's folder as a `Skill` value, whatever its SKILL.md looks like.

Lenient as the Agent Skills client guide asks ("adding skills support"): a SKILL.md found in the wild always loads.
`skill_text` repairs what it takes to have keys; where those are missing the folder's name and the first paragraph
stand in. Each repair leaves one diagnostic.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from orchestrator.documents.findings import Findings
from orchestrator.documents.manifest import FILE_NAME, Manifest, parse_manifest
from orchestrator.documents.skill_files import folder_version, is_covered
from orchestrator.documents.skill_text import MAX_BYTES, fields_and_body, read_text
from orchestrator.documents.types import Skill

MAX_NAME_CHARS = 64
MAX_DESCRIPTION_CHARS = 1024
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def load_skill(skill_md: Path, source: str = "folder") -> Skill:
    """The skill whose SKILL.md this is, with its manifest. Raises nothing; what was odd is in `.diagnostics`."""
    folder = skill_md.parent
    found = Findings(str(skill_md))
    text = read_text(skill_md, found)
    fields, body = fields_and_body(text, found)
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
        has_manifest=manifest.exists,
        functions=manifest.functions,
        default=manifest.default,
        uses=manifest.uses,
        permissions=manifest.permissions,
        requires=manifest.requires,
        examples=manifest.examples,
        diagnostics=(*found.problems, *manifest.problems),
        metadata={key: value for key, value in fields.items() if key not in ("name", "description")},
    )


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
        # A pipe would be waited for, and a link that leaves the skill would speak for a file that is not its own.
        if not path.is_file() or not is_covered(path, folder):
            return Manifest()
        with path.open("rb") as file:
            data = file.read(MAX_BYTES)
    except OSError:
        return Manifest()
    return parse_manifest(data.decode("utf-8", "replace"), folder)
