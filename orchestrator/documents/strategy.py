"""A strategy file as a `StrategyDocument`, or every problem it has at once: frontmatter, prose, and cells that ask a model."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from orchestrator.documents import frontmatter, yaml_values
from orchestrator.documents.findings import Findings
from orchestrator.documents.markdown import cells
from orchestrator.documents.types import Evidence, Fit, StrategyDocument
from orchestrator.errors import DocumentError

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.documents.models import EvidenceKeys


def load_strategy(path: Path) -> StrategyDocument:
    """The strategy in a file. Raises DocumentError with all of its problems."""
    return parse_strategy(path.read_text("utf-8"), path)


def parse_strategy(text: str, path: Path) -> StrategyDocument:
    """The strategy in a text that stands, or would stand, at `path`. Raises DocumentError with all of its problems."""
    from orchestrator.documents.models import StrategyKeys  # here: pydantic takes 80 ms
    from orchestrator.documents.validation import mistakes, report_mistakes, report_unknown_keys

    text = frontmatter.normalised(text)
    found = Findings(str(path), strict=False)
    parts = frontmatter.split(text)
    located = yaml_values.read(parts.frontmatter or "", parts.frontmatter_line)
    for flaw in located.flaws:
        found.error(flaw.line, flaw.message, flaw.hint)
    values = located.value if isinstance(located.value, dict) else {}
    report_mistakes(mistakes(StrategyKeys, values), found, located)
    report_unknown_keys(StrategyKeys, values, found, located)
    program = cells(parts.body, parts.body_line)
    if not program:
        found.error(
            parts.body_line, "a strategy needs cells", "a cell is a fenced block that begins with ```repl"
        )
    if found.has_errors:
        raise DocumentError(found.problems)
    keys = StrategyKeys.model_validate(values)
    version = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return StrategyDocument(
        keys.name,
        keys.description,
        path,
        program,
        version,
        Fit(**keys.applies.model_dump()),
        None if keys.evidence is None else _evidence(keys.evidence),
        keys.first,
    )


def _evidence(keys: EvidenceKeys) -> Evidence:
    return Evidence(**{**keys.model_dump(), "checks": tuple(keys.checks)})
