"""Skills looked at by the bundled skill `skill-audit`, in a worker that may read their folders and nothing else."""

from __future__ import annotations

import glob
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.catalog.chains import chains
from orchestrator.errors import CallError
from orchestrator.runs.alone import Alone, opened
from orchestrator.values import Permissions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.documents.types import Skill
    from orchestrator.environments.environment import Environment
    from orchestrator.runs.alone import Caller
    from orchestrator.runs.models import Reach

AUDITOR = "skill-audit"
SEVERITIES = ("high", "medium", "low", "info")


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One place in a skill that a person should look at. `line` is 0 for a whole file, `file` empty for the skill itself."""

    rule: str
    severity: str
    file: str
    line: int
    excerpt: str
    why: str


@dataclass(frozen=True, slots=True)
class Audited:
    """A skill and its findings, the worst first; `problem` says why it could not be looked at."""

    skill: str
    folder: Path
    findings: tuple[AuditFinding, ...] = ()
    problem: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether somebody has to read something before it is used, or could not look at it."""
        return bool(self.problem) or any(one.severity == "high" for one in self.findings)

    def counts(self) -> dict[str, int]:
        """How many findings there are of each severity."""
        return {severity: sum(one.severity == severity for one in self.findings) for severity in SEVERITIES}


async def audit(
    skills: Sequence[Skill],
    auditor: Skill,
    known: Mapping[str, Skill],
    environment: Environment,
    reach: Reach,
) -> list[Audited]:
    """One result for each skill, in order. Nothing of a skill is run or imported, and nothing is recorded."""
    chained = {one.skill: one for one in chains(skills, known)}
    reads = tuple(glob.escape(str(skill.folder.resolve())) for skill in skills)
    async with opened(Alone(auditor, Permissions(read=reads), reach), environment) as call:
        found = [await _one(call, skill) for skill in skills]
    return [
        replace(one, findings=tuple(_ordered([*one.findings, _of_chain(str(chained[one.skill]))])))
        if one.skill in chained
        else one
        for one in found
    ]


async def _one(call: Caller, skill: Skill) -> Audited:
    try:
        value = await call("audit", {"folder": str(skill.folder)})
    except CallError as error:
        return Audited(skill.name, skill.folder, problem=str(error))
    return Audited(skill.name, skill.folder, tuple(_findings(value)))


def _findings(value: Mapping[str, Any], below: str = "") -> Iterator[AuditFinding]:
    for one in value["findings"]:
        yield AuditFinding(**{**one, "file": f"{below}{one['file']}"})
    for inner in value["nested"]:
        name = Path(inner["folder"]).relative_to(value["folder"]).as_posix()
        yield from _findings(inner, f"{below}{name}/")


def _of_chain(why: str) -> AuditFinding:
    return AuditFinding("permission-chain", "medium", "manifest.yaml", 0, "", why)


def _ordered(findings: Sequence[AuditFinding]) -> list[AuditFinding]:
    return sorted(findings, key=lambda one: SEVERITIES.index(one.severity))
