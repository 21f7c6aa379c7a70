"""The conversation of a model that writes cells: what it is shown, and in which order."""

import asyncio
from dataclasses import dataclass, field

from orchestrator.models.model import Message
from orchestrator.strategies.material import material
from orchestrator.strategies.rlm import Rlm, Turn
from orchestrator.strategies.strategy import Observation
from orchestrator.values import Cell

OPENING = (Message("system", "rules"), Message("user", "task"))


@dataclass
class Desk:
    """A seat whose model says what it was told to say; `full_at` characters fill its window."""

    replies: list[str]
    full_at: int = 10**9
    asked: list[list[Message]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    history: list[Message] = field(default_factory=list)
    cut: bool = False

    async def turn(self, messages):
        self.asked.append(list(messages))
        return Turn(self.replies.pop(0), self.cut)

    async def summary(self, messages):
        self.asked.append(list(messages))
        return "what I know"

    def judged(self, problem):
        self.problems.append(problem)

    def keep(self, history):
        self.history = list(history)

    def is_full(self, messages, share):
        return sum(len(one.content) for one in messages) > share * self.full_at

    def status(self):
        return f"[turn {len(self.asked) + 1}]"


def steps(desk, *observations):
    """What the strategy gives for each observation in turn."""

    async def run():
        strategy = Rlm(desk, OPENING)
        return [await strategy.next_cell(one) for one in (None, *observations)]

    return asyncio.run(run())


def test_messages_are_only_added():
    desk = Desk(["```repl\na\n```", "```repl\nb\n```", "```repl\nc\n```"])
    assert steps(desk, Observation("1"), Observation("2")) == [Cell(1, "a\n"), Cell(2, "b\n"), Cell(3, "c\n")]
    first, second, third = desk.asked
    assert first == list(OPENING)
    assert second == [
        *first,
        Message("assistant", "```repl\na\n```"),
        Message("user", f"Cell 1 showed:\n{material('output', '1')}\n\n[turn 2]"),
    ]
    assert third[: len(second)] == second
    assert third[len(second) :] == [
        Message("assistant", "```repl\nb\n```"),
        Message("user", f"Cell 2 showed:\n{material('output', '2')}\n\n[turn 3]"),
    ]


def test_cells_of_one_reply_are_shown_together():
    desk = Desk(["```repl\na\n```\n```repl\nb\n```", "```repl\nc\n```"])
    assert steps(desk, Observation("1"), Observation("2"))[2] == Cell(3, "c\n")
    assert desk.asked[1][-1] == Message(
        "user",
        f"Cell 1 showed:\n{material('output', '1')}\n\nCell 2 showed:\n{material('output', '2')}\n\n[turn 2]",
    )


def test_cells_after_a_failed_one_do_not_run_and_the_model_hears_of_it():
    desk = Desk(["```repl\na\n```\n```repl\nb\n```\n```repl\nc\n```", "```repl\nd\n```"])
    assert steps(desk, Observation("boom", "NameError")) == [Cell(1, "a\n"), Cell(4, "d\n")]
    told = "(cell 2, 3 of your reply did not run, since cell 1 failed)"
    assert told in desk.asked[1][-1].content


def test_a_malformed_reply_gets_one_message_that_names_the_problem():
    desk = Desk(["just words", "```repl\na\n```"])
    malformed = steps(desk)[0]
    assert isinstance(malformed, Observation)
    assert malformed.error == "it has no code block"
    desk = Desk(["just words", "```repl\na\n```"])
    assert steps(desk, malformed)[1] == Cell(1, "a\n")
    assert [one.role for one in desk.asked[1]] == ["system", "user", "assistant", "user"]
    assert desk.asked[1][-1].content.startswith(
        "Your reply could not be used: it has no code block. Write your next"
    )
    assert desk.problems == ["it has no code block", ""]


def test_a_reply_of_megabytes_is_not_sent_back_whole():
    desk = Desk(["x" * 500_000, "```repl\na\n```"])
    steps(desk, Observation("no", "no"))
    assert len(desk.asked[1][2].content) < 60_000
    assert "450,000 characters left out" in desk.asked[1][2].content


def test_near_the_window_messages_are_replaced_by_a_summary_and_kept_in_history():
    long = "y" * 400
    desk = Desk(["```repl\na\n```", "```repl\nb\n```", "```repl\nc\n```"], full_at=500)
    cells = steps(desk, Observation("short"), Observation(long))
    assert cells[2] == Cell(3, "c\n")
    summary, after = desk.asked[2:]
    assert [one.role for one in summary] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [one.role for one in after] == ["system", "user"]
    assert after[1].content.startswith("task\n\n# What you did so far")
    assert "what I know" in after[1].content
    assert long in after[1].content
    told = [
        *OPENING,
        *summary[2:5],
        Message("user", f"Cell 2 showed:\n{material('output', long)}\n\n[turn 3]"),
    ]
    assert desk.history == told
