"""`{{name}}` placeholders: where they stand, and the text with them filled, once, from validated inputs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_PLACEHOLDER = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_-]{0,99})[ \t]*\}\}")


def fill(text: str, inputs: Mapping[str, Any], *, quote: Callable[[str], str] = str) -> str:
    """`text` with each `{{name}}` replaced by that input; what is filled in is not looked at again.

    A value that is no text is written as JSON. A name without a value stays as written, so that a pattern made of
    it matches nothing. `quote` is applied to each value, as `glob.escape` in a file pattern.
    """
    return _PLACEHOLDER.sub(
        lambda match: quote(_as_text(inputs[match[1]])) if match[1] in inputs else match[0], text
    )


def fill_value(value: Any, inputs: Mapping[str, Any]) -> Any:
    """A JSON value with its texts filled; a text that is one placeholder and nothing else becomes the input itself."""
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        return inputs[whole[1]] if whole and whole[1] in inputs else fill(value, inputs)
    if isinstance(value, list):
        return [fill_value(item, inputs) for item in value]
    if isinstance(value, dict):
        return {key: fill_value(item, inputs) for key, item in value.items()}
    return value


def fill_shell(command: str, inputs: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """A command line with each `{{name}}` turned into a shell variable, and those variables' values.

    Text pasted into a command line would be read as commands, and quoting it is undone by quotes that the author
    already wrote around the placeholder. A variable's value is never read as a command, in quotes or not.
    """
    variables: dict[str, str] = {}

    def variable(match: re.Match[str]) -> str:
        if match[1] not in inputs:
            return match[0]
        name = "INPUT_" + match[1].replace("-", "_")
        variables[name] = _as_text(inputs[match[1]])
        return f"${{{name}}}"

    return _PLACEHOLDER.sub(variable, command), variables


def placeholders(text: str) -> Iterator[tuple[str, int]]:
    """The names in `text`, each with the number of line breaks before it."""
    n_lines, counted = 0, 0
    for match in _PLACEHOLDER.finditer(text):
        n_lines += text.count("\n", counted, match.start())
        counted = match.start()
        yield match[1], n_lines


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
