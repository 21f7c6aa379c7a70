"""Code in colours, as pieces of text with the name of their colour, which a page puts in as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.interfaces.terminal import clean

if TYPE_CHECKING:
    from pygments.token import _TokenType

Piece = str | list[str]
"""A text in the usual colour, or [text, colour]."""

_COLOURS = (
    ("Comment", "com"), ("Literal.String", "str"), ("Literal.Number", "num"), ("Keyword", "key"), ("Name.Builtin", "bui"),
    ("Name.Function", "fun"), ("Name.Class", "fun"), ("Name.Decorator", "fun"), ("Generic.Heading", "key"),
    ("Generic.Subheading", "key"), ("Operator.Word", "key"),
)  # fmt: skip


def coloured(source: str, language: str) -> list[Piece]:
    """The source, cleaned, in pieces of one colour each."""
    from pygments.lexers import get_lexer_by_name  # half a hundred modules, needed for pages only

    pieces: list[Piece] = []
    for kind, text in get_lexer_by_name(language, stripnl=False, ensurenl=False).get_tokens(source):
        name = _colour(kind)
        if pieces and _colour_of(pieces[-1]) == name:
            pieces[-1] = _piece(_text_of(pieces[-1]) + clean(text), name)
        else:
            pieces.append(_piece(clean(text), name))
    return pieces


def _colour(kind: _TokenType) -> str:
    whole = str(kind).removeprefix("Token.")
    return next((name for prefix, name in _COLOURS if whole.startswith(prefix)), "")


def _piece(text: str, name: str) -> Piece:
    return [text, name] if name else text


def _text_of(piece: Piece) -> str:
    return piece if isinstance(piece, str) else piece[0]


def _colour_of(piece: Piece) -> str:
    return "" if isinstance(piece, str) else piece[1]
