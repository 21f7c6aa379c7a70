"""An abstract run of cells, statement by statement. See `origins`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from orchestrator.strategies.distilling.abstract_calls import Calls
from orchestrator.strategies.distilling.cell_run import CALLS_OF, GIVEN
from orchestrator.strategies.distilling.known_calls import LOOKING
from orchestrator.strategies.distilling.origins import NOTHING
from orchestrator.strategies.distilling.syntax import alias_of, imported, root_of

if TYPE_CHECKING:
    from collections.abc import Sequence


class AbstractRun(Calls):
    """Goes through cells in order; see `Expressions` for its state. Made for one program."""

    def cell(self, at: int, statements: Sequence[ast.stmt]) -> None:
        """Go through one cell."""
        self.at, self.answer = at, NOTHING
        for name in GIVEN:
            self.env.pop(name, None)
            self.functions.pop(name, None)
        for number, statement in enumerate(statements):
            if number == len(statements) - 1 and isinstance(statement, ast.Expr):
                self.watcher.shown(self.value(statement.value))
            else:
                self.run(statement)

    def body(self, statements: Sequence[ast.stmt]) -> None:
        """Go through statements."""
        for statement in statements:
            self.run(statement)

    def run(self, node: ast.stmt) -> None:
        """Go through one statement."""
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.For | ast.AsyncFor):
            self.sharing.take_in(node, self.aliases)
        visit = getattr(self, f"_run_{type(node).__name__}", None)
        if visit is not None:
            visit(node)
            return
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                self.value(part)

    def _run_Assign(self, node: ast.Assign) -> None:  # noqa: N802
        value = self.value(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._rename(target.id, node.value)
            if (
                isinstance(target, ast.Tuple)
                and isinstance(node.value, ast.Tuple)
                and len(target.elts) == len(node.value.elts)
            ):
                for part, one in zip(target.elts, node.value.elts, strict=True):
                    self.bind(part, self.value(one))
            else:
                self.bind(target, value)

    def _rename(self, name: str, value: ast.expr) -> None:
        self.aliases.pop(name, None)
        self.functions.pop(name, None)
        stands_for = alias_of(value, self.aliases) or ""
        if isinstance(value, ast.Lambda):
            self.functions[name] = value
        elif stands_for in self.functions:
            self.functions[name] = self.functions[stands_for]
        elif stands_for in CALLS_OF or stands_for.startswith("skills.") or root_of(value) in self.aliases:
            self.aliases[name] = stands_for
        elif (
            isinstance(value, ast.Attribute)
            and isinstance(value.value, ast.Name)
            and value.attr not in LOOKING
        ):
            called = ast.parse(f"lambda *given: {value.value.id}.{value.attr}(*given)", mode="eval").body
            self.functions[name] = called  # type: ignore[assignment]  # a lambda: a method to be called later

    def _run_AnnAssign(self, node: ast.AnnAssign) -> None:  # noqa: N802
        if node.value is not None:
            self.bind(node.target, self.value(node.value))

    def _run_AugAssign(self, node: ast.AugAssign) -> None:  # noqa: N802
        value = self.value(node.value)
        self.put_into(
            root_of(node.target), value.as_("text") if not isinstance(node.value, ast.List) else value
        )

    def _run_For(self, node: ast.For | ast.AsyncFor) -> None:  # noqa: N802
        whole = self.value(node.iter)
        for _ in range(2):
            with self.each(whole.minus("each:")) as part:
                self.bind(node.target, part)
                self.body(node.body)
        self.body(node.orelse)

    _run_AsyncFor = _run_For  # noqa: N815

    def _run_While(self, node: ast.While) -> None:  # noqa: N802
        for _ in range(2):
            test = self.value(node.test)
            self.watcher.tested(node.test, test)
            with self.each(test.without_spots()):
                self.body(node.body)
        self.body(node.orelse)

    def _run_If(self, node: ast.If) -> None:  # noqa: N802
        test = self.value(node.test)
        self.watcher.tested(node.test, test)
        with self.under(test.without_spots()):
            self.body(node.body)
            self.body(node.orelse)

    def _run_With(self, node: ast.With | ast.AsyncWith) -> None:  # noqa: N802
        for item in node.items:
            value = self.value(item.context_expr)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value)
        self.body(node.body)

    _run_AsyncWith = _run_With  # noqa: N815

    def _run_Try(self, node: ast.Try) -> None:  # noqa: N802
        self.body(node.body)
        with self.under(NOTHING):  # whether a handler runs is not known: what it binds stands beside the old
            for handler in node.handlers:
                self.body(handler.body)
        self.body(node.orelse)
        self.body(node.finalbody)

    _run_TryStar = _run_Try  # noqa: N815

    def _run_Match(self, node: ast.Match) -> None:  # noqa: N802
        subject = self.value(node.subject)
        with self.under(subject):
            for case in node.cases:
                for part in ast.walk(case.pattern):
                    if isinstance(part, ast.MatchAs | ast.MatchStar) and part.name:
                        self.put_into(part.name, subject)
                self.body(case.body)

    def _run_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:  # noqa: N802
        self.aliases.pop(node.name, None)
        self.functions[node.name] = node

    _run_AsyncFunctionDef = _run_FunctionDef  # noqa: N815

    def _run_Return(self, node: ast.Return) -> None:  # noqa: N802
        if self._returned:
            self._returned[-1] = self._returned[-1] | self.value(node.value) | self.decided()

    def _run_Assert(self, node: ast.Assert) -> None:  # noqa: N802
        test = self.value(node.test)
        self.watcher.asserted(test)

    def _run_Import(self, node: ast.Import | ast.ImportFrom) -> None:  # noqa: N802
        self.aliases.update(imported(node))

    _run_ImportFrom = _run_Import  # noqa: N815
