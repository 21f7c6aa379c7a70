"""What the audit of skills finds, and what it finds in skills that are fine.

    python benchmarks/audit.py [GOOD_FOLDER [BAD_FOLDER]]

GOOD_FOLDER holds skills that somebody trusts: each finding above `low` is a false alarm or a thing to know, and its table
says of which rule. A folder of BAD_FOLDER is a technique and holds skills of it. Without folders both are the ones of
`audit_cases.py`: small texts that we wrote ourselves, so what they show is which techniques are covered, not how
often real ones are found.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audit_cases import BAD, FINE, Case
from report import ROOT, report

from orchestrator import load_skills
from orchestrator.catalog.chains import chains

sys.path.insert(0, str(ROOT / "skills" / "skill-audit"))
from skill_audit import audit, find  # a skill is no package: its folder is its path

SHOWN = ("high", "medium", "low")


def main() -> None:
    """Measure the good ones, then the bad ones."""
    folders = [Path(name) for name in sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix="audit ") as work:
        good = folders[0] if folders else written(FINE, Path(work) / "fine")
        bad = folders[1] if len(folders) > 1 else written(BAD, Path(work) / "bad")
        sys.argv[1:] = [
            folder.name for folder in folders
        ]  # the command is printed, without this machine's paths
        collections = {folder.name: results(folder) for folder in sorted(good.iterdir()) if folder.is_dir()}
        report_good(collections)
        report_bad({folder.name: results(folder) for folder in sorted(bad.iterdir()) if folder.is_dir()})


def written(cases: Sequence[Case], folder: Path) -> Path:
    """The cases as folders of skills, one for each technique."""
    for case in cases:
        case.write(folder / case.technique)
    return folder


def results(folder: Path) -> list[dict[str, Any]]:
    """The audit of every skill below a folder, each with what was found in skills inside it and in its permissions."""
    return [_whole(audit(None, path)) for path in find([str(folder)])["skills"]]


def report_good(collections: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Print how many skills have a finding of each severity, and by which rules."""
    everything = [one for some in collections.values() for one in some]
    rows = [[name, len(some), *_shares(some)] for name, some in [*collections.items(), ("all", everything)]]
    report(
        "Audit: skills that are fine, and how many have a finding",
        ["collection", "skills", *SHOWN],
        rows,
        "A skill counts once in each column. " + _of_rules(everything),
    )


def report_bad(techniques: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Print how many bad skills are found at each severity or above, by technique."""
    everything = [one for some in techniques.values() for one in some]
    rows = [
        [name, len(some), *(sum(_worst(one) <= level for one in some) for level in range(len(SHOWN)))]
        for name, some in [*techniques.items(), ("all", everything)]
    ]
    missed = sorted(one["skill"] for one in everything if _worst(one) > SHOWN.index("medium"))
    report(
        "Audit: bad skills that are found",
        ["technique", "skills", "high", "medium or above", "any"],
        rows,
        f"Not found at `medium` or above: {', '.join(missed) or 'none'}.",
    )


def _whole(result: dict[str, Any]) -> dict[str, Any]:
    inner = [_whole(one) for one in result["nested"]]
    together = load_skills([result["folder"], *(one["folder"] for one in inner)])
    of_chains = [
        {"severity": "medium", "rule": "permission-chain", "folder": str(one)}
        for one in chains(together, {skill.name: skill for skill in together})
    ]
    findings = [*result["findings"], *of_chains, *(found for one in inner for found in one["findings"])]
    counts = Counter(found["severity"] for found in findings)
    return {**result, "findings": findings, "counts": counts}


def _worst(result: dict[str, Any]) -> int:
    return next((n for n, severity in enumerate(SHOWN) if result["counts"][severity]), len(SHOWN))


def _shares(some: Sequence[dict[str, Any]]) -> list[str]:
    counts = [sum(bool(one["counts"][severity]) for one in some) for severity in SHOWN]
    return [f"{n} ({100 * n / len(some):.1f} %)" if some else "0" for n in counts]


def _of_rules(some: Sequence[dict[str, Any]]) -> str:
    """How many skills each rule has a `high` or `medium` finding in."""
    skills: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in some:
        for finding in one["findings"]:
            skills[finding["severity"], finding["rule"]].add(one["folder"])
    said = []
    for severity in ("high", "medium"):
        rules = sorted(
            ((len(where), rule) for (level, rule), where in skills.items() if level == severity), reverse=True
        )
        said.append(
            f"`{severity}` by rule, in skills: {', '.join(f'{rule} {n}' for n, rule in rules) or 'none'}."
        )
    return " ".join(said)


if __name__ == "__main__":
    main()
