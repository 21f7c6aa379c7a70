"""One function of a manifest as a `Function`, with its schemas and its entry checked and nothing imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from orchestrator.documents import python_entry
from orchestrator.documents.schema_check import described, schema_flaws
from orchestrator.documents.skill_files import is_covered
from orchestrator.documents.types import Function

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.documents.findings import Findings
    from orchestrator.documents.models import EntryKeys, FunctionKeys
    from orchestrator.documents.yaml_values import Located, Location

MAX_ENTRY_BYTES = 4 << 20
OBJECT_METHODS = ("doc", "files", "map", "read", "run", "scripts")
"""What a skill has in the REPL whatever its author wrote."""

Kind = Literal["python", "script", "prompt", "workflow"]


class Notes:
    """Notes the problems of one function with their lines; `failed` once there is an error among them."""

    def __init__(self, name: str, located: Located, found: Findings) -> None:
        self.name = name
        self.failed = False
        self._located = located
        self._found = found

    def error(self, place: Location, message: str, hint: str = "") -> None:
        """Note what makes the function unusable; `place` is below it."""
        self.failed = True
        self._found.error(self._line(place), f"function `{self.name}`: {message}", hint)

    def warning(self, place: Location, message: str, hint: str = "") -> None:
        """Note what is odd."""
        self._found.warning(self._line(place), f"function `{self.name}`: {message}", hint)

    def _line(self, place: Location) -> int:
        return self._located.line(("functions", self.name, *place))


def read_function(name: str, keys: FunctionKeys, folder: Path, notes: Notes) -> Function | None:
    """The function, or None with its problems noted."""
    _check_name(name, notes)
    _check_schema("input", keys.input, notes)
    _check_schema("output", keys.output, notes)
    kind, entry = _kind_and_entry(keys.entry)
    signature = _check_entry(kind, entry, folder, notes)
    if notes.failed:
        return None
    if signature is not None and keys.input is not None:
        for mistake in python_entry.signature_mistakes(signature, keys.input):
            notes.error(("input",), f"`{entry}` does not fit its input: {mistake}")
    if notes.failed:
        return None
    inferred = python_entry.input_schema(signature) if signature is not None and keys.input is None else None
    return Function(
        name=name,
        kind=kind,
        entry=entry,
        description=keys.description or (signature.doc if signature is not None else ""),
        style=keys.entry.style,
        input=inferred if keys.input is None else keys.input,
        output=keys.output,
        inferred=inferred is not None,
        **keys.model_dump(include={"effects", "idempotent", "approval", "timeout_s"}, exclude_none=True),
    )


def _check_name(name: str, notes: Notes) -> None:
    if not name.replace("-", "_").isidentifier():
        notes.error((), f"`{name}` is no name for a function", "use letters, digits and `_`")
    elif name in OBJECT_METHODS:
        notes.error((), f"every skill has a `.{name}` of its own", "give the function another name")


def _check_schema(key: Literal["input", "output"], schema: Any, notes: Notes) -> None:
    if schema is None:
        return
    if not isinstance(schema, dict):
        notes.error(
            (key,), f"`{key}` has to be a JSON Schema, not {described(schema)}", "as `{type: object}`"
        )
        return
    if key == "input" and schema.get("type", "object") != "object":
        hint = "write the arguments below `properties:`"
        notes.error((key, "type"), "`input` has to be of type `object`", hint)
    for flaw in schema_flaws(schema):
        note = notes.error if flaw.severity == "error" else notes.warning
        note((key, *flaw.location), f"`{key}`: {flaw.message}", flaw.hint)


def _kind_and_entry(entry: EntryKeys) -> tuple[Kind, str]:
    if entry.python is not None:
        return "python", entry.python
    if entry.script is not None:
        return "script", entry.script
    return ("prompt", entry.prompt) if entry.prompt is not None else ("workflow", entry.workflow or "")


def _check_entry(kind: Kind, entry: str, folder: Path, notes: Notes) -> python_entry.Signature | None:
    """Note what is wrong with an entry; the signature of one in Python that can be called."""
    place = ("entry", kind)
    file, _, attribute = entry.rpartition(":") if kind == "python" else (entry, "", "")
    if kind == "python" and not (file and attribute.isidentifier()):
        notes.error(place, f"`{entry}` names no function", "as `skill.py:count`")
        return None
    path = _entry_file(folder, file)
    if isinstance(path, str):
        notes.error(place, f"the entry `{file}` {path}", "name a file inside the skill's folder, with `/`")
        return None
    if kind != "python":
        return None
    signature = _read_signature(path, attribute)
    if isinstance(signature, str):
        notes.error(place, f"the entry `{entry}` can't be called: {signature}")
        return None
    return signature


def _entry_file(folder: Path, relative: str) -> Path | str:
    """The file that an entry names, or what is wrong with it."""
    path = folder / relative
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return "leaves the skill's folder"
        if not is_covered(path, folder):
            return "lies in `.git` or is compiled, which is no part of a skill"
        return path if path.is_file() else "does not exist"
    except (OSError, ValueError, RuntimeError) as error:  # NUL bytes, surrogates; a loop of links before 3.13
        return f"can't be read: {error}"


def _read_signature(path: Path, name: str) -> python_entry.Signature | str:
    try:
        with path.open("rb") as file:
            source = file.read(MAX_ENTRY_BYTES + 1)
    except OSError as error:
        return f"it can't be read: {error.strerror}"
    if len(source) > MAX_ENTRY_BYTES:
        return f"it is larger than {MAX_ENTRY_BYTES:,} bytes"
    return python_entry.read_signature(source, name)
