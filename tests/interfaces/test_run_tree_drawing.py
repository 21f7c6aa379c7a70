from __future__ import annotations

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
        "├─ … f.go(item=29)  2.0 s",
        "├─ … f.go(item=30)  2.0 s",
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
        "├─ ✗ turn 1 · m · 1,204 in, 210 out · $0.0012 · 2.1 s: it has no code block",
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
    story = model_story()
    story.tree.started_at = AT
    limits = {"calls": 500, "tokens": 2_000_000, "usd": 5.0, "seconds": 1800, "depth": 3}
    story.tree.started = {"limits": limits}
    assert status_line(story.tree, 80, LATER) == ""
    story.tell("spent", calls=12, tokens=34_210, usd=0.0312)
    wide = "12 requests · 34,210 tokens · $0.0312 · 2.0 s · left: $4.97, 1.97 M tokens, 488 requests, 29 min 58 s"
    assert status_line(story.tree, 120, LATER) == wide
    assert (
        status_line(story.tree, 80, LATER)
        == "12 requests · 34,210 tokens · $0.0312 · 2.0 s · left: $4.97, 1.97 M tokens"
    )
    assert status_line(story.tree, 50, LATER) == "12 requests · 34,210 tokens · $0.0312 · 2.0 s"
