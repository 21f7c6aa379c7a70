"""What the methods of argparse's objects do, done to our pictures of them."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any, Protocol

from orchestrator.catalog.arguments import Source, read_argument
from orchestrator.catalog.literals import COMPUTED
from orchestrator.catalog.parsers import ABSENT, Blocks, Commands, Exclusive, Group, Parser, fits

Tracked = Parser | Commands | Group

_BUILDING = (
    "add_argument",
    "add_argument_group",
    "add_mutually_exclusive_group",
    "add_subparsers",
    "add_parser",
    "set_defaults",
)


class Site(Source, Protocol):
    """Where a call stands, and what its expressions are."""

    blocks: Blocks

    def value(self, node: ast.expr) -> Any:
        """The object that an expression is; None for what argparse has nothing to do with."""


class Builder:
    """Applies the calls that stand at a site. Made and moved along by the walk that is its site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def call(self, owner: Tracked, name: str, node: ast.Call) -> Any:
        """Do what a method does to its owner; the value is the object that it returns, where that matters."""
        parser = owner.parser if isinstance(owner, Group) else owner
        if name in _BUILDING and owner.blocks != self._site.blocks:
            self._site.note(
                node, f"what `{name}` adds is left out: it happens in a loop or under a condition"
            )
            return Parser(self._site.blocks) if name == "add_parser" else None
        if isinstance(parser, Commands):
            return self._add_parser(parser, node) if name == "add_parser" else None
        match name:
            case "add_argument":
                self._add_argument(owner, parser, node)
            case "add_argument_group":
                return Group(self._site.blocks, parser, owner.exclusive if isinstance(owner, Group) else None)
            case "add_mutually_exclusive_group":
                group = Exclusive(self._flag(node, "required"))
                parser.exclusives.append(group)
                return Group(self._site.blocks, parser, group)
            case "add_subparsers":
                return self._add_subparsers(parser, node)
            case "set_defaults":
                self._set_defaults(parser, node)
            case "parse_args" | "parse_known_args" | "parse_intermixed_args" | "parse_known_intermixed_args":
                parser.is_asked = True
                if "known" in name:
                    self._site.note(node, "it also takes arguments that it does not declare")
            case _ if name.startswith("_") or name == "register":
                self._site.note(node, f"what `{name}` does to the parser is not read")
        return None

    def _add_argument(self, owner: Tracked, parser: Parser, node: ast.Call) -> None:
        arguments = read_argument(node, parser.prefix_chars, self._site)
        if parser.commands is not None and any(argument.option is None for argument in arguments):
            self._site.note(node, "a positional argument after the commands is left out")
            return
        parser.arguments += arguments
        if isinstance(owner, Group) and owner.exclusive is not None:
            owner.exclusive.keywords += [argument.keyword for argument in arguments]

    def _add_subparsers(self, parser: Parser, node: ast.Call) -> Commands:
        dest = self._text(node, "dest")
        taken = {argument.keyword for argument in parser.arguments}
        keyword = (dest or ("subcommand" if "command" in taken else "command")).replace("-", "_")
        parser.commands = Commands(self._site.blocks, keyword, self._flag(node, "required"))
        return parser.commands

    def _add_parser(self, commands: Commands, node: ast.Call) -> Parser:
        parser = self.new_parser(node)
        name = self._site.read(node.args[0]) if node.args else COMPUTED
        aliases: Any = next(
            (self._site.read(word.value) for word in node.keywords if word.arg == "aliases"), []
        )
        if isinstance(name, str):
            parser.description = parser.description or self._text(node, "help")
            commands.parsers[name] = parser
            commands.aliases[name] = aliases if isinstance(aliases, list) else []
        else:
            self._site.note(node, "a command is left out: its name is computed")
        return parser

    def new_parser(self, node: ast.Call) -> Parser:
        """The parser that a call of `ArgumentParser` or `add_parser` makes."""
        parser = Parser(
            self._site.blocks,
            prefix_chars=self._text(node, "prefix_chars") or "-",
            fromfile_prefix_chars=self._text(node, "fromfile_prefix_chars"),
            description=self._text(node, "description"),
        )
        for keyword in node.keywords:
            if keyword.arg == "parents":
                self._inherit(parser, keyword.value)
            elif keyword.arg is None or keyword.arg in ("argument_default", "conflict_handler"):
                self._site.note(node, f"what `{keyword.arg or '**'}` does to the parser is not read")
        return parser

    def _inherit(self, parser: Parser, node: ast.expr) -> None:
        parts = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
        for part in parts:
            parent = self._site.value(part)
            if isinstance(parent, Parser):
                parent.is_parent = True
                parser.arguments += parent.arguments
                parser.exclusives += parent.exclusives
            else:
                self._site.note(node, "the arguments of a parent parser can't be read")

    def _set_defaults(self, parser: Parser, node: ast.Call) -> None:
        for keyword in node.keywords:
            value = self._site.read(keyword.value)
            for index, argument in enumerate(parser.arguments):
                if argument.keyword == keyword.arg:
                    usable = (
                        value is not COMPUTED and argument.how != "count" and fits(value, argument.schema)
                    )
                    parser.arguments[index] = replace(argument, default=value if usable else ABSENT)
                    if not usable:
                        self._site.note(node, f"the default of `{argument.keyword}` can't be read")

    def _text(self, node: ast.Call, name: str) -> str:
        value = next((self._site.read(keyword.value) for keyword in node.keywords if keyword.arg == name), "")
        return value if isinstance(value, str) else ""

    def _flag(self, node: ast.Call, name: str) -> bool:
        return next(
            (self._site.read(keyword.value) is True for keyword in node.keywords if keyword.arg == name),
            False,
        )
