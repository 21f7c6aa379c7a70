"""One key of a frontmatter changed, and every other byte as it was: comments, order, quotes, line ends.

PyYAML says where each node begins and ends; the new text goes in between. What comes out is read again: where
anything but the one value differs, nothing is changed.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from orchestrator.documents import frontmatter, yaml_values
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    if missing or not isinstance(found, yaml.SequenceNode) or not found.value:
        return with_value(text, key, list(items))
    if _is_already(text, key, list(items)):
        return text
    if found.flow_style:
        written = {node.value: head[node.start_mark.index : _end(head, node)] for node in found.value}
        changed = _replaced(head, found, f"[{', '.join(written.get(name, _flow(name)) for name in items)}]")
    else:
        changed = _moved(head, found, items)
    return _checked(text, (start, end), changed, key, list(items))


def _moved(head: str, node: yaml.SequenceNode, items: Sequence[str]) -> str:
    """The lines of a block list in another order. A new item gets a line like that of the first."""
    chunks = _chunks(head, node)
    lines = {one.value: head[slice(*chunk)] for one, chunk in zip(node.value, chunks, strict=True)}
    (first, _), (_, last) = chunks[0], chunks[-1]
    start = head[first : node.value[0].start_mark.index]
    ends = _END.search(head, first)
    moved = (lines.get(name, f"{start}{_flow(name)}{ends[0] if ends else chr(10)}") for name in items)
    return head[:first] + "".join(moved) + head[last:]


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


def _root(head: str) -> yaml.MappingNode:
    try:
        root = yaml.compose(head, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _by_hand("it is no YAML that can be changed") from error
    if not isinstance(root, yaml.MappingNode) or not root.value:
        raise _by_hand("it is no mapping")
    return root


def _find(root: yaml.MappingNode, key: Key) -> tuple[yaml.Node, Key]:
    """The node of a key, or the nearest mapping around it and what is missing in that."""
    node: yaml.Node = root
    for depth, name in enumerate(key):
        if not isinstance(node, yaml.MappingNode):
            return (
                (node, key[depth:]) if _is_null(node) else _refuse(f"`{'.'.join(key[:depth])}` is no mapping")
            )
        values = [value for one, value in node.value if one.value == name]
        if len(values) > 1:
            raise _by_hand(f"`{name}` stands twice")
        if not values:
            return node, key[depth:]
        node = values[0]
    return node, ()


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _replaced(head: str, node: yaml.Node, new: str) -> str:
    start, end = node.start_mark.index, _end(head, node)
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        # Its lines go, and the value stands behind the colon.
        start = len(head[:start].rstrip())
        while head[:start].rpartition("\n")[2].lstrip().startswith("#"):
            start = len(head[: head.rindex("\n", 0, start)].rstrip())
        new = f" {new}"
    elif _is_null(node) and start == end:
        new = f" {new}"
        start = end = len(head[:start].rstrip())
    return head[:start] + new + head[end:]


def _added(head: str, node: yaml.Node, missing: Key, value: Any) -> str:
    new = _flow(value)
    for name in reversed(missing[1:]):
        new = f"{{{name}: {new}}}"
    entry = f"{missing[0]}: {new}"
    if _is_null(node):
        return _replaced(head, node, f"{{{entry}}}")
    assert isinstance(node, yaml.MappingNode)
    if node.flow_style:
        if not node.value:
            return _replaced(head, node, f"{{{entry}}}")
        at = _end(head, node.value[-1][1])
        return f"{head[:at]}, {entry}{head[at:]}"
    (first, _), (last, value_node) = node.value[0], node.value[-1]
    if isinstance(value_node, yaml.ScalarNode) and value_node.style in ("|", ">"):
        at = _line_start(
            head, last.start_mark.index
        )  # above it: a line below it would end its text otherwise
    else:
        line = _LINE.match(head, _end(head, value_node))
        at = line.end() if line else len(head)
    ends = _END.search(head)
    newline = ends[0] if ends else "\n"
    return f"{head[:at]}{' ' * first.start_mark.column}{entry}{newline}{head[at:]}"


def _line_start(head: str, at: int) -> int:
    return max(head.rfind("\n", 0, at), head.rfind("\r", 0, at)) + 1


def _end(head: str, node: yaml.Node) -> int:
    """Where a node's own text ends: PyYAML counts what is below a block to it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(head, last[1] if isinstance(last, tuple) else last)
    start = node.start_mark.index
    return start + len(head[start : node.end_mark.index].rstrip())


def _chunks(head: str, node: yaml.SequenceNode) -> list[tuple[int, int]]:
    """The lines of each item of a block list."""
    starts = [_line_start(head, one.start_mark.index) for one in node.value]
    last = _LINE.match(head, _end(head, node))
    ends = [*starts[1:], last.end() if last else len(head)]
    return list(zip(starts, ends, strict=True))


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


def _refuse(why: str) -> Any:
    raise _by_hand(why)


def _by_hand(why: str) -> UsageError:
    return UsageError(f"the frontmatter is left as it is: {why}", hint="make the change in the file yourself")
