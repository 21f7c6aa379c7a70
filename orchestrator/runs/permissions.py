"""What a worker may touch: patterns of a workflow and a manifest, turned into paths.

Cells get what their workflow declares, the run's inputs to read and `out/` to write. A skill gets its own
folder, and of what it declares the part that the workflow grants too. Patterns end up as folders and files:
the kernel's rules know nothing of globs, so `notes/**` is `notes`, while `notes/*.md` is the files that match.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.documents.template import fill
from orchestrator.errors import SkillError
from orchestrator.values import Grants
from orchestrator.workspace import expanded_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.documents.types import Schema, Skill, Workflow
    from orchestrator.workspace import Workspace

OUT = "out/**"
"""What every workflow may write, besides its worker's scratch."""

ESCAPED = re.compile(r"\[([*?[])\]")
"""How `glob.escape` writes a character that is to stand for itself."""

MAX_MATCHES = 256
"""A pattern that fits more files than this grants their folder: each file would be a rule of its own."""


def workflow_grants(workflow: Workflow, inputs: Mapping[str, Any], workspace: Workspace) -> Grants:
    """What the workflow's own cells may touch."""
    asked = workflow.permissions
    read = [fill(pattern, inputs, quote=glob.escape) for pattern in asked.read]
    write = write_patterns(workflow, inputs)
    return Grants(
        read=_unique(
            [*resolved(read, workspace.root), *input_paths(workflow.inputs, inputs, workspace.root)]
        ),
        write=_unique(writable(write, workspace.root)),
        hosts=asked.network,
        env={name: os.environ[name] for name in asked.env if name in os.environ},
    )


def write_patterns(workflow: Workflow, inputs: Mapping[str, Any]) -> list[str]:
    """What the workflow's cells may write, as patterns."""
    return [OUT, *(fill(pattern, inputs, quote=glob.escape) for pattern in workflow.permissions.write)]


def skill_grants(
    skill: Skill, granted: Grants, workspace: Workspace, *, program: Path | None = None
) -> Grants:
    """What a worker of this skill may touch, given what the workflow grants.

    A skill without a manifest declares nothing, so it gets what the workflow's cells may read and write. With one,
    functions that take paths may read what the workflow may: it is the caller who chooses what to hand over.
    `program` is one that the worker is to start, besides those that the manifest requires.
    """
    declared = skill.has_manifest
    asked = skill.permissions
    takes_paths = any(takes_path(function.input) for function in skill.functions.values())
    read = (
        granted.read
        if takes_paths or not declared
        else _common(resolved(asked.read, workspace.root), granted.read)
    )
    write = granted.write if not declared else _common(writable(asked.write, workspace.root), granted.write)
    hosts = granted.hosts if not declared else common_hosts(asked.network, granted.hosts)
    required = [Path(found) for name in skill.requires.bins if (found := shutil.which(name))]
    programs = [*required, *([program] if program else [])]
    return Grants(
        read=_unique(
            [skill.folder.resolve(), *read, *write, *programs, *(path.resolve() for path in programs)]
        ),
        write=tuple(write),
        hosts=hosts,
        env={name: value for name, value in granted.env.items() if name in asked.env or not declared},
        processes=program is not None or bool(skill.requires.bins),
    )


def unmet(skill: Skill, grants: Grants) -> SkillError | None:
    """What the skill's manifest requires and is not there; packages are left to its imports, which say more."""
    missing = [name for name in skill.requires.bins if shutil.which(name) is None]
    if missing:
        return SkillError(
            f"`{skill.name}` needs the program `{missing[0]}`, which is not on this machine",
            error_kind="missing_binary",
            hint=f"install `{missing[0]}`",
        )
    unset = [name for name in skill.requires.env if name not in grants.env]
    if unset:
        return SkillError(
            f"`{skill.name}` needs the variable `{unset[0]}`, which is not set or not granted",
            error_kind="missing_env",
            hint=f"set it, and grant it with `permissions: {{env: [{unset[0]}]}}` in the workflow and the manifest",
        )
    return None


def narrowed(asked: Grants, granted: Grants) -> Grants:
    """The part of what is asked that is granted."""
    return Grants(
        read=tuple(_common(asked.read, granted.read)),
        write=tuple(_common(asked.write, granted.write)),
        hosts=common_hosts(asked.hosts, granted.hosts),
        env={name: value for name, value in asked.env.items() if name in granted.env},
        processes=asked.processes and granted.processes,
    )


def common_hosts(asked: Iterable[str], granted: Iterable[str]) -> tuple[str, ...]:
    """The narrower of each two patterns that fit: `*`, `*.example.com`, `example.com`. A port is not looked at."""
    granted = [one.lower().partition(":")[0] for one in granted]
    found = [
        mine if _covers(theirs, mine) else theirs
        for mine in (one.lower().partition(":")[0] for one in asked)
        for theirs in granted
        if _covers(theirs, mine) or _covers(mine, theirs)
    ]
    return tuple(dict.fromkeys(found))


