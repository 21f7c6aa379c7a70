"""manifest.yaml beside a SKILL.md: the functions that its author declares (layer L2 of the skill contract).

What is wrong is reported and left out; the rest of the manifest counts. Entries are looked at as files and, where
they are Python, as syntax trees: nothing is imported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.documents import frontmatter, python_entry, yaml_values
from orchestrator.documents.findings import Findings
from orchestrator.documents.schema_check import described, schema_flaws
from orchestrator.documents.types import Example, Function, Requires
from orchestrator.values import Permissions, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents.models import FunctionKeys, ManifestKeys
    from orchestrator.documents.yaml_values import Located, Location

FILE_NAME = "manifest.yaml"
MARKER = "orchestrate.skill/1"
_MARKER_STEM = "orchestrate.skill/"
_MAX_ENTRY_BYTES = 4 << 20
_OBJECT_METHODS = ("doc", "files", "read", "scripts", "run", "map")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says; all empty where a skill has none."""

    functions: Mapping[str, Function] = field(default_factory=dict)
    default: str | None = None
    uses: tuple[str, ...] = ()
    permissions: Permissions = field(default_factory=Permissions)
    requires: Requires = field(default_factory=Requires)
    examples: tuple[Example, ...] = ()
    problems: tuple[Problem, ...] = ()


def parse_manifest(text: str, folder: Path) -> Manifest:
    """The manifest of the skill in `folder`. Raises nothing; a text without the marker is no manifest."""
    if _MARKER_STEM not in text:
        return Manifest()
    found = Findings(str(folder / FILE_NAME))
    located = yaml_values.read(frontmatter.normalised(text))
    values = located.value
    if isinstance(values, dict) and not str(values.get("schema", "")).startswith(_MARKER_STEM):
        return Manifest()  # the marker's text stands somewhere else
    for flaw in located.flaws:
        found.error(flaw.line, flaw.message, flaw.hint)
    if not isinstance(values, dict):
        if not found.has_errors:
            found.error(1, f"a manifest has to be a mapping, not {described(values)}")
        return Manifest(problems=found.problems)
    if values["schema"] != MARKER:
        found.error(
            located.line(("schema",)),
            f"{described(values['schema'])} is not known here",
            f"write `schema: {MARKER}`",
        )
        return Manifest(problems=found.problems)
    return _manifest(_sound_keys(values, located, found), folder, located, found)


def _sound_keys(values: dict[str, Any], located: Located, found: Findings) -> ManifestKeys:
    """The keys that are right: a mistake costs the function, or the top-level key, that it stands in."""
    # Imported here because pydantic takes 80 ms, which a skill without a manifest need not pay.
    from orchestrator.documents.models import ManifestKeys
    from orchestrator.documents.validation import mistakes, report_mistakes, report_unknown_keys

    values = {key: value for key, value in values.items() if value is not None}
    details = mistakes(ManifestKeys, values)
    report_mistakes(details, found, located)
    report_unknown_keys(ManifestKeys, values, found, located)
    for detail in details:
        match detail["loc"]:
            case ("functions", str(name), *_):
                values["functions"] = {
                    key: value for key, value in values["functions"].items() if key != name
                }
            case (key, *_):
                values = {other: value for other, value in values.items() if other != key}
    return ManifestKeys.model_validate(values)


