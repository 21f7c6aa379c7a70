"""YAML text as JSON values, with the line of every key and item, and nothing that can hurt.

Values follow the core schema of YAML 1.2 (`yes`, `on` and dates are text, `010` is ten): what a JSON Schema means
by a value is what the author wrote. Aliases are refused rather than counted: a bomb needs them and a frontmatter
does not. PyYAML's event parser is used instead of its composer because the composer recurses in C.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CHARS = 256 * 1024
MAX_DEPTH = 32
MAX_ALIASES = 5  # that are told one by one

Location = tuple[str | int, ...]
"""Keys and indices from the top of the document down to a value."""

_LOADER: Any = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # the C one is ten times as fast, where it was built
_CORE_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = {_CORE_TAG + name for name in ("str", "int", "float", "bool", "null")}
_COLLECTION_TAGS = {_CORE_TAG + name for name in ("map", "seq")}
_WORDS: dict[str, Any] = {"": None, "~": None, "true": True, "false": False, "null": None}
_WORD = re.compile(r"(?:~|null|Null|NULL|true|True|TRUE|false|False|FALSE|)")
_INT = re.compile(r"[-+]?[0-9]{1,4000}|0o[0-7]{1,1000}|0x[0-9a-fA-F]{1,1000}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with the text, and what could not be read for it: nothing, one value, or all."""

    line: int
    message: str
    hint: str = ""
    lost: Literal["nothing", "value", "document"] = "nothing"


@dataclass(frozen=True, slots=True)
class Located:
    """A YAML document as JSON values; `value` is None when all of it was lost."""

    value: Any
    first_line: int
    lines: dict[Location, int] = field(default_factory=dict)
    flaws: tuple[Flaw, ...] = ()

    def line(self, location: Location = ()) -> int:
        """The line of a key or item, or of the nearest one above it that is known."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, self.first_line)


@dataclass(frozen=True, slots=True)
class Node:
    """A value as it is written: from which character of the text to which, in lines or between brackets.

    Blank lines and comments below it are not counted to it. `text` is a scalar's; a mapping has `entries`, a list
    `items`.
    """

    start: int
    end: int
    column: int
    is_block: bool  # a collection in lines, or a text behind `|` or `>`
    text: str | None = None
    is_null: bool = False
    entries: tuple[tuple[Node, Node], ...] | None = None
    items: tuple[Node, ...] | None = None


def written(text: str) -> Node | None:
    """How the one document in `text` is written, for a text that `read` finds no flaw in; None where it can't be told."""
    try:
        # Not the C loader: it counts in other units than characters.
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if root is None else _written(root, text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _written(node: Any, text: str) -> Node:
    start, column = node.start_mark.index, node.start_mark.column
    end = start + len(text[start : node.end_mark.index].rstrip())
    if isinstance(node, yaml.ScalarNode):
        is_null = node.tag == _CORE_TAG + "null"
        return Node(start, end, column, node.style in ("|", ">"), node.value, is_null)
    is_block = not node.flow_style
    if isinstance(node, yaml.SequenceNode):
        items = tuple(_written(one, text) for one in node.value)
        return Node(start, items[-1].end if items and is_block else end, column, is_block, items=items)
    entries = tuple((_written(key, text), _written(value, text)) for key, value in node.value)
    return Node(start, entries[-1][1].end if entries and is_block else end, column, is_block, entries=entries)


def read(text: str, first_line: int = 1) -> Located:
    """The one document in `text`, whose first line is `first_line` of its file. Raises nothing."""
    if len(text) > MAX_CHARS:
        flaw = Flaw(
            first_line,
            f"the YAML has {len(text):,} characters; at most {MAX_CHARS:,} are read",
            "",
            lost="document",
        )
        return Located(None, first_line, flaws=(flaw,))
    reader = _Reader(text, first_line)
    try:
        value = reader.document(yaml.parse(text, Loader=_LOADER))
    except _Unreadable as unreadable:
        reader.flaws.append(unreadable.flaw)
        value = None
    except yaml.YAMLError as error:
        reader.flaws.append(_syntax_flaw(error, reader, first_line))
        value = None
    except (ValueError, OverflowError) as error:  # surrogates, `\U` escapes beyond Unicode
        reader.flaws.append(Flaw(first_line, f"this is no YAML: {error}", lost="document"))
        value = None
    return Located(value, first_line, reader.lines, tuple(reader.flaws))


class _Unreadable(Exception):
    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.message)
        self.flaw = flaw


