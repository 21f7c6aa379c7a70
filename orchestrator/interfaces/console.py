"""What a person sees while a run goes on: a live tree on a terminal, plain lines elsewhere. All of it on stderr."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, Self

from orchestrator.interfaces.drawing import FINE, NOT_MADE, Line, brief, check_line, label, now_utc, turn_line
from orchestrator.interfaces.terminal import (
    clean,
    coloured,
    columns,
    duration,
    is_terminal,
    many,
    money,
    one_line,
    plural,
    say,
)
from orchestrator.runs.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from rich.text import Text

    from orchestrator.runs.journal import Event

N_LISTED = 10
"""Of the root's calls of one name, how many that went well get a line of their own."""

N_FAILED_LISTED = 3
"""The same of its calls of one name that failed in one way, or were not made."""

N_LOGGED = 200
"""How many lines that cells log are shown."""


class View(Protocol):
    """Shows a run that goes on. Entered before it begins, left when it has ended; `refresh` is called now and then."""

    tree: Tree

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> None: ...

    def listen(self, event: Event) -> None:
        """Take in one event."""

    def refresh(self) -> None:
        """Bring what is seen up to date."""

    def paused(self) -> AbstractContextManager[None]:
        """Leave the terminal to somebody else for a while."""


def view_for_stderr() -> View:
    """The view that fits what stderr is."""
    return LiveTree() if is_terminal(sys.stderr) else PlainLines()


class PlainLines:
    """Lines as things happen: cells, the root's calls up to a number, checks."""

    def __init__(self) -> None:
        self.tree = Tree(texts=False)
        self._width = columns()
        self._n_listed: Counter[str] = Counter()
        self._n_silent: Counter[str] = Counter()
        self._n_logged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._sum_up()
        sys.stderr.flush()

    def refresh(self) -> None:
        """Lines are written when they happen: there is nothing to do."""

    def paused(self) -> AbstractContextManager[None]:
        """Lines stay where they are: there is nothing to give up."""
        return nullcontext()

    def listen(self, event: Event) -> None:
        """Take in one event and write the line that it is worth, if any."""
        self.tree.add(event)
        match event.event:
            case "run_started":
                say(headline(self.tree, self._width))
            case "iteration" if event.call == "0" and self.tree.root and event.fields.get("iteration") == 1:
                if self.tree.root.n_attempts > 1:
                    name = one_line(self.tree.root.strategy, 40)
                    say(f"  attempt {self.tree.root.n_attempts}: {name}")
            case "reply" if event.call == "0" and self.tree.root:
                say("  " + turn_line(self.tree.root.turns[-1], self._width - 2).text)
            case "cell_started" if event.call == "0":
                say(f"  … cell {event.fields['cell']}")
            case "cell_finished" if event.call == "0":
                self._sum_up()
                say(_cell_line(event.fields, self._width))
            case "call_finished" if event.call.count(".") == 1:
                self._call(event)
            case "check" if event.call == "0" and self.tree.root:
                say("  " + check_line(self.tree.root.checks[-1], self._width - 2).text)
            case "log":
                self._log(event.fields)
            case _:
                pass

    def _call(self, event: Event) -> None:
        node = self.tree.node(event.call)
        if node is None:
            return
        fine = node.outcome in FINE
        kind = node.name if fine else f"{node.name} ({str(node.outcome).replace('_', ' ')})"
        self._n_listed[kind] += 1
        if self._n_listed[kind] > (N_LISTED if fine else N_FAILED_LISTED):
            self._n_silent[kind] += 1
            return
        if fine:
            say(
                one_line(f"✓ {label(node, 60)}  {duration(node.duration_s)}", self._width - 4).join(
                    ("    ", "")
                )
            )
        else:
            mark = "○" if node.outcome in NOT_MADE else "✗"
            say(
                one_line(f"{mark} {label(node, 50)}: {node.outcome}: {node.message}", self._width - 4).join(
                    ("    ", "")
                )
            )

    def _log(self, fields: dict[str, Any]) -> None:
        self._n_logged += 1
        if self._n_logged <= N_LOGGED:
            say("    " + one_line(str(fields.get("text", "")), self._width - 4))
        elif self._n_logged == N_LOGGED + 1:
            say("    … what else is logged is not shown")

    def _sum_up(self) -> None:
        for name, n in self._n_silent.items():
            say(f"    … {plural(n, 'more call')} of {clean(name)}")
        self._n_silent.clear()


