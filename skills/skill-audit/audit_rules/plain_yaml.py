"""YAML as skills write it, read with the standard library alone: maps, lists, scalars, block and flow style.

What is left out (anchors, aliases, tags, several documents, complex keys, rare layouts) raises `UnreadableError`: a
reader that guesses would let a skill declare one thing to us and another thing to its host.
"""

from __future__ import annotations

import json
import re
from typing import Any

_KEY = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#\-?:,\[\]{}&*!|>'"%@`][^#]*?|-[^\s#][^#]*?)\s*:(?=\s|$)"""
)
_BLOCK_SCALAR = re.compile(r"([|>])([+-]?)([1-9]?)([+-]?)\s*(?:#.*)?$")
_FLOW_SPACE = re.compile(r"\s+(?:#[^\n]*)?")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}
_N_DEEPEST = 40


class UnreadableError(ValueError):
    """The text is no YAML of the kind read here. `line` is 1-based."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


def parse(text: str) -> dict[str, Any]:
    """The map that the text stands for, an empty one for an empty text. Raises UnreadableError."""
    reader = _Reader(text)
    if reader.at_end():
        return {}
    value = reader.block(reader.indent(), 0)
    if not isinstance(value, dict):
        raise UnreadableError(1, "no map of keys to values")
    if not reader.at_end():
        raise reader.error("less indented than what it belongs to, or no `key: value`")
    return value


class _Reader:
    """A text and the next line to read; blank and comment lines are never the next line."""

    def __init__(self, text: str) -> None:
        self._lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._next = 0
        for number, line in enumerate(self._lines, 1):
            if line.startswith(("---", "...", "%")):
                raise UnreadableError(number, f"`{line[:3]}` is not read here")
            if re.match(r" *\t", line):
                raise UnreadableError(number, "a tab as indentation")
        self._skip()

    def at_end(self) -> bool:
        return self._next >= len(self._lines)

    def indent(self) -> int:
        line = self._lines[self._next]
        return len(line) - len(line.lstrip(" "))

    def error(self, why: str) -> UnreadableError:
        return UnreadableError(min(self._next, len(self._lines) - 1) + 1, why)

    def block(self, indent: int, depth: int) -> Any:
        """The map, list or scalar whose lines begin at this indentation."""
        if depth > _N_DEEPEST:
            raise self.error("nested too deeply")
        content = self._content()
        if content == "-" or content.startswith("- "):
            return self._list(indent, depth)
        if _KEY.match(content):
            return self._map(indent, depth)
        self._next += 1
        value = self._inline(content, indent - 1)
        self._skip()
        return value

    def _map(self, indent: int, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not self.at_end() and self.indent() == indent:
            match = _KEY.match(self._content())
            if match is None:
                raise self.error("no `key: value`")
            key = _text_of(match[1], self)
            if key in values:
                raise self.error(f"`{key}` is there twice")
            rest = self._content()[match.end() :].strip()
            self._next += 1
            values[key] = self._value(rest, indent, depth, lists_may_stand_here=True)
        return values

    def _list(self, indent: int, depth: int) -> list[Any]:
        values: list[Any] = []
        while not self.at_end() and self.indent() == indent:
            content = self._content()
            if content != "-" and not content.startswith("- "):
                break
            rest = content[1:].strip()
            if _KEY.match(rest) or rest.startswith("- "):
                # `- key: value`: what follows the dash is a block of its own, as deep as it stands.
                inner = indent + len(content) - len(content[1:].lstrip(" "))
                self._lines[self._next] = " " * inner + rest
                values.append(self.block(inner, depth + 1))
            else:
                self._next += 1
                values.append(self._value(rest, indent, depth, lists_may_stand_here=False))
        return values

    def _value(self, rest: str, indent: int, depth: int, *, lists_may_stand_here: bool) -> Any:
        if not rest or rest.startswith("#"):
            self._skip()
            if self.at_end():
                return None
            child = self.indent()
            is_list = self._content() == "-" or self._content().startswith("- ")
            if child > indent or (lists_may_stand_here and is_list and child == indent):
                return self.block(child, depth + 1)
            return None
        scalar = _BLOCK_SCALAR.match(rest)
        value = self._block_scalar(scalar, indent) if scalar else self._inline(rest, indent)
        self._skip()
        return value

    def _block_scalar(self, header: re.Match[str], indent: int) -> str:
        lines: list[str] = []
        inner = indent + int(header[3]) if header[3] else 0
        while self._next < len(self._lines):
            line = self._lines[self._next]
            depth = len(line) - len(line.lstrip(" "))
            if line.strip() and depth <= indent:
                break
            if not inner and not line.strip():
                raise self.error("a blank line at the beginning of a text block")
            inner = inner or depth
            if (line.strip() and depth < inner) or (header[1] == ">" and depth > inner):
                raise self.error("lines of a text block that are not equally deep")
            lines.append(line[inner:])
            self._next += 1
        n_blank = len(lines) - len("\n".join(lines).rstrip("\n").split("\n"))
        body = lines[: len(lines) - n_blank]
        text = "\n".join(body) if header[1] == "|" else _folded(body)
        chomp = header[2] or header[4]
        return text + ("" if chomp == "-" or not text else "\n" * (1 + n_blank if chomp == "+" else 1))

    def _inline(self, rest: str, indent: int) -> Any:
        """A scalar or flow value that begins in `rest` and may go on in deeper lines."""
        if rest[0] in "&*!%@`|>,]}" or re.match(r"[?:-](\s|$)", rest):
            raise self.error(f"`{rest[0]}` is not read here")
        is_flow = rest[0] in "[{"
        while self._goes_on(rest) and self._next < len(self._lines):
            n_skipped = self._skip() if not is_flow else 0
            if self.at_end() or (self._lines[self._next].strip() and self.indent() <= indent):
                break
            if n_skipped:
                raise self.error("a blank or comment line inside a value")
            rest = rest.rstrip(" \t") + ("\n" if is_flow else " ") + self._content()
            self._next += 1
        if is_flow:
            return _Flow(rest, self).whole()
        return _unquoted(_without_comment(rest), self)

    def _goes_on(self, rest: str) -> bool:
        if rest[0] in "[{":
            return not _Flow(rest, self).is_closed()
        if rest[0] in "\"'":
            return _quoted_end(rest) is None
        return not re.search(r"(^|\s)#", rest)

    def _content(self) -> str:
        return self._lines[self._next].strip()

    def _skip(self) -> int:
        """Go past blank and comment lines; how many there were."""
        begin = self._next
        while self._next < len(self._lines) and re.match(r"\s*(#|$)", self._lines[self._next]):
            self._next += 1
        return self._next - begin


class _Flow:
    """A flow value, as `{a: [1, "two"]}`, and how far it is read."""

    def __init__(self, text: str, reader: _Reader) -> None:
        self._text = text
        self._at = 0
        self._reader = reader

    def is_closed(self) -> bool:
        depth, at = 0, 0
        while at < len(self._text):
            char = self._text[at]
            if char in "\"'" and self._text[at - 1] in " [{,:":
                end = _quoted_end(self._text[at:])
                if end is None:
                    return False
                at += end
                continue
            depth += (char in "[{") - (char in "]}")
            if depth == 0:
                return True
            at += 1
        return False

    def whole(self) -> Any:
        value = self._value(0)
        rest = self._text[self._at :].strip()
        if rest and not rest.startswith("#"):
            raise self._reader.error("text after a closed bracket")
        return value

    def _value(self, depth: int) -> Any:
        if depth > _N_DEEPEST:
            raise self._reader.error("nested too deeply")
        self._space()
        opening = self._text[self._at : self._at + 1]
        if opening == "{":
            return self._map(depth)
        if opening == "[":
            return self._list(depth)
        return self._scalar(",]}")

    def _map(self, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        self._at += 1
        while not self._closes("}"):
            key = _text_of(self._scalar_text(":,}"), self._reader)
            self._space()
            if self._text[self._at : self._at + 1] == ":":
                self._at += 1
                values[key] = self._value(depth + 1)
            else:
                values[key] = None
        return values

    def _list(self, depth: int) -> list[Any]:
        values: list[Any] = []
        self._at += 1
        while not self._closes("]"):
            values.append(self._value(depth + 1))
        return values

    def _closes(self, bracket: str) -> bool:
        self._space()
        if self._text[self._at : self._at + 1] == ",":
            self._at += 1
            self._space()
        if self._at >= len(self._text):
            raise self._reader.error(f"no closing `{bracket}`")
        if self._text[self._at] == bracket:
            self._at += 1
            return True
        return False

    def _scalar(self, stops: str) -> Any:
        return _unquoted(self._scalar_text(stops), self._reader)

    def _scalar_text(self, stops: str) -> str:
        self._space()
        start = self._at
        if self._text[start : start + 1] in ('"', "'"):
            self._at += _quoted_end(self._text[start:]) or len(self._text)
        else:
            while self._at < len(self._text) and not self._stops_here(stops):
                self._at += 1
        text = self._text[start : self._at].strip()
        if not text or text[0] in "&*!|>%@`#" or re.search(r"^[?:-](\s|$)|\n|\s#", text):
            raise self._reader.error(f"no value before `{self._text[self._at : self._at + 1]}`")
        return text

    def _stops_here(self, stops: str) -> bool:
        char = self._text[self._at]
        if char == ":" and ":" in stops:
            return self._text[self._at + 1 : self._at + 2] in ("", *" \n,]}")
        return char in stops or char in "[]{}"

    def _space(self) -> None:
        """Go past blanks, line ends and comments."""
        while match := _FLOW_SPACE.match(self._text, self._at):
            self._at = match.end()


def _unquoted(text: str, reader: _Reader) -> Any:
    """The value of a scalar: of a plain one by its look, of a quoted one always a text."""
    if text[:1] in ('"', "'"):
        return _text_of(text, reader)
    if re.search(r":(\s|$)", text):
        raise reader.error("`: ` in a value that is not quoted")
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) < 100 else text
    return float(text) if _FLOAT.fullmatch(text) else text


def _text_of(text: str, reader: _Reader) -> str:
    """A scalar as text, without its quotes."""
    if text[:1] not in ('"', "'"):
        return text
    if _quoted_end(text) != len(text):
        raise reader.error("a quote that is not closed, or text after it")
    return text[1:-1].replace("''", "'") if text[0] == "'" else _unescaped(text, reader)


def _unescaped(text: str, reader: _Reader) -> str:
    as_json = re.sub(r"\\x([0-9A-Fa-f]{2})", r"\\u00\1", text)
    as_json = re.sub(r"\\U000[0-9A-Fa-f]{5}", lambda match: chr(int(match[0][2:], 16)), as_json)
    simple = {
        "\\0": "\\u0000",
        "\\a": "\\u0007",
        "\\e": "\\u001b",
        "\\ ": " ",
        "\\_": "\\u00a0",
        "\\N": "\\u0085",
    }
    as_json = re.sub(r"\\.", lambda match: simple.get(match[0], match[0]), as_json)
    try:
        return str(json.loads(as_json, strict=False))
    except ValueError:
        raise reader.error("an escape that is not known") from None


def _quoted_end(text: str) -> int | None:
    """How long the quoted text at the beginning is, or None when it is not closed."""
    pattern = r"'(?:[^']|'')*'(?!')" if text[0] == "'" else r'"(?:[^"\\]|\\.)*"'
    match = re.match(pattern, text, re.DOTALL)
    return match.end() if match else None


def _without_comment(text: str) -> str:
    if text[0] in "\"'":
        end = _quoted_end(text)
        rest = "" if end is None else text[end:].strip()
        return text[:end] if rest.startswith("#") else text.rstrip()
    return re.split(r"\s+#", text, maxsplit=1)[0].rstrip()


def _folded(lines: list[str]) -> str:
    """Lines as `>` joins them: a single break is a space, of several one is dropped."""
    return re.sub(r"\n+", lambda breaks: "\n" * (len(breaks[0]) - 1) or " ", "\n".join(lines))
