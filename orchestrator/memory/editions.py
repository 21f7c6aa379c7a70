"""Names of learned programs that a person has edited: the name of the file, and a hash of the cells it has now.

What is on record of the cells that were there before says something of those in their place, but is not theirs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_EDITION = re.compile(r"\+[0-9a-f]{8}$")


def edition(name: str, digest: str) -> str:
    """The name of a program whose cells are not those that its file was made with; eight digits of hash tell them."""
    return f"{name}+{digest}"


def original(strategy: str) -> str:
    """The name of a strategy without what tells it from its earlier editions."""
    return _EDITION.sub("", strategy)


def is_edited(strategy: str) -> bool:
    """Whether a strategy is a program that was edited."""
    return original(strategy) != strategy


def before(strategy: str, known: Collection[str]) -> str | None:
    """Of the strategies that are known, oldest first, the latest edition of the same file; None where there is none."""
    first = original(strategy)
    found = [name for name in known if name != strategy and original(name) == first]
    return found[-1] if found else None
