"""What a script's argparse parser is, once read, and its JSON Schema.

The schema describes keywords: one property for each argument, by the name that the script itself uses for it. A
parser with commands becomes `oneOf` with a branch for each command, told apart by a property that names it. How the
keywords become a command line stands beside them under `x-argv`, which `argv.to_argv` reads:

    "x-argv": [level, ...]          the parser itself, then the parser of each command on the way
    level: {
      "command": "action",          the keyword that chose this level; not on the first
      "prefix": "-",                what options begin with
      "fromfile": "@",              words beginning with it name files; only where the script has it
      "numeric": true,              some option looks like a negative number; only where it is so
      "arguments": [{"name": "keyword", "how": How, "option": "--name", "nargs": 2, "value": constant}],
      "exclusive": [{"names": ["one", "other"], "required": false}]
    }
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.documents.types import Schema

How = Literal["one", "maybe", "many", "rest", "flag", "count", "each", "each-many", "each-flag"]
"""How a value is spelled: one word; a word or the bare option; several words; all that is left; the bare option
where the value is the argument's constant, or repeated so often, or repeated with one word, several, or none."""

ABSENT: Final[Any] = object()
"""No default that can be told: there is none, it is None, or it is computed."""

Blocks = tuple[ast.AST, ...]
"""The loops and conditions that a statement stands in, outermost first."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a parser. `schema` is of its whole value; `option` is None for a positional."""

    keyword: str
    how: How
    schema: Schema
    option: str | None = None
    nargs: str | int | None = None
    required: bool = False
    default: Any = ABSENT
    value: Any = None  # what a flag stands for; for `count`, where counting starts
    numeric: bool = False  # its option looks like a negative number, as `-1` does
    help: str = ""


@dataclass(eq=False, slots=True)
class Exclusive:
    """A group of arguments of which at most one may be given; exactly one where it is required."""

    required: bool
    keywords: list[str] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Parser:
    """An `ArgumentParser`, as far as it has been read."""

    blocks: Blocks
    prefix_chars: str = "-"
    fromfile_prefix_chars: str = ""
    description: str = ""
    arguments: list[Argument] = field(default_factory=list)
    exclusives: list[Exclusive] = field(default_factory=list)
    commands: Commands | None = None
    is_asked: bool = False  # something calls its `parse_args`
    is_parent: bool = False  # another parser takes its arguments over


@dataclass(eq=False, slots=True)
class Commands:
    """What `add_subparsers` makes: under which keyword a command is chosen, and the parser of each."""

    blocks: Blocks
    keyword: str
    required: bool
    parsers: dict[str, Parser] = field(default_factory=dict)
    aliases: dict[str, list[str]] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Group:
    """An argument group, or a mutually exclusive one."""

    blocks: Blocks
    parser: Parser
    exclusive: Exclusive | None = None


Path = list[tuple[str, list[str], Parser]]
"""The way to a command: the keyword and names that choose each parser; the first is chosen by nothing."""


def schema_of(parser: Parser) -> Schema:
    """The JSON Schema of a script's keywords, with `x-argv` and `"inferred": true`."""
    branches = [_branch(path) for path in _paths(parser, "", [], _keywords(parser))]
    if len(branches) == 1:
        return {"inferred": True, **branches[0]}
    return {"inferred": True, "type": "object", "oneOf": branches}


def fits(value: Any, schema: Schema) -> bool:
    """Whether a value meets one of the small schemas made here (a validator would cost 0.1 s to import)."""
    if "anyOf" in schema:
        return any(fits(value, part) for part in schema["anyOf"])
    if "enum" in schema and not any(same(value, one) for one in schema["enum"]):
        return False
    if "const" in schema and not same(value, schema["const"]):
        return False
    match schema.get("type"):
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer" | "number" as kind:
            numbers = int if kind == "integer" else int | float
            return isinstance(value, numbers) and not isinstance(value, bool) and _in_range(value, schema)
        case "array":
            return _fits_array(value, schema)
    return True


def same(one: Any, other: Any) -> bool:
    """Equality as JSON has it: true is not 1."""
    return type(one) is type(other) and one == other


def _keywords(parser: Parser) -> set[str]:
    """Every keyword of a parser and of all its commands."""
    found = {argument.keyword for argument in parser.arguments}
    for command in parser.commands.parsers.values() if parser.commands else ():
        found |= _keywords(command)
    return found


