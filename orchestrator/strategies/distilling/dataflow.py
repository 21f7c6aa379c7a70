"""Which names a statement reads, binds and changes, and whether it does more: by its syntax alone.

Scopes are Python's: names of functions, lambdas and comprehensions stay inside. What a function defined in a cell
does is done by each statement that names it, since naming it may be calling it.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from orchestrator.strategies.distilling.facts import Facts
from orchestrator.strategies.distilling.known_calls import (
    CHANGING_ARGUMENTS,
    DYNAMIC,
    LOOKING,
    reaches_out,
)
from orchestrator.strategies.distilling.syntax import (
    ANSWER,
    Function,
    bound_by,
    dotted,
    root_of,
    stored,
    surely_bound,
    writes_file,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def facts_of(node: ast.AST, aliases: dict[str, str]) -> Facts:
    """What a statement does by itself; see `Known` for what functions add. `aliases`: dotted names of imports."""
    facts = Facts()
    _Visitor(facts, aliases, frozenset(), frozenset()).visit(node)
    return facts


def function_facts(function: Function | ast.ClassDef, aliases: dict[str, str]) -> Facts:
    """What calling a function, or using a class, does."""
    facts = Facts()
    visitor = _Visitor(facts, aliases, frozenset(), frozenset())
    if isinstance(function, ast.ClassDef):
        for part in function.body:
            visitor.nested(part) if isinstance(part, Function) else visitor.visit(part)
        facts.binds.clear()
        return facts
    visitor.nested(function)
    if facts.changes_parameters:
        defaults = (*function.args.defaults, *filter(None, function.args.kw_defaults))
        facts.changes |= {root for default in defaults if (root := root_of(default))}
    return facts


class _Visitor(ast.NodeVisitor):
    """Collects into `facts`; names in `local` are no names of the cells, `parameters` are those given from outside."""

    def __init__(
        self, facts: Facts, aliases: dict[str, str], local: frozenset[str], parameters: frozenset[str]
    ) -> None:
        self.facts = facts
        self.aliases = aliases
        self.local = local
        self.parameters = parameters
        self.hidden: set[str] = set()  # names that this statement has bound itself by now
        self.through: dict[str, set[str]] = {}  # names in `local`, and those whose parts they may be

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in self.local:
            return
        if not isinstance(node.ctx, ast.Load):
            self.facts.binds.add(node.id)
        elif node.id not in self.hidden:
            self.facts.reads.add(node.id)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        if node.name not in self.local:
            self.facts.binds.add(node.name)
        for part in node.decorator_list:
            self.visit(part)
        if isinstance(node, ast.ClassDef):
            for inherited in (*node.bases, *node.keywords):
                self.visit(inherited)
            own = frozenset(name.id for part in node.body for name in stored(part))
            inner = _Visitor(self.facts, self.aliases, self.local | own, self.parameters)
            inner._block([part for part in node.body if not isinstance(part, Function)])
        else:
            for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
                self.visit(default)
        if self.local and not isinstance(node, ast.ClassDef):
            self.nested(node)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  (named by ast)
    visit_ClassDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.nested(node)

    def nested(self, node: Function) -> None:
        """The body of a function, with its own names hidden."""
        parameters = frozenset(arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg))
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        outer = {name for part in ast.walk(node) if isinstance(part, ast.Global) for name in part.names}
        own = parameters | _bound_in(body) - outer
        inner = _Visitor(
            self.facts, self.aliases, (self.local - outer) | own | {""}, self.parameters | parameters
        )
        inner.through = dict(self.through)
        for part in body:
            inner.visit(part)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._pass(node.target, node.iter)
        self._block([node.iter])
        self._block([node.target])
        self._block(node.body, {name.id for name in stored(node.target)})
        self._block(node.orelse)

    visit_AsyncFor = visit_For  # noqa: N815

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        self._block(node.items)
        given = [item.optional_vars for item in node.items if item.optional_vars is not None]
        self._block(node.body, {name.id for target in given for name in stored(target)})

    visit_AsyncWith = visit_With  # noqa: N815

    def visit_If(self, node: ast.If | ast.While) -> None:
        self.visit(node.test)
        self._block(node.body)
        self._block(node.orelse)

    visit_While = visit_If  # noqa: N815

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._pass(target, node.value)
        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        self.visit(node.generators[0].iter)
        own = {name.id for generator in node.generators for name in stored(generator.target)}
        inner = _Visitor(self.facts, self.aliases, self.local | own, self.parameters)
        inner.through = dict(self.through)
        for number, generator in enumerate(node.generators):
            inner._pass(generator.target, generator.iter)
            for part in ([generator.iter] if number else []) + generator.ifs:
                inner.visit(part)
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for part in parts:
            inner.visit(part)

    visit_SetComp = visit_ListComp  # noqa: N815
    visit_DictComp = visit_ListComp  # noqa: N815
    visit_GeneratorExp = visit_ListComp  # noqa: N815

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.facts.binds |= {bound_by(alias) for alias in node.names} - self.local

    visit_ImportFrom = visit_Import  # noqa: N815

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._bind(node.name)
        if node.type is not None:
            self.visit(node.type)
        self._block(node.body, {node.name} if node.name else set())

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        self._bind(node.name)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs  # noqa: N815

    def visit_Raise(self, node: ast.Raise | ast.Assert) -> None:
        self.facts.gates = True
        self.generic_visit(node)

    visit_Assert = visit_Raise  # noqa: N815

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        root = root_of(node.target)
        if root is not None:
            self._change(root, inside=not isinstance(node.target, ast.Name))
            if root not in self.local and root not in self.hidden:
                self.facts.reads.add(root)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript | ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(root_of(node), inside=not isinstance(node.value, ast.Name))
        self.generic_visit(node)

    visit_Attribute = visit_Subscript  # noqa: N815

    def visit_Call(self, node: ast.Call) -> None:
        name = dotted(node.func, self.aliases)
        self.facts.calls.add(name)
        self.facts.dynamic |= name in DYNAMIC
        self.facts.reaches_out |= reaches_out(name) or writes_file(name, node)
        self._answer(name, node)
        if isinstance(node.func, ast.Attribute) and node.func.attr not in LOOKING:
            root = root_of(node.func)
            if root not in self.aliases and root not in ("skills", "memory", "budget"):
                self._change(root, inside=not isinstance(node.func.value, ast.Name))
        if name in CHANGING_ARGUMENTS:
            for argument in node.args[:1]:
                self._change(root_of(argument))
        self.generic_visit(node)

    def _block(self, parts: Sequence[ast.AST], given: Collection[str] = ()) -> None:
        """Parts that run one after the other, once these names are bound: they read them from here, not from before."""
        before, self.hidden = self.hidden, self.hidden.union(given)
        for part in parts:
            self.visit(part)
            if isinstance(part, ast.stmt) and not isinstance(part, ast.FunctionDef | ast.ClassDef):
                self.hidden = self.hidden | surely_bound(part)
        self.hidden = before

    def _answer(self, name: str, node: ast.Call) -> None:
        if name not in ("FINAL", "FINAL_VAR"):
            return
        self.facts.binds.add(ANSWER)
        if name == "FINAL_VAR":
            match node.args:
                case [ast.Constant(value=str(variable))]:
                    self.facts.reads.add(variable.strip())
                case _:
                    self.facts.dynamic = True

    def _bind(self, name: str | None) -> None:
        if name and name not in self.local:
            self.facts.binds.add(name)

    def _pass(self, target: ast.AST, value: ast.expr) -> None:
        """Note that local names in the target may be parts of what the value names."""
        for name in stored(target):
            if name.id in self.local:
                named = {one.id for one in ast.walk(value) if isinstance(one, ast.Name)}
                self.through[name.id] = self.through.get(name.id, set()) | named - {name.id}

    def _change(self, name: str | None, *, inside: bool = False) -> None:
        if name is None:
            return
        if name in self.parameters:
            self.facts.changes_parameters = True
        for whole in self.through.pop(
            name, set()
        ):  # taken away meanwhile, since names may go through each other
            self._change(whole, inside=True)
        if name not in self.local:
            self.facts.changes.add(name)
            self.facts.inside |= {name} if inside else set()


def bound_here(function: Function) -> frozenset[str]:
    """Names that a function binds for itself, without its parameters."""
    body = [function.body] if isinstance(function, ast.Lambda) else function.body
    outer = {name for part in ast.walk(function) if isinstance(part, ast.Global) for name in part.names}
    return _bound_in(body) - outer


def _bound_in(body: list[ast.stmt] | list[ast.expr]) -> frozenset[str]:
    """Names that a function's body binds for itself."""
    facts = Facts()
    visitor = _Visitor(facts, {}, frozenset(), frozenset())
    for part in body:
        visitor.visit(part)
    return frozenset(facts.binds) - {ANSWER}
