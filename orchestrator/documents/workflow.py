"""A workflow file as a `Workflow` value, or every problem it has at once. Nothing in it is executed."""

from __future__ import annotations

import hashlib
import re
import unicodedata
import warnings
from ast import PyCF_ONLY_AST
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.documents import frontmatter, yaml_values
from orchestrator.documents.findings import Findings
from orchestrator.documents.markdown import Outline, outline
from orchestrator.documents.placeholder_check import Places, check_placeholders
from orchestrator.documents.schema_check import described, schema_flaws
from orchestrator.documents.schemas import inputs_schema
from orchestrator.documents.template import placeholders
from orchestrator.documents.types import Check, Schema, Workflow
from orchestrator.errors import DocumentError
from orchestrator.values import Limits, Permissions, Problem

if TYPE_CHECKING:
    from orchestrator.documents.frontmatter import Parts
    from orchestrator.documents.models import WorkflowKeys
    from orchestrator.documents.schema_check import SchemaFlaw
    from orchestrator.documents.yaml_values import Located, Location

MAX_BYTES = 1 << 20


def load_workflow(path: str | Path, *, strict: bool = False) -> Workflow:
    """The workflow in a file. Raises DocumentError with all of its problems."""
    path = Path(path)
    return parse_workflow(_read(path), path, strict=strict)


def parse_workflow(text: str, path: Path, *, strict: bool = False) -> Workflow:
    """The workflow in a text that stands, or would stand, at `path`. Raises DocumentError with all problems.

    What is odd and not wrong, as an unknown key, is in `.warnings`; strict makes it an error.
    """
    found = Findings(str(path), strict=strict)
    text = frontmatter.normalised(text)
    if "\0" in text:
        found.error(
            text.count("\n", 0, text.index("\0")) + 1, "this is no text: it holds a NUL byte", _SAVE_AS_UTF8
        )
        raise DocumentError(found.problems)
    parts = frontmatter.split(text)
    version = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    workflow = (
        _plain(parts, path, version, found)
        if parts.frontmatter is None
        else _with_frontmatter(parts, path, version, found)
    )
    if workflow is None or found.has_errors:
        raise DocumentError(found.problems)
    return replace(workflow, source=text)


_SAVE_AS_UTF8 = "a workflow is a Markdown file in UTF-8"


