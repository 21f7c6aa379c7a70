"""Values that can be read from a syntax tree without running anything."""

from __future__ import annotations

import ast
import math
from collections import Counter
from functools import cached_property
from typing import Any, Final, NamedTuple

COMPUTED: Final[Any] = object()
"""Stands for an expression whose value is known only by running it."""


class Literals:
    """Reads expressions of one module: literals, and names that the module gives one literal value for good."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree

    def read(self, node: ast.expr) -> Any:
        """The expression's value as plain JSON values (a tuple or set is a list), or `COMPUTED`."""
        match node:
            case ast.Constant(value=str() | int() | None):
                return node.value
            case ast.Constant(value=float() as number) if math.isfinite(number):
                return number
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
            case ast.List() | ast.Tuple():
                return self._items(node.elts)
            case ast.Set():
                items = self._items(node.elts)
                return items if items is COMPUTED else sorted(items, key=repr)
            case ast.Dict():
                return self._mapping(node)
            case ast.BinOp(op=ast.Add()):
                parts = self.read(node.left), self.read(node.right)
                return "".join(parts) if all(isinstance(part, str) for part in parts) else COMPUTED
            case ast.Name(id="__doc__"):
                return ast.get_docstring(self._tree) or COMPUTED
            case ast.Name():
                value = self._constants.get(node.id)
                return COMPUTED if value is None else self.read(value)
        return COMPUTED

    def defines(self, name: str) -> bool:
        """Whether the module itself gives `name` a meaning, by anything but an import."""
        return self._names.stored[name] > self._names.imported[name]

    def _items(self, nodes: list[ast.expr]) -> Any:
        items = [self.read(node) for node in nodes]
        return COMPUTED if any(item is COMPUTED for item in items) else items

    def _mapping(self, node: ast.Dict) -> Any:
        keys = [COMPUTED if key is None else self.read(key) for key in node.keys]
        values = self._items(node.values)
        if values is COMPUTED or not all(isinstance(key, str) for key in keys):
            return COMPUTED
        return dict(zip(keys, values, strict=True))

    @cached_property
    def _constants(self) -> dict[str, ast.expr]:
        """Names bound once in the whole module, at its top, to something that nothing changes afterwards."""
        found: dict[str, ast.expr] = {}
        for statement in self._tree.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    found[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    found[name] = value
        return {
            name: value
            for name, value in found.items()
            if self._names.stored[name] == 1
            and not _names_in(value)  # what refers to another name could refer to itself
            and not (name in self._names.may_change and isinstance(value, ast.List | ast.Dict | ast.Set))
        }

    @cached_property
    def _names(self) -> _Names:
        return _names(self._tree)


class _Names(NamedTuple):
    """How a module uses names: how often it gives each a meaning, in all and by imports, and which it may change.

    Changed is what stands in `NAME.append(x)`, `NAME[0] = x` or `f(NAME)`.
    """

    stored: Counter[str]
    imported: Counter[str]
    may_change: set[str]


def _names(tree: ast.Module) -> _Names:
    names = _Names(Counter(), Counter(), set())
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        children = list(ast.iter_child_nodes(node))
        waiting += children
        if type(node) in _BINDING:
            bound = _bound_by(node)
            names.stored.update(bound)
            if isinstance(node, ast.alias):
                names.imported.update(bound)
        if not _only_looks(node):
            names.may_change.update(
                child.id for child in children if type(child) is ast.Name and type(child.ctx) is ast.Load
            )
    return names


_LOOKING = (ast.Compare, ast.For, ast.comprehension)
"""Parents of a name that leave its value alone."""

_BINDING = frozenset({
    ast.Name, ast.arg, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs,
    ast.MatchStar, ast.MatchMapping, ast.alias, ast.Global, ast.Nonlocal,
})  # fmt: skip


def _only_looks(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg in ("choices", "default")
    return isinstance(node, _LOOKING)


def _names_in(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Name) for part in ast.walk(node))


def _bound_by(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.ClassDef(name=name):
            return [name]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.MatchMapping(rest=str(name)):
            return [name]
        case ast.alias():
            return [node.asname or node.name.partition(".")[0]]
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return list(names)
    return []
