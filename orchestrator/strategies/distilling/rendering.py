"""A distilled program as a strategy document, which a person can read, edit and delete."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.strategies.distilling.distil import Distilled

PREFIX = "learned-"

EVIDENCE = ("run", "at", "workflow", "workflow_version", "checks", "usd", "tokens", "calls")
"""What a document may say of the run that it was learned from, in this order; see `documents.types.Evidence`."""


def learned_name(cells: Sequence[str]) -> str:
    """A strategy's name for these cells: the same for the same cells."""
    return PREFIX + digest(cells)


def digest(cells: Sequence[str]) -> str:
    """Tells these cells from others, also when they were written into a document and read from it."""
    text = "\0".join(cell.rstrip("\n") for cell in cells)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def document(name: str, workflow: str, distilled: Distilled, evidence: Mapping[str, Any]) -> str:
    """The text of a strategy document. `documents.strategy.parse_strategy` reads it back.

    `evidence` has keys of EVIDENCE; `checks` are the names of those that passed.
    """
    told = {"workflow": workflow, **evidence}
    parts = [
        "---",
        f"name: {name}",
        f"description: {json.dumps(_description(workflow, told), ensure_ascii=False)}",
        "evidence:",
        *(
            f"  {key}: {json.dumps(told[key], ensure_ascii=False)}"
            for key in EVIDENCE
            if told.get(key) is not None
        ),
        "---",
        f"# {_title(workflow)}",
        "",
        _prose(distilled, told),
    ]
    for cell in distilled.cells:
        fence = _fence(cell)
        parts += ["", f"{fence}repl", cell.rstrip("\n"), fence]
    return "\n".join(parts) + "\n"


def _description(workflow: str, evidence: Mapping[str, Any]) -> str:
    run = f" by run {evidence['run']}" if evidence.get("run") else ""
    return f"The cells that answered `{workflow}`{run}, without their dead ends and with inputs in place of values."


def _title(workflow: str) -> str:
    return f"Learned for {workflow}"


def _prose(distilled: Distilled, evidence: Mapping[str, Any]) -> str:
    """One paragraph: what it reads, what became an input, how sure it is."""
    reads = [
        f"`{name}`" for name in distilled.uses if name.startswith(("context", "inputs", "skills.", "memory"))
    ]
    said = [f"Reads {', '.join(reads)}." if reads else "Reads nothing of its inputs by name."]
    if distilled.ignores:
        said.append(f"Does not read {', '.join(f'`inputs.{name}`' for name in distilled.ignores)}.")
    if distilled.replaced:
        names = dict.fromkeys(one.input for one in distilled.replaced)
        said.append(
            f"What stood for {', '.join(f'`{name}`' for name in names)} was written into its cells and is read now."
        )
    if checks := evidence.get("checks"):
        said.append(f"Its run passed {len(checks)} check{'s' * (len(checks) != 1)}.")
    return " ".join(said)


def _fence(source: str) -> str:
    """A fence that no line of the source closes."""
    longest = max((len(run) for run in re.findall(r"`+", source)), default=0)
    return "`" * max(3, longest + 1)
