"""A run as a tree, built from its events: the same for a live run and for one read from its journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.runs.journal import Event


@dataclass(slots=True)
class CellView:
    """One cell of a call: what was run and what it showed."""

    number: int
    source: str
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
    """One call with all that happened in it. `outcome` is None while it runs."""

    call: str
    kind: str
    name: str
    arguments: Any = None
    started_at: str = ""
    outcome: str | None = None
    value: Any = None
    message: str = ""
    duration_s: float | None = None
    strategy: str = ""
    printed: str = ""
    during: int = (
        -1
    )  # which of the caller's cells made the call, counted from 0 over all attempts; -1: none of them
    cells: list[CellView] = field(default_factory=list)
    checks: list[CheckView] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """Steps from the root, which has 0."""
        return self.call.count(".")

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
        self._nodes: dict[str, Node] = {}

    def add(self, event: Event) -> None:
        """Take one event in. Events of calls that are not known are passed over."""
        self.run = event.run
        if event.event == "run_started":
            self.started, self.started_at = event.fields, event.at
        elif event.event == "run_finished":
            self.finished = event.fields
        elif event.event == "call_started":
            self._begin(event)
        elif node := self._nodes.get(event.call):
            _apply(node, event)

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
        elif self.root is None:
            self.root = node


def _apply(node: Node, event: Event) -> None:
    fields = event.fields
    match event.event:
        case "call_finished":
            node.outcome = fields["outcome"]
            node.value = fields.get("value")
            node.message = fields.get("error") or ""
            node.printed = fields.get("printed", "")
            node.duration_s = fields.get("duration_s")
        case "iteration":
            node.strategy = fields["strategy"]
        case "cell_started":
            node.cells.append(CellView(fields["cell"], fields["source"]))
        case "cell_finished" if node.cells:
            cell = node.cells[-1]
            cell.output, cell.error = fields["output"], fields.get("error")
            cell.answered, cell.duration_s = fields["answered"], fields["duration_s"]
        case "check":
            node.checks.append(CheckView(fields["name"], fields["passed"], fields.get("message", "")))
        case _:
            pass
