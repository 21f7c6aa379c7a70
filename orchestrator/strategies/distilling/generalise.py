"""Literals of cells that are the values of a run's inputs, replaced by the inputs.

Careful rather than complete: a word that names a field, a small number, a text that two inputs have stays as it is,
unless the name it is given to says which input it is.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.strategies.distilling.cell_run import parsed
from orchestrator.strategies.distilling.editing import Edit, edited
from orchestrator.strategies.distilling.origins import names_a_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MIN_WHOLE_CHARS = 3
MIN_PART_CHARS = 4
LARGE = 1000
"""From here on a number is taken for an input's by its value alone."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """A literal that became an input, or a part of one that did."""

    cell: int  # its number in the run
    line: int  # in the cell as it is told here
    literal: str
    input: str
    part: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a literal stands. `name`: what it is given to; `picks`: it is an index, a key or a pattern's place."""

    node: ast.expr
    name: str = ""
    picks: bool = False


def generalised(source: str, number: int, inputs: Mapping[str, Any]) -> tuple[str, list[Replaced], list[str]]:
    """The source with inputs in place of literals; what was replaced; and what was not, since it is ambiguous."""
    tree = parsed(source)
    if tree is None or not inputs or _binds_inputs(tree):
        return source, [], []
    edits: list[Edit] = []
    replaced: list[Replaced] = []
    doubts: list[str] = []
    for place in _places(tree, "", picks=False):
        node = place.node
        if any(_within(node, edit.node) for edit in edits):
            continue
        found = _whole(place, inputs)
        if len(found) > 1:
            named = ", ".join(f"`{name}`" for name in found)
            doubts.append(f"cell {number}, line {node.lineno}: {ast.unparse(node):.60} may be any of {named}")
        elif found:
            edits.append(Edit(node, _input(found[0])))
            replaced.append(Replaced(number, node.lineno, ast.unparse(node), found[0]))
        elif (made := _with_parts(place, inputs)) is not None:
            new, names = made
            edits.append(Edit(node, new))
            replaced += [Replaced(number, node.lineno, str(inputs[name]), name, part=True) for name in names]
    changed = edited(source, edits)
    if parsed(changed) is None:
        return source, [], doubts
    return changed, replaced, doubts


def _binds_inputs(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == "inputs" and not isinstance(node.ctx, ast.Load)
        for node in ast.walk(tree)
    )


def _within(node: ast.expr, outer: ast.expr) -> bool:
    return any(part is node for part in ast.walk(outer))


def _input(name: str) -> str:
    return f"inputs[{name!r}]"


def _places(node: ast.AST, name: str, *, picks: bool) -> Iterator[_Place]:
    """The literals in a tree, outermost first, each with the name that it is given to."""
    match node:
        case ast.Constant() | ast.JoinedStr():
            yield _Place(node, name, picks)
        case ast.List() | ast.Tuple() | ast.Dict() | ast.UnaryOp() if _literal(node) is not None:
            yield _Place(node, name, picks)
            yield from _inner_places(node, name)
        case ast.pattern():
            return  # of `match`: it takes no expressions
        case _:
            yield from _inner_places(node, name)


def _inner_places(node: ast.AST, name: str) -> Iterator[_Place]:
    for inner, given, picks in _children(node, name):
        yield from _places(inner, given, picks=picks)


def _children(node: ast.AST, name: str) -> Iterator[tuple[ast.AST, str, bool]]:
    """The parts of a node that may be or hold literals to replace, with the names they are given to."""
    match node:
        case ast.Subscript(value=ast.Name(id="inputs")):
            yield node.slice, "", True
        case ast.Subscript(value=value, slice=index):
            yield value, "", False
            yield index, "", True
        case ast.Call(func=func, args=args, keywords=keywords):
            picks = isinstance(func, ast.Attribute) and func.attr in ("get", "pop", "setdefault")
            yield func, "", False
            yield from (
                (arg, "", picks and not at) for at, arg in enumerate(args) if not _is_final_name(node)
            )
            yield from ((word.value, word.arg or "", False) for word in keywords if word.arg != "schema")
        case ast.Assign(targets=[ast.Name(id=target)], value=value):
            yield value, target, False
        case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value):
            yield value, target, False
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if key is not None:
                    yield key, "", True
                yield value, str(key.value) if isinstance(key, ast.Constant) else "", False
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _defaults(node)
            yield from ((part, "", False) for part in _without_docstring(node.body))
        case ast.Module(body=body) | ast.ClassDef(body=body):
            yield from ((part, "", False) for part in _without_docstring(body))
        case ast.keyword(value=value):
            yield value, node.arg or "", False
        case _:
            yield from (
                (part, name if isinstance(node, ast.List | ast.Tuple) else "", False)
                for part in ast.iter_child_nodes(node)
            )


