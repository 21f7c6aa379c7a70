"""A review as Markdown for people, and as the few lines of a heartbeat."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from orchestrator.memory.reviewing.chance import alone, wilson
from orchestrator.memory.reviewing.changes import ERROR, MATCHED, SMALLEST
from orchestrator.memory.reviewing.finding import sentence
from orchestrator.memory.reviewing.sample import Sample
from orchestrator.memory.reviewing.window import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.memory.reviewing.finding import Finding
    from orchestrator.memory.reviewing.proposal import Proposal
    from orchestrator.memory.reviewing.reading import Reading, Samples
    from orchestrator.memory.reviewing.review import Review

QUIET = "HEARTBEAT_OK"
"""What a heartbeat prints where nothing needs attention."""

MAX_LINES = 10
MAX_ROWS = 100

_KINDS = (
    ("skill:", "Skills", "calls"),
    ("workflow:", "Workflows", "runs"),
    ("strategy:", "Strategies", "attempts"),
)

_MARKS = re.compile(r"([\\|`*_<>\[\]#&!~])")


def markdown(made: Review) -> str:
    """The whole review: proposals, findings, and the figures of everything that was used."""
    window, reading = made.window, made.reading
    lines = [
        f"# Review of {iso(window.start)[:10]} to {iso(window.end)[:10]}",
        "",
        f"{reading.n_records:,} records from {iso(window.before)} to {iso(window.end)}; the window begins at "
        f"{iso(window.start)}, and what lies before it is what it is compared with.",
    ]
    if reading.n_skipped:
        lines.append(f"{reading.n_skipped:,} lines were no records and are left out.")
    lines += ["", "## Proposals", "", *_proposals(made.proposals)]
    lines += ["", "## Findings", "", *_findings(made.findings)]
    for prefix, title, unit in _KINDS:
        lines += _table(prefix, title, unit, reading.now, reading.before)
    lines += [*_failures(reading.now), *_versions(reading), *_regret(reading), *_hosts(reading)]
    return "\n".join(lines) + "\n"


def heartbeat(findings: Sequence[Finding], proposals: Sequence[Proposal]) -> list[str]:
    """`QUIET` alone, or at most ten lines of what needs attention, each one line of text."""
    lines = [f"propose {one.id}: {one.action} {one.subject}: {one.evidence.says}" for one in proposals]
    told = {one.subject for one in proposals}
    lines += [f"{one.subject} {sentence(one)}" for one in findings if one.is_bad and one.subject not in told]
    if not lines:
        return [QUIET]
    if len(lines) > MAX_LINES:
        rest = len(lines) - MAX_LINES + 1
        lines = [*lines[: MAX_LINES - 1], f"and {rest} more: `orchestrate review`"]
    return [" ".join(line.split()) for line in lines]


def plain(text: str) -> str:
    """Text that Markdown, and a terminal that shows the file, take as it is, on one line."""
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii")
        for one in " ".join(text.split())
    )
    return _MARKS.sub(r"\\\1", shown)


def _proposals(proposals: Sequence[Proposal]) -> Iterator[str]:
    if not proposals:
        yield "None."
    for one in proposals:
        change = json.dumps(dict(one.change), ensure_ascii=False)
        yield f"- **{one.id}** {one.action} {plain(one.subject)}: {plain(one.evidence.says)}"
        yield f"  Why: {plain(one.why)}. Change: {plain(change)}. Wrong if: {plain(one.refuted_by)}."
        yield f"  Made against {one.hash[:12]}. Runs: {_listed(one.evidence.runs)}."


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        yield (
            f"None: nothing that chance would do in fewer than 1 of {1 / ERROR:.0f} reviews, and that differs by at "
            f"least {SMALLEST:.0%}."
        )
    for one in findings:
        yield f"- {plain(one.subject)} {plain(sentence(one))}. Runs: {_listed(one.runs)}."


def _table(prefix: str, title: str, unit: str, now: Samples, before: Samples) -> Iterator[str]:
    names = sorted((one for one in now if one.startswith(prefix)), key=lambda one: (-now[one].calls, one))
    if not names:
        return
    yield from ("", f"## {title}", "")
    yield f"| name | {unit} | success | 95 % | before | p50 s | p95 s | usd | unverified | refused | surroundings |"
    yield "|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|"
    for name in names[:MAX_ROWS]:
        yield _row(name.removeprefix(prefix), now[name], before.get(name, Sample()))
    if len(names) > MAX_ROWS:
        yield f"\nand {len(names) - MAX_ROWS:,} more"


def _row(name: str, now: Sample, before: Sample) -> str:
    times = ["" if (value := now.percentile(part)) is None else f"{value:.3g}" for part in (0.5, 0.95)]
    success, interval = _rate(now)
    cells = [
        plain(name), f"{now.calls:,}", success, interval, _rate(before)[0], *times,
        f"{now.usd:.4f}" if now.usd else "", *(f"{n:,}" if n else "" for n in (now.unverified, now.denied, now.outside)),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _rate(sample: Sample) -> tuple[str, str]:
    """The share of judged calls that did well, and its interval; nothing where that would say nothing."""
    share = alone(sample.judged)
    if not sample.judged:
        return "", ""
    low, high = wilson(share)
    return f"{share.rate:.0%}", f"{low:.0%} to {high:.0%}"


def _failures(now: Samples) -> Iterator[str]:
    rows = [
        (number, subject, kind, run)
        for subject, sample in now.items()
        if not subject.startswith("strategy:")
        for kind, (number, run) in sample.kinds.items()
    ]
    if not rows:
        return
    yield from ("", "## Failures", "", "| of | kind | times | one run |", "|---|---|--:|---|")
    for number, subject, kind, run in sorted(rows, key=lambda row: (-row[0], row[1:]))[:MAX_ROWS]:
        yield f"| {plain(subject)} | {plain(kind)} | {number:,} | {plain(run)} |"


def _versions(reading: Reading) -> Iterator[str]:
    rows = [
        (subject, version, part)
        for subject, sample in reading.now.items()
        if len(sample.versions) > 1 and not subject.startswith("strategy:")
        for version, part in sorted(sample.versions.items(), key=lambda pair: pair[1].last)
    ]
    if not rows:
        return
    yield from (
        "",
        "## Versions",
        "",
        "| of | version | judged | success | last used |",
        "|---|---|--:|--:|---|",
    )
    for subject, version, part in rows[:MAX_ROWS]:
        yield f"| {plain(subject)} | {plain(version[:12])} | {part.n:,} | {part.ok / part.n:.0%} | {plain(part.last[:10])} |"


def _regret(reading: Reading) -> Iterator[str]:
    rows = [
        (workflow, name, weighed)
        for workflow, tries in sorted(reading.tries.items())
        for name, weighed in sorted(tries.by_strategy.items())
    ]
    if not rows:
        return
    yield from ("", "## If one strategy had always come first", "")
    yield (
        "Estimated from first attempts that chance chose, each weighed by how likely that was. A number is given "
        f"where the attempts of a strategy are worth at least {MATCHED}."
    )
    yield from (
        "",
        "| workflow | strategy | matched | worth | success | 95 % | as chosen |",
        "|---|---|--:|--:|--:|---|--:|",
    )
    for workflow, name, weighed in rows[:MAX_ROWS]:
        share = weighed.share
        low, high = wilson(share)
        says = [f"{share.rate:.0%}", f"{low:.0%} to {high:.0%}"] if share.n >= MATCHED else ["too few", ""]
        cells = [plain(workflow), plain(name), f"{weighed.n:,}", f"{share.n:.0f}", *says]
        yield "| " + " | ".join([*cells, f"{reading.tries[workflow].rate:.0%}"]) + " |"


def _hosts(reading: Reading) -> Iterator[str]:
    """Of skills that a host used, or was offered: which of these came together."""
    if not reading.hosts:
        return
    yield from ("", "## Offered to a host, and used by it", "")
    yield "| skill | offered | and used | and not used | used, not offered | used, not known | typed by a person |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for name, counts in sorted(reading.hosts.items())[:MAX_ROWS]:
        offered, used = counts.get("offered", 0), counts.get("suggested", 0)
        rest = [counts.get(how, 0) for how in ("unsuggested", "model", "person")]
        cells = [offered, used, max(0, offered - used), *rest]
        yield f"| {plain(name)} | " + " | ".join(f"{n:,}" if n else "" for n in cells) + " |"


def _listed(runs: Sequence[str]) -> str:
    shown = ", ".join(plain(run) for run in runs[:5])
    return f"{shown} and {len(runs) - 5} more" if len(runs) > 5 else shown or "none on record"
