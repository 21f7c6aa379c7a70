"""Which strategies a run tries, and in which order.

Without a record: programs that were learned for the workflow, its own cells, a model that writes cells, the built-in
strategies. With one, as the ranking has it, but for programs that were made for the workflow: they stay in front
until one of their attempts fails, since to explore beside what has always worked would cost and teach little. One that
a person has edited has not worked always: it stands where the record of its earlier cells puts it until it has passed.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import ModelUnavailable, UsageError
from orchestrator.memory.editions import is_edited
from orchestrator.strategies.learned import PREFIX, is_learned, named

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.documents.types import StrategyDocument, Workflow
    from orchestrator.memory.experience import Experience, Row
    from orchestrator.strategies.learned import Program
    from orchestrator.strategies.situation import Situation

BUILT_IN = ("direct", "grep", "map-reduce", "split-recurse", "verify-refine")
"""Strategies whose cells are in `built_in/`; they need a sub model and no root."""

NAMES = ("written", "rlm", *BUILT_IN)
"""Every name that a workflow may list, in the order in which they are tried without a record."""

BYTES_A_TOKEN = 4
"""What a window of so many tokens is taken to hold of text."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A strategy at its place in the order: with which probability it came first, and why it stands where it does."""

    strategy: str
    probability: float = 1.0
    score: float | None = None  # of the ranking; None where none was asked
    why: str = ""


def candidates(
    workflow: Workflow,
    forced: str | None = None,
    root: str | None = None,
    sub: str | None = None,
    learned: Mapping[str, Program] | None = None,
) -> tuple[str, ...]:
    """The strategies that there are for a workflow, in the order without a record; whether a built-in fits is seen later.

    Learned programs are cells that a model wrote: they stand before all others where the workflow allows `rlm`.
    Raises UsageError for a name nobody knows or one that does not apply, and ModelUnavailable when only a model
    could run the workflow and there is none.
    """
    programs = learned or {}
    asked = [named(name, programs) for name in ([forced] if forced else workflow.strategies or NAMES)]
    for name in asked:
        _known(name, programs)
    there = {"written": bool(workflow.cells), "rlm": root is not None} | dict.fromkeys(
        BUILT_IN, sub is not None
    )
    there |= {name: not program.asks or sub is not None for name, program in programs.items()}
    if not forced and "rlm" in asked:
        asked = [*(name for name in programs if name not in asked), *asked]
    found = tuple(name for name in asked if there[name])
    if found:
        return found
    if asked == ["written"] or (workflow.strategies == ("written",) and not forced):
        raise UsageError(
            f"strategy `written` does not apply: `{workflow.path}` has no cells",
            hint="a cell is a fenced block that begins with ```repl",
        )
    raise ModelUnavailable(
        f"strategy `{forced}` needs a model, and none is configured"
        if forced
        else f"`{workflow.path}` has no cells to run, and no model is configured to write them",
        hint="name one with --model, or as [models.default] in orchestrate.toml; or add a cell: a fenced block that "
        "begins with ```repl",
    )


@cache
def document_of(name: str) -> StrategyDocument | None:
    """The document of a built-in strategy; None for those that have none."""
    if name not in BUILT_IN:
        return None
    from orchestrator.documents.strategy import load_strategy  # here: most runs need none of them

    return load_strategy(Path(__file__).parent / "built_in" / f"{name}.md")


def misfit(
    document: StrategyDocument, n_bytes: int, window_tokens: int, depth_left: int | None
) -> str | None:
    """Why a strategy does not apply to a context of this size; None when it does."""
    fit, n_windows = document.fit, n_bytes / (window_tokens * BYTES_A_TOKEN)
    size = f"`{document.name}` is not for a context of {n_bytes:,} bytes"
    if n_bytes < fit.min_bytes or n_windows < fit.min_windows:
        return f"{size}: it is too small"
    if (fit.max_bytes is not None and n_bytes > fit.max_bytes) or (
        fit.max_windows is not None and n_windows > fit.max_windows
    ):
        return f"{size}: it is too large"
    if depth_left is not None and depth_left < fit.depth:
        return f"`{document.name}` needs {fit.depth} levels of depth, {depth_left} are left"
    return None


def ordered(
    workflow: str,
    version: str,
    names: Sequence[str],
    experience: Experience | None,
    situation: Situation,
    promoted: Collection[str] = (),
) -> list[Choice]:
    """The strategies of a workflow as they are to be tried. `names` come in the order without a record.

    Those that were `promoted` lead, whatever the record says of them.
    """
    if experience is None or len(names) < 2 or not experience.knows(names):
        return [Choice(name) for name in names]
    ranked = experience.rank(situation, names)
    found = {one.arm: Choice(one.arm, one.probability, one.score, one.why) for one in ranked}
    trusted = [
        name
        for name in found
        if name in promoted or _is_trusted(name, experience.row(workflow, name), version)
    ]
    trusted.sort(
        key=lambda name: (name not in promoted, not is_learned(name))
    )  # of several, as they are ranked
    if not trusted:
        return list(found.values())
    first, *others = trusted
    rest = [*others, *(name for name in found if name not in trusted)]
    row = experience.row(workflow, first)
    return [
        Choice(first, 1.0, found[first].score, "promoted")
        if first in promoted
        else _first(found[first], row),
        *(_never_first(found[name]) for name in rest),
    ]


def _is_trusted(name: str, row: Row, version: str) -> bool:
    """Whether it is a program made for the workflow that has not failed in its present version."""
    if is_edited(name) and not row.passed:
        return False  # its run proved other cells than these
    return (name == "written" or is_learned(name)) and (row.version != version or row.failed_now == 0)


def _first(choice: Choice, row: Row) -> Choice:
    figures = f", and has not failed: {row.succeeded} of {row.tried}" if row.tried else ""
    return Choice(choice.strategy, 1.0, choice.score, f"made for this workflow{figures}")


def _never_first(choice: Choice) -> Choice:
    return Choice(choice.strategy, 0.0, choice.score, choice.why)


def _known(name: str, programs: Mapping[str, Program]) -> None:
    known = (*NAMES, *programs)
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{close[0]}`?" if close else ""
    if name.startswith(PREFIX):
        hint = "`orchestrate strategies` lists what was learned"
    raise UsageError(f"no strategy named `{name}` ({len(known)} known: {', '.join(known)})", hint=hint)
