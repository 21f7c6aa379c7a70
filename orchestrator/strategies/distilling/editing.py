"""Changes to a cell's source that leave the rest of it, with its comments, as it was written."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.strategies.distilling.cell_run import first_line, last_line, parsed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


@dataclass(frozen=True, slots=True)
class Edit:
    """An expression of a cell, and the source that takes its place."""

    node: ast.expr
    source: str


def without(source: str, body: Sequence[ast.stmt], dropped: Collection[int]) -> str:
    """The source without some of its top-level statements (by position), and the comments right above these."""
    lines = source.split("\n")
    gone: set[int] = set()
    instead: dict[int, str] = {}
    for group in _groups(body):
        out = [number for number in group if number in dropped]
        if not out:
            continue
        start, end = first_line(body[group[0]]), last_line(body[group[-1]])
        if len(out) == len(group):
            start = _with_comments(lines, start)
        else:
            kept = [body[number] for number in group if number not in dropped]
            instead[start] = "\n".join(
                ast.get_source_segment(source, part) or ast.unparse(part) for part in kept
            )
        gone.update(range(start, end + 1))
    left = [
        instead.get(number, line)
        for number, line in enumerate(lines, 1)
        if number not in gone or number in instead
    ]
    return tidy("\n".join(left))


def edited(source: str, edits: Sequence[Edit]) -> str:
    """The source with expressions replaced; they may not overlap."""
    data = source.encode()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for edit in sorted(edits, key=lambda one: (one.node.lineno, one.node.col_offset), reverse=True):
        node = edit.node
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        data = data[:start] + edit.source.encode() + data[end:]
    return data.decode()


def tidy(source: str) -> str:
    """The source without blank lines around it or many of them within, outside of texts."""
    stripped = source.strip("\n")
    if not stripped.strip():
        return ""
    short = re.sub(r"\n[ \t]*\n(?:[ \t]*\n)+", "\n\n\n", stripped)
    return (short if _same(short, stripped) else stripped) + "\n"


def _same(one: str, other: str) -> bool:
    trees = [parsed(one), parsed(other)]
    return all(trees) and len({ast.dump(tree) for tree in trees if tree is not None}) == 1


def _groups(body: Sequence[ast.stmt]) -> list[list[int]]:
    """Positions of statements, those that share a line together."""
    groups: list[list[int]] = []
    for number, statement in enumerate(body):
        if groups and first_line(statement) <= last_line(body[groups[-1][-1]]):
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def _with_comments(lines: list[str], start: int) -> int:
    """The first line of the comment that stands right above a line, or that line."""
    while start > 1 and lines[start - 2].lstrip().startswith("#"):
        start -= 1
    return start
