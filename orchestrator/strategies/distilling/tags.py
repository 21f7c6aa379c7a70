"""What a model's cells did, as tags for the ranking: from their syntax and the calls that were made, not from its words.

| tag | the cells |
|---|---|
| `peek` | looked at a part, the size or the keys of their material, or at SHOW_VARS |
| `grep` | searched it with code |
| `chunk` | cut it into pieces and used them one by one |
| `map` | made a call for each of many things |
| `map_reduce` | gave what such calls brought to another sub-call |
| `recurse` | made recursive calls |
| `verify` | compared a result with the material or another result, or let a later call judge it |
| `direct` | made one sub-call, with all of the material |
| `skill` | called skills |
| `code_only` | made no sub-call |
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from orchestrator.strategies.distilling.abstract_run import AbstractRun
from orchestrator.strategies.distilling.cell_run import CALLS_OF, CellRun, parsed, statements_run
from orchestrator.strategies.distilling.origins import Value, Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence

MANY = 3
"""So many model calls of a cell that can't be read are taken for a map."""

_MATERIAL = ("context", "inputs", "files")
_RESULTS = ("sub:", "skill")


def tags(cells: Sequence[CellRun]) -> tuple[str, ...]:
    """The tags of a run's cells, sorted. Never raises: of a cell that is no Python there are only its calls."""
    made = [call for cell in cells for call in cell.calls]
    kinds = {call.kind for call in made}
    n_asked = sum(call.kind in ("llm", "rlm") for call in made)
    found = {"skill"} & {call.kind for call in made}
    found |= {"recurse"} if "rlm" in kinds else set()
    found |= set() if n_asked else {"code_only"}
    tagger = Tagger()
    for at, cell in enumerate(cells):
        tree = parsed(cell.source)
        if tree is None:
            if sum(call.kind in ("llm", "rlm") for call in cell.calls) >= MANY:
                found.add("map")
            continue
        done, raised = statements_run(cell, tree)
        tagger.take_in(at, [*done, *([raised] if raised else [])], cell)
    return tuple(sorted(found | tagger.found(alone=n_asked == 1)))


class Tagger(Watcher):
    """Notes what an abstract run of the cells comes across. Made for one run."""

    def __init__(self) -> None:
        self._run = AbstractRun(self)
        self._made: set[str] = set()
        self._found: set[str] = set()
        self._judges: set[str] = set()  # sub-calls that were shown a result and on whose reply something hung
        self._answer = Value()
        self._whole: list[Value] = []
        self._reads_context = False

    def take_in(self, at: int, statements: list[ast.stmt], cell: CellRun) -> None:
        """Go through a cell."""
        self._made = {call.kind for call in cell.calls}
        self._reads_context = self._reads_context or any(
            isinstance(node, ast.Name) and node.id == "context"
            for part in statements
            for node in ast.walk(part)
        )
        try:
            self._run.cell(at, statements)
        except RecursionError:
            return  # nested too deeply to be gone through; its calls count
        self._answer = self._answer | self._run.answer | self._run.name("answer")

    def found(self, *, alone: bool) -> set[str]:
        """The tags that syntax shows; `alone`: one sub-call was made in all."""
        found = set(self._found)
        if any(judge not in self._answer.of for judge in self._judges):
            found.add("verify")
        if alone and any(self._is_all(given) for given in self._whole):
            found.add("direct")
        return found

    def sub_call(self, name: str, given: Value, in_loop: bool) -> None:
        """See Watcher."""
        if CALLS_OF[name] not in self._made:
            return
        if in_loop:
            self._found.add("map")
        else:
            self._whole.append(given)
        if given.has("mapped"):
            self._found.add("map_reduce")

    def skill_call(self, name: str, given: Value, in_loop: bool) -> None:  # noqa: ARG002
        """See Watcher."""
        if in_loop and "skill" in self._made:
            self._found.add("map")

    def shown(self, value: Value) -> None:
        """See Watcher."""
        counted = value.has("measured") and value.has("piece")
        if value.has(*_MATERIAL) and not value.has(*_RESULTS, "found", "sifted") and not counted:
            self._found.add("peek")

    def searched(self, text: Value) -> None:
        """See Watcher."""
        if text.has(*_MATERIAL) and not text.has(*_RESULTS):
            self._found.add("grep")

    def cut(self, text: Value) -> None:
        """See Watcher."""
        if text.has(*_MATERIAL) and not text.has(*_RESULTS):
            self._found.add("chunk")

    def compared(self, op: ast.cmpop, left: Value, right: Value) -> None:
        """See Watcher."""
        is_in = isinstance(op, ast.In | ast.NotIn)
        of_left, of_right = left.has(*_RESULTS), right.has(*_RESULTS)
        if is_in and right.has(*_MATERIAL) and not of_right and (not of_left or self._sought_in(right)):
            self._found.add("grep")
        elif not isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
            return
        elif of_left and of_right:
            if _asked(left) != _asked(right):
                self._found.add("verify")
        elif (of_left and right.has(*_MATERIAL)) or (of_right and not is_in and left.has(*_MATERIAL)):
            self._found.add("verify")

    def tested(self, test: ast.expr, value: Value) -> None:
        """See Watcher."""
        if isinstance(test, ast.BoolOp):
            for part in test.values:
                self.tested(part, self._run.value(part))
        elif not _is_trivial(test, value):
            self._judges |= {one for one in value.of if one.startswith("check:")}

    def asserted(self, value: Value) -> None:
        """See Watcher."""
        if value.has(*_RESULTS):
            self._found.add("verify")

    def called(self, name: str) -> None:
        """See Watcher."""
        if name == "SHOW_VARS":
            self._found.add("peek")

    def _sought_in(self, text: Value) -> bool:
        """Whether a text is one of many parts of the material: what is compared with each of them is sought."""
        return any(not self._run.over[loop].has(*_RESULTS) for loop in self._run.loops if loop in text.of)

    def _is_all(self, given: Value) -> bool:
        return given.has("whole:context") or (given.has("whole:") and not self._reads_context)


def _asked(value: Value) -> set[str]:
    return {one for one in value.of if one.startswith("sub:") or one == "skill"}


def _is_trivial(test: ast.expr, value: Value) -> bool:
    """Whether a test only asks if something is there, or is an error."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return _is_trivial(inner, value)
        case ast.Name():
            return not value.has("measured", "found")
        case ast.Call(func=ast.Name(id="isinstance" | "len")) | ast.Attribute(attr="retryable" | "kind"):
            return True
        case ast.Compare(left=ast.Call(func=ast.Name(id="len"))) | ast.Compare(ops=[ast.Is() | ast.IsNot()]):
            return True
    return False
