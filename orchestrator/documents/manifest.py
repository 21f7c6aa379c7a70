"""manifest.yaml beside a SKILL.md: the functions that its author declares (layer L2 of the skill contract).

What is wrong is reported and left out; the rest of the manifest counts. Entries are looked at as files and, where
they are Python, as syntax trees: nothing is imported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.documents import frontmatter, yaml_values
from orchestrator.documents.findings import Findings
from orchestrator.documents.functions import Notes, read_function
from orchestrator.documents.schema_check import described
from orchestrator.documents.types import Example, Function, Requires
from orchestrator.values import Permissions, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents.models import ManifestKeys
    from orchestrator.documents.yaml_values import Located

FILE_NAME = "manifest.yaml"
MARKER = "orchestrate.skill/1"
_MARKER_STEM = "orchestrate.skill/"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says; all empty where a skill has none."""

    exists: bool = False
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
        return Manifest(exists=True, problems=found.problems)
    if values["schema"] != MARKER:
        found.error(
            located.line(("schema",)),
            f"{described(values['schema'])} is not known here",
            f"write `schema: {MARKER}`",
        )
        return Manifest(exists=True, problems=found.problems)
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
        function = read_function(name, written, folder, Notes(name, located, found))
        if function is not None:
            functions[name] = function
    default = keys.default
    if default is None and len(keys.functions) == 1:  # there is nothing else that it could mean
        default = next(iter(functions), None)
    elif default is not None and default not in functions:
        if default not in keys.functions:
            near = get_close_matches(default, keys.functions, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "name one of `functions:`"
            found.error(
                located.line(("default",)), f"`default: {default}` is no function of this skill", hint
            )
        default = None
    return Manifest(
        exists=True,
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
        elif name is None and keys.default is None and len(keys.functions) > 1:
            found.error(
                located.line(("examples", number)),
                "the example names no function",
                "add `function:`, or a `default:`",
            )
        elif name in functions:
            examples.append(Example(written.input, written.output, written.function))
    return tuple(examples)
