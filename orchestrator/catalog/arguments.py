"""One `add_argument` call, read from the syntax tree: what it accepts, and how a value is given on a command line.

The rules are those of the standard library's `argparse`. What a call computes is never guessed: it becomes a
sentence in `unread`, and where the computed part decides how many words an argument takes, the argument is left out.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.catalog.literals import COMPUTED
from orchestrator.catalog.parsers import ABSENT, Argument, fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.catalog.parsers import How
    from orchestrator.documents.types import Schema

NUMBER = re.compile(r"-\d+$|-\d*\.\d+$")
"""What every argparse takes for a negative number, and not for an option."""

MAX_CHOICES = 1000

NARGS = {"REMAINDER": "...", "ZERO_OR_MORE": "*", "ONE_OR_MORE": "+", "OPTIONAL": "?", "PARSER": "A..."}
TYPES: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "open": {"type": "string", "format": "path"},
    "Path": {"type": "string", "format": "path"},
    "pathlib.Path": {"type": "string", "format": "path"},
}


class Source(Protocol):
    """Where a call stands: what its expressions mean there."""

    def read(self, node: ast.expr) -> Any:
        """The expression's literal value, or `COMPUTED`."""

    def marker(self, node: ast.expr) -> str | None:
        """The name that an expression has in `argparse`, as `SUPPRESS`; None where it is something else."""

    def defines(self, name: str) -> bool:
        """Whether the module gives a meaning of its own to a name such as `int`."""

    def note(self, node: ast.AST, sentence: str) -> None:
        """Remember something that can't be known without running the script."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one call of `add_argument` says, with the argparse rules for its names applied."""

    node: ast.Call
    source: Source
    names: tuple[str, ...]
    options: dict[str, ast.expr]
    positional: bool
    dest: str

    @property
    def label(self) -> str:
        """The argument as messages name it."""
        return f"`{self.option or self.dest}`"

    @property
    def option(self) -> str | None:
        """The spelling to use on a command line: the first long one."""
        if self.positional:
            return None
        return next((name for name in self.names if name[1:2] == name[0]), self.names[0])

    def read(self, keyword: str, default: Any) -> Any:
        """A keyword's literal value, `default` where it is not given."""
        node = self.options.get(keyword)
        return default if node is None else self.source.read(node)

    def note(self, sentence: str) -> None:
        """Remember something about this call that can't be known."""
        self.source.note(self.node, sentence)


def read_argument(node: ast.Call, prefix_chars: str, source: Source) -> tuple[Argument, ...]:
    """What an `add_argument` call adds: nothing for `--help` and the like, and for what is computed.

    Two arguments of one keyword come from `BooleanOptionalAction`: one option says true, the other false.
    """
    call = _call(node, prefix_chars, source)
    if call is None:
        return ()
    action = _action(call)
    if action in ("help", "version"):
        return ()
    if action == "BooleanOptionalAction" and not call.positional:
        return _yes_and_no(call)
    reader = _READERS.get(action)
    argument = None if reader is None else reader(call)
    if argument is None:
        call.note(f"{call.label} is left out: its action or number of words can't be read")
        return ()
    return (argument,)


def _call(node: ast.Call, prefix_chars: str, source: Source) -> Call | None:
    names = [source.read(argument) for argument in node.args]
    options = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}
    dest = source.read(options["dest"]) if "dest" in options else None
    computed = len(options) < len(node.keywords) or dest is COMPUTED
    if computed or not all(isinstance(name, str) and name for name in names) or (not names and dest is None):
        source.note(node, "an argument is left out: its name or keywords are computed")
        return None
    positional = not names or (len(names) == 1 and names[0][0] not in prefix_chars)
    if dest is None and positional:
        dest = names[0]
    elif dest is None:
        long = next((name for name in names if name[1:2] and name[1] in prefix_chars), names[0])
        dest = long.lstrip(prefix_chars).replace("-", "_")
    if not isinstance(dest, str) or not dest:
        source.note(node, "an argument is left out: it has no name")
        return None
    return Call(node, source, tuple(names), options, positional, dest)


def _action(call: Call) -> str:
    node = call.options.get("action")
    if node is None:
        return "store"
    marker = call.source.marker(node)
    literal = call.source.read(node)
    return marker or (literal if isinstance(literal, str) else "")


def _store(call: Call) -> Argument | None:
    nargs, item = _nargs(call), _item(call)
    if nargs is COMPUTED:
        return None
    if nargs == "?" and not call.positional:
        bare = {"const": True, "description": "the option without a value"}
        return _argument(call, "maybe", {"anyOf": [item, bare]} if item else {}, nargs="?")
    if nargs in (None, "?"):
        return _argument(call, "one", item, nargs=nargs)
    if nargs == "..." and not call.positional:
        return None
    return _argument(call, "rest" if nargs == "..." else "many", _array(item, nargs), nargs=nargs)


def _append(call: Call) -> Argument | None:
    nargs, item = _nargs(call), _item(call)
    if nargs is COMPUTED or call.positional or nargs in ("?", "..."):
        return None
    if nargs is None:
        return _argument(call, "each", _array(item))
    return _argument(call, "each-many", _array(_array(item, nargs)), nargs=nargs)


def _extend(call: Call) -> Argument | None:
    nargs = _nargs(call)
    if call.positional or nargs not in ("*", "+"):  # without nargs, argparse takes a word apart into letters
        return None
    return _argument(call, "many", _array(_item(call), nargs), nargs=nargs)


def _flag(value: bool) -> Callable[[Call], Argument | None]:
    def read(call: Call) -> Argument | None:
        if call.positional:
            return None
        return _argument(call, "flag", {"type": "boolean"}, value=value)

    return read


