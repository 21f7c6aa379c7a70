"""Names in statements and expressions: which an assignment binds, which callable one stands for."""

from __future__ import annotations

import ast

from orchestrator.strategies.distilling.known_calls import PRINTING

ANSWER = "<answer>"
"""Stands for what FINAL was given."""

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def is_look(statement: ast.stmt, aliases: dict[str, str]) -> bool:
    """Whether a statement only shows something: `print(...)`, or an expression."""
    return isinstance(statement, ast.Expr) and (
        not isinstance(statement.value, ast.Call) or dotted(statement.value.func, aliases) in PRINTING
    )


def surely_bound(statement: ast.stmt) -> set[str]:
    """Names that have a new value once the statement ran through, whichever way it took."""
    match statement:
        case ast.Assign(targets=targets):
            return {name.id for target in targets for name in stored(target)}
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {bound_by(alias) for alias in names}
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.With(items=items, body=body):
            given = {n.id for item in items if item.optional_vars for n in stored(item.optional_vars)}
            return given.union(*(surely_bound(part) for part in body))
        case ast.If(body=body, orelse=orelse):
            return _all_bound(body) & _all_bound(orelse)
        case ast.Expr(value=ast.Call(func=ast.Name(id="FINAL" | "FINAL_VAR"))):
            return {ANSWER}
    return set()


def bound_by(alias: ast.alias) -> str:
    """The name that an import binds."""
    return alias.asname or alias.name.partition(".")[0]


def root_of(node: ast.AST | None) -> str | None:
    """The name whose object an expression is, or is a part of: `d` of `d["a"].get("b")[0]`."""
    while True:
        match node:
            case ast.Name(id=name):
                return name
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Starred(value=inner):
                node = inner
            case ast.Call(func=ast.Attribute(value=inner)):
                node = inner
            case ast.NamedExpr(target=inner):
                node = inner
            case _:
                return None


def dotted(node: ast.AST | None, aliases: dict[str, str]) -> str:
    """The dotted name of a callable, through imports and aliases; "" for what has none."""
    match node:
        case ast.Name(id=name):
            return aliases.get(name, name)
        case ast.Attribute(value=inner, attr=attr):
            return f"{dotted(inner, aliases)}.{attr}"
        case ast.Subscript(value=inner, slice=ast.Constant(value=str(key))):
            return f"{dotted(inner, aliases)}.{key.replace('-', '_')}"
    return ""


def alias_of(value: ast.expr | None, aliases: dict[str, str]) -> str | None:
    """The function that a name stands for when it is bound to this: `ask = llm_query`, `partial(llm_query, ...)`."""
    match value:
        case ast.Call(func=func, args=[first, *_]) if dotted(func, aliases).endswith("partial"):
            return dotted(first, aliases) or None
        case ast.Name() | ast.Attribute():
            return dotted(value, aliases)
        case ast.Subscript(value=ast.Name(id="skills")):
            return dotted(value, aliases) or None
    return None


def imported(statement: ast.AST) -> dict[str, str]:
    """The names that imports in a statement bind, and what they stand for."""
    found: dict[str, str] = {}
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[bound_by(alias)] = alias.name if alias.asname else bound_by(alias)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[bound_by(alias)] = f"{node.module}.{alias.name}"
    return found


def stored(target: ast.AST) -> list[ast.Name]:
    """Names that an assignment to this target binds."""
    return [
        node for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


def _all_bound(body: list[ast.stmt]) -> set[str]:
    return set().union(*(surely_bound(part) for part in body)) if body else set()


def writes_file(name: str, node: ast.Call) -> bool:
    """Whether a call opens a file to write."""
    if name.rpartition(".")[2] not in ("open", "ZipFile"):
        return False
    at = (
        0
        if isinstance(node.func, ast.Attribute)
        and not name.startswith(("io.", "codecs.", "zipfile.", "gzip."))
        else 1
    )
    modes = [*node.args[at : at + 1], *(word.value for word in node.keywords if word.arg == "mode")]
    return any(not isinstance(mode, ast.Constant) or set(str(mode.value)) & set("wax+") for mode in modes)
