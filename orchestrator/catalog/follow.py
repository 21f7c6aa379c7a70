"""Follows argparse objects through a script's syntax tree, as Python would run it, without running it.

Statements are walked in order from the top of the module; calls of the module's own functions are followed with
what they are given, so that `add_common(parser)` and `parser = build()` are understood. What happens in a loop, or
under a condition, to an object made outside of it may happen or not: it is noted and left out, never guessed.
"""

from __future__ import annotations

import ast
from collections import ChainMap
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orchestrator.catalog.building import Builder, Tracked
from orchestrator.catalog.literals import Literals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.catalog.parsers import Blocks, Parser

MAX_CALLS = 300
"""Calls of a script's own functions that are followed; a script that builds a parser makes a few."""

MAX_DEPTH = 10


@dataclass(eq=False, slots=True)
class Function:
    """A function of the script and the names that it sees."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    scope: Scope
    is_method: bool = False


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that `argparse` defines, by its name there; the module itself is ``."""

    name: str


Scope = ChainMap[str, Any]
MODULE: Final = Marker("")


def read_parser(tree: ast.Module) -> tuple[Parser | None, tuple[str, ...]]:
    """The parser that a script uses, None where there is none or it can't be told; and what can't be known."""
    walk = _Walk(tree)
    walk.module()
    roots = [parser for parser in walk.roots if not parser.is_parent]
    asked = [parser for parser in roots if parser.is_asked] or roots
    if len(asked) > 1:
        return None, (f"it makes {len(asked)} argument parsers: which one it uses can't be told",)
    return (asked[0] if asked else None), tuple(dict.fromkeys(walk.unread))


