"""From findings to proposals: what would be done, against which files, and what would show it wrong.

What is proposed of what, and its `change`:

deny     a skill that fails more often than not, or is always refused   {"skill": NAME}
retire   a skill that nobody has used for `UNUSED`                       {"skill": NAME}
prefer   a strategy that would have done better                          {"strategy": NAME, "over": NAME}
drop     a strategy that fails more often than not, beside others        {"strategy": NAME}
budget   a limit that many runs end at, or that none come near           {"budget": LIMIT, "from": n, "to": n}
split    a workflow whose runs end at the number of turns                {"limit": "iterations", "from": n}
promote  a learned program that has held for long                        {"strategy": NAME}

Nothing is proposed of what comes with the package, or where the file that it would change is not to be found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.memory.reviewing.chance import Share, alone, wilson
from orchestrator.memory.reviewing.finding import Finding, sentence
from orchestrator.memory.reviewing.proposal import Action, Evidence, Proposal, proposal_id
from orchestrator.memory.reviewing.sample import Sample, newest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.memory.reviewing.reading import Reading

UNUSED = timedelta(days=90)
"""How long nobody has used a skill before it is said, and how long it, and the record, must have been there."""

Z99 = 2.5758293035489004
"""The normal distribution's 99.5 % point."""

HELD = 0.9
"""What the success of a learned program is above, 99 times in 100, before it is to become the workflow's own."""

PROVED = 20
"""Attempts, one a run, that checks have passed before that."""

RAISED, ROOM, SPARE, MANY = 2, 3, 10, 50
"""A limit is doubled; one is lowered to 3 times the most that was spent, where that is a tenth of it in 50 runs."""

RAISABLE = frozenset({"tokens", "usd", "seconds", "calls", "depth"})


@dataclass(frozen=True, slots=True)
class KnownSkill:
    """A skill that can be called: its version, and when its files were last changed.

    `is_bundled`: it comes with the package; `is_shared`: it lies outside of the workspace, and others may use it.
    """

    hash: str
    changed: date
    is_bundled: bool = False
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class KnownWorkflow:
    """A workflow's file: the SHA-256 of its bytes, its limits, those that its author wrote, and its strategies."""

    hash: str
    limits: Mapping[str, float | None] = field(default_factory=dict)
    written: frozenset[str] = frozenset()
    strategies: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to change, by name."""

    skills: Mapping[str, KnownSkill] = field(default_factory=dict)
    workflows: Mapping[str, KnownWorkflow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Idea:
    """What to do, why, and what would show it wrong; a proposal without what it rests on."""

    action: Action
    change: Mapping[str, Any]
    why: str
    refuted_by: str


def unused(reading: Reading, known: Known, today: date) -> list[Finding]:
    """Skills that nobody has used for long, where the record and their files are older than that."""
    oldest = (today - UNUSED).isoformat()
    if not reading.first or reading.first > oldest:
        return []
    found, last_used = [], _by_bare_name(reading.last_used)
    for name, skill in sorted(known.skills.items()):
        last = last_used.get(name, "")
        if (
            not (skill.is_bundled or skill.is_shared)
            and skill.changed.isoformat() <= oldest
            and last <= oldest
        ):
            found.append(Finding(f"skill:{name}", "unused", None, 0.0, (0.0, 1.0), 0, about=last))
    return found


def _by_bare_name(last_used: Mapping[str, str]) -> dict[str, str]:
    """The same, of hosts' names `plugin:skill` too."""
    found: dict[str, str] = {}
    for name, day in last_used.items():
        bare = name.rpartition(":")[2]
        found[bare] = max(day[:10], found.get(bare, ""))
    return found


def proposals(found: Sequence[Finding], reading: Reading, known: Known) -> list[Proposal]:
    """What to do about findings, and about what held for long. By subject; each change once."""
    made = [
        *(one for finding in found for one in _of_finding(finding, reading, known)),
        *_promoted(reading, known),
        *_lowered(reading, known),
    ]
    return sorted({one.id: one for one in made}.values(), key=lambda one: (one.subject, one.action))


def _of_finding(finding: Finding, reading: Reading, known: Known) -> Iterator[Proposal]:
    kind, _, name = finding.subject.partition(":")
    file = known.skills.get(name) if kind == "skill" else known.workflows.get(name.partition("/")[0])
    if file is None:
        return
    ideas = {"skill": _of_skill, "strategy": _of_strategy, "workflow": _of_budget}[kind]
    evidence = Evidence(finding.runs, f"`{name}`: {sentence(finding)}")
    for idea in ideas(finding, name, reading, known):
        yield _made(finding.subject, file.hash, evidence, idea)


