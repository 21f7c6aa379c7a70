"""Secrets stay out of the record: values of variables that hold one are replaced by the variable's name.

`[hidden:GITHUB_TOKEN:1f9c04ab]` stands for the value in journals, blobs, live views, observations and errors. The last
part is made of the value and the run, so that nobody who does not know the value can make such a mark up. A mark that
somebody was shown and wrote again is one with a colon more on record. So a run that goes on finds again exactly what
was: values where there were values, marks where a model was shown marks or wrote them. All of an event comes back, also
names: a secret may be a common word, and a call is known again by its name.

Covered: the value as it is, and as JSON writes it. Not covered: a value that was changed (encoded, cut, turned round),
a number, and what a run is asked to send or print: prompts to models, requests of skills, the answer on stdout (of a
detached run: in `output.txt`).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MIN_CHARS = 8
"""A shorter value may be a part of any word."""

_NAMES = re.compile(
    r"(?:(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|CREDENTIALS?|PAT|COOKIE)|PASSWORD|PASSWD|PASSPHRASE|_PWD)$",
    re.IGNORECASE,
)
_BASE64 = re.compile(r"/[A-Za-z0-9+/]{31,}={0,2}")
_IN_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]*://[^/@:\s]*:([^/@\s]+)@", re.IGNORECASE)


class Hiding:
    """Hides the secrets of one process's variables in the record of one run. Pure: made of values, changes nothing."""

    def __init__(
        self, run: str = "", environ: Mapping[str, str] | None = None, named: Iterable[str] = ()
    ) -> None:
        secrets = secrets_in(environ or {}, named)
        self._marks: dict[str, str] = {}  # what stands for each form of a value
        for name, value in secrets.items():
            for form in _forms(value):
                whole = hashlib.sha256(f"{run}\0{name}\0{form}".encode("utf-8", "surrogatepass"))
                self._marks.setdefault(form, f"[hidden:{name}:{whole.hexdigest()[:8]}]")
        self._values = {mark[:-1]: form for form, mark in self._marks.items()}
        # At once, the longest first: one secret may be the beginning of another, or a word of its mark.
        longest = sorted(self._marks, key=len, reverse=True)
        marks = f"({'|'.join(map(re.escape, self._values)) or '(?!)'})(:*)\\]"
        self._mark = re.compile(marks)
        self._wanted = re.compile("|".join([marks, *map(re.escape, longest)]))
        self._probes = ["[hidden:", *(json.dumps(form, ensure_ascii=False)[1:-1] for form in longest)]

    def text(self, text: str) -> str:
        """The text without secrets."""
        if not any(form in text for form in self._marks):  # a hundred times faster than to look by pattern
            return text
        return self._wanted.sub(lambda match: self._marks.get(match[0], match[0]), text)

    def fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of an event as they are recorded; the same object where there are no secrets and marks in it."""
        if not self._marks:
            return fields
        text = json.dumps(fields, ensure_ascii=False, default=repr)
        if not any(probe in text for probe in self._probes):
            return fields
        return {name: _deep(value, self._recorded) for name, value in fields.items()}

    def restored(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of an event that is read again, as they were before they were recorded."""
        if not self._values:
            return fields
        return {name: _deep(value, self._back) for name, value in fields.items()}

    def _recorded(self, text: str) -> str:
        if not any(probe in text for probe in ("[hidden:", *self._marks)):
            return text
        return self._wanted.sub(self._told, text)

    def _told(self, match: re.Match[str]) -> str:
        if match[1] is None:
            return self._marks[match[0]]
        return f"{match[1]}{match[2]}:]"

    def _back(self, text: str) -> str:
        return self._mark.sub(self._meant, text) if "[hidden:" in text else text

    def _meant(self, match: re.Match[str]) -> str:
        return f"{match[1]}{match[2][1:]}]" if match[2] else self._values[match[1]]


def _forms(value: str) -> dict[str, None]:
    """A value as it is and as JSON writes it, each once."""
    return dict.fromkeys((value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]))


def _deep(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_deep(key, change): _deep(one, change) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_deep(one, change) for one in value]
    return value


def secrets_in(environ: Mapping[str, str], named: Iterable[str] = ()) -> dict[str, str]:
    """The values that are secret, by their variables: those `named`, those whose names say so, passwords in addresses.

    Paths are none, nor is what is shorter than MIN_CHARS. What begins as a path may be random: one of 64 keys in base64
    does.
    """
    wanted = set(named)
    found = {}
    for name, value in environ.items():
        value = value.strip()
        if name in wanted or _NAMES.search(name):
            if len(value) >= MIN_CHARS and (name in wanted or not _is_path(value)):
                found[name] = value
        elif (password := _IN_ADDRESS.match(value)) and len(password[1]) >= MIN_CHARS:
            found[name] = password[1]
    return found


def _is_path(value: str) -> bool:
    random = _BASE64.fullmatch(value) and all(re.search(kind, value) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    return value.startswith(("/", "~", "./")) and not random
