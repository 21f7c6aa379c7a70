"""A run as a tree, built from its events: the same for a live run and for one read from its journal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.runs.journal import Event

FINE = ("ok", "unverified")
"""Outcomes of calls that did what they should."""

NOT_MADE = ("not_run", "budget")
"""Outcomes of calls that say nothing of what was called: they were not made, or not paid for."""

KEPT_CHARS = 400
KEPT_ITEMS = 8
"""So much of a text, a list or an object is kept where its beginning is enough."""

_WHOLE = frozenset({"error", "model", "strategy", "problem"})
"""Short texts that are shown whole."""


@dataclass(slots=True)
class TurnView:
    """One iteration: cells that stood in a document, or a model's turn, which names its model."""

    number: int
    strategy: str
    attempt: int = 0  # which of the call's attempts it belongs to, counted from 0
    at: str = ""
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
    """What one check said. `turn` is the place of the turn that it came after."""

    name: str
    passed: bool
    message: str = ""
    turn: int = -1


@dataclass(frozen=True, slots=True)
class DivergenceView:
    """What a cell did otherwise when it was run again. 0 = no cell, no line."""

    cell: int
    line: int
    message: str


@dataclass(slots=True)
class Node:
    """One call with all that happened in it. `outcome` is None while it runs.

    `running`, `n_fine`, `failed` and `not_made` sum up its children, so that drawing what goes on needs not look at all of them.
    `calls`, `tokens` and `usd` are of this call and all below it: while it runs, of what came to its end.
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
    turn: int = -1  # which of the caller's turns it was made in or after
    calls: int = 0  # model requests
    tokens: int = 0
    usd: float = 0.0
    tokens_in: int = 0  # of an llm call
    tokens_out: int = 0
    model: str = ""  # that answered it
    place: str = ""  # the node of a cluster on which its worker was
    turns: list[TurnView] = field(default_factory=list)
    cells: list[CellView] = field(default_factory=list)
    checks: list[CheckView] = field(default_factory=list)
    divergences: list[DivergenceView] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)
    running: dict[str, Node] = field(default_factory=dict)
    n_fine: Counter[str] = field(default_factory=Counter)
    failed: list[Node] = field(default_factory=list)
    not_made: dict[tuple[str, str], list[Node]] = field(default_factory=dict)  # by name and outcome

    @property
    def depth(self) -> int:
        """Steps from the root, which has 0."""
        return self.call.count(".")

    @property
    def title(self) -> str:
        """What was called, in words; an approval is told from the call that it is of."""
        return f"approval of {self.name}" if self.kind == "approval" else self.name

    @property
    def n_attempts(self) -> int:
        """How many attempts it made so far; 0 where it runs no cells."""
        return self.turns[-1].attempt + 1 if self.turns else 0

    def attempt_of(self, turn: int) -> int:
        """Which attempt a turn belongs to; the first one's is what came before any turn."""
        return self.turns[turn].attempt if 0 <= turn < len(self.turns) else 0

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
    """What is known of a run so far. Feed it events in order.

    With `texts=False` it holds no more of prompts, replies, outputs and values than their beginnings: for a view of a
    run that goes on, whose thousands of calls would else keep their texts in memory until the run ends.
    """

    def __init__(self, *, texts: bool = True) -> None:
        self._texts = texts
        self.run = ""
        self.started: dict[str, Any] = {}  # fields of `run_started`
        self.started_at = ""
        self.finished: dict[str, Any] | None = None  # fields of `run_finished`
        self.root: Node | None = None
        self.by_model: dict[str, float] = {}  # dollars, of each model that answered with tokens
        self._told: Mapping[str, Any] = {}
        self._nodes: dict[str, Node] = {}

    def add(self, event: Event) -> None:
        """Take one event in. Events of calls that are not known are passed over."""
        self.run = event.run
        if event.event == "run_started":
            self.started, self.started_at = event.fields, event.at
        elif event.event == "run_finished":
            self.finished = event.fields
            self._told = event.fields.get("usage", self._told)
        elif event.event == "spent":
            self._told = event.fields
        elif event.event == "call_started":
            self._begin(event)
        elif node := self._nodes.get(event.call):
            self._happened(node, event if self._texts else _beginnings(event))

    @property
    def spent(self) -> Mapping[str, Any]:
        """Calls, tokens and usd of the whole run: as the run told them, else what its calls add up to."""
        root = self.root
        if self._told or root is None:
            return self._told
        return {"calls": root.calls, "tokens": root.tokens, "usd": root.usd}

    def node(self, call: str) -> Node | None:
        """The node of a call id."""
        return self._nodes.get(call)

    def _begin(self, event: Event) -> None:
        fields = event.fields
        arguments = fields.get("arguments")
        if not self._texts:
            arguments = beginning(arguments)
        if (again := self._nodes.get(event.call)) is not None:
            again.outcome, again.duration_s = None, None
            return
        node = Node(event.call, fields["kind"], fields["name"], arguments, event.at)
        self._nodes[event.call] = node
        parent = self._nodes.get(fields.get("parent") or "")
        if parent is not None:
            at_work = parent.cells and parent.cells[-1].duration_s is None
            node.during = len(parent.cells) - 1 if at_work else -1
            node.turn = len(parent.turns) - 1
            parent.children.append(node)
            parent.running[node.call] = node
        elif self.root is None:
            self.root = node

    def _happened(self, node: Node, event: Event) -> None:
        fields = event.fields
        if event.event == "reply":
            n_tokens = fields.get("tokens_in", 0) + fields.get("tokens_out", 0)
            self._count(node, fields.get("calls", 0), n_tokens, fields.get("usd", 0.0))
        elif event.event == "call_finished" and "calls" in fields:
            # What it and all below it came to: more than was counted, where requests failed or were told of nowhere.
            more = [fields.get(name, 0) - getattr(node, name) for name in ("calls", "tokens", "usd")]
            self._count(node, *more)
        _apply(node, event)
        if event.event == "call_finished":
            self._sum_up(node)
        model = fields.get("model") if event.event in ("reply", "call_finished") else None
        if model and (fields.get("tokens_in") or fields.get("tokens_out")):
            self.by_model[model] = self.by_model.get(model, 0.0) + fields.get("usd", 0.0)

    def _count(self, node: Node, calls: int, tokens: int, usd: float) -> None:
        """Count requests in, at this call and at those that wait for it."""
        at: Node | None = node
        while at is not None:
            at.calls, at.tokens, at.usd = at.calls + calls, at.tokens + tokens, round(at.usd + usd, 12)
            at = self._nodes.get(at.call.rpartition(".")[0])

    def _sum_up(self, node: Node) -> None:
        parent = self._nodes.get(node.call.rpartition(".")[0])
        if parent is None:
            return
        parent.running.pop(node.call, None)
        if node.outcome in FINE:
            parent.n_fine[node.title] += 1
        elif node.outcome in NOT_MADE:
            parent.not_made.setdefault((node.title, node.outcome), []).append(node)
        else:
            parent.failed.append(node)


