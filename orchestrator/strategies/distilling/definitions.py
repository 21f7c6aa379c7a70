"""What the statements of cells have defined so far: functions, aliases, shared objects, things that reach out."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from orchestrator.strategies.distilling.cell_run import GIVEN
from orchestrator.strategies.distilling.dataflow import facts_of, function_facts
from orchestrator.strategies.distilling.facts import Facts
from orchestrator.strategies.distilling.known_calls import LOOKING
from orchestrator.strategies.distilling.sharing import Sharing
from orchestrator.strategies.distilling.syntax import ANSWER, alias_of, dotted, imported, root_of

_DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass
class Definitions:
    """What the statements so far have defined."""

    aliases: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Facts] = field(default_factory=dict)
    sharing: Sharing = field(default_factory=Sharing)
    resources: set[str] = field(default_factory=set)  # names bound by statements that reach out
    bound: set[str] = field(default_factory=set)

    def facts(self, node: ast.AST) -> Facts:
        """What a statement does, with all that the functions do which it names."""
        facts = facts_of(node, self.aliases)
        if not isinstance(node, _DEFINING):
            for inner in ast.walk(node):  # what is defined within a loop or branch is used there
                if isinstance(inner, _DEFINING):
                    facts.add(function_facts(inner, self.aliases))
        seen: set[str] = set()
        while names := (facts.reads & self.functions.keys()) - seen:
            for name in names:
                facts.add(self.functions[name])
            seen |= names
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and self._changes_arguments(call, seen):
                given = [*call.args, *(word.value for word in call.keywords)]
                named = {root for part in given if (root := root_of(part))}
                facts.changes |= named
                facts.inside |= named
        self.sharing.take_in(node, self.aliases)
        facts.changes = self.sharing.changed_with(facts.changes, facts.inside)
        facts.reaches_out |= bool(facts.changes & self.resources)
        return facts

    def take_in(self, statement: ast.stmt, facts: Facts) -> None:
        """Note what a statement that ran through has defined."""
        self.aliases.update(imported(statement))
        for node in ast.walk(statement):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self.functions[node.name] = function_facts(node, self.aliases)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._rename(node.targets[0].id, node.value)
        self.bound |= facts.binds
        if facts.reaches_out:
            self.resources |= facts.binds - {ANSWER}

    def _rename(self, name: str, value: ast.expr) -> None:
        stands_for = alias_of(value, self.aliases)
        root = root_of(value)
        self.aliases.pop(name, None)
        self.functions.pop(name, None)
        if isinstance(value, ast.Lambda):
            self.functions[name] = function_facts(value, self.aliases)
        elif stands_for and stands_for in self.functions:
            self.functions[name] = self.functions[stands_for]
        elif stands_for and (root in GIVEN - {"context", "inputs"} or root in self.aliases):
            self.aliases[name] = stands_for
        elif isinstance(value, ast.Attribute) and root is not None and value.attr not in LOOKING:
            self.functions[name] = Facts(
                reads={root}, changes={root}, inside={root}
            )  # a method to be called later

    def _changes_arguments(self, call: ast.Call, seen: set[str]) -> bool:
        called = {dotted(call.func, self.aliases).partition(".")[0]}
        called |= {part.id for part in call.args if isinstance(part, ast.Name)}  # handed on, as to `map`
        return any(self.functions[name].changes_parameters for name in called & seen)
