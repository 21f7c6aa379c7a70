"""What a Python function's source says about how it may be called. Read as a tree; never imported, never run."""

from __future__ import annotations

import ast
import json
import warnings
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.documents.types import Schema

CONTEXT_PARAMETER = "ctx"  # a first parameter of this name is filled by the worker

_SIMPLE: dict[str, Schema] = {
    "str": {"type": "string"}, "int": {"type": "integer"}, "float": {"type": "number"}, "bool": {"type": "boolean"},
    "None": {"type": "null"}, "list": {"type": "array"}, "List": {"type": "array"}, "Sequence": {"type": "array"},
    "dict": {"type": "object"}, "Dict": {"type": "object"}, "Mapping": {"type": "object"}, "Any": {}, "object": {},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter besides `ctx`. An empty schema is a hint that can't be read, or none."""

    name: str
    required: bool
    schema: Schema


@dataclass(frozen=True, slots=True)
class Signature:
    """How a function may be called with keyword arguments."""

    name: str
    doc: str  # first paragraph of its docstring
    parameters: tuple[Parameter, ...]
    takes_any: bool  # has `**kwargs`
    positional_only: tuple[str, ...] = ()  # which a call by keyword can't fill


def read_signature(source: bytes, name: str) -> Signature | str:
    """The signature of a module's function, or one sentence that says why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except SyntaxError as error:
        return f"line {error.lineno or 1} is no Python: {error.msg}"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"it is no Python: {error}"
    functions = _module_level_functions(tree.body)
    if name in functions:
        return _signature(functions[name])
    near = get_close_matches(name, functions, n=1)
    return f"it has no function `{name}`" + (f", only `{near[0]}`" if near else "")


def signature_mistakes(signature: Signature, schema: Schema) -> list[str]:
    """Where an input schema and a signature can't both be right, one sentence each."""
    mistakes = [f"its parameter `{name}` can't be filled by name" for name in signature.positional_only]
    properties = schema.get("properties", {})
    names = [parameter.name for parameter in signature.parameters]
    for name in properties:
        if name not in names and not signature.takes_any:
            near = get_close_matches(name, names, n=1)
            mistakes.append(f"it has no parameter `{name}`" + (f", only `{near[0]}`" if near else ""))
    for parameter in signature.parameters:
        given = properties.get(parameter.name)
        is_certain = parameter.name in schema.get("required", []) or (
            isinstance(given, dict) and "default" in given
        )
        if parameter.required and not is_certain:
            mistakes.append(
                f"its parameter `{parameter.name}` has no default, and the input does not require it"
            )
    return mistakes


def input_schema(signature: Signature) -> Schema | None:
    """The input that the type hints describe; None where parameters can't be filled by name."""
    if signature.positional_only:
        return None
    schema: Schema = {
        "type": "object",
        "required": [parameter.name for parameter in signature.parameters if parameter.required],
        "properties": {parameter.name: parameter.schema for parameter in signature.parameters},
    }
    return schema if signature.takes_any else {**schema, "additionalProperties": False}


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _module_level_functions(body: list[ast.stmt]) -> dict[str, _Function]:
    """The functions that importing the module would define, also below `if` and `try`."""
    functions: dict[str, _Function] = {}
    for statement in body:
        if isinstance(statement, _Function):
            functions[statement.name] = statement
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            parts = [statement.body, getattr(statement, "orelse", []), getattr(statement, "finalbody", [])]
            parts += [handler.body for handler in getattr(statement, "handlers", [])]
            for part in parts:
                functions |= _module_level_functions(part)
    return functions


def _signature(function: _Function) -> Signature:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults)) + list(
        arguments.defaults
    )
    pairs = list(zip(positional, defaults, strict=True))
    has_context = bool(positional) and positional[0].arg == CONTEXT_PARAMETER
    by_name = pairs[max(len(arguments.posonlyargs), int(has_context)) :]
    by_name += list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
    unreachable = pairs[int(has_context) : len(arguments.posonlyargs)]
    return Signature(
        name=function.name,
        doc=" ".join((ast.get_docstring(function) or "").split("\n\n")[0].split()),
        parameters=tuple(_parameter(argument, default) for argument, default in by_name),
        takes_any=arguments.kwarg is not None,
        positional_only=tuple(argument.arg for argument, default in unreachable if default is None),
    )


def _parameter(argument: ast.arg, default: ast.expr | None) -> Parameter:
    schema = hint_schema(argument.annotation)
    if default is not None:
        try:
            value = ast.literal_eval(default)
            json.dumps(value, allow_nan=False)
        except (ValueError, TypeError, RecursionError, MemoryError, SyntaxError):
            return Parameter(argument.arg, required=False, schema=schema)
        if value is None and schema:  # `x: str = None`; a caller may say None, too
            schema = {"anyOf": [schema, {"type": "null"}]}
        schema = {**schema, "default": value}
    return Parameter(argument.arg, required=default is None, schema=schema)


def hint_schema(hint: ast.expr | None) -> Schema:
    """The schema of a type hint; empty, which any value meets, where it can't be read."""
    match hint:
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Constant(value=str(text)):
            return _text_hint(text)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {"type": "string", "format": "path"} if name == "Path" else dict(_SIMPLE.get(name, {}))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([left, right])
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inside):
            return _generic(name, inside)
    return {}


def _text_hint(text: str) -> Schema:
    try:
        return hint_schema(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}


def _generic(name: str, inside: ast.expr) -> Schema:
    parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    if name in ("list", "List", "Sequence", "Iterable"):
        items = hint_schema(parts[0])
        return {"type": "array", "items": items} if items else {"type": "array"}
    if name in ("dict", "Dict", "Mapping") and len(parts) == 2:
        values = hint_schema(parts[1])
        return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
    if name == "Literal" and all(isinstance(part, ast.Constant) for part in parts):
        values_: list[Any] = [part.value for part in parts if isinstance(part, ast.Constant)]
        return {"enum": values_} if all(isinstance(v, str | int | None) for v in values_) else {}
    if name == "Optional":
        return _union([*parts, ast.Constant(value=None)])
    if name == "Union":
        return _union(parts)
    return hint_schema(parts[0]) if name == "Annotated" else {}


def _union(parts: list[ast.expr]) -> Schema:
    schemas = [hint_schema(part) for part in parts]
    if not all(schemas):
        return {}
    flat = [
        inner for schema in schemas for inner in (schema["anyOf"] if list(schema) == ["anyOf"] else [schema])
    ]
    return {"anyOf": flat}