class LiveTree:
    """A tree that is redrawn in place, by `refresh` only: no thread draws while events are taken in."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self.tree = Tree(texts=False)
        self._n_logged = 0
        self._paused = timedelta()  # a person's time is not the run's
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()
        if self.tree.root is not None:
            self._console.print(self._drawn(self._console.height))

    def refresh(self) -> None:
        """Draw what goes on now."""
        if self.tree.root is not None and self._live.is_started:
            self._live.update(self._drawn(self._console.height - 3), refresh=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the tree away while somebody else uses the terminal."""
        self._live.stop()
        since = now_utc()
        try:
            yield
        finally:
            self._paused += now_utc() - since
            self._live.start()

    def listen(self, event: Event) -> None:
        """Take in one event; what it changes is drawn by the next refresh."""
        self.tree.add(event)
        if event.event == "run_started":
            self._console.print(headline(self.tree, self._console.width), soft_wrap=True)
        elif event.event == "log":
            self._n_logged += 1
            if self._n_logged <= N_LOGGED:
                self._console.print(
                    _styled(Line("  " + one_line(str(event.fields.get("text", "")), self._console.width - 2)))
                )

    def _drawn(self, height: int) -> Text:
        from rich.text import Text

        assert self.tree.root is not None
        width, now = self._console.width - 1, now_utc()
        lines = brief(self.tree.root, width, max(height - 1, 3), now)
        if status := status_line(self.tree, width, now - self._paused):
            lines.append(Line(status, "faint"))
        return Text("\n").join(map(_styled, lines))


_STYLES = {"plain": "", "good": "green", "bad": "red", "busy": "yellow", "faint": "dim"}
_CODES = {"plain": "", "good": "\x1b[32m", "bad": "\x1b[31m", "busy": "\x1b[33m", "faint": "\x1b[2m"}


def headline(tree: Tree, width: int) -> str:
    """Which run this is, of what, where it runs, and what that covers."""
    started = tree.started
    first = f"run {tree.run} · {clean(str(started.get('workflow', '?')))} · environment {started.get('environment', '?')}"
    if started.get("executor"):
        first += f" · executor {clean(str(started['executor']))}"
    # In full: what is not covered stands at the end.
    covers = textwrap.wrap(clean(str(started.get("covers") or "")), max(width - 2, 20))
    return "\n  ".join([first, *covers])


def status_line(tree: Tree, width: int, now: datetime) -> str:
    """What the run spent and what is left of its budget, on one line; empty for a run that asked no model.

    Where it is too narrow, the limits that are farthest away go first.
    """
    spent, limits = tree.spent, tree.started.get("limits") or {}
    n_calls = spent.get("calls", 0)
    if not n_calls:
        return ""
    seconds = (
        max(0.0, (now - datetime.fromisoformat(tree.started_at)).total_seconds()) if tree.started_at else 0.0
    )
    done = [
        plural(n_calls, "request"),
        f"{many(spent.get('tokens', 0))} tokens",
        money(spent.get("usd", 0.0)),
        duration(seconds),
    ]
    used = {
        "calls": n_calls,
        "tokens": spent.get("tokens", 0),
        "usd": spent.get("usd", 0.0),
        "seconds": seconds,
    }
    left = {name: max(0.0, limits[name] - used[name]) for name in used if limits.get(name) is not None}
    said: dict[str, Callable[[float], str]] = {
        "calls": lambda n: plural(int(n), "request"),
        "tokens": lambda n: f"{many(n)} tokens",
        "usd": lambda n: money(n) or "$0",
        "seconds": lambda n: f"{n // 60:.0f} min" if 600 <= n < 3600 else duration(n),
    }
    parts = {name: say_left(left[name]) for name, say_left in said.items() if name in left}
    line, more = " · ".join(part for part in done if part), ""
    while parts and len(line) + len(more := f" · left: {', '.join(parts.values())}") > width:
        del parts[max(parts, key=lambda name: left[name] / (limits[name] or 1))]
    return one_line(line + (more if parts else ""), width)


def print_lines(lines: list[Line]) -> None:
    """Write a drawing to stdout, coloured where that is wanted."""
    colour = coloured(sys.stdout)
    for line in lines:
        code = _CODES[line.tone] if colour else ""
        sys.stdout.write(f"{code}{line.text}\x1b[0m\n" if code else line.text + "\n")


def _styled(line: Line) -> Text:
    from rich.text import Text

    return Text(
        line.text, style=_STYLES[line.tone] if coloured(sys.stderr) else "", no_wrap=True, overflow="ellipsis"
    )


def _cell_line(fields: dict[str, Any], width: int) -> str:
    number, took = fields["cell"], duration(fields["duration_s"])
    if fields.get("error"):
        return "  " + one_line(f"✗ cell {number}  {took}: {fields['error']}", width - 2)
    return f"  ✓ cell {number}  {took}"
