"""From keywords to the words of a script's command line."""

from __future__ import annotations

import difflib
import json
import os
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.catalog.arguments import NUMBER
from orchestrator.catalog.parsers import same
from orchestrator.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.documents.types import Schema

Level = dict[str, Any]
"""One item of `x-argv`, as `parsers.py` describes it."""

_PATTERNS: dict[str | int | None, str] = {None: "(W)", "?": "(W?)", "*": "(W*)", "+": "(W+)", "...": "(W*)"}
"""Which words a positional takes, of a line written with a W for each word."""


def branch_of(schema: Schema, options: Mapping[str, Any]) -> Schema:
    """The part of an inferred schema that these options choose by naming a command; all of one without commands.

    Check the options against it: `oneOf` could only say that none of its branches fits.
    """
    branches = [part for part in schema.get("oneOf", [schema]) if _is_chosen(part, options)]
    if branches:
        return max(branches, key=lambda part: len(part["x-argv"]))
    choices = {
        level["command"]: part for part in schema["oneOf"] for level in part["x-argv"] if "command" in level
    }
    known = {
        name
        for part in schema["oneOf"]
        for key in choices
        for name in part["properties"].get(key, {}).get("enum", ())
    }
    keys = ", ".join(f"`{key}`" for key in choices)
    given = ", ".join(repr(options[key]) for key in choices if key in options) or "nothing"
    raise _invalid(f"{keys} must name a command, not {given}", _closest(given.strip("'"), sorted(known)))


def to_argv(schema: Schema, options: Mapping[str, Any]) -> list[str]:
    """The command line's words that give a script these options; None leaves one out.

    `schema` is a script's inferred one, and `options` meet it. Raises CallError for a name that the script does not
    know, and for values that its argparse could not tell from something else.
    """
    branch = branch_of(schema, options)
    unknown = [name for name in options if name not in branch["properties"]]
    if unknown:
        known = sorted(branch["properties"])
        raise _invalid(f"the script has no option `{unknown[0]}`", _closest(unknown[0], known))
    words: list[str] = []
    for level in reversed(branch["x-argv"]):
        line = _Line(level, branch["properties"], options)
        command = [str(options[level["command"]])] if "command" in level else []
        words = command + line.words(words)
        _refuse_files(level, words)
    _refuse_unspeakable(words)
    return words


class _Piece(NamedTuple):
    words: list[str]
    is_open: bool = False