def _of_skill(finding: Finding, name: str, _: Reading, known: Known) -> Iterator[_Idea]:
    if known.skills[name].is_bundled:
        return
    change = {"skill": name}
    if finding.kind == "unused":
        yield _Idea(
            "retire", change, "it is offered to every run, and none takes it",
            "a run, or a person, calls it in the next 90 days",
        )  # fmt: skip
    elif finding.kind == "fails":
        yield _Idea(
            "deny", change, "runs that call it lose more than they win",
            "its examples pass, and half of its next 20 calls succeed",
        )  # fmt: skip
    elif finding.kind == "refused":
        yield _Idea("deny", change, "runs ask for it in vain, each time", "one of its next calls is allowed")


def _of_strategy(finding: Finding, name: str, reading: Reading, known: Known) -> Iterator[_Idea]:
    workflow, _, strategy = name.partition("/")
    allowed = known.workflows[workflow].strategies
    if finding.kind == "regret" and workflow in reading.tries:
        mostly = reading.tries[workflow].mostly
        yield _Idea(
            "prefer", {"strategy": strategy, "over": mostly},
            f"it would have succeeded more often than `{mostly}`, which mostly came first",
            f"fewer than {finding.interval[0]:.0%} of its next {finding.n} first attempts succeed",
        )  # fmt: skip
    elif finding.kind == "fails" and (allowed is None or strategy in allowed):
        yield _Idea(
            "drop", {"strategy": strategy}, "its attempts cost, and others follow anyway",
            "half of its next 20 attempts succeed",
        )  # fmt: skip


def _of_budget(finding: Finding, name: str, _: Reading, known: Known) -> Iterator[_Idea]:
    limit = finding.about
    now = known.workflows[name].limits.get(limit)
    if finding.kind != "budget" or not now:
        return
    if limit in RAISABLE:
        raised = now + 1 if limit == "depth" else now * RAISED
        yield _Idea(
            "budget", {"budget": limit, "from": now, "to": raised},
            "a run that ends at its limit costs all of it and answers nothing",
            f"as many runs end at {raised:,.10g} {limit}",
        )  # fmt: skip
    elif limit == "iterations":
        yield _Idea(
            "split", {"limit": limit, "from": now},
            "more turns make a run dearer, and seldom end one that has lost its way: of two workflows, one called by "
            "the other, each has a budget of turns",
            "once the steps are apart, its runs end in time and fail their checks as often",
        )  # fmt: skip


def _promoted(reading: Reading, known: Known) -> Iterator[Proposal]:
    """Learned programs whose success is beyond doubt, in both windows taken together."""
    for subject, now in reading.now.items():
        workflow, _, strategy = subject.removeprefix("strategy:").partition("/")
        file = known.workflows.get(workflow)
        if file is None or not subject.startswith("strategy:") or not strategy.startswith("learned:"):
            continue
        samples = [now, reading.before.get(subject, Sample())]
        shares = [alone(sample.judged) for sample in samples]
        share = Share(sum(one.ok for one in shares), sum(one.n for one in shares))
        passed = sum(sample.well - sample.unverified for sample in samples)
        if min(share.n, passed) < PROVED or wilson(share, Z99)[0] < HELD:
            continue
        low, high = wilson(share)
        says = f"checks of `{workflow}` passed {passed:,} of its attempts ({low:.0%} to {high:.0%} succeed)"
        idea = _Idea(
            "promote", {"strategy": strategy},
            "as the workflow's own cells it is read, reviewed and kept with the workflow",
            f"fewer than {HELD:.0%} of its next runs succeed",
        )  # fmt: skip
        yield _made(subject, file.hash, Evidence(newest(now.runs), says), idea)


def _lowered(reading: Reading, known: Known) -> Iterator[Proposal]:
    """Limits that an author wrote and that no run comes near."""
    for subject, now in reading.now.items():
        name = subject.removeprefix("workflow:")
        file = known.workflows.get(name)
        if file is None or not subject.startswith("workflow:") or now.calls < MANY or now.ends:
            continue
        for limit, most in (("tokens", now.most_tokens), ("usd", now.most_usd)):
            allowed = file.limits.get(limit)
            if limit not in file.written or not allowed or not most or most * SPARE > allowed:
                continue
            lowered = _two_digits(most * ROOM)
            says = (
                f"`{name}`: none of {now.calls:,} runs spent more than {most:,.4g} of {allowed:,.10g} {limit}"
            )
            idea = _Idea(
                "budget", {"budget": limit, "from": allowed, "to": lowered},
                "a limit that nothing comes near stops nothing", f"a run ends at {lowered:,.10g} {limit}",
            )  # fmt: skip
            yield _made(subject, file.hash, Evidence(newest(now.runs), says), idea)


def _made(subject: str, digest: str, evidence: Evidence, idea: _Idea) -> Proposal:
    found = proposal_id(subject, idea.action, idea.change, digest)
    return Proposal(found, subject, idea.action, digest, evidence, idea.why, idea.change, idea.refuted_by)


def _two_digits(value: float) -> float:
    """The number to two digits, as a person would write a limit."""
    rounded = float(f"{value:.1e}")
    return int(rounded) if rounded >= 10 else rounded