def _defaults(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[ast.AST, str, bool]]:
    named = [*node.args.posonlyargs, *node.args.args]
    for parameter, default in zip(
        named[len(named) - len(node.args.defaults) :], node.args.defaults, strict=True
    ):
        yield default, parameter.arg, False
    for parameter, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if value is not None:
            yield value, parameter.arg, False


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    return [
        part for part in body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
    ]


def _is_final_name(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "FINAL_VAR"


def _literal(node: ast.AST) -> Any:
    """The value of a display that holds literals only; None for others."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _whole(place: _Place, inputs: Mapping[str, Any]) -> list[str]:
    """The inputs that a literal as a whole may be; more than one where that is ambiguous."""
    if isinstance(place.node, ast.JoinedStr):
        return []
    value = _literal(place.node)
    if isinstance(value, tuple):
        value = list(value)
    equal = [name for name, one in inputs.items() if type(one) is type(value) and one == value]
    named = [name for name in equal if name == place.name]
    if named:
        return named
    if isinstance(value, str):
        fits = len(value) >= MIN_WHOLE_CHARS and (not place.picks or names_a_file(value) or " " in value)
    elif isinstance(value, bool):
        fits = False
    elif isinstance(value, int | float):
        fits = abs(value) >= LARGE or value != int(value)
    else:
        fits = bool(value)
    return equal if fits else []


def _with_parts(place: _Place, inputs: Mapping[str, Any]) -> tuple[str, list[str]] | None:
    """A text with inputs in place of parts of it, as source, and their names; None where there are none."""
    if place.picks and not isinstance(place.node, ast.JoinedStr):
        return None
    pieces = place.node.values if isinstance(place.node, ast.JoinedStr) else [place.node]
    found: list[str] = []
    made: list[ast.expr] = []
    for piece in pieces:
        if isinstance(piece, ast.Constant) and isinstance(piece.value, str):
            for text, name in _cut(piece.value, inputs):
                made.append(_formatted(name) if name else ast.Constant(text))
                found += [name] if name else []
        else:
            made.append(piece)
    if not found:
        return None
    try:
        source = ast.unparse(ast.fix_missing_locations(ast.JoinedStr(made)))
    except ValueError:  # a text with all kinds of quotes can't be written as one f-string before Python 3.12
        return None
    return source, list(dict.fromkeys(found))


def _formatted(name: str) -> ast.FormattedValue:
    value = ast.Subscript(ast.Name("inputs", ast.Load()), ast.Constant(name), ast.Load())
    return ast.FormattedValue(value, -1, None)


def _cut(text: str, inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The text in pieces, each with the name of the input that it is, or ""."""
    telling = {name: value for name, value in inputs.items() if isinstance(value, str) and _is_telling(value)}
    values = list(telling.values())
    telling = {name: value for name, value in telling.items() if values.count(value) == 1}
    if not telling:
        return [(text, "")]
    names = {value: name for name, value in telling.items()}
    either = "|".join(re.escape(value) for value in sorted(names, key=len, reverse=True))
    pieces = re.split(rf"(?<![\w])({either})(?![\w])", text)
    return [(piece, names[piece] if at % 2 else "") for at, piece in enumerate(pieces) if piece]


def _is_telling(value: str) -> bool:
    """Whether a text within a longer one can only be the input: no short lower-case word."""
    return len(value) >= MIN_PART_CHARS and (len(value) >= 8 or not (value.isalpha() and value.islower()))
