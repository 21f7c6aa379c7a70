"""A review as text: what a hostile name may do to it, and how long a heartbeat may be."""

from __future__ import annotations

import json
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from seeded_record import END, World, records

from orchestrator.memory.reviewing.finding import Finding, from_object, sentence, to_object
from orchestrator.memory.reviewing.page import MAX_LINES, QUIET, heartbeat, markdown, plain
from orchestrator.memory.reviewing.proposal import Evidence, Proposal
from orchestrator.memory.reviewing.proposing import Known
from orchestrator.memory.reviewing.review import review
from orchestrator.memory.reviewing.window import Window

WEEK = Window(END - timedelta(days=7), END)
FELL = Finding("skill:a", "success", 0.9, 0.5, (0.4, 0.6), 80, ("r2", "r1"))
ROSE = Finding("skill:b", "success", 0.5, 0.9, (0.8, 0.95), 80)


def proposal(number: int) -> Proposal:
    evidence = Evidence(("r1",), "12 of 40\nfailed")
    return Proposal(f"{number:08x}", f"skill:s{number}", "deny", "ab" * 32, evidence, "", {}, "")


def test_a_heartbeat_is_quiet_about_what_became_better() -> None:
    assert heartbeat([ROSE], []) == [QUIET]
    assert heartbeat([], []) == ["HEARTBEAT_OK"]


def test_a_heartbeat_has_at_most_ten_lines_and_says_how_many_more_there_are() -> None:
    lines = heartbeat([FELL], [proposal(number) for number in range(30)])
    assert len(lines) == MAX_LINES
    assert lines[0] == "propose 00000000: deny skill:s0: 12 of 40 failed"
    assert lines[-1] == "and 22 more: `orchestrate review`"
    assert heartbeat([FELL], [])[0] == "skill:a success fell from 90% to 50% (80 calls; 40% to 60%)"


def test_the_page_has_every_figure() -> None:
    made = review(records(World(n_runs=400, outage=0.1), 1), WEEK, Known())
    page = markdown(made)
    assert [line for line in page.splitlines() if line.startswith("#")] == [
        "# Review of 2026-06-22 to 2026-06-29", "## Proposals", "## Findings", "## Skills", "## Workflows",
        "## Strategies", "## Failures", "## If one strategy had always come first",
    ]  # fmt: skip
    assert len([line for line in page.splitlines() if line.startswith("| skill-")]) == 12


def test_names_cannot_write_markdown() -> None:
    name = "x](http://evil) | `<script>` **b**\n# head"
    lines = [
        json.dumps({"at": (END - timedelta(days=1)).isoformat(), "skill": name, "run": name, "outcome": "error",
                    "error_kind": name, "version": str(n % 2)}).encode()
        for n in range(12)
    ]  # fmt: skip
    page = markdown(review(lines, WEEK, Known()))
    assert "<script>" not in page
    assert page.count("](http") == page.count("\\](http") > 0
    assert not [line for line in page.splitlines() if line.startswith("# head")]


@given(st.text())
def test_plain_text_is_one_line_without_marks(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert all(shown[place - 1] == "\\" for place, char in enumerate(shown) if char in "`*_<>[]|")


@given(
    st.sampled_from(["success", "version", "fails", "budget", "regret", "time", "cost", "refused", "unused"]),
    st.floats(0, 1) | st.none(),
    st.floats(0, 1),
)
def test_a_finding_survives_its_json_and_has_a_sentence(kind, before, after) -> None:  # type: ignore[no-untyped-def]
    found = Finding("skill:a", kind, before, after, (after / 3, after), 3, ("r",))
    again = from_object(json.loads(json.dumps(to_object(found))))
    assert to_object(again) == to_object(found)
    assert sentence(again) == sentence(found)