class _Reader:
    """Builds values out of parser events; `lines` and `flaws` grow as it goes."""

    def __init__(self, text: str, first_line: int) -> None:
        # YAML counts more characters as line breaks than editors do, so lines are counted here
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._first_line = first_line
        self.lines: dict[Location, int] = {}
        self.flaws: list[Flaw] = []
        self._n_aliases = 0
        self._events: Iterator[Any] = iter(())

    def document(self, events: Iterator[Any]) -> Any:
        self._events = events
        value: Any = None
        n_documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                n_documents += 1
                if n_documents > 1:
                    flaw = Flaw(
                        self._line(event), "there is a second YAML document", "keep one", lost="document"
                    )
                    raise _Unreadable(flaw)
            elif isinstance(event, yaml.NodeEvent):
                value = self._node(event, ())
        return value

    def _node(self, event: Any, location: Location) -> Any:
        if len(location) > MAX_DEPTH:
            raise _Unreadable(Flaw(self._line(event), f"nested more than {MAX_DEPTH} deep", lost="document"))
        if isinstance(event, yaml.AliasEvent):
            hint = "write the value out; quote text that starts with `*`"
            message = f"the alias `*{event.anchor}` is not followed"
            flaw = Flaw(self._line(event), message, hint, lost="value")
            self._n_aliases += 1
            if (
                self._n_aliases > MAX_ALIASES
            ):  # a bomb: saying it once more for each of its parts helps nobody
                raise _Unreadable(
                    replace(flaw, message=f"{message}, and no more of the file is read", lost="document")
                )
            self.flaws.append(flaw)
            return None
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event, _SCALAR_TAGS)
            return _scalar(event)
        self._refuse_tag(event, _COLLECTION_TAGS)
        return (
            self._sequence(location)
            if isinstance(event, yaml.SequenceStartEvent)
            else self._mapping(location)
        )

    def _sequence(self, location: Location) -> list[Any]:
        items: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            place = (*location, len(items))
            self.lines[place] = self._line(event)
            items.append(self._node(event, place))
        return items

    def _mapping(self, location: Location) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                raise _Unreadable(
                    Flaw(self._line(event), "a key has to be plain text", "quote it", lost="document")
                )
            self._refuse_tag(event, _SCALAR_TAGS)
            key, place = event.value, (*location, event.value)
            if key in mapping:
                self._flaw(
                    event, f"`{key}` stands twice, first on line {self.lines[place]}", "keep one of them"
                )
            self.lines[place] = self._line(event)
            mapping[key] = self._node(next(self._events), place)
        return mapping

    def line_at(self, mark: Any) -> int:
        """The line of a parser's mark."""
        return self._first_line + bisect_left(self._breaks, mark.index)

    def _refuse_tag(self, event: Any, known: set[str]) -> None:
        if event.tag not in (None, "!") and event.tag not in known:
            self._flaw(
                event, f"the tag `{event.tag}` is not read", "remove it; quote text that starts with `!`"
            )

    def _flaw(self, event: Any, message: str, hint: str) -> None:
        self.flaws.append(Flaw(self._line(event), message, hint))

    def _line(self, event: Any) -> int:
        return self.line_at(event.start_mark)


def _scalar(event: Any) -> Any:
    """What a scalar means; only an unquoted one without the tag of a string can be more than text."""
    text: str = event.value
    if event.tag in ("!", _CORE_TAG + "str") or (event.tag is None and not event.implicit[0]):
        return text
    if _WORD.fullmatch(text):
        return _WORDS[text.lower()]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if abs(number) != float("inf") else text  # JSON has no infinity
    return text


def _syntax_flaw(error: yaml.YAMLError, reader: _Reader, first_line: int) -> Flaw:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = reader.line_at(mark) if mark else first_line
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).split("\n")[0]
    context = getattr(error, "context", None)
    hint = "text with `: ` or ` #` in it, or that starts with one of `*&!%@[{`, has to be quoted"
    return Flaw(line, f"this is no YAML: {f'{context}, ' if context else ''}{what}", hint, lost="document")
