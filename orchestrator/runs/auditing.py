"""Skills looked at by the bundled skill `skill-audit`, in a worker that may read their folders and nothing else."""

from __future__ import annotations

import glob
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.catalog.chains import chains
from orchestrator.documents.types import Workflow
from orchestrator.errors import CallError
from orchestrator.runs.call import Call
from orchestrator.runs.calls import Server
from orchestrator.runs.engine import Engine
from orchestrator.runs.opening import open_parts
from orchestrator.runs.plan import Plan
from orchestrator.values import Limits, Permissions
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.documents.types import Skill
    from orchestrator.environments.environment import Environment
    from orchestrator.runs.models import Reach
    from orchestrator.runs.parts import Parts

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
    with tempfile.TemporaryDirectory(prefix="orchestrate-audit-") as folder:
        plan = _plan(auditor, skills, Workspace(Path(folder).resolve()), reach)
        async with open_parts(plan, environment) as parts:
            found = [await _one(parts, auditor, skill) for skill in skills]
    return [
        replace(one, findings=tuple(_ordered([*one.findings, _of_chain(str(chained[one.skill]))])))
        if one.skill in chained
        else one
        for one in found
    ]


async def _one(parts: Parts, auditor: Skill, skill: Skill) -> Audited:
    server = Server(parts, Call("0", "root", "audit"), parts.allowed, parts.rights, Engine(parts, {}).solve)
    request = {
        "skill": auditor.name,
        "function": "audit",
        "args": [],
        "kwargs": {"folder": str(skill.folder)},
    }
    try:
        value = await server("skill", request)
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


def _plan(auditor: Skill, skills: Sequence[Skill], workspace: Workspace, reach: Reach) -> Plan:
    workflow = Workflow(
        name="audit",
        description="",
        path=auditor.folder / "manifest.yaml",
        body="",
        cells=(),
        inputs={"type": "object"},
        version=auditor.version,
        permissions=Permissions(read=tuple(glob.escape(str(skill.folder.resolve())) for skill in skills)),
    )
    return Plan("audit", workflow, workspace, {}, (auditor,), (auditor,), Limits(seconds=None), "", (), reach)
