"""Follows argparse objects through a script's syntax tree, as Python would run it, without running it.

Statements are walked in order from the top of the module; calls of the module's own functions are followed with
what they are given, so that `add_common(parser)` and `parser = build()` are understood. What happens in a loop, or
under a condition, to an object made outside of it may happen or not: it is noted and left out, never guessed.
"""

from __future__ import annotations

import ast
from collections import ChainMap
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from orchestrator.catalog.arguments import read_argument
from orchestrator.catalog.literals import COMPUTED, Literals
from orchestrator.catalog.parsers import ABSENT, Blocks, Commands, Exclusive, Group, Parser, fits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
Tracked = Parser | Commands | Group


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
        self._blocks: Blocks = ()
        self._followed: dict[tuple[Any, ...], Any] = {}
        self._depth = 0

    # What `arguments.Source` asks for.

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
                self._bind(targets, self._value(value))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._bind([target], self._value(value))
            case ast.Return(value=ast.expr() as value):
                self._return(self._value(value))
            case ast.If(test=test, body=body, orelse=orelse):
                self._if(node, test, body, orelse)
            case ast.Try() | ast.TryStar():
                self._body([*node.body, *node.orelse, *node.finalbody])
                with self._uncertain(node):
                    self._body([statement for handler in node.handlers for statement in handler.body])
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self._value(item.context_expr)
                self._body(node.body)
            case _:
                self._other(node)

    def _return(self, value: Any) -> None:
        if value is not None:
            self._scope.maps[0].setdefault("return", value)  # no name can be `return`

    def _if(self, node: ast.If, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        self._value(test)
        if ast.unparse(test) in ("__name__ == '__main__'", "'__main__' == __name__"):
            self._body(body)
            return
        with self._uncertain(node):
            self._body(body)
            self._body(orelse)

    def _other(self, node: ast.AST) -> None:
        """A loop, a `match` or a statement that holds no others: its parts may run or not."""
        with self._uncertain(node) if isinstance(node, _UNCERTAIN) else _certain():
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.stmt):
                    self._statement(child)
                elif isinstance(child, ast.expr):
                    self._value(child)
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
                self._value(target)

    # Expressions.

    def _value(self, node: ast.expr) -> Any:
        """What an expression is, as far as argparse is concerned; None for everything else."""
        match node:
            case ast.Name():
                return self._scope.get(node.id)
            case ast.Attribute():
                known = self._looked_up(node, self._scope)
                if known is None:
                    self._value(node.value)
                return known
            case ast.Call():
                return self._call(node)
            case ast.NamedExpr(target=target, value=value):
                found = self._value(value)
                self._bind([target], found)
                return found
            case ast.Await(value=value):
                return self._value(value)
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
            owner = None if target is not None else self._value(node.func.value)
        else:
            target = self._value(node.func)
        given = self._given(node)
        if isinstance(owner, Tracked):
            return self._method(owner, node.func.attr, node)  # type: ignore[attr-defined]  # an Attribute
        if target == Marker("ArgumentParser"):
            parser = self._new_parser(node)
            self.roots.append(parser)
            return parser
        if isinstance(target, Function):
            return self._follow(target, _parameters(target, node, given))
        if any(isinstance(value, Tracked) for value in given.values()):
            self.note(node, f"`{ast.unparse(node.func)[:60]}` may add arguments")
        return None

    def _given(self, node: ast.Call) -> dict[str | int, Any]:
        """The call's arguments: each expression is evaluated here, once."""
        given: dict[str | int, Any] = {index: self._value(value) for index, value in enumerate(node.args)}
        for index, keyword in enumerate(node.keywords):
            given[keyword.arg or -1 - index] = self._value(keyword.value)
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

    # Calls of argparse's own methods.

    def _method(self, owner: Tracked, name: str, node: ast.Call) -> Any:
        parser = owner.parser if isinstance(owner, Group) else owner
        if name in _BUILDING and owner.blocks != self._blocks:
            self.note(node, f"what `{name}` adds is left out: it happens in a loop or under a condition")
            return Parser(self._blocks) if name == "add_parser" else None
        if isinstance(parser, Commands):
            return self._add_parser(parser, node) if name == "add_parser" else None
        match name:
            case "add_argument":
                self._add_argument(owner, parser, node)
            case "add_argument_group":
                return Group(self._blocks, parser, owner.exclusive if isinstance(owner, Group) else None)
            case "add_mutually_exclusive_group":
                group = Exclusive(self._flag(node, "required"))
                parser.exclusives.append(group)
                return Group(self._blocks, parser, group)
            case "add_subparsers":
                return self._add_subparsers(parser, node)
            case "set_defaults":
                self._set_defaults(parser, node)
            case "parse_args" | "parse_known_args" | "parse_intermixed_args" | "parse_known_intermixed_args":
                parser.is_asked = True
                if "known" in name:
                    self.note(node, "it also takes arguments that it does not declare")
            case _ if name.startswith("_") or name == "register":
                self.note(node, f"what `{name}` does to the parser is not read")
        return None

    def _add_argument(self, owner: Tracked, parser: Parser, node: ast.Call) -> None:
        arguments = read_argument(node, parser.prefix_chars, self)
        if parser.commands is not None and any(argument.option is None for argument in arguments):
            self.note(node, "a positional argument after the commands is left out")
            return
        parser.arguments += arguments
        if isinstance(owner, Group) and owner.exclusive is not None:
            owner.exclusive.keywords += [argument.keyword for argument in arguments]

    def _add_subparsers(self, parser: Parser, node: ast.Call) -> Commands:
        dest = self._text(node, "dest")
        taken = {argument.keyword for argument in parser.arguments}
        keyword = (dest or ("subcommand" if "command" in taken else "command")).replace("-", "_")
        parser.commands = Commands(self._blocks, keyword, self._flag(node, "required"))
        return parser.commands

    def _add_parser(self, commands: Commands, node: ast.Call) -> Parser:
        parser = self._new_parser(node)
        name = self.read(node.args[0]) if node.args else COMPUTED
        aliases: Any = next((self.read(word.value) for word in node.keywords if word.arg == "aliases"), [])
        if isinstance(name, str):
            parser.description = parser.description or self._text(node, "help")
            commands.parsers[name] = parser
            commands.aliases[name] = aliases if isinstance(aliases, list) else []
        else:
            self.note(node, "a command is left out: its name is computed")
        return parser

    def _new_parser(self, node: ast.Call) -> Parser:
        parser = Parser(
            self._blocks,
            prefix_chars=self._text(node, "prefix_chars") or "-",
            fromfile_prefix_chars=self._text(node, "fromfile_prefix_chars"),
            description=self._text(node, "description"),
        )
        for keyword in node.keywords:
            if keyword.arg == "parents":
                self._inherit(parser, keyword.value)
            elif keyword.arg is None or keyword.arg in ("argument_default", "conflict_handler"):
                self.note(node, f"what `{keyword.arg or '**'}` does to the parser is not read")
        return parser

    def _inherit(self, parser: Parser, node: ast.expr) -> None:
        parts = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
        for part in parts:
            parent = self._value(part)
            if isinstance(parent, Parser):
                parent.is_parent = True
                parser.arguments += parent.arguments
                parser.exclusives += parent.exclusives
            else:
                self.note(node, "the arguments of a parent parser can't be read")

    def _set_defaults(self, parser: Parser, node: ast.Call) -> None:
        for keyword in node.keywords:
            value = self.read(keyword.value)
            for index, argument in enumerate(parser.arguments):
                if argument.keyword == keyword.arg:
                    usable = (
                        value is not COMPUTED and argument.how != "count" and fits(value, argument.schema)
                    )
                    parser.arguments[index] = replace(argument, default=value if usable else ABSENT)
                    if not usable:
                        self.note(node, f"the default of `{argument.keyword}` can't be read")

    def _text(self, node: ast.Call, name: str) -> str:
        value = next((self.read(keyword.value) for keyword in node.keywords if keyword.arg == name), "")
        return value if isinstance(value, str) else ""

    def _flag(self, node: ast.Call, name: str) -> bool:
        return next(
            (self.read(keyword.value) is True for keyword in node.keywords if keyword.arg == name), False
        )

    @contextmanager
    def _uncertain(self, node: ast.AST) -> Iterator[None]:
        outside, self._blocks = self._blocks, (*self._blocks, node)
        yield
        self._blocks = outside


_BUILDING = (
    "add_argument",
    "add_argument_group",
    "add_mutually_exclusive_group",
    "add_subparsers",
    "add_parser",
    "set_defaults",
)
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


@contextmanager
def _certain() -> Iterator[None]:
    yield


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
