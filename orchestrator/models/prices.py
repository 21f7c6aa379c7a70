"""Prices and windows of models: the table that comes with litellm, read without importing it.

Source: `model_prices_and_context_window_backup.json` in the package litellm. It has megabytes, and a run wants one or
two entries: these are found in its text and parsed alone.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import util
from pathlib import Path
from typing import Any

FILE = "model_prices_and_context_window_backup.json"


@dataclass(frozen=True, slots=True)
class Price:
    """What the table says of a model: dollars a token, tokens that it reads and writes; None where it says nothing."""

    provider: str
    usd_in: float | None
    usd_out: float | None
    window_tokens: int | None
    max_output_tokens: int | None


@cache
def price_of(name: str) -> Price | None:
    """The entry of a model, by the name that litellm has for it; None where the table has none."""
    text = _table()
    at = text.find(f'\n    "{name}": {{')
    if at < 0:
        return None
    start = text.index("{", at)
    try:
        entry: dict[str, Any] = json.JSONDecoder().raw_decode(text, start)[0]
    except ValueError:
        return None
    return Price(
        provider=str(entry.get("litellm_provider") or ""),
        usd_in=_number(entry.get("input_cost_per_token")),
        usd_out=_number(entry.get("output_cost_per_token")),
        window_tokens=_count(entry.get("max_input_tokens") or entry.get("max_tokens")),
        max_output_tokens=_count(entry.get("max_output_tokens")),
    )


FORMS = ("litellm", "command", "recorded")
"""What may stand before a colon, to say how the rest is reached."""


def closest(name: str, n: int = 3) -> list[str]:
    """What `name` may have been meant for, the likeliest first: our own forms, then names of the table."""
    form, colon, rest = name.partition(":")
    if near := difflib.get_close_matches(form, FORMS if colon else ("host",), n=1, cutoff=0.7):
        return [f"{near[0]}{colon}{rest}"]
    names = re.findall(r'^    "([^"]+)": \{', _table(), re.MULTILINE)
    bare = {one.rpartition("/")[2]: one for one in reversed(names)}
    same = name.rpartition("/")[2]
    if same != name and (price := price_of(same)) is not None:  # only what stands before it is unknown
        return [f"{price.provider}/{same}"]
    near = difflib.get_close_matches(name, names, n=n) or [
        bare[one] for one in difflib.get_close_matches(name.rpartition("/")[2], bare, n=n)
    ]
    return list(dict.fromkeys(near))


@cache
def knows_provider(name: str) -> bool:
    """Whether the table has models of this provider."""
    return f'"litellm_provider": "{name}"' in _table()


@cache
def _table() -> str:
    """The file's text; empty where litellm is not installed."""
    spec = util.find_spec("litellm")  # of a top-level package: finding it does not import it
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        try:
            return (Path(folder) / FILE).read_text("utf-8")
        except OSError:
            continue
    return ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