def _constant(call: Call) -> Argument | None:
    value = call.read("const", None)
    if call.positional or value is COMPUTED or value is None:
        return None
    return _argument(call, "flag", {"enum": [value]}, value=value)


def _each_constant(call: Call) -> Argument | None:
    value = call.read("const", None)
    if call.positional or value is COMPUTED or value is None:
        return None
    return _argument(call, "each-flag", _array({"enum": [value]}), value=value)


def _count(call: Call) -> Argument | None:
    start = call.read("default", None) or 0
    if call.positional or not isinstance(start, int):
        return None
    return _argument(call, "count", {"type": "integer", "minimum": int(start)}, value=int(start))


_READERS: dict[str, Callable[[Call], Argument | None]] = {
    "store": _store,
    "append": _append,
    "extend": _extend,
    "store_true": _flag(True),
    "store_false": _flag(False),
    "store_const": _constant,
    "append_const": _each_constant,
    "count": _count,
}


def _yes_and_no(call: Call) -> tuple[Argument, ...]:
    yes = _argument(call, "flag", {"type": "boolean"}, value=True)
    long = next((name for name in call.names if name.startswith("--")), None)
    if long is None:
        return (yes,)
    return yes, replace(yes, option="--no-" + long[2:], value=False)


def _argument(
    call: Call, how: How, schema: Schema, *, nargs: str | int | None = None, value: Any = None
) -> Argument:
    optional = call.positional and nargs in ("?", "*", "...")
    return Argument(
        keyword=call.dest.replace("-", "_"),
        how=how,
        schema=schema,
        option=call.option,
        nargs=nargs,
        required=not optional if call.positional else _required(call),
        default=_default(call, schema),
        value=value,
        numeric=any(NUMBER.match(name) for name in call.names),
        help=_help(call),
    )


def _required(call: Call) -> bool:
    required = call.read("required", False)
    if required is COMPUTED:
        call.note(f"whether {call.label} is required is computed")
        return False
    return bool(required)


def _nargs(call: Call) -> Any:
    """None, a number, `?`, `*`, `+`, `...`, or `COMPUTED`."""
    node = call.options.get("nargs")
    if node is None:
        return None
    nargs = NARGS.get(call.source.marker(node) or "", call.source.read(node))
    if nargs in (None, "?", "*", "+", "...") or (type(nargs) is int and nargs > 0):
        return nargs
    return COMPUTED


def _array(item: Schema, nargs: str | int | None = None) -> Schema:
    schema: Schema = {"type": "array", "items": item}
    if nargs == "+":
        schema["minItems"] = 1
    elif isinstance(nargs, int):
        schema |= {"minItems": nargs, "maxItems": nargs}
    return schema


def _item(call: Call) -> Schema:
    """The schema of one word's value; empty where the script converts it in a way of its own."""
    item = _type(call)
    if "choices" not in call.options:
        return item
    choices = _choices(call)
    if choices is COMPUTED or not item or not all(fits(choice, item) for choice in choices):
        call.note(f"the choices of {call.label} can't be read")
        return item
    return item | {"enum": choices}


def _type(call: Call) -> Schema:
    node = call.options.get("type")
    if node is None:
        return {"type": "string"}
    if isinstance(node, ast.Call) and call.source.marker(node.func) == "FileType":
        return {"type": "string", "format": "path"}
    name = ast.unparse(node)
    if name in TYPES and not call.source.defines(name):
        return dict(TYPES[name])
    call.note(f"{call.label} is converted by the script's own `{name[:60]}`")
    return {}


def _choices(call: Call) -> Any:
    node = call.options["choices"]
    match node:
        case ast.Call(func=ast.Name(id="range"), args=bounds, keywords=[]):
            numbers = [call.source.read(bound) for bound in bounds]
            if (
                all(type(number) is int for number in numbers)
                and 1 <= len(numbers) <= 3
                and numbers[2:] != [0]
            ):
                choices = range(*numbers)
                return list(choices) if len(choices) <= MAX_CHOICES else COMPUTED
            return COMPUTED
    choices = call.source.read(node)
    if isinstance(choices, dict):
        return list(choices)
    return choices if isinstance(choices, list) else COMPUTED


def _default(call: Call, schema: Schema) -> Any:
    node = call.options.get("default")
    if node is None:
        if _action(call) in ("store_true", "store_false"):
            return _action(call) == "store_false"
        return ABSENT
    if call.source.marker(node) == "SUPPRESS":
        return ABSENT
    value = call.source.read(_path_text(node))
    if value is None or value == []:
        return ABSENT
    if _action(call) in ("append", "extend", "append_const"):
        call.note(f"what is given to {call.label} is added to its default")
        return ABSENT
    value = _converted(value, schema)
    if value is COMPUTED or not fits(value, schema):
        call.note(f"the default of {call.label} can't be read")
        return ABSENT
    return value


def _path_text(node: ast.expr) -> ast.expr:
    """The text in `Path("text")`, any other expression as it is."""
    match node:
        case ast.Call(func=ast.Name(id="Path") | ast.Attribute(attr="Path"), args=[text], keywords=[]):
            return text
    return node


def _converted(value: Any, schema: Schema) -> Any:
    """A default as the script gets it: argparse converts one that is a string like a word of the command line."""
    kind = schema.get("type")
    if not isinstance(value, str) or kind not in ("integer", "number", "boolean"):
        return value
    if kind == "boolean":
        return bool(value)
    try:
        return int(value) if kind == "integer" else float(value)
    except ValueError:
        return COMPUTED


def _help(call: Call) -> str:
    node = call.options.get("help")
    if node is None or call.source.marker(node) == "SUPPRESS":
        return ""
    text = call.source.read(node)
    if not isinstance(text, str):
        return ""
    return " ".join(text.replace("%%", "%").split())
