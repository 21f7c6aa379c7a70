"""`orchestrate skills audit`: what a person should see in skills before they trust them."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.app import audit_skills, load_skills
from orchestrator.catalog.trust import is_bundled
from orchestrator.errors import UsageError
from orchestrator.interfaces.terminal import as_json, clean, columns, one_line, plural, say, show
from orchestrator.runs.auditing import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.catalog.select import Catalog
    from orchestrator.documents.types import Skill
    from orchestrator.runs.auditing import Audited
    from orchestrator.workspace import Workspace


def audit_named(names: Sequence[str], catalog: Catalog, workspace: Workspace, *, as_object: bool) -> int:
    """Audit the named skills, or folders of skills; all but the package's where none is named. 1 for a `high` finding."""
    skills = [skill for name in names for skill in _meant(name, catalog)]
    if not names:
        skills = [skill for skill in catalog.skills if not is_bundled(skill)]
    found = audit_skills(workspace, skills)
    if as_object:
        show(as_json([_object(one) for one in found]))
    else:
        for one in found:
            for line in told(one, columns(sys.stdout)):
                show(line)
        total = sum((Counter(one.counts()) for one in found), Counter())
        listed = ", ".join(f"{total[severity]} {severity}" for severity in SEVERITIES)
        say(
            f"{plural(len(found), 'skill')} looked at: {listed}. No finding is no proof that a skill is safe."
        )
    return 1 if any(one.is_bad for one in found) else 0


def told(one: Audited, width: int) -> Iterator[str]:
    """A skill's findings in lines of at most this width; those of `info` are counted only."""
    counts = ", ".join(f"{n} {severity}" for severity, n in one.counts().items() if n) or "no findings"
    yield one_line(f"{one.skill}: {counts} ({one.folder})", width)
    if one.problem:
        yield "  " + one_line(f"could not be looked at: {one.problem}", width - 2)
    for finding in one.findings:
        if finding.severity == "info":
            continue
        where = f"{finding.file}:{finding.line}" if finding.line else finding.file
        yield f"  {finding.severity:6} " + one_line(f"{where} {finding.rule}", width - 9)
        for text in (finding.why, finding.excerpt):
            if text:
                yield "         " + one_line(text, width - 9)


def _meant(name: str, catalog: Catalog) -> list[Skill]:
    """The skills that a word means: a name, a pattern of names, or a folder."""
    chosen, unknown = catalog.select([name])
    if not unknown:
        return list(chosen)
    if "/" in name or Path(name).is_dir():
        if found := load_skills(name):
            return found
        raise UsageError(
            f"no SKILL.md in `{clean(name)}` or below it", hint="name a folder with a skill in it"
        )
    raise catalog.unknown(name)


def _object(one: Audited) -> dict[str, Any]:
    return {
        "skill": one.skill, "path": str(one.folder), "counts": one.counts(), "problem": one.problem or None,
        "findings": [asdict(finding) for finding in one.findings],
    }  # fmt: skip
