"""Keys: where a model's key is found, which headers carry one, and how it stays out of what is shown."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.models.names import Target

HIDDEN = "[key]"

MIN_KEY_CHARS = 6
"""A shorter key (`none`, for a server that asks for none) is no secret, and may be a part of any word."""

MIN_HEADER_CHARS = 16
"""The same of variables in headers, which may also hold the name of a provider."""


def key_of(target: Target, environ: Mapping[str, str]) -> str:
    """The key of a model, without the line end that a file may have given it; empty where there is none."""
    return next((environ[one].strip() for one in target.key_env if environ.get(one)), "")


def headers_of(target: Target, environ: Mapping[str, str]) -> dict[str, str]:
    """The target's own headers, filled in; one that names a variable which is not set is left out."""
    headers = {}
    for name, value in target.headers.items():
        try:
            headers[name] = string.Template(value).substitute(environ).strip()
        except (KeyError, ValueError):
            if "$" not in value:
                headers[name] = value
    return headers


def needed_names(target: Target) -> list[str]:
    """The variables that may hold the key, or what else a request can't do without."""
    return [*target.key_env, *(one for need in target.needs for one in need.split("|"))]


def header_names(target: Target) -> list[str]:
    """The variables that the target's own headers are filled in from."""
    return [one for value in target.headers.values() for one in string.Template(value).get_identifiers()]


def secrets_of(target: Target, environ: Mapping[str, str]) -> tuple[str, ...]:
    """What must be in no error: every key that a request may carry, the longer ones first."""
    keys = {environ.get(one, "").strip() for one in needed_names(target) if _may_be_key(one)}
    found = {one for one in keys if len(one) >= MIN_KEY_CHARS}
    found |= {
        value
        for one in header_names(target)
        if len(value := environ.get(one, "").strip()) >= MIN_HEADER_CHARS
    }
    return tuple(sorted(found, key=len, reverse=True))


def without(text: str, secrets: tuple[str, ...]) -> str:
    """The text with every secret in it hidden."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def _may_be_key(variable: str) -> bool:
    return not variable.endswith(("_BASE", "_VERSION"))