class _Walk:
    """One pass over a module. `roots` and `unread` hold what it found."""

    def __init__(self, tree: ast.Module) -> None:
        self.roots: list[Parser] = []
        self.unread: list[str] = []
        self._tree = tree
        self._literals = Literals(tree)
        self._scope: Scope = ChainMap()
        self._functions: list[Function] = []
        self.blocks: Blocks = ()
        self._followed: dict[tuple[Any, ...], Any] = {}
        self._depth = 0
        self._builder = Builder(self)

    # What `building.Site` asks for.

    def read(self, node: ast.expr) -> Any:
        return self._literals.read(node)

    def defines(self, name: str) -> bool:
        return self._literals.defines(name)

    def marker(self, node: ast.expr) -> str | None:
        value = self._looked_up(node, self._scope)
        return value.name if isinstance(value, Marker) else None

    def note(self, node: ast.AST, sentence: str) -> None:
        self.unread.append(f"line {getattr(node, 'lineno', 0)}: {sentence}")

    # Statements.

    def module(self) -> None:
        """Walk the module, then functions that nothing was seen to call, until a parser is asked for its arguments."""
        self._body(self._tree.body)
        for function in list(self._functions):
            if any(parser.is_asked and not parser.is_parent for parser in self.roots):
                return
            self._follow(function, {})

    def _body(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                function = self._scope[node.name] = Function(node, self._scope)
                self._functions.append(function)
            case ast.ClassDef():
                self._class(node)
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.Assign(targets=targets, value=value):
                self._bind(targets, self.value(value))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._bind([target], self.value(value))
            case ast.Return(value=ast.expr() as value):
                self._return(self.value(value))
            case ast.If(test=test, body=body, orelse=orelse):
                self._if(node, test, body, orelse)
            case ast.Try() | ast.TryStar():
                self._body([*node.body, *node.orelse, *node.finalbody])
                with self._uncertain(node):
                    self._body([statement for handler in node.handlers for statement in handler.body])
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self.value(item.context_expr)
                self._body(node.body)
            case _:
                self._other(node)

    def _return(self, value: Any) -> None:
        if value is not None:
            self._scope.maps[0].setdefault("return", value)  # no name can be `return`

    def _if(self, node: ast.If, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        self.value(test)
        if ast.unparse(test) in ("__name__ == '__main__'", "'__main__' == __name__"):
            self._body(body)
            return
        with self._uncertain(node):
            self._body(body)
            self._body(orelse)

    def _other(self, node: ast.AST) -> None:
        """A loop, a `match` or a statement that holds no others: its parts may run or not."""
        with self._uncertain(node) if isinstance(node, _UNCERTAIN) else nullcontext():
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.stmt):
                    self._statement(child)
                elif isinstance(child, ast.expr):
                    self.value(child)
                else:
                    self._other(child)

    def _class(self, node: ast.ClassDef) -> None:
        if any(self.marker(base) == "ArgumentParser" for base in node.bases):
            self._scope[node.name] = Marker("ArgumentParser")
            if any(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in node.body):
                self.note(node, f"`{node.name}` may add arguments of its own")
            return
        scope = self._scope.new_child()
        for part in node.body:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                function = scope[f"self.{part.name}"] = Function(part, scope, is_method=True)
                self._functions.append(function)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if isinstance(node, ast.ImportFrom):
                is_ours = node.module == "argparse" and node.level == 0
                for known in _NAMES if name == "*" else (name,):
                    self._scope[known] = Marker(known if name == "*" else alias.name) if is_ours else None
            else:
                self._scope[name] = MODULE if alias.name == "argparse" else None

    def _bind(self, targets: Sequence[ast.expr], value: Any) -> None:
        for target in targets:
            key = _key(target)
            if key is not None:
                is_shared = "." in key and len(self._scope.maps) > 1  # `self.parser` belongs to the class
                self._scope.maps[1 if is_shared else 0][key] = value
            elif isinstance(target, ast.Tuple | ast.List):
                self._bind(target.elts, None)
            else:
                self.value(target)

    # Expressions.

    def value(self, node: ast.expr) -> Any:
        """What an expression is, as far as argparse is concerned; None for everything else."""
        match node:
            case ast.Name():
                return self._scope.get(node.id)
            case ast.Attribute():
                known = self._looked_up(node, self._scope)
                if known is None:
                    self.value(node.value)
                return known
            case ast.Call():
                return self._call(node)
            case ast.NamedExpr(target=target, value=value):
                found = self.value(value)
                self._bind([target], found)
                return found
            case ast.Await(value=value):
                return self.value(value)
        self._other(node)
        return None

    def _looked_up(self, node: ast.expr, scope: Scope) -> Any:
        key = _key(node)
        if key is None or key in scope:
            return scope.get(key or "")
        owner, _, name = key.rpartition(".")
        return Marker(name) if scope.get(owner) == MODULE else None

    def _call(self, node: ast.Call) -> Any:
        owner: Any = None
        target: Any = None
        if isinstance(node.func, ast.Attribute):
            target = self._looked_up(node.func, self._scope)
            owner = None if target is not None else self.value(node.func.value)
        else:
            target = self.value(node.func)
        given = self._given(node)
        if isinstance(owner, Tracked):
            return self._builder.call(owner, node.func.attr, node)  # type: ignore[attr-defined]  # an Attribute
        if target == Marker("ArgumentParser"):
            parser = self._builder.new_parser(node)
            self.roots.append(parser)
            return parser
        if isinstance(target, Function):
            return self._follow(target, _parameters(target, node, given))
        if any(isinstance(value, Tracked) for value in given.values()):
            self.note(node, f"`{ast.unparse(node.func)[:60]}` may add arguments")
        return None

    def _given(self, node: ast.Call) -> dict[str | int, Any]:
        """The call's arguments: each expression is evaluated here, once."""
        given: dict[str | int, Any] = {index: self.value(value) for index, value in enumerate(node.args)}
        for index, keyword in enumerate(node.keywords):
            given[keyword.arg or -1 - index] = self.value(keyword.value)
        return given

    def _follow(self, function: Function, parameters: dict[str, Any]) -> Any:
        """What a call of one of the script's functions returns; its body is walked once for the same arguments."""
        key = (function, *((name, value) for name, value in parameters.items() if value is not None))
        if key in self._followed:
            return self._followed[key]
        self._followed[key] = None
        if self._depth >= MAX_DEPTH or len(self._followed) > MAX_CALLS:
            self.note(function.node, f"`{function.node.name}` is nested too deep to be followed")
            return None
        names = [argument.arg for argument in _all_parameters(function.node)]
        scope, self._scope = self._scope, function.scope.new_child(dict.fromkeys(names) | parameters)
        self._depth += 1
        self._body(function.node.body)
        self._depth -= 1
        value = self._followed[key] = self._scope.maps[0].get("return")
        self._scope = scope
        return value

    @contextmanager
    def _uncertain(self, node: ast.AST) -> Iterator[None]:
        outside, self.blocks = self.blocks, (*self.blocks, node)
        yield
        self.blocks = outside


_NAMES = (
    "ArgumentParser",
    "BooleanOptionalAction",
    "FileType",
    "REMAINDER",
    "SUPPRESS",
    "ZERO_OR_MORE",
    "ONE_OR_MORE",
    "OPTIONAL",
)
_UNCERTAIN = (
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.Match,
    ast.IfExp,
    ast.BoolOp,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


def _key(node: ast.expr) -> str | None:
    """`parser` or `self.parser` as text; None for what is no plain name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return f"{owner}.{name}"
    return None


def _all_parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    spec = node.args
    named = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
    return [*named, *(extra for extra in (spec.vararg, spec.kwarg) if extra is not None)]


def _parameters(function: Function, node: ast.Call, given: dict[str | int, Any]) -> dict[str, Any]:
    """What each parameter of a function gets in a call; a starred argument gives none."""
    positional = [argument.arg for argument in (*function.node.args.posonlyargs, *function.node.args.args)]
    positional = positional[1:] if function.is_method else positional
    if any(isinstance(value, ast.Starred) for value in node.args):
        return {}
    found = {name: given[index] for index, name in enumerate(positional) if index in given}
    return found | {name: value for name, value in given.items() if isinstance(name, str)}
