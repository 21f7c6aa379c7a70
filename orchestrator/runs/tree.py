"""A run as a tree, built from its events: the same for a live run and for one read from its journal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.runs.journal import Event

FINE = ("ok", "unverified")
"""Outcomes of calls that did what they should."""


@dataclass(slots=True)
class TurnView:
    """One iteration: cells that stood in a document, or a model's turn, which names its model."""

    number: int
    strategy: str
    model: str = ""
    messages: list[dict[str, str]] = field(default_factory=list)  # those that were new in it
    compacted: bool = False  # `messages` took the place of all before them
    reply: str | None = None  # None while the model is asked
    problem: str = ""  # what is wrong with a reply that brought no cell
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    duration_s: float | None = None


@dataclass(slots=True)
class CellView:
    """One cell of a call: what was run and what it showed. `turn` is the place of its turn among the call's."""

    number: int
    source: str
    turn: int = -1
    output: str = ""
    error: str | None = None
    answered: bool = False
    duration_s: float | None = None  # None while it runs


@dataclass(slots=True)
class CheckView:
    """What one check said."""

    name: str
    passed: bool
    message: str = ""


@dataclass(slots=True)
class Node:
    """One call with all that happened in it. `outcome` is None while it runs.

    `running`, `n_fine` and `failed` sum up its children, so that drawing what goes on needs not look at all of them.
    """

    call: str
    kind: str
    name: str
    arguments: Any = None
    started_at: str = ""
    outcome: str | None = None
    value: Any = None
    message: str = ""
    duration_s: float | None = None
    printed: str = ""
    during: int = (
        -1
    )  # which of the caller's cells made the call, counted from 0 over all attempts; -1: none of them
    calls: int = 0  # model requests, of this call and all below it
    tokens: int = 0
    usd: float = 0.0
    tokens_in: int = 0  # of an llm call
    tokens_out: int = 0
    model: str = ""  # that answered it
    turns: list[TurnView] = field(default_factory=list)
    cells: list[CellView] = field(default_factory=list)
    checks: list[CheckView] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)
    running: dict[str, Node] = field(default_factory=dict)
    n_fine: Counter[str] = field(default_factory=Counter)
    failed: list[Node] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """Steps from the root, which has 0."""
        return self.call.count(".")

    @property
    def strategy(self) -> str:
        """The strategy that was tried last."""
        return self.turns[-1].strategy if self.turns else ""

    def walk(self) -> Iterator[Node]:
        """This node and all below it, callers before their callees."""
        yield self
        for child in self.children:
            yield from child.walk()


class Tree:
    """What is known of a run so far. Feed it events in order."""

    def __init__(self) -> None:
        self.run = ""
        self.started: dict[str, Any] = {}  # fields of `run_started`
        self.started_at = ""
        self.finished: dict[str, Any] | None = None  # fields of `run_finished`
        self.root: Node | None = None
        self.spent: Mapping[str, Any] = {}  # calls, tokens and usd of the whole run
        self._nodes: dict[str, Node] = {}

    def add(self, event: Event) -> None:
        """Take one event in. Events of calls that are not known are passed over."""
        self.run = event.run
        if event.event == "run_started":
            self.started, self.started_at = event.fields, event.at
        elif event.event == "run_finished":
            self.finished = event.fields
            self.spent = event.fields.get("usage", self.spent)
        elif event.event == "spent":
            self.spent = event.fields
        elif event.event == "call_started":
            self._begin(event)
        elif node := self._nodes.get(event.call):
            _apply(node, event)
            if event.event == "call_finished":
                self._sum_up(node)

    def node(self, call: str) -> Node | None:
        """The node of a call id."""
        return self._nodes.get(call)

    def _begin(self, event: Event) -> None:
        fields = event.fields
        node = Node(event.call, fields["kind"], fields["name"], fields.get("arguments"), event.at)
        self._nodes[event.call] = node
        parent = self._nodes.get(fields.get("parent") or "")
        if parent is not None:
            at_work = parent.cells and parent.cells[-1].duration_s is None
            node.during = len(parent.cells) - 1 if at_work else -1
            parent.children.append(node)
            parent.running[node.call] = node
        elif self.root is None:
            self.root = node

    def _sum_up(self, node: Node) -> None:
        parent = self._nodes.get(node.call.rpartition(".")[0])
        if parent is None:
            return
        parent.running.pop(node.call, None)
        if node.outcome in FINE:
            parent.n_fine[node.name] += 1
        else:
            parent.failed.append(node)


def _apply(node: Node, event: Event) -> None:
    fields = event.fields
    match event.event:
        case "call_finished":
            node.outcome = fields["outcome"]
            node.value = fields.get("value")
            node.message = fields.get("error") or ""
            node.printed = fields.get("printed", "")
            node.duration_s = fields.get("duration_s")
            node.calls, node.tokens = fields.get("calls", 0), fields.get("tokens", 0)
            node.usd, node.model = fields.get("usd", 0.0), fields.get("model", "")
            node.tokens_in, node.tokens_out = fields.get("tokens_in", 0), fields.get("tokens_out", 0)
        case "iteration":
            node.turns.append(_turn(fields))
        case "reply" if node.turns:
            _replied(node.turns[-1], fields)
        case "cell_started":
            node.cells.append(CellView(fields["cell"], fields["source"], len(node.turns) - 1))
        case "cell_finished" if node.cells:
            cell = node.cells[-1]
            cell.output, cell.error = fields["output"], fields.get("error")
            cell.answered, cell.duration_s = fields["answered"], fields["duration_s"]
        case "check":
            node.checks.append(CheckView(fields["name"], fields["passed"], fields.get("message", "")))
        case _:
            pass


def _turn(fields: Mapping[str, Any]) -> TurnView:
    return TurnView(
        fields.get("iteration", 1),
        fields["strategy"],
        fields.get("model", ""),
        list(fields.get("messages") or ()),
        fields.get("compacted", False),
    )


def _replied(turn: TurnView, fields: Mapping[str, Any]) -> None:
    turn.reply, turn.problem = fields.get("text", ""), fields.get("problem") or ""
    turn.model = fields.get("model") or turn.model
    turn.calls, turn.usd = fields.get("calls", 0), fields.get("usd", 0.0)
    turn.tokens_in, turn.tokens_out = fields.get("tokens_in", 0), fields.get("tokens_out", 0)
    turn.duration_s = fields.get("duration_s")
