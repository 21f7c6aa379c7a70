"""A review: the record's lines and what there is to change, as findings, proposals and figures. Values in, values out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.memory.reviewing import finding as findings_
from orchestrator.memory.reviewing import proposal as proposals_
from orchestrator.memory.reviewing.changes import findings
from orchestrator.memory.reviewing.proposing import proposals, unused
from orchestrator.memory.reviewing.reading import read, read_offers
from orchestrator.memory.reviewing.window import Window, iso
from orchestrator.memory.reviewing.wording import Unclear, unclear

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.memory.reviewing.finding import Finding
    from orchestrator.memory.reviewing.proposal import Proposal
    from orchestrator.memory.reviewing.proposing import Known
    from orchestrator.memory.reviewing.reading import Reading

Wording = Callable[[Sequence[Unclear]], Sequence["Proposal"]]
"""What proposes better descriptions of skills, where something can write them."""


@dataclass(frozen=True, slots=True)
class Review:
    """What one look at the record came to."""

    window: Window
    reading: Reading
    findings: tuple[Finding, ...]
    proposals: tuple[Proposal, ...]


def review(
    lines: Iterable[bytes],
    window: Window,
    known: Known,
    offers: Iterable[bytes] = (),
    wording: Wording = lambda _: [],
) -> Review:
    """Review the lines of a usage record, beside those of what was offered to hosts; `wording` writes descriptions anew."""
    reading = read(lines, window)
    read_offers(offers, window, reading)
    found = [*findings(reading), *unused(reading, known, window.end.date())]
    proposed = [*proposals(found, reading, known), *wording(unclear(reading, known))]
    return Review(window, reading, tuple(found), tuple(proposed))


def to_object(made: Review) -> dict[str, Any]:
    """The review as `--json` prints it and `memory/reviews/<date>.json` keeps it."""
    return {
        "window": {"from": iso(made.window.start), "to": iso(made.window.end)},
        "findings": [findings_.to_object(one) for one in made.findings],
        "proposals": [proposals_.to_object(one) for one in made.proposals],
    }