def _paths(parser: Parser, keyword: str, names: list[str], taken: set[str]) -> Iterator[Path]:
    step = (keyword, names, parser)
    commands = parser.commands
    if commands is None or not commands.required or not commands.parsers:
        yield [step]
    if commands is None:
        return
    chosen = commands.keyword
    while chosen in taken:
        chosen = f"sub{chosen}"
    for name, command in commands.parsers.items():
        for rest in _paths(command, chosen, [name, *commands.aliases[name]], taken | {chosen}):
            yield [step, *rest]


def _branch(path: Path) -> Schema:
    """The schema of one way through the commands. Where two levels share a keyword, argparse keeps the inner's."""
    properties: dict[str, Schema] = {}
    required: list[str] = []
    levels: list[dict[str, Any]] = []
    for depth, (keyword, names, parser) in enumerate(path):
        inner = {argument.keyword for _, _, deeper in path[depth + 1 :] for argument in deeper.arguments}
        arguments = [argument for argument in parser.arguments if argument.keyword not in inner]
        if keyword:
            properties[keyword] = {"enum": names}
            required.append(keyword)
        for argument in arguments:
            properties[argument.keyword] = _property(argument, properties.get(argument.keyword))
        required += [argument.keyword for argument in arguments if argument.required]
        levels.append(_level(keyword, parser, arguments))
    description = path[-1][2].description
    return {
        "type": "object",
        **({"description": first_paragraph(description)} if description else {}),
        "properties": properties,
        "required": list(dict.fromkeys(required)),
        "additionalProperties": False,
        "x-argv": levels,
    }


def first_paragraph(text: str) -> str:
    """The first paragraph of a description, on one line."""
    return " ".join(text.strip().partition("\n\n")[0].split())


def _property(argument: Argument, earlier: Schema | None) -> Schema:
    """An argument's schema; of two with one keyword, what either takes, and the first one's default, as argparse has it."""
    schema = dict(argument.schema)
    if argument.help:
        default = "" if argument.default is ABSENT else str(argument.default)
        schema["description"] = argument.help.replace("%(default)s", default or "none")
    if earlier is None:
        return schema if argument.default is ABSENT else schema | {"default": argument.default}
    about = {key: value for key, value in (schema | earlier).items() if key in ("description", "default")}
    return _merged(_bare(earlier), _bare(schema)) | {
        key: about[key] for key in about if key in earlier or key != "default"
    }


def _bare(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in ("description", "default")}


def _merged(one: Schema, other: Schema) -> Schema:
    if one == other:
        return one
    if one.keys() == other.keys() == {"enum"}:
        return {"enum": one["enum"] + [value for value in other["enum"] if value not in one["enum"]]}
    if one.keys() == other.keys() == {"type", "items"}:
        return {"type": "array", "items": _merged(one["items"], other["items"])}
    return {"anyOf": [*one.get("anyOf", [one]), other]}


def _level(keyword: str, parser: Parser, arguments: list[Argument]) -> dict[str, Any]:
    level: dict[str, Any] = {"command": keyword} if keyword else {}
    level["prefix"] = parser.prefix_chars
    if parser.fromfile_prefix_chars:
        level["fromfile"] = parser.fromfile_prefix_chars
    if any(argument.numeric for argument in arguments):
        level["numeric"] = True
    level["arguments"] = [_spelling(argument) for argument in arguments]
    exclusive = [
        {"names": list(dict.fromkeys(group.keywords)), "required": group.required}
        for group in parser.exclusives
        if group.keywords
    ]
    return level | ({"exclusive": exclusive} if exclusive else {})


def _spelling(argument: Argument) -> dict[str, Any]:
    spelling: dict[str, Any] = {"name": argument.keyword, "how": argument.how}
    if argument.option is not None:
        spelling["option"] = argument.option
    if argument.nargs is not None:
        spelling["nargs"] = argument.nargs
    if argument.value is not None:
        spelling["value"] = argument.value
    return spelling


def _in_range(value: float, schema: Schema) -> bool:
    return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))


def _fits_array(value: Any, schema: Schema) -> bool:
    return (
        isinstance(value, list)
        and schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        and all(fits(item, schema.get("items", {})) for item in value)
    )