def _apply(node: Node, event: Event) -> None:
    fields = event.fields
    match event.event:
        case "call_finished":
            node.value = fields.get("value")
            node.outcome = "denied" if node.kind == "approval" and node.value is False else fields["outcome"]
            node.message = fields.get("error") or ""
            node.printed = fields.get("printed", "")
            node.duration_s = fields.get("duration_s")
            node.model = fields.get("model", "")
            node.place = fields.get("node", "")
            node.tokens_in, node.tokens_out = fields.get("tokens_in", 0), fields.get("tokens_out", 0)
        case "iteration":
            node.turns.append(_turn(node, event))
        case "reply" if node.turns:
            _replied(node.turns[-1], fields)
        case "cell_started":
            node.cells.append(CellView(fields["cell"], fields["source"], len(node.turns) - 1))
        case "cell_finished" if node.cells:
            cell = node.cells[-1]
            cell.output, cell.error = fields["output"], fields.get("error")
            cell.answered, cell.duration_s = fields["answered"], fields["duration_s"]
        case "check":
            said = fields.get("message", "")
            node.checks.append(CheckView(fields["name"], fields["passed"], said, len(node.turns) - 1))
        case "diverged":
            node.divergences.append(DivergenceView(fields["cell"], fields["line"], fields["message"]))
        case _:
            pass


def _turn(node: Node, event: Event) -> TurnView:
    fields = event.fields
    number = fields.get("iteration", 1)
    return TurnView(
        number,
        fields["strategy"],
        node.n_attempts if number == 1 else max(0, node.n_attempts - 1),
        event.at,
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


def beginning(value: Any, depth: int = 3) -> Any:
    """The value with long texts, long lists and what lies deep cut: enough to say what it is."""
    if isinstance(value, str):
        return value if len(value) <= KEPT_CHARS else value[:KEPT_CHARS] + "…"
    if isinstance(value, (list, tuple)):
        return [beginning(item, depth - 1) for item in value[:KEPT_ITEMS]] if depth else "…"
    if isinstance(value, dict):
        kept = islice(value.items(), KEPT_ITEMS)
        return {name: beginning(item, depth - 1) for name, item in kept} if depth else "…"
    return value


def _beginnings(event: Event) -> Event:
    """The event with the beginnings of its texts; a model's messages are left out."""
    if event.event not in ("call_finished", "iteration", "reply", "cell_started", "cell_finished"):
        return event
    fields = {name: value if name in _WHOLE else beginning(value) for name, value in event.fields.items()}
    return replace(event, fields={**fields, "messages": []} if "messages" in fields else fields)
