"""Secrets stay out of the record: values of variables that hold one are replaced by the variable's name.

`[hidden:GITHUB_TOKEN:1f9c04ab]` stands for the value in journals, blobs, live views, observations and errors. The last
part is made of the value and the run, so that nobody who does not know the value can write such a mark. A run that
goes on finds what its cells and calls worked with again, while the variable still has that value; what a model was
shown stays as it was shown.

Covered: the value as it is, and as JSON writes it. Not covered: a value that was changed (encoded, cut, turned round),
and what a run is asked to send or print: prompts to models, requests of skills, the answer on stdout.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MIN_CHARS = 8
"""A shorter value may be a part of any word."""

RESTORED = {
    "run_started": ("source", "inputs"),
    "resumed": ("answers",),
    "call_started": ("arguments",),
    "call_finished": ("value", "partial"),
    "cell_started": ("source",),
    "cell_finished": ("answer", "partial"),
    "reply": ("text",),
}
"""Fields of events that a run works with when it goes on."""

_NAMES = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|PAT|COOKIE)$", re.IGNORECASE
)
_IN_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]*://[^/@:\s]*:([^/@\s]+)@", re.IGNORECASE)
_MARK = re.compile(r"\[hidden:([A-Za-z_][A-Za-z0-9_]*):([0-9a-f]{8})\]")


class Hiding:
    """Hides the secrets of one process's variables in the record of one run. Pure: made of values, changes nothing."""

    def __init__(
        self, run: str = "", environ: Mapping[str, str] | None = None, named: Iterable[str] = ()
    ) -> None:
        secrets = secrets_in(environ or {}, named)
        self._marks: list[tuple[str, str]] = []  # a value, the longest first, and what stands for it
        self._values: dict[str, str] = {}
        for name, value in sorted(secrets.items(), key=lambda one: -len(one[1])):
            tag = hashlib.sha256(f"{run}\0{name}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
            mark = f"[hidden:{name}:{tag}]"
            self._values[mark] = value
            for form in dict.fromkeys(
                (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
            ):
                self._marks.append((form, mark))

    def text(self, text: str) -> str:
        """The text without secrets."""
        for value, mark in self._marks:
            if value in text:
                text = text.replace(value, mark)
        return text

    def fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of an event without secrets; the same object where there are none in it."""
        if not self._marks:
            return fields
        text = json.dumps(fields, ensure_ascii=False, default=repr)
        hidden = self.text(text)
        return fields if hidden == text else {name: self._deep(value) for name, value in fields.items()}

    def restored(self, event: str, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of an event that is read again, with the values that the run worked with."""
        names = RESTORED.get(event, ())
        if not self._values or not any(name in fields for name in names):
            return fields
        return {name: self._back(value) if name in names else value for name, value in fields.items()}

    def _deep(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self._deep(key): self._deep(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._deep(one) for one in value]
        return value

    def _back(self, value: Any) -> Any:
        if isinstance(value, str):
            return (
                _MARK.sub(lambda match: self._values.get(match[0], match[0]), value)
                if "[hidden:" in value
                else value
            )
        if isinstance(value, dict):
            return {self._back(key): self._back(one) for key, one in value.items()}
        return [self._back(one) for one in value] if isinstance(value, list) else value


def secrets_in(environ: Mapping[str, str], named: Iterable[str] = ()) -> dict[str, str]:
    """The values that are secret, by their variables: those `named`, those whose names say so, passwords in addresses.

    Paths are none, nor is what is shorter than MIN_CHARS.
    """
    wanted = set(named)
    found = {}
    for name, value in environ.items():
        value = value.strip()
        if name in wanted or _NAMES.search(name):
            if len(value) >= MIN_CHARS and (name in wanted or not value.startswith(("/", "~", "./"))):
                found[name] = value
        elif (password := _IN_ADDRESS.match(value)) and len(password[1]) >= MIN_CHARS:
            found[name] = password[1]
    return found
