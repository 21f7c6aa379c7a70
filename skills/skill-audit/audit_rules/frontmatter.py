"""What a skill says about itself: the frontmatter of SKILL.md and the manifest beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from audit_rules import plain_yaml

MANIFEST_MARK = "orchestrate.skill/1"
_KEY_LINE = re.compile(r"([A-Za-z][\w-]*)[ \t]*:[ \t]*(.*)")


@dataclass(frozen=True)
class Frontmatter:
    """The keys of a SKILL.md, the line each stands in, and the body below."""

    values: dict[str, Any]
    key_lines: dict[str, int]
    body: str
    body_line: int  # of the body's first line
    problem: str = ""  # why it is not what the specification asks for; empty when it is
    problem_line: int = 0


@dataclass(frozen=True)
class Declared:
    """What the manifest says that a skill uses. `has_manifest` is False where nobody promised anything."""

    has_manifest: bool = False
    network: tuple[str, ...] = ()
    env: frozenset[str] = field(default_factory=frozenset)
    problem: str = ""
    problem_line: int = 0


def read_frontmatter(text: str) -> Frontmatter:
    """The frontmatter, strictly where possible, else line by line with the problem named."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[0].rstrip() != "---":
        return Frontmatter({}, {}, text, 1, "no frontmatter: the first line is not `---`", 1)
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    if end is None:
        return Frontmatter({}, {}, text, 1, "the frontmatter is not closed by a line `---`", 1)
    block, body = lines[1:end], "\n".join(lines[end + 1 :])
    key_lines = {match[1]: number for number, line in enumerate(block, 2) if (match := _KEY_LINE.match(line))}
    try:
        values = plain_yaml.parse("\n".join(block))
    except plain_yaml.UnreadableError as error:
        by_line = _read_by_line(block)
        return Frontmatter(
            by_line, key_lines, body, end + 2, f"the frontmatter is no YAML: {error.why}", error.line + 1
        )
    if not values:
        return Frontmatter({}, {}, body, end + 2, "the frontmatter holds no keys", 1)
    return Frontmatter(values, key_lines, body, end + 2)


def read_manifest(text: str | None) -> Declared:
    """What `manifest.yaml` declares; a manifest without the mark of this format is just a file."""
    if text is None or MANIFEST_MARK not in text:
        return Declared()
    try:
        manifest = plain_yaml.parse(text)
    except plain_yaml.UnreadableError as error:
        return Declared(True, problem=f"the manifest can't be read: {error.why}", problem_line=error.line)
    if manifest.get("schema") != MANIFEST_MARK:
        return Declared()
    permissions, requires = _map(manifest, "permissions"), _map(manifest, "requires")
    env = frozenset([*_strings(permissions.get("env")), *_strings(requires.get("env"))])
    return Declared(True, tuple(_strings(permissions.get("network"))), env)


def declared_names(frontmatter: Frontmatter) -> frozenset[str]:
    """Environment variables that a host's own metadata names (`requires.env`, `primaryEnv`, `envVars`)."""
    return frozenset(re.findall(r"\b[A-Z][A-Z0-9_]{2,}\b", str(frontmatter.values.get("metadata", ""))))


def _read_by_line(block: list[str]) -> dict[str, Any]:
    values = {}
    for line in block:
        match = _KEY_LINE.match(line)
        if match:
            values[match[1]] = match[2].strip().strip("\"'")
    return values


def _map(values: dict[str, Any], key: str) -> dict[str, Any]:
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def _strings(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
