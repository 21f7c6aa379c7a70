"""What a model that writes cells is told of how it went before: which ways of working did well, and which did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.memory.experience import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.memory.experience import Experience

MIN_TRIED = 3
"""Attempts from which on a way is worth a sentence."""

GOOD = 0.7
BAD = 0.4
"""Shares of attempts that passed, above and below which a way is told of. Prior: one success, one failure (Laplace)."""


def advice(workflow: str, experience: Experience) -> str:
    """At most two sentences; empty where the record says nothing of ways in this workflow."""
    ways = {way: row for way, row in experience.ways.get(workflow, {}).items() if row.tried >= MIN_TRIED}
    said = []
    if good := _best(ways):
        said.append(f"Here {_named(good)} did well: {_figures(ways[good])}.")
    if bad := _worst(ways):
        said.append(f"{_named(bad)} did not: {_figures(ways[bad])}.")
    return " ".join(said)


def share(row: Row) -> float:
    """The share of attempts that passed, drawn towards a half where there are few."""
    return (row.succeeded + 1) / (row.tried + 2)


def _best(ways: Mapping[str, Row]) -> str:
    good = [way for way, row in ways.items() if row.passed and share(row) >= GOOD]
    return max(good, key=lambda way: (share(ways[way]), -ways[way].mean_usd, way), default="")


def _worst(ways: Mapping[str, Row]) -> str:
    bad = [way for way, row in ways.items() if share(row) <= BAD]
    return min(bad, key=lambda way: (share(ways[way]), way), default="")


def _named(way: str) -> str:
    names = [f"`{name}`" for name in way.split()]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} with {names[-1]}"


def _figures(row: Row) -> str:
    cost = f", ${row.mean_usd:.2g} each" if row.usd else ""
    return f"{row.succeeded} of {row.tried}{cost}"
