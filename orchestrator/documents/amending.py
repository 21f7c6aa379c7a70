"""One key of a frontmatter changed, and every other byte as it was: comments, order, quotes, line ends.

PyYAML says where each node begins and ends; the new text goes in between. What comes out is read again: where
anything but the one value differs, nothing is changed.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from orchestrator.documents import frontmatter, yaml_values
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.documents.yaml_values import Node

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_END = re.compile(r"\r\n|\r|\n")

Key = tuple[str, ...]
"""A key of the frontmatter, or one of a mapping in it."""


def with_value(text: str, key: Key, value: Any) -> str:
    """The text with a key at this value, replaced or added. `value` is a text, a number or a list of texts.

    Raises UsageError where the frontmatter can't be changed so: a person has to do it then.
    """
    start, end = _span(text)
    head = text[start:end]
    found, missing = _find(_root(head), key)
    if not missing and _is_already(text, key, value):
        return text
    changed = _added(head, found, missing, value) if missing else _replaced(head, found, _flow(value))
    return _checked(text, (start, end), changed, key, value)


def with_items(text: str, key: Key, items: Sequence[str]) -> str:
    """The text with a list of these items: some that stand there, in any order, behind others that do not.

    Each keeps the form that it is written in; in a list of lines it takes its line along, with the comment on it and
    those below. Raises UsageError as `with_value` does.
    """
    start, end = _span(text)
    head = text[start:end]
    found, missing = _find(_root(head), key)
    if missing or not found.items:
        return with_value(text, key, list(items))
    if _is_already(text, key, list(items)):
        return text
    if found.is_block:
        changed = _moved(head, found.items, items)
    else:
        there = {one.text: head[one.start : one.end] for one in found.items}
        changed = _replaced(head, found, f"[{', '.join(there.get(name, _flow(name)) for name in items)}]")
    return _checked(text, (start, end), changed, key, list(items))


def _moved(head: str, there: Sequence[Node], items: Sequence[str]) -> str:
    """The lines of a block list in another order. A new item gets a line like that of the first."""
    starts = [_line_start(head, one.start) for one in there]
    ends = [*starts[1:], _line_end(head, there[-1].end)]
    lines = {one.text: head[start:end] for one, start, end in zip(there, starts, ends, strict=True)}
    begin = head[starts[0] : there[0].start]
    moved = (lines.get(name, f"{begin}{_flow(name)}{_newline(head)}") for name in items)
    return head[: starts[0]] + "".join(moved) + head[ends[-1] :]


def _is_already(text: str, key: Key, value: Any) -> bool:
    now = _read(text).value
    for name in key:
        now = now.get(name) if isinstance(now, dict) else None
    return bool(now == value)


def _span(text: str) -> tuple[int, int]:
    """Where the lines between the two `---` begin and end."""
    at, opened = int(text.startswith("\ufeff")), None
    while at < len(text):
        line = _LINE.match(text, at)
        assert line is not None  # it fits nothing too
        said = line[0].strip()
        if opened is None and said and line[0].rstrip() != frontmatter.FENCE:
            break
        if line[0].rstrip() == frontmatter.FENCE:
            if opened is not None:
                return opened, at
            opened = line.end()
        at = line.end()
    raise UsageError(
        "there is no frontmatter to change", hint="write one, with `name:` and what is proposed, yourself"
    )


def _root(head: str) -> Node:
    root = yaml_values.written(head)
    if root is None and head.strip():
        raise _by_hand("it is no YAML that can be changed")
    if root is None or not root.entries:
        raise _by_hand("it is no mapping")
    return root


def _find(root: Node, key: Key) -> tuple[Node, Key]:
    """The node of a key, or the nearest mapping around it and what is missing in that."""
    node = root
    for depth, name in enumerate(key):
        if node.entries is None:
            if not node.is_null:
                raise _by_hand(f"`{'.'.join(key[:depth])}` is no mapping")
            return node, key[depth:]
        values = [value for one, value in node.entries if one.text == name]
        if len(values) > 1:
            raise _by_hand(f"`{name}` stands twice")
        if not values:
            return node, key[depth:]
        node = values[0]
    return node, ()


def _replaced(head: str, node: Node, new: str) -> str:
    start, end = node.start, node.end
    if node.is_block and node.text is None:
        # Its lines go, and the value stands behind the colon.
        start = len(head[:start].rstrip())
        while head[:start].rpartition("\n")[2].lstrip().startswith("#"):
            start = len(head[: head.rindex("\n", 0, start)].rstrip())
        new = f" {new}"
    elif node.is_null and start == end:
        new = f" {new}"
        start = end = len(head[:start].rstrip())
    return head[:start] + new + head[end:]


def _added(head: str, node: Node, missing: Key, value: Any) -> str:
    new = _flow(value)
    for name in reversed(missing[1:]):
        new = f"{{{name}: {new}}}"
    entry = f"{missing[0]}: {new}"
    if not node.entries:
        return _replaced(head, node, f"{{{entry}}}")
    (first, _), (key, last) = node.entries[0], node.entries[-1]
    if not node.is_block:
        return f"{head[: last.end]}, {entry}{head[last.end :]}"
    is_text = last.is_block and last.text is not None  # a line below it would end its text otherwise
    at = _line_start(head, key.start) if is_text else _line_end(head, last.end)
    return f"{head[:at]}{' ' * first.column}{entry}{_newline(head)}{head[at:]}"


def _line_start(head: str, at: int) -> int:
    return max(head.rfind("\n", 0, at), head.rfind("\r", 0, at)) + 1


def _line_end(head: str, at: int) -> int:
    line = _LINE.match(head, at)
    return line.end() if line else len(head)


def _newline(head: str) -> str:
    found = _END.search(head)
    return found[0] if found else "\n"


def _flow(value: Any) -> str:
    """The value as it can stand in any place: JSON, but for plain words and for numbers of round size."""
    if isinstance(value, list):
        return f"[{', '.join(_flow(one) for one in value)}]"
    if (
        isinstance(value, str)
        and re.fullmatch(r"[a-z][a-z0-9-]*", value)
        and value not in ("true", "false", "null")
    ):
        return value
    return (
        json.dumps(value, ensure_ascii=False)
        .replace("\x7f", "\\u007f")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
        .replace("\x85", "\\u0085")
    )


def _checked(text: str, span: tuple[int, int], changed: str, key: Key, value: Any) -> str:
    """The whole text, where what it says now is what it said, but for the one value."""
    whole = text[: span[0]] + changed + text[span[1] :]
    before, after = (_read(one) for one in (text, whole))
    wanted = _with(before.value, key, value) if not before.flaws else None
    if before.flaws or after.flaws or after.value != wanted:
        raise _by_hand(f"`{'.'.join(key)}` can't be changed without changing something else")
    return whole


def _read(text: str) -> yaml_values.Located:
    return yaml_values.read(frontmatter.split(frontmatter.normalised(text)).frontmatter or "")


def _with(values: Any, key: Key, value: Any) -> Any:
    if not key:
        return value
    values = values if isinstance(values, dict) else {}
    return {**values, key[0]: _with(values.get(key[0]), key[1:], value)}


def _by_hand(why: str) -> UsageError:
    return UsageError(f"the frontmatter is left as it is: {why}", hint="make the change in the file yourself")
