"""The expressions of an abstract run: what the value of each comes from."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.strategies.distilling.origins import (
    NOTHING,
    SOURCES,
    Spot,
    Value,
    Watcher,
    is_window,
    joined,
    naming,
    picking,
)
from orchestrator.strategies.distilling.sharing import Sharing
from orchestrator.strategies.distilling.syntax import Function, root_of

if TYPE_CHECKING:
    from collections.abc import Sequence

GIVEN_VALUES = {
    "context": Value(frozenset({"context", "whole:context"})),
    "inputs": Value(frozenset({"inputs", "whole:inputs"})),
    "task": Value(frozenset({"task"})),
    "history": Value(frozenset({"context"})),
}


Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Expressions:
    """State of an abstract run. `loops` are those that are being gone through, `control` what decided on being here."""

    def __init__(self, watcher: Watcher | None = None) -> None:
        self.watcher = watcher or Watcher()
        self.at = 0
        self.env: dict[str, Value] = {}
        self.functions: dict[str, Function] = {}
        self.aliases: dict[str, str] = {}
        self.loops: list[str] = []
        self.over: dict[str, Value] = {}  # what each loop goes over
        self.control: list[Value] = []
        self.sharing = Sharing()
        self.answer = NOTHING
        self._n_loops = 0

    def value(self, node: ast.AST | None) -> Value:
        """What an expression comes from."""
        if node is None:
            return NOTHING
        visit = getattr(self, f"_{type(node).__name__}", None)
        if visit is None:
            return self.all_of(ast.iter_child_nodes(node)).as_("text")
        found: Value = visit(node)
        return found

    def all_of(self, nodes: Iterator[ast.AST] | Sequence[ast.AST]) -> Value:
        """What several expressions come from."""
        return joined(self.value(node) for node in nodes)

    def call(self, node: ast.Call) -> Value:
        """What a call comes to."""
        raise NotImplementedError

    def name(self, name: str) -> Value:
        """What a variable comes from."""
        return self.env.get(name) or GIVEN_VALUES.get(name, NOTHING)

    def bind(self, target: ast.AST, value: Value) -> None:
        """Give a target a value: a name anew, or beside its old one where it depends on data whether it gets it."""
        decided = self.decided()
        value = value | decided
        match target:
            case ast.Name(id=name):
                self.env[name] = value | self._old(name, decided)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                for part in parts:
                    self.bind(part, value)
            case ast.Starred(value=inner):
                self.bind(inner, value)
            case ast.Attribute() | ast.Subscript():
                if isinstance(target, ast.Subscript):
                    value = value | self.value(target.slice).as_("text")
                self.put_into(root_of(target), value, inside=not isinstance(target.value, ast.Name))

    def put_into(self, name: str | None, value: Value, *, inside: bool = False) -> None:
        """A value becomes a part of what a variable holds, or of a part of it (`inside`)."""
        if name is not None:
            for one in self.sharing.changed_with({name}, {name} if inside else set()):
                self.env[one] = self.name(one) | value | self.decided()

    def decided(self) -> Value:
        """What decided on being here, as a weak origin."""
        found = joined(value.weak for value in self.control)
        return (
            found.plus("sifted")
            if any(value.has("measured", "found", "sifted") for value in self.control)
            else found
        )

    @contextmanager
    def under(self, *values: Value) -> Iterator[None]:
        """What is done inside depends on these."""
        self.control += values
        try:
            yield
        finally:
            del self.control[len(self.control) - len(values) :]

    @contextmanager
    def each(self, value: Value) -> Iterator[Value]:
        """What is done inside is done for each part of this; gives what one part comes from."""
        self._n_loops += 1
        loop = f"each:{self._n_loops}"
        self.loops.append(loop)
        self.over[loop] = value
        if value.has("piece"):
            self.watcher.cut(value)
        try:
            with self.under(value):
                yield value.plus(loop)
        finally:
            self.loops.pop()

    def is_many(self, value: Value) -> bool:
        """Whether a value is another in each turn of a loop that is gone through."""
        return any(loop in value.of for loop in self.loops)

    def _old(self, name: str, decided: Value) -> Value:
        if not (self.control or self.loops) or name not in self.env:
            return NOTHING
        old = self.env[name]
        return old.as_("chosen") if decided.has("?") else old

    def _Constant(self, node: ast.Constant) -> Value:  # noqa: N802  (these are named for what ast names)
        value = node.value
        if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
            return NOTHING
        how = "chosen" if any(one.has(*SOURCES) for one in self.control) else "whole"
        return Value(spots=frozenset({(how, Spot(self.at, node.lineno, value))}))  # type: ignore[arg-type]  # a literal

    def _Name(self, node: ast.Name) -> Value:  # noqa: N802
        return self.name(node.id)

    def _JoinedStr(self, node: ast.JoinedStr) -> Value:  # noqa: N802
        return self.all_of(node.values).as_("text")

    def _FormattedValue(self, node: ast.FormattedValue) -> Value:  # noqa: N802
        return self.value(node.value)

    def _Call(self, node: ast.Call) -> Value:  # noqa: N802
        return self.call(node)

    def _Attribute(self, node: ast.Attribute) -> Value:  # noqa: N802
        return self.value(node.value)

    def _Await(self, node: ast.Await | ast.Starred) -> Value:  # noqa: N802
        return self.value(node.value)

    _Starred = _Await

    def _Lambda(self, _node: ast.Lambda) -> Value:  # noqa: N802
        return NOTHING

    def _UnaryOp(self, node: ast.UnaryOp) -> Value:  # noqa: N802
        inner = self.value(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            spots = (
                (how, Spot(s.at, s.line, -s.value)) for how, s in inner.spots if not isinstance(s.value, str)
            )
            return Value(inner.of, frozenset(spots))
        return inner.without_spots() if isinstance(node.op, ast.Not) else inner.as_("text")

    def _IfExp(self, node: ast.IfExp) -> Value:  # noqa: N802
        test = self.value(node.test)
        self.watcher.tested(node.test, test)
        with self.under(test.without_spots()):
            return self.value(node.body) | self.value(node.orelse) | test.weak

    def _BoolOp(self, node: ast.BoolOp) -> Value:  # noqa: N802
        first = self.value(node.values[0])
        with self.under(first.without_spots()):
            return first | self.all_of(node.values[1:])

    def _NamedExpr(self, node: ast.NamedExpr) -> Value:  # noqa: N802
        value = self.value(node.value)
        self.bind(node.target, value)
        return value

    def _List(self, node: ast.List | ast.Tuple | ast.Set) -> Value:  # noqa: N802
        return self.all_of(node.elts)

    _Tuple = _Set = _List

    def _Dict(self, node: ast.Dict) -> Value:  # noqa: N802
        keys = self.all_of([key for key in node.keys if key is not None])
        return naming(keys.as_("text")) | self.all_of(node.values)

    def _Compare(self, node: ast.Compare) -> Value:  # noqa: N802
        sides = [self.value(side) for side in (node.left, *node.comparators)]
        for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
            self.watcher.compared(op, left, right)
        return joined(sides).without_spots().minus("whole").plus("measured")

    def _Subscript(self, node: ast.Subscript) -> Value:  # noqa: N802
        whole = self.value(node.value)
        if whole.has("piece"):
            self.watcher.cut(whole)
        if isinstance(node.slice, ast.Slice):
            bounds = self.value(node.slice).without_spots()
            piece = whole.minus("whole") | Value(bounds.of)
            if self.loops and whole.has("context", "inputs") and is_window(node.slice):
                piece = piece.plus("piece")
                self.watcher.cut(piece)
            return piece
        if (
            isinstance(node.slice, ast.Constant)
            and root_of(node) == "inputs"
            and isinstance(node.value, ast.Name)
        ):
            return Value(frozenset({f"inputs.{node.slice.value!s}", f"whole:{node.slice.value!s}"}))
        index = self.value(node.slice)
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            whole = whole.minus("whole")
        return (whole.as_("chosen") if index.has(*SOURCES) else whole) | picking(index)

    def _ListComp(self, node: Comprehension) -> Value:  # noqa: N802
        env = dict(self.env)
        found = self._generated(node.generators, node)
        targets = {
            name.id
            for generator in node.generators
            for name in ast.walk(generator.target)
            if isinstance(name, ast.Name)
        }
        for name in targets:
            self.env.pop(name, None)
            if name in env:
                self.env[name] = env[name]
        return found

    _SetComp = _DictComp = _GeneratorExp = _ListComp

    def _generated(self, generators: list[ast.comprehension], node: Comprehension) -> Value:
        if not generators:
            if isinstance(node, ast.DictComp):
                return naming(self.value(node.key).as_("text")) | self.value(node.value) | self.decided()
            return self.value(node.elt) | self.decided()
        generator, *rest = generators
        whole = self.value(generator.iter)
        with self.each(whole) as part:
            self.bind(generator.target, part)
            tests = []
            for test in generator.ifs:
                tests.append(self.value(test).without_spots())
                self.watcher.tested(test, tests[-1])
            with self.under(*tests):
                found = self._generated(rest, node)
        return found.minus("whole") if tests else found
