"""Which attacks of a cell or a skill each environment stops.

    python benchmarks/attacks.py [--environment E ...]

Takes about two minutes for an environment. An attack is shown to work by making it where nothing is in its way.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import report

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import environment_services
from attacks.play import ENVIRONMENTS, NOTHING, play
from attacks.table import ATTACKS, ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTES = """nothing: a forked process that inherits all, and a parent that believes what it is told. c, s, p: from a cell, from a skill's function, from a function of a skill that starts programs; each in a worker of its own. ESCAPES: seen from outside, by a secret that came back, something changed, reached or hurt, or by more than was allowed for longer than a moment. As {user}."""


def main() -> None:
    """Play all attacks and print one table; exit 1 where `confined` lets one pass."""
    parser = argparse.ArgumentParser(description="Attack every environment.")
    parser.add_argument("--environment", nargs="+", default=ENVIRONMENTS, choices=ENVIRONMENTS)
    given = parser.parse_args()
    found = {name: dict.fromkeys(ATTACKS, "") for name in (NOTHING, *given.environment)}
    for environment, cells in found.items():
        try:
            with (
                tempfile.TemporaryDirectory(prefix="o-") as folder,
                served(environment, Path(folder)) as settings,
            ):
                attack_with(environment, settings, cells)
        except environment_services.Missing as missing:
            print(f"{environment}: {missing}", file=sys.stderr)
            cells.update(dict.fromkeys(cells, "not here"))
    rows = [
        [name, attack.group, *(shown(environment, found[environment][name]) for environment in found)]
        for name, attack in ATTACKS.items()
    ]
    count = ["in all", "", *(n_escaped(list(cells.values())) for cells in found.values())]
    user = "root" if os.geteuid() == 0 else "an ordinary user"
    report("Attacks", ["attack", "on", *found], [*rows, count], NOTES.format(user=user))
    if any(cell not in ("", "not here") for cell in found.get("confined", {}).values()):
        sys.exit(1)


@contextlib.contextmanager
def served(environment: str, folder: Path) -> Iterator[dict[str, Any]]:
    """The settings of an environment, with the service that it needs."""
    service = environment_services.SERVICES.get(environment)
    if service is None:
        yield {}
        return
    with service(folder) as settings:
        yield {environment: settings}


def attack_with(environment: str, settings: dict[str, Any], cells: dict[str, str]) -> None:
    """Play all attacks in one environment, and note which escape."""
    for role in ROLES if environment != NOTHING else ROLES[:1]:
        for out in play(environment, role, ATTACKS.values(), settings):
            letter = "csp"[ROLES.index(role)]
            if out.unavailable:
                cells[out.attack] = "not here"
            elif out.harm:
                cells[out.attack] += letter
                print(f"{environment}, {role}: {out.attack}: {out.harm}", file=sys.stderr)


def shown(environment: str, cell: str) -> str:
    """What became of one attack."""
    if cell == "not here":
        return cell
    if environment == NOTHING:
        return "ESCAPES" if cell else "not possible here"
    return f"ESCAPES ({', '.join(cell)})" if cell and cell != "csp" else "ESCAPES" if cell else "blocked"


def n_escaped(cells: list[str]) -> str:
    """The last line of a column."""
    if "not here" in cells:
        return "not here"
    return f"{sum(bool(cell) for cell in cells)} of {len(cells)} escape"


if __name__ == "__main__":
    main()