def _covers(pattern: str, host: str) -> bool:
    return pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def input_paths(schema: Schema, inputs: Mapping[str, Any], root: Path) -> list[Path]:
    """Files and folders that the run was given.

    Those that the schema marks with `format: path`, and plain strings that name something inside the workspace.
    """
    marked = [_absolute(text, root) for text in _marked(schema, inputs)]
    plain = [
        _absolute(value, root) for value in inputs.values() if isinstance(value, str) and _may_be_path(value)
    ]
    return [
        *marked,
        *(path for path in plain if path.is_relative_to(root) and path != root and path.exists()),
    ]


def located(schema: Schema, inputs: Mapping[str, Any], root: Path, here: Path) -> dict[str, Any]:
    """The inputs with their paths as cells need them: the strings that the schema marks with `format: path`.

    `~` is replaced. A relative path is the workspace's; one that is only found from where the caller stands is that.
    """
    properties = schema.get("properties", {})
    return {name: _located(properties.get(name), value, root, here) for name, value in inputs.items()}


def resolved(patterns: Iterable[str], root: Path) -> list[Path]:
    """Existing paths that patterns stand for, relative ones from `root`; a path without a glob need not exist."""
    return [path for pattern in patterns for path in _matches(pattern, root)]


def writable(patterns: Iterable[str], root: Path) -> list[Path]:
    """Folders and files that patterns allow to write: of a glob, the folder before it."""
    return [_base(pattern, root) for pattern in patterns]


def folders_to_make(patterns: Iterable[str], root: Path) -> list[Path]:
    """Folders that write patterns need and that are not there, outermost first."""
    wanted = [
        _base(pattern, root) if _is_glob(pattern) else _absolute(pattern, root).parent for pattern in patterns
    ]
    missing: list[Path] = []
    for folder in wanted:
        missing += [
            part for part in (*reversed(folder.parents), folder) if not part.exists() and part not in missing
        ]
    return missing


def takes_path(schema: Schema | None) -> bool:
    """Whether a value that meets the schema may hold a path."""
    if not isinstance(schema, dict):
        return False
    if schema.get("format") == "path":
        return True
    parts = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    parts += [option for key in ("anyOf", "oneOf", "allOf") for option in schema.get(key, ())]
    return any(takes_path(part) for part in parts if isinstance(part, dict))


def _matches(pattern: str, root: Path) -> list[Path]:
    base = _base(pattern, root)
    if not _is_glob(pattern) or "**" in pattern:
        return [base]
    inner = str(Path(*_absolute(pattern, root).parts[len(base.parts) :]))
    found = sorted(base / name for name in glob.glob(inner, root_dir=base))
    return found if len(found) <= MAX_MATCHES else [base]


def _base(pattern: str, root: Path) -> Path:
    """The path up to its first glob; one that was escaped (`[*]`) is none, and stands for itself."""
    parts = _absolute(pattern, root).parts
    n_plain = next((number for number, part in enumerate(parts) if _is_glob(part)), len(parts))
    return Path(*(ESCAPED.sub(r"\1", part) for part in parts[:n_plain]))


def _absolute(text: str, root: Path) -> Path:
    return Path(os.path.normpath(root / expanded_path(text)))


def _is_glob(text: str) -> bool:
    return any(char in ESCAPED.sub("", text) for char in "*?[")


def _may_be_path(text: str) -> bool:
    return 0 < len(text) < 1024 and "\n" not in text and "\0" not in text


def _marked(schema: Any, value: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    if isinstance(value, str) and schema.get("format") == "path" and _may_be_path(value):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _marked(schema.get("items"), item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _marked(
                schema.get("properties", {}).get(name, schema.get("additionalProperties")), item
            )


def _located(schema: Any, value: Any, root: Path, here: Path) -> Any:
    if not isinstance(schema, dict):
        return value
    if isinstance(value, str) and schema.get("format") == "path" and _may_be_path(value):
        path = expanded_path(value) if value.startswith("~") else Path(value)
        found_here = not path.is_absolute() and not (root / path).exists() and (here / path).exists()
        return str(here / path) if found_here else value if path == Path(value) else str(path)
    if isinstance(value, list):
        return [_located(schema.get("items"), item, root, here) for item in value]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {name: _located(properties.get(name), item, root, here) for name, item in value.items()}
    return value


def _common(asked: Iterable[Path], granted: Iterable[Path]) -> list[Path]:
    granted = list(granted)
    narrower = [
        mine if mine.is_relative_to(theirs) else theirs
        for mine in asked
        for theirs in granted
        if _overlap(mine, theirs)
    ]
    return list(_unique(narrower))


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _unique(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(paths))
