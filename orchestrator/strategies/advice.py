"""What a model that writes cells is told of how it went before: which ways of working did well, and which did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.memory.experience import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.memory.experience import Experience

MIN_TRIED = 3
"""Attempts from which on a way is worth a sentence."""

HELPS = 0.1
"""By how much recursion has to do better to be called a help."""

GOOD = 0.7
BAD = 0.4
"""Shares of attempts that passed, above and below which a way is told of. Prior: one success, one failure (Laplace)."""


def advice(workflow: str, experience: Experience) -> str:
    """At most three sentences; empty where the record says nothing of ways in this workflow."""
    known = experience.ways.get(workflow, {})
    ways = {way: row for way, row in known.items() if row.tried >= MIN_TRIED}
    said = []
    if good := _best(ways):
        said.append(f"Here {_named(good)} did well: {_figures(ways[good])}.")
    if bad := _worst(ways):
        said.append(f"{_named(bad)} did not: {_figures(ways[bad])}.")
    if of_depth := _of_depth(known):
        said.append(of_depth)
    return " ".join(said)


def share(row: Row) -> float:
    """The share of attempts that passed, drawn towards a half where there are few."""
    return (row.succeeded + 1) / (row.tried + 2)


def _of_depth(ways: Mapping[str, Row]) -> str:
    """Whether `rlm_query` was worth it: it costs a root of its own for each call."""
    deep = [row for way, row in ways.items() if "recurse" in way.split()]
    flat = [row for way, row in ways.items() if "recurse" not in way.split()]
    n_deep, n_flat = (sum(row.tried for row in rows) for rows in (deep, flat))
    if min(n_deep, n_flat) < MIN_TRIED:
        return ""
    well_deep, well_flat = (sum(row.succeeded for row in rows) for rows in (deep, flat))
    helped = (well_deep + 1) / (n_deep + 2) > (well_flat + 1) / (n_flat + 2) + HELPS
    verdict = "helped" if helped else "did not help"
    return f"`rlm_query` {verdict}: {well_deep} of {n_deep} with it, {well_flat} of {n_flat} without."


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