def _manifest(keys: ManifestKeys, folder: Path, located: Located, found: Findings) -> Manifest:
    functions: dict[str, Function] = {}
    for name, written in keys.functions.items():
        function = _function(name, written, folder, located, found)
        if function is not None:
            functions[name] = function
    default = keys.default
    if default is not None and default not in functions:
        if default not in keys.functions:
            near = get_close_matches(default, keys.functions, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "name one of `functions:`"
            found.error(
                located.line(("default",)), f"`default: {default}` is no function of this skill", hint
            )
        default = None
    return Manifest(
        functions=functions,
        default=default,
        uses=tuple(keys.uses),
        permissions=Permissions(
            **{key: tuple(value) for key, value in keys.permissions.model_dump().items()}
        ),
        requires=Requires(**{key: tuple(value) for key, value in keys.requires.model_dump().items()}),
        examples=_examples(keys, functions, default, located, found),
        problems=found.problems,
    )


def _function(
    name: str, keys: FunctionKeys, folder: Path, located: Located, found: Findings
) -> Function | None:
    """One function, or None with its problems noted."""
    at: Location = ("functions", name)
    check = _FunctionCheck(at, located, found)
    if not name.replace("-", "_").isidentifier():
        check.error((), f"`{name}` is no name for a function", "use letters, digits and `_`")
    elif name in _OBJECT_METHODS:
        check.error((), f"`{name}` is what every skill has as `.{name}`", "give the function another name")
    kind, entry = _kind_and_entry(keys)
    file, _, attribute = entry.rpartition(":") if kind == "python" else (entry, "", "")
    if kind == "python" and not (file and attribute.isidentifier()):
        check.error(("entry", kind), f"`{entry}` names no function", "as `skill.py:count`")
        return None
    check.schema("input", keys.input)
    check.schema("output", keys.output)
    path = _entry_file(folder, file)
    if isinstance(path, str):
        check.error(
            ("entry", kind), f"the entry `{file}` {path}", "a path inside the skill's folder, with `/`"
        )
        return None
    signature = _read_signature(path, attribute) if kind == "python" else None
    if isinstance(signature, str):
        check.error(("entry", kind), f"the entry `{entry}` can't be called: {signature}")
        return None
    if signature is not None and isinstance(keys.input, dict):
        for mistake in python_entry.signature_mistakes(signature, keys.input):
            check.error(("input",), f"`{entry}` does not fit its input: {mistake}")
    if check.failed:
        return None
    inferred = python_entry.input_schema(signature) if signature is not None and keys.input is None else None
    given = {
        "effects": keys.effects,
        "idempotent": keys.idempotent,
        "approval": keys.approval,
        "timeout_s": keys.timeout_s,
    }
    return Function(
        name=name,
        kind=kind,
        entry=entry,
        description=keys.description or (signature.doc if signature is not None else ""),
        style=keys.entry.style,
        input=inferred or keys.input,
        output=keys.output,
        inferred=inferred is not None,
        **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]  # checked by FunctionKeys
    )


class _FunctionCheck:
    """Notes the problems of one function; `failed` once there is one."""

    def __init__(self, at: Location, located: Located, found: Findings) -> None:
        self.at, self.located, self.found = at, located, found
        self.failed = False

    def error(self, place: Location, message: str, hint: str = "") -> None:
        self.failed = True
        self.found.error(self.located.line((*self.at, *place)), f"function `{self.at[1]}`: {message}", hint)

    def schema(self, key: Literal["input", "output"], schema: Any) -> None:
        if schema is None:
            return
        if not isinstance(schema, dict):
            self.error(
                (key,), f"`{key}` has to be a JSON Schema, not {described(schema)}", "as `{type: object}`"
            )
            return
        if key == "input" and schema.get("type", "object") != "object":
            self.error(
                (key, "type"), "`input` has to be of type `object`", "write the arguments below `properties:`"
            )
        for flaw in schema_flaws(schema):
            place = (key, *flaw.location)
            if flaw.severity == "error":
                self.error(place, f"`{key}`: {flaw.message}", flaw.hint)
            else:
                line = self.located.line((*self.at, *place))
                self.found.warning(line, f"function `{self.at[1]}`: `{key}`: {flaw.message}", flaw.hint)


def _kind_and_entry(keys: FunctionKeys) -> tuple[Literal["python", "script", "prompt", "workflow"], str]:
    entry = keys.entry
    if entry.python is not None:
        return "python", entry.python
    if entry.script is not None:
        return "script", entry.script
    return ("prompt", entry.prompt) if entry.prompt is not None else ("workflow", entry.workflow or "")


def _entry_file(folder: Path, relative: str) -> Path | str:
    """The file that an entry names, or what is wrong with it."""
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or "\\" in relative or "\0" in relative:
        return "leaves the skill's folder"
    path = folder / pure
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return "leaves the skill's folder"
        return path if path.is_file() else "does not exist"
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        return f"can't be read: {error}"


def _read_signature(path: Path, name: str) -> python_entry.Signature | str:
    try:
        with path.open("rb") as file:
            source = file.read(_MAX_ENTRY_BYTES + 1)
    except OSError as error:
        return f"it can't be read: {error.strerror}"
    if len(source) > _MAX_ENTRY_BYTES:
        return f"it is larger than {_MAX_ENTRY_BYTES:,} bytes"
    return python_entry.read_signature(source, name)


def _examples(
    keys: ManifestKeys,
    functions: Mapping[str, Function],
    default: str | None,
    located: Located,
    found: Findings,
) -> tuple[Example, ...]:
    examples: list[Example] = []
    for number, written in enumerate(keys.examples):
        name = written.function or default
        if written.function is not None and written.function not in keys.functions:
            near = get_close_matches(written.function, keys.functions, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "name one of `functions:`"
            found.error(
                located.line(("examples", number)), f"the example's `{written.function}` is no function", hint
            )
        elif name is None and keys.default is None:
            found.error(
                located.line(("examples", number)),
                "the example names no function",
                "add `function:`, or a `default:`",
            )
        elif name in functions:
            examples.append(Example(written.input, written.output, written.function))
    return tuple(examples)