def _read(path: Path) -> str:
    """The text of a file that a user pointed at."""

    def refusal(message: str, hint: str = "", line: int = 0) -> DocumentError:
        return DocumentError([Problem(str(path), line, message, hint)])

    try:
        if path.is_dir():
            raise refusal("this is a folder", "name the Markdown file in it")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        near = get_close_matches(path.name, _markdown_beside(path), n=1)
        raise refusal(
            "there is no such file", f"did you mean `{path.parent / near[0]}`?" if near else ""
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise refusal(f"it can't be read: {reason}") from None
    if len(data) > MAX_BYTES:
        raise refusal(
            f"it is larger than {MAX_BYTES:,} bytes", "give large texts as an input or by `context:`"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise refusal(f"byte {error.start} is no UTF-8", _SAVE_AS_UTF8, line) from None


def _markdown_beside(path: Path) -> list[str]:
    try:
        return [file.name for file in path.parent.iterdir() if file.suffix == ".md"]
    except OSError:
        return []


def _plain(parts: Parts, path: Path, version: str, found: Findings) -> Workflow:
    """A Markdown file without frontmatter: the body is the task, named for its first heading."""
    outline = _outline(parts, found, needs_title=True)
    return Workflow(
        name=_slug(outline.title) or _slug(path.stem) or "workflow",
        description="",
        path=path,
        body=parts.body,
        cells=outline.cells,
        inputs={"type": "object"},
        version=version,
        warnings=found.problems,
    )


def _with_frontmatter(parts: Parts, path: Path, version: str, found: Findings) -> Workflow | None:
    located = yaml_values.read(parts.frontmatter or "", parts.frontmatter_line)
    if not parts.closed:
        opening = parts.frontmatter_line - 1
        found.error(opening, "the frontmatter is never closed", "put a line of `---` below its last key")
        return None
    body = _outline(parts, found, needs_title=False)
    for flaw in located.flaws:
        found.error(flaw.line, flaw.message, flaw.hint)
    values = located.value
    if values is None and not located.flaws:
        values = {}
    if not isinstance(values, dict):
        if values is not None:
            found.error(
                located.first_line,
                f"the frontmatter has to be a mapping, not {described(values)}",
                "as `name: digest`",
            )
        return None
    values = {key: value for key, value in values.items() if value is not None}
    inputs = _checked_inputs(values.get("inputs"), located, found)
    output = _checked_output(values.get("output"), located, found)
    check_placeholders(Places(values, located, parts, body), inputs, found)
    keys = _keys(values, located, path, found)
    if keys is None or found.has_errors:
        return None
    return _workflow(keys, Workflow(
        keys.name, keys.description, path, parts.body, body.cells, inputs, version, output, warnings=found.problems
    ), located)  # fmt: skip


def _keys(values: dict[str, Any], located: Located, path: Path, found: Findings) -> WorkflowKeys | None:
    """The frontmatter's keys with their types; None when something is wrong with them."""
    # Imported here because pydantic takes 80 ms, which a plain Markdown file need not pay.
    from orchestrator.documents.models import WorkflowKeys
    from orchestrator.documents.validation import mistakes, report_mistakes, report_unknown_keys

    details = mistakes(WorkflowKeys, values)
    if any(detail["type"] == "missing" and detail["loc"] == ("name",) for detail in details):
        details = [detail for detail in details if detail["loc"] != ("name",)]
        found.error(
            located.first_line - 1, "`name` is missing", f"add `name: {_slug(path.stem) or 'digest'}`"
        )
    report_mistakes(details, found, located)
    report_unknown_keys(WorkflowKeys, values, found, located)
    for number, check in enumerate(values["checks"] if isinstance(values.get("checks"), list) else []):
        if isinstance(check, dict) and isinstance(check.get("expr"), str):
            _check_expression(check["expr"], located.line(("checks", number, "expr")), found)
    return None if found.has_errors else WorkflowKeys.model_validate(values)


def _workflow(keys: WorkflowKeys, bare: Workflow, located: Located) -> Workflow:
    """The bare workflow with all that its keys say."""
    return replace(
        bare,
        skills=_tuple(keys.skills),
        context=tuple(keys.context),
        root_model=keys.model.root,
        sub_model=keys.model.sub,
        strategies=_tuple(keys.strategies),
        limits=Limits(**keys.budget.model_dump(exclude_unset=True)),
        written_limits=frozenset(keys.budget.model_dump(exclude_unset=True, exclude_none=True)),
        permissions=Permissions(
            **{key: tuple(value) for key, value in keys.permissions.model_dump().items()}
        ),
        approvals=tuple(keys.approvals),
        remember=tuple(keys.remember),
        checks=_checks(keys, located),
        max_retries=keys.retry.max,
        cell_timeout_s=bare.cell_timeout_s if keys.cell_timeout_s is None else keys.cell_timeout_s,
    )


def _checks(keys: WorkflowKeys, located: Located) -> tuple[Check, ...]:
    return tuple(
        Check(
            name=check.name or check.text,
            kind=check.kind,
            text=check.text,
            arguments=check.arguments or {},
            runs=check.runs,
            passes=check.runs if check.passes is None else check.passes,
            line=located.line(("checks", number)),
        )
        for number, check in enumerate(keys.checks)
    )


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _outline(parts: Parts, found: Findings, *, needs_title: bool) -> Outline:
    """The body's structure; what is odd about its cells is noted."""
    if not needs_title and "repl" not in parts.body.lower() and "{{" not in parts.body:
        return Outline()
    body = outline(parts.body, parts.body_line)
    for line in body.unclosed:
        found.error(
            line,
            "this `repl` cell is never closed",
            "end it with a fence as deep in its list or quotation as the first",
        )
    for cell in body.cells:
        error = _syntax_error(cell.source, "exec")
        if error is not None:
            found.warning(
                cell.line + (error.lineno or 1) - 1, f"cell {cell.number} is no Python: {error.msg}"
            )
    return body


def _check_expression(source: str, line: int, found: Findings) -> None:
    error = _syntax_error(source.strip(), "eval")
    if error is not None:
        found.error(line, f"`expr` is no Python expression: {error.msg}", "as `len(answer['findings']) > 0`")
    for name, _ in placeholders(source):
        found.warning(line, f"`{{{{{name}}}}}` is not filled in an `expr`", f"write `inputs['{name}']`")


def _syntax_error(source: str, mode: str) -> SyntaxError | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "<cell>", mode, flags=PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return SyntaxError(str(error) or "it is nested too deeply")
    return None


def _checked_inputs(written: Any, located: Located, found: Findings) -> Schema:
    schema, flaws = inputs_schema(written)
    _report_schema(flaws, ("inputs",), located, found)
    return schema


def _checked_output(written: Any, located: Located, found: Findings) -> Schema | None:
    if written is None:
        return None
    if not isinstance(written, dict):
        found.error(
            located.line(("output",)),
            f"`output` has to be a JSON Schema, not {described(written)}",
            "as `{type: object}`",
        )
        return None
    _report_schema(schema_flaws(written), ("output",), located, found)
    return written


def _report_schema(flaws: list[SchemaFlaw], at: Location, located: Located, found: Findings) -> None:
    for flaw in flaws:
        note = found.error if flaw.severity == "error" else found.warning
        note(located.line((*at, *flaw.location)), f"`{at[0]}`: {flaw.message}", flaw.hint)


def _slug(text: str) -> str:
    """Text as a name: a-z, 0-9 and `-`."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:64].strip("-")
