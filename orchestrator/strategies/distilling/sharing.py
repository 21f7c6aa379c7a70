"""Which names may share objects, so that a change through one is a change of the other."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from orchestrator.strategies.distilling.cell_run import GIVEN
from orchestrator.strategies.distilling.known_calls import FRESH, HOLDING, LOOKING
from orchestrator.strategies.distilling.syntax import dotted, root_of

_PARTS = frozenset({"get", "setdefault", "pop", "values", "items", "popleft"})
_FRESH_METHODS = LOOKING - {*_PARTS, "copy", "union", "keys"}


@dataclass
class Sharing:
    """Grows statement by statement. `parts[x]`: x is, or is inside of, these; `holds[x]`: x is new and has parts of these."""

    parts: dict[str, set[str]] = field(default_factory=dict)
    holds: dict[str, set[str]] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=lambda: set(GIVEN - {"context", "inputs", "history"}))

    def take_in(self, statement: ast.AST, aliases: dict[str, str]) -> None:
        """Note what the assignments, loops, calls and definitions in a statement make shared."""
        self.ignored |= aliases.keys()
        for node in ast.walk(statement):
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        self._bind(target, value, aliases)
                case (
                    ast.AnnAssign(target=target, value=ast.expr() as value)
                    | ast.NamedExpr(target=target, value=value)
                ):
                    self._bind(target, value, aliases)
                case ast.AugAssign(target=target, value=value):  # `d += [a]`: d holds a from now on
                    self._put_into(root_of(target), set().union(*_shared(value, aliases)))
                case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                    self._note(target, _names(value), set())
                case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                    self._note(target, _names(value), set())
                case ast.Call(func=ast.Attribute(value=whole, attr=attr), args=args) if attr not in LOOKING:
                    self._put_into(root_of(whole), set().union(*_together(args, aliases)))
                case ast.Call(func=ast.Name(id=name), args=args):
                    self._hand_to(name, args)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    self.parts.setdefault(name, set()).update(self._own(_names(node)) - {name})

    def changed_with(self, names: set[str], inside: set[str]) -> set[str]:
        """All names whose objects may be altered when those of these names are, of some of them (`inside`) a part."""
        wholes = self._reached(names, [self.parts])
        wholes |= self._reached((wholes - names) | (inside & names), [self.parts, self.holds])
        new = wholes
        while new:
            new = {
                name for table in (self.parts, self.holds) for name, of in table.items() if of & new
            } - wholes
            wholes = wholes | new
        return wholes

    def _bind(self, target: ast.expr, value: ast.expr, aliases: dict[str, str]) -> None:
        parts, holds = _shared(value, aliases)
        if isinstance(target, ast.Tuple | ast.List):
            parts, holds = parts | holds, set()
        elif isinstance(target, ast.Attribute | ast.Subscript):
            self._put_into(root_of(target), parts | holds)
            return
        self._note(target, parts, holds)

    def _put_into(self, whole: str | None, names: set[str]) -> None:
        if whole is not None:
            self.holds.setdefault(whole, set()).update(self._own(names) - {whole})

    def _hand_to(self, function: str, args: list[ast.expr]) -> None:
        """What a function of a cell is given may come to be held by all that it names."""
        given = set().union(*map(_names, args)) if args else set()
        for called in {function, *given}:
            for whole in self.parts.get(called, ()):
                self._put_into(whole, given - {called})

    def _own(self, names: set[str]) -> set[str]:
        """Those of the names that are variables of cells: not modules, not what the REPL gives to call."""
        return names - self.ignored

    def _note(self, target: ast.AST, parts: set[str], holds: set[str]) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.parts.setdefault(node.id, set()).update(self._own(parts) - {node.id})
                self.holds.setdefault(node.id, set()).update(self._own(holds) - {node.id})

    @staticmethod
    def _reached(names: set[str], tables: list[dict[str, set[str]]]) -> set[str]:
        found, new = set(names), set(names)
        while new:
            new = {of for name in new for table in tables for of in table.get(name, ())} - found
            found |= new
        return found


def _shared(value: ast.expr, aliases: dict[str, str]) -> tuple[set[str], set[str]]:
    """The names that a value is, or is a part of; and those whose parts it holds."""
    match value:
        case ast.Name(id=name):
            return {name}, set()
        case ast.Subscript(value=inner, slice=ast.Slice()):
            return set(), _names(inner)
        case ast.Attribute() | ast.Subscript() | ast.Starred():
            root = root_of(value)
            return ({root} if root else _names(value)), set()
        case ast.IfExp(body=body, orelse=orelse):
            return _together([body, orelse], aliases)
        case ast.BoolOp(values=values):
            return _together(values, aliases)
        case ast.NamedExpr(value=inner) | ast.Await(value=inner):
            return _shared(inner, aliases)
        case ast.Call():
            return _shared_by_call(value, aliases)
        case ast.Lambda():
            return _names(value), set()
        case ast.Constant() | ast.JoinedStr() | ast.Compare() | ast.UnaryOp():
            return set(), set()
    return set(), _names(value)


def _shared_by_call(call: ast.Call, aliases: dict[str, str]) -> tuple[set[str], set[str]]:
    name = dotted(call.func, aliases)
    if isinstance(call.func, ast.Attribute):
        if call.func.attr in _PARTS:
            return _names(call.func.value), set().union(*map(_names, call.args)) if call.args else set()
        if call.func.attr in _FRESH_METHODS or name.partition(".")[0] in (
            "skills",
            "memory",
            "json",
            "re",
            "math",
        ):
            return set(), set()
    if name in FRESH or name in (
        "llm_query",
        "llm_query_batched",
        "rlm_query",
        "rlm_query_batched",
        "pieces",
    ):
        return set(), set()
    return (set(), _names(call)) if name in HOLDING else (_names(call), set())


def _together(values: list[ast.expr], aliases: dict[str, str]) -> tuple[set[str], set[str]]:
    found = [_shared(value, aliases) for value in values]
    return set().union(*(parts for parts, _ in found)), set().union(*(holds for _, holds in found))


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