class _Line:
    """The words of one level. An open piece of an option would take the plain words after it, too."""

    def __init__(self, level: Level, properties: Mapping[str, Schema], options: Mapping[str, Any]) -> None:
        self._level = level
        self._properties = properties
        self._given = {name: value for name, value in options.items() if value is not None}
        self._pieces: dict[str, list[_Piece]] = {}
        self._positionals: list[tuple[str | int | None, list[str]]] = []
        self._spoken: set[str] = set()
        self._positional([argument for argument in level["arguments"] if "option" not in argument])
        self._options([argument for argument in level["arguments"] if "option" in argument])
        self._check_exclusive()

    def words(self, following: list[str]) -> list[str]:
        """The level's words before those of the command that follows it, if any."""
        words = [word for _, taken in self._positionals for word in taken]
        self._check_positionals(len(following))
        # What is closed goes last, to end what is open; the pieces of one keyword stay in their order.
        groups = sorted(filter(None, self._pieces.values()), key=lambda pieces: not pieces[-1].is_open)
        pieces = [piece for group in groups for piece in group]
        options = [word for piece in pieces for word in piece.words]
        starts_with_rest = bool(self._positionals) and not self._separable()
        if words and not starts_with_rest:
            return [*options, "--", *words, *following]
        plain = words + following
        if plain and pieces and pieces[-1].is_open:
            raise _invalid(f"nothing ends the values of `{pieces[-1].words[0]}` before `{plain[0]}`")
        if words and self._is_option_like(words[0]):
            raise _invalid(f"`{words[0]}` would be taken for an option")
        return [*options, *plain]

    def _separable(self) -> bool:
        """Whether `--` may stand before the positionals: argparse keeps it in what takes all that is left."""
        nargs, _ = next((item for item in self._positionals if item[1]), (None, ()))
        return nargs != "..."

    def _positional(self, arguments: list[dict[str, Any]]) -> None:
        for argument in arguments:
            value = self._given.get(argument["name"])
            many = argument["how"] in ("many", "rest")
            values = [] if value is None else list(value) if many else [value]
            taken = [self._text(item, argument["name"]) for item in values]
            if argument["how"] != "rest" and "--" in taken:
                raise _invalid(f"`{argument['name']}` can't be `--`")
            self._positionals.append((argument.get("nargs"), taken))
            if taken:
                self._spoken.add(argument["name"])

    def _check_positionals(self, n_following: int) -> None:
        """Argparse deals words out by count, the first come first: what was meant must come of it."""
        parts = [_PATTERNS.get(nargs, f"(W{{{nargs}}})") for nargs, _ in self._positionals]
        counts = [len(taken) for _, taken in self._positionals]
        line = "W" * (sum(counts) + n_following)
        match = re.fullmatch("".join(parts) + ("(W+)" if n_following else ""), line)
        got = [len(group) for group in match.groups()][: len(counts)] if match else counts
        if got != counts:
            raise _invalid("its positional arguments can't be told apart", "give the earlier ones as well")

    def _options(self, arguments: list[dict[str, Any]]) -> None:
        for name in dict.fromkeys(argument["name"] for argument in arguments):
            if name not in self._given:
                continue
            forms = [argument for argument in arguments if argument["name"] == name]
            self._pieces[name] = list(self._say(name, self._given[name], forms))
            if self._pieces[name]:
                self._spoken.add(name)

    def _say(self, name: str, value: Any, forms: list[dict[str, Any]]) -> Iterator[_Piece]:
        if forms[0]["how"].startswith("each") and isinstance(value, list):
            for item in value:
                yield self._say_one(name, item, forms)
        elif forms[0]["how"] == "count" and _is_whole(value) and value >= forms[0]["value"]:
            times = int(value) - forms[0]["value"]
            yield from [_Piece([forms[0]["option"]])] * times
        elif not (
            _is_default(value, self._properties[name]) and all(form["how"] == "flag" for form in forms)
        ):
            yield self._say_one(name, value, forms)

    def _say_one(self, name: str, value: Any, forms: list[dict[str, Any]]) -> _Piece:
        """A value spelled by the first of the forms that can."""
        for form in forms:
            option = form["option"]
            match form["how"]:
                case "flag" | "each-flag" if same(value, form["value"]):
                    return _Piece([option])
                case "maybe" if value is True:
                    return _Piece([option], is_open=True)
                case "one" | "maybe" | "each":
                    return _Piece([f"{option}={self._option_text(value, name)}"])
                case "many" | "each-many" if isinstance(value, list):
                    return self._say_many(name, option, value)
        raise _invalid(f"`{name}` can't be set to {json.dumps(value)}", "leave it out")

    def _say_many(self, name: str, option: str, values: list[Any]) -> _Piece:
        if len(values) == 1:
            return _Piece([f"{option}={self._option_text(values[0], name)}"])
        texts = [self._text(value, name) for value in values]
        for text in texts:
            if self._is_option_like(text):
                raise _invalid(f"`{text}` in `{name}` would be taken for an option")
        return _Piece([option, *texts], is_open=True)

    def _option_text(self, value: Any, name: str) -> str:
        text = self._text(value, name)
        if text == "--":
            raise _invalid(f"`{name}` can't be `--`")
        return text

    def _text(self, value: Any, name: str) -> str:
        """A value as one word; a fraction without exponent, which older argparse takes for an option when negative."""
        schema = self._properties[name]
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "" if "boolean" in json.dumps(schema) else "false"
        if isinstance(value, float) and _is_whole(value) and "integer" in json.dumps(schema):
            return str(int(value))
        if isinstance(value, float):
            return format(Decimal(repr(value)), "f")
        return json.dumps(value)

    def _is_option_like(self, text: str) -> bool:
        if len(text) < 2 or text[0] not in self._level["prefix"]:
            return False
        return not NUMBER.match(text) or "numeric" in self._level

    def _check_exclusive(self) -> None:
        for group in self._level.get("exclusive", ()):
            given = [name for name in group["names"] if name in self._spoken]
            names = ", ".join(f"`{name}`" for name in (given or group["names"]))
            if len(given) > 1:
                raise _invalid(f"{names} exclude each other")
            if not given and group["required"]:
                raise _invalid(f"one of {names} is needed")


def _is_chosen(branch: Schema, options: Mapping[str, Any]) -> bool:
    keys = [level["command"] for level in branch["x-argv"] if "command" in level]
    return all(options.get(key) in branch["properties"][key]["enum"] for key in keys)


def _is_default(value: Any, schema: Schema) -> bool:
    return "default" in schema and same(value, schema["default"])


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


def _refuse_files(level: Level, words: list[str]) -> None:
    """Argparse would put the content of a file in the place of such a word."""
    for word in words:
        if word and word[0] in level.get("fromfile", ""):
            raise _invalid(f"`{word}` would be read as a file of arguments")


def _refuse_unspeakable(words: list[str]) -> None:
    for word in words:
        try:
            os.fsencode(word)
        except UnicodeEncodeError:
            raise _invalid(f"{word!r} can't be a word of a command line") from None
        if "\0" in word:
            raise _invalid(f"{word!r} can't be a word of a command line: it holds a NUL")


def _closest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{near[0]}`?" if near else "known: " + ", ".join(f"`{one}`" for one in known)


def _invalid(message: str, hint: str = "") -> CallError:
    return CallError(message, kind="invalid", hint=hint)
