"""What a Markdown body holds that we act on: its cells, its title, and where its code stands (CommonMark)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.values import Cell

if TYPE_CHECKING:
    from markdown_it.token import Token

CELL_TAG = "repl"


@dataclass(frozen=True, slots=True)
class Outline:
    """A body's title (first level-1 heading), its cells, and lines, all 1-based in the file."""

    title: str = ""
    cells: tuple[Cell, ...] = ()
    code: tuple[range, ...] = ()  # the lines of every code block, fences included
    unclosed: tuple[int, ...] = ()  # the lines of cells' opening fences that nothing closes


def cells(body: str, first_line: int = 1) -> tuple[Cell, ...]:
    """The body's `repl` blocks, in order, wherever CommonMark says that one is a fence."""
    return outline(body, first_line).cells


def outline(body: str, first_line: int = 1) -> Outline:
    """What a body with LF line ends holds; `first_line` is the line of the file that it starts on."""
    from markdown_it import MarkdownIt  # 75 ms, which a document without cells need not pay

    parser = MarkdownIt("commonmark")
    parser.core.ruler.disable(
        "inline"
    )  # block structure is all we read; links and emphasis cost most of the time
    tokens = parser.parse(body if body.endswith("\n") else body + "\n")
    found: list[Cell] = []
    unclosed: list[int] = []
    for token in tokens:
        if _is_cell(token):
            line = first_line + _start(token)
            found.append(Cell(len(found) + 1, token.content, line + 1))
            if not _is_closed(token):
                unclosed.append(line)
    return Outline(_title(tokens), tuple(found), _code(tokens, first_line), tuple(unclosed))


def _is_cell(token: Token) -> bool:
    return (
        token.type == "fence"
        and token.info.split(maxsplit=1)[:1] != []
        and token.info.split()[0].lower() == CELL_TAG
    )


def _is_closed(token: Token) -> bool:
    """Whether the fence ended with a fence and not with its list item, its quotation or the file."""
    start, end = token.map or [0, 0]
    return end - start == token.content.count("\n") + 2


def _start(token: Token) -> int:
    return token.map[0] if token.map else 0


def _title(tokens: list[Token]) -> str:
    for number, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            return tokens[number + 1].content
    return ""


def _code(tokens: list[Token], first_line: int) -> tuple[range, ...]:
    blocks = (token.map for token in tokens if token.type in ("fence", "code_block") and token.map)
    return tuple(range(first_line + start, first_line + end) for start, end in blocks)
