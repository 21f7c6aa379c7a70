"""Which attacks of a cell or a skill each environment stops.

    python benchmarks/attacks.py [--environment E ...]

Takes about two minutes for an environment. An attack is shown to work by making it where nothing is in its way.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from report import report

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from attacks.play import NOTHING, environments, play
from attacks.table import ATTACKS, ROLES

NOTES = """nothing: a forked process that inherits all, and a parent that believes what it is told. c, s, p: from a cell, from a skill's function, from a function of a skill that starts programs; each in a worker of its own. ESCAPES: seen from outside, by a secret that came back, something changed, reached or hurt, or by more than was allowed for longer than a moment. As {user}."""


def main() -> None:
    """Play all attacks and print one table; exit 1 where `confined` lets one pass."""
    parser = argparse.ArgumentParser(description="Attack every environment.")
    parser.add_argument("--environment", nargs="+", default=list(environments()), choices=environments())
    given = parser.parse_args()
    found = {name: dict.fromkeys(ATTACKS, "") for name in (NOTHING, *given.environment)}
    for environment, cells in found.items():
        for role in ROLES if environment != NOTHING else ROLES[:1]:
            for out in play(environment, role, ATTACKS.values()):
                letter = "csp"[ROLES.index(role)]
                if out.unavailable:
                    cells[out.attack] = "not here"
                elif out.harm:
                    cells[out.attack] += letter
                    print(f"{environment}, {role}: {out.attack}: {out.harm}", file=sys.stderr)
    rows = [
        [name, attack.group, *(shown(environment, found[environment][name]) for environment in found)]
        for name, attack in ATTACKS.items()
    ]
    count = ["in all", "", *(n_escaped(list(cells.values())) for cells in found.values())]
    user = "root" if os.geteuid() == 0 else "an ordinary user"
    report("Attacks", ["attack", "on", *found], [*rows, count], NOTES.format(user=user))
    if any(cell not in ("", "not here") for cell in found.get("confined", {}).values()):
        sys.exit(1)


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
