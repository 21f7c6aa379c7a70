"""Tables of a page as values, which a template draws and escapes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.interfaces.pages.charts import Chart


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: a text, or a small chart beside it; `right` for figures."""

    text: str
    right: bool = False
    chart: Chart | None = None
    code: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Figures in rows. `note` is said above it."""

    title: str
    head: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A chart with the table of its figures; without a chart, `empty` says why."""

    chart: Chart | None
    table: Table | None = None
    empty: str = ""


def head(*titles: str) -> tuple[Cell, ...]:
    """The head of a table: those of columns with figures end in `#`, and stand at the right."""
    return tuple(Cell(title.rstrip("#"), right=title.endswith("#")) for title in titles)


def figure(text: str) -> Cell:
    """A figure's cell."""
    return Cell(text, right=True)


def moment(at: str | None) -> str:
    """A time as a person reads it, here; what is none, as nothing."""
    try:
        return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M") if at else ""
    except (ValueError, OverflowError):
        return ""
