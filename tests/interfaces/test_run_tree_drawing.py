from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.interfaces.console import status_line
from orchestrator.interfaces.drawing import Line, brief, whole
from orchestrator.interfaces.terminal import n_cells
from orchestrator.runs.journal import Event
from orchestrator.runs.tree import Node, Tree

AT = "2026-01-02T03:04:05.000000Z"
LATER = datetime(2026, 1, 2, 3, 4, 7, tzinfo=UTC)


class Story:
    """Events in the order in which a run would write them."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._seq = 0

    def tell(self, event: Any, call: str = "0", **fields: Any) -> None:
        self.tree.add(Event(self._seq, AT, "run-1", call, event, fields))
        self._seq += 1

    def begin(
        self, call: str = "0", parent: str | None = None, name: str = "digest", **arguments: Any
    ) -> None:
        kind = "skill" if parent else "root"
        self.tell(
            "call_started",
            call,
            parent=parent,
            kind=kind,
            name=name,
            arguments=arguments,
            depth=call.count("."),
        )

    def end(self, call: str, outcome: str = "ok", error: str | None = None) -> None:
        self.tell("call_finished", call, outcome=outcome, value=None, error=error, duration_s=0.5)

    def cell(self, number: int, source: str) -> None:
        self.tell("cell_started", cell=number, source=source)

    def cell_end(self, number: int, output: str, error: str | None = None) -> None:
        self.tell("cell_finished", cell=number, output=output, error=error, answered=False, duration_s=0.1)

    @property
    def root(self) -> Node:
        assert self.tree.root is not None
        return self.tree.root


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def test_whole_tree_shows_each_call_under_the_cell_that_made_it() -> None:
    story = Story()
    story.begin()
    story.tell("iteration", strategy="written", iteration=1)
    story.cell(1, "n = skills.word_count('a.md')\nn")
    story.begin("0.1", "0", "word-count.count", path="a.md")
    story.end("0.1")
    story.cell_end(1, "{'words': 3}\n")
    story.cell(2, "FINAL(n / 0)")
    story.begin("0.2", "0", "word-count.count", path="b.md")
    story.end("0.2", "error", "`word-count.count` failed: no such file")
    story.cell_end(2, "", "ZeroDivisionError: division by zero")
    story.tell("check", name="has words", passed=False, message="`answer` is 0")
    story.end("0", "error", "no cell gave an answer")
    assert texts(whole(story.root, 80)) == [
        "✗ digest  written · error · 500 ms",
        "├─ ✓ cell 1  100 ms",
        "│    n = skills.word_count('a.md')",
        "│    n",
        "│    > {'words': 3}",
        '│  ├─ ✓ word-count.count(path="a.md")  500 ms',
        "├─ ✗ cell 2  100 ms",
        "│    FINAL(n / 0)",
        '│  ├─ ✗ word-count.count(path="b.md")  error · 500 ms',
        "│  │  └─ `word-count.count` failed: no such file",
        "├─ ✗ check: has words: `answer` is 0",
        "└─ no cell gave an answer",
    ]


def test_a_thousand_calls_are_counted_and_the_failed_ones_are_listed() -> None:
    story = Story()
    story.begin()
    story.cell(1, "skills.f.map(items)")
    for number in range(1, 1001):
        story.begin(f"0.{number}", "0", "f.go", item=number)
        story.end(f"0.{number}", *(("invalid", "bad item") if number == 777 else ("ok",)))
    story.cell_end(1, "")
    lines = texts(whole(story.root, 80))
    assert len(lines) < 20
    assert "│  ├─ ✗ f.go(item=777)  invalid · 500 ms" in lines
    assert "│  ├─ ✓ f.go: 989 more calls, all ok" in lines


def test_long_output_keeps_its_beginning_and_its_end() -> None:
    story = Story()
    story.begin()
    story.cell(1, "run()")
    story.cell_end(1, "\n".join(f"line {number}" for number in range(100)))
    lines = texts(whole(story.root, 80))
    assert "│    > line 0" in lines
    assert "│    > … 80 lines left out; --json has them all" in lines
    assert "│    > line 99" in lines


def test_brief_view_puts_what_runs_and_what_failed_first() -> None:
    story = Story()
    story.begin()
    story.cell(1, "\nskills.f.map(items)")
    for number in range(1, 31):
        story.begin(f"0.{number}", "0", "f.go", item=number)
    for number in range(1, 29):
        story.end(f"0.{number}", *(("timeout", "took 30 s") if number == 5 else ("ok",)))
    assert texts(brief(story.root, 80, 40, LATER)) == [
        "… digest  2.0 s",
        "├─ … cell 1: skills.f.map(items)",
        "├─ … f.go(item=29)  depth 1 · 2.0 s",
        "├─ … f.go(item=30)  depth 1 · 2.0 s",
        "├─ ✗ f.go(item=5) timeout · 500 ms: took 30 s",
        "├─ ✓ f.go: 27 ok",
    ]


def test_brief_view_shows_failed_cells_as_it_shows_failed_calls() -> None:
    story = Story()
    story.begin()
    for number in range(1, 8):
        story.cell(number, "1/0")
        story.cell_end(number, "Traceback\n...", "ZeroDivisionError: division by zero")
    story.cell(8, "FINAL(1)")
    story.cell_end(8, "")
    assert texts(brief(story.root, 80, 40, LATER)) == [
        "… digest  2.0 s",
        "├─ ✗ 2 earlier failed cells",
        *(f"├─ ✗ cell {number} 100 ms: ZeroDivisionError: division by zero" for number in range(3, 8)),
    ]


def test_brief_view_never_exceeds_its_height() -> None:
    story = Story()
    story.begin()
    for number in range(1, 100):
        story.begin(f"0.{number}", "0", f"skill-{number}")
    lines = texts(brief(story.root, 80, 10, LATER))
    assert len(lines) == 10
    assert lines[-1] == "├─ … 91 more at work or waiting"


def test_text_of_skills_and_models_cannot_move_the_cursor() -> None:
    story = Story()
    story.begin("0", None, "digest\x1b[2J")
    story.cell(1, "print('\x1b]0;title\x07')")
    story.begin("0.1", "0", "f\x1b[1A", path="\x1b[31m\u202e")
    story.end("0.1", "error", "\x1b[2Jgone\nsecond \x9b line")
    story.cell_end(1, "\x1b[2J\r\x08overwritten")
    story.tell("check", name="\x1b[5m", passed=False, message="\x1b[8m")
    for line in (*whole(story.root, 80), *brief(story.root, 80, 40, LATER)):
        assert line.text.isprintable() or line.text.replace("│", "").isprintable(), line


@given(st.text(max_size=300), st.text(max_size=300), st.integers(40, 120))
def test_no_line_is_wider_than_the_terminal(name: str, output: str, width: int) -> None:
    story = Story()
    story.begin("0", None, name)
    story.cell(1, output)
    story.begin("0.1", "0", name, value=output)
    story.end("0.1", "error", output)
    story.cell_end(1, output)
    story.tell("check", name=name, passed=False, message=output)
    story.end("0", "error", output)
    for line in (*whole(story.root, width), *brief(story.root, width, 20, LATER)):
        assert n_cells(line.text) <= width


def test_drawing_needs_no_journal_file(tmp_path: Path) -> None:
    story = Story()
    story.begin()
    assert texts(whole(story.root, 80)) == ["… digest"]


def model_story() -> Story:
    story = Story()
    story.begin()
    story.tell("iteration", strategy="rlm", iteration=1, model="m", messages=[], compacted=False)
    figures = {
        "model": "m",
        "calls": 1,
        "tokens_in": 1204,
        "tokens_out": 210,
        "usd": 0.0012,
        "duration_s": 2.1,
    }
    story.tell("reply", iteration=1, text="It is 42.", problem="it has no code block", **figures)
    story.tell("iteration", strategy="rlm", iteration=2, model="m", messages=[], compacted=False)
    story.tell(
        "reply",
        iteration=2,
        text="I ask.\n```repl\nllm_query('q')\n```\n",
        problem=None,
        **{**figures, "calls": 3},
    )
    story.cell(1, "llm_query('q')")
    return story


def test_turns_of_a_model_are_shown_with_their_cost_and_what_was_wrong() -> None:
    story = model_story()
    arguments = {"prompt": "how\x1b[31m are you?", "model": "m"}
    for call, outcome, error in (("0.1", "ok", None), ("0.2", "not_run", "not run: the key is not known")):
        story.tell(
            "call_started", call, parent="0", kind="llm", name="llm_query", arguments=arguments, depth=1
        )
        story.tell(
            "call_finished", call, outcome=outcome, value="fine\x07" if not error else None, error=error, duration_s=0.5,
            calls=not error, tokens=0 if error else 30, usd=0.0, model="m", tokens_in=20, tokens_out=10,
        )  # fmt: skip
    story.cell_end(1, "'fine'")
    story.tell(
        "call_finished", outcome="ok", value=1, error=None, duration_s=3.0, calls=5, tokens=2858, usd=0.0024
    )
    assert texts(whole(story.root, 80)) == [
        "✓ digest  rlm · 5 requests · 2,858 tokens · $0.0024 · 3.0 s",
        "├─ ✗ turn 1: it has no code block · m · 1,204 in, 210 out · $0.0012 · 2.1 s",
        "│    It is 42.",
        "├─ ● turn 2 · m · 1,204 in, 210 out · $0.0012 · 3 requests · 2.1 s",
        "│    I ask.",
        "├─ ✓ cell 1  100 ms",
        "│    llm_query('q')",
        "│    > 'fine'",
        '│  ├─ ✓ llm_query("how\\x1b[31m are you?")  30 tokens · 500 ms',
        '│  │    > "fine\\x07"',
        '│  ├─ ○ llm_query("how\\x1b[31m are you?")  not run · 500 ms',
        "│  │  └─ not run: the key is not known",
    ]


def test_a_live_view_says_what_a_model_is_doing() -> None:
    story = model_story()
    assert texts(brief(story.root, 80, 10, LATER))[1] == "├─ … turn 2: cell 1: llm_query('q')"
    story.cell_end(1, "")
    story.tell("iteration", strategy="rlm", iteration=3, model="m", messages=[], compacted=False)
    assert texts(brief(story.root, 80, 10, LATER))[1] == "├─ … turn 3: asking m"


def test_ten_thousand_calls_are_drawn_from_counts() -> None:
    story = model_story()
    for number in range(1, 10_001):
        call = f"0.{number}"
        story.tell(
            "call_started", call, parent="0", kind="llm", name="llm_query", arguments={"prompt": "q"}, depth=1
        )
        if number > 20:
            story.tell("call_finished", call, outcome="ok", value="x", error=None, duration_s=0.5)
    lines = texts(brief(story.root, 80, 30, LATER))
    assert "├─ ✓ llm_query: 9,980 ok" in lines
    assert "├─ … 12 more at work or waiting" in lines
    assert len(lines) < 15


def test_the_status_line_says_what_is_left_and_fits() -> None:
    story = Story()
    story.begin()
    story.tree.started_at = AT
    limits = {"calls": 500, "tokens": 2_000_000, "usd": 5.0, "seconds": 1800, "depth": 3}
    story.tree.started = {"limits": limits}
    assert status_line(story.tree, 80, LATER) == ""
    story.tell("spent", calls=12, tokens=34_210, usd=0.0312)
    wide = "12 requests · 34,210 tokens · $0.0312 · 2.0 s · left: 488 requests, 1.97 M tokens, $4.97, 29 min"
    assert status_line(story.tree, 120, LATER) == wide
    assert (
        status_line(story.tree, 80, LATER)
        == "12 requests · 34,210 tokens · $0.0312 · 2.0 s · left: 488 requests"
    )
    assert status_line(story.tree, 50, LATER) == "12 requests · 34,210 tokens · $0.0312 · 2.0 s"


def llm_call(story: Story, call: str, outcome: str = "ok", **fields: Any) -> None:
    """A finished call of a model, below the call that its id says."""
    parent = call.rpartition(".")[0]
    arguments = {"prompt": "q", "model": "m"}
    story.tell(
        "call_started", call, parent=parent, kind="llm", name="llm_query", arguments=arguments, depth=1
    )
    figures = {"calls": 1, "tokens": 30, "usd": 0.001, "model": "m", "tokens_in": 20, "tokens_out": 10}
    error = None if outcome == "ok" else "it was not made"
    told = {"value": "x", "error": error, "duration_s": 0.5, **figures, **fields}
    story.tell("call_finished", call, outcome=outcome, **told)


def test_what_a_running_call_spent_is_what_came_to_its_end_below_it() -> None:
    story = model_story()
    story.tell("call_started", "0.1", parent="0", kind="rlm", name="rlm_query", arguments={}, depth=1)
    llm_call(story, "0.1.1")
    llm_call(story, "0.1.2")
    child = story.tree.node("0.1")
    assert child is not None
    assert (child.calls, child.tokens, round(child.usd, 6)) == (2, 60, 0.002)
    story.tell(  # with a request that failed, of which no event tells
        "call_finished",
        "0.1",
        outcome="ok",
        value=1,
        error=None,
        duration_s=1.0,
        calls=3,
        tokens=75,
        usd=0.003,
    )
    assert (child.calls, child.tokens, child.usd) == (3, 75, 0.003)
    assert story.tree.spent == {"calls": 7, "tokens": 2 * 1414 + 75, "usd": 0.0054}
    story.tell("spent", calls=8, tokens=2904, usd=0.0055)
    assert story.tree.spent["calls"] == 8


def test_events_of_earlier_versions_have_no_figures_and_are_read() -> None:
    story = Story()
    story.begin()
    story.tell("iteration", strategy="written", iteration=1)
    story.cell(1, "f()")
    story.begin("0.1", "0", "f.go")
    story.end("0.1")
    story.end("0")
    assert (story.root.calls, story.root.tokens, story.root.usd, story.root.strategy) == (
        0,
        0,
        0.0,
        "written",
    )
    assert story.tree.spent == {"calls": 0, "tokens": 0, "usd": 0.0}


def test_calls_that_were_not_made_are_no_failures_of_what_was_called() -> None:
    story = model_story()
    for number in range(1, 41):
        llm_call(story, f"0.{number}", "budget" if number > 25 else "not_run", calls=0, tokens=0, usd=0.0)
    lines = texts(brief(story.root, 80, 30, LATER))
    assert "├─ ○ llm_query: 25 not run: it was not made" in lines
    assert "├─ ○ llm_query: 15 budget: it was not made" in lines
    assert not [line for line in lines if "✗ llm" in line or "failed call" in line]
    lines = texts(whole(story.root, 80))
    assert "│  ├─ ○ llm_query: 22 more calls, all not run" in lines
    assert "│  ├─ ○ llm_query: 12 more calls, all budget" in lines


def test_thousands_of_failed_calls_are_no_flood() -> None:
    story = model_story()
    for number in range(1, 2001):
        llm_call(story, f"0.{number}", "error")
    lines = texts(whole(story.root, 80))
    assert len(lines) < 120
    assert "│  ├─ ✗ llm_query: 1,950 more calls, all error" in lines


def test_attempts_stand_apart_each_with_its_checks() -> None:
    story = Story()
    story.begin()
    story.tell("iteration", strategy="written", iteration=1)
    story.cell(1, "FINAL(0)")
    story.cell_end(1, "")
    story.tell("check", name="is three", passed=False, message="`answer` is 0")
    story.tell("iteration", strategy="rlm", iteration=1, model="m", messages=[], compacted=False)
    assert texts(brief(story.root, 80, 30, LATER))[1:] == [
        "├─ … turn 1: asking m",
        "├─ ✗ written: check is three: `answer` is 0",
    ]
    story.tell("reply", iteration=1, text="```repl\nFINAL(3)\n```", model="m", problem=None, duration_s=2.0)
    story.cell(1, "FINAL(3)")
    story.cell_end(1, "")
    story.tell("check", name="is three", passed=True, message="")
    story.end("0")
    assert texts(whole(story.root, 80)) == [
        "✓ digest  rlm · 500 ms",
        "├─ attempt 1: written",
        "├─ ✓ cell 1  100 ms",
        "│    FINAL(0)",
        "├─ ✗ check: is three: `answer` is 0",
        "├─ attempt 2: rlm",
        "├─ ● turn 1 · m · 0 in, 0 out · 2.0 s",
        "├─ ✓ cell 1  100 ms",
        "│    FINAL(3)",
        "├─ ✓ check: is three",
    ]


def test_a_view_keeps_the_beginnings_of_texts_only() -> None:
    story = Story()
    story.tree = Tree(texts=False)
    story.begin(text="a" * 1_000_000, many=["b" * 1000] * 1000)
    message = {"role": "user", "content": "c" * 1_000_000}
    story.tell("iteration", strategy="rlm", iteration=1, model="m", messages=[message], compacted=False)
    story.tell("reply", iteration=1, text="d" * 1_000_000, model="m", problem="e" * 1000)
    story.cell(1, "f = 1\n" * 100_000)
    llm_call(story, "0.1", value="g" * 1_000_000)
    story.cell_end(1, "h" * 1_000_000, "i" * 1000)
    assert len(repr(story.root)) < 12_000
    assert (story.root.turns[0].problem, story.root.cells[0].error) == ("e" * 1000, "i" * 1000)


def test_ten_thousand_calls_are_taken_in_and_drawn_in_less_than_a_second() -> None:
    story = Story()
    story.tree = Tree(texts=False)
    story.begin()
    story.cell(1, "llm_query_batched(prompts)")
    began = time.process_time()
    for number in range(1, 10_001):
        llm_call(story, f"0.{number}")
        if number % 1000 == 0:
            brief(story.root, 80, 30, LATER)
            status_line(story.tree, 80, LATER)
    assert time.process_time() - began < 1.0
    assert story.tree.spent["calls"] == 10_000


@given(
    st.builds(
        dict,
        calls=st.none() | st.integers(0, 10**9),
        tokens=st.none() | st.integers(0, 10**12),
        usd=st.none() | st.floats(0, 1e6),
        seconds=st.none() | st.floats(0, 1e6),
    ),
    st.integers(1, 10**9),
    st.integers(0, 10**12),
    st.floats(0, 1e6),
    st.integers(40, 200),
)
def test_the_status_line_is_one_line_whatever_the_figures(
    limits: dict[str, Any], calls: int, tokens: int, usd: float, width: int
) -> None:
    story = Story()
    story.tree.started, story.tree.started_at = {"limits": limits}, AT
    story.tell("spent", calls=calls, tokens=tokens, usd=usd)
    line = status_line(story.tree, width, LATER)
    assert line.isprintable()
    assert n_cells(line) <= width


def test_what_a_cell_did_otherwise_when_it_was_run_again_is_drawn():
    story = Story()
    story.begin()
    story.tell("diverged", cell=2, line=3, message="`notes.count` was called as it was not called before")
    root = story.tree.root
    assert root is not None
    assert [line.text for line in whole(root, 80)][1:] == [
        "├─ ⚠ run again, cell 2, line 3: `notes.count` was called as it was not called b…"
    ]
