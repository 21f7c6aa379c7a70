"""Where the values of a program come from: what each was computed from, and which literals of the program are in it.

An abstract run of cells, forwards: loops are gone through twice, both branches are taken, functions defined in cells
are entered where they are called. Nothing is executed.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

How = Literal["whole", "text", "asked", "chosen"]
"""How a literal is in a value: as it stands, as a part of a text or sum, through a sub-call's prompt, or as one of
several that data chose between."""

_LATER: dict[How, tuple[How, ...]] = {
    "text": ("whole",),
    "asked": ("whole", "text"),
    "chosen": ("whole", "text"),
}

SOURCES = ("context", "inputs", "task", "sub:", "skill", "files", "memory")
"""What values of a program can come from; `sub:` is followed by the place of the sub-call."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A literal, where it stands: the position of its cell, the line there."""

    at: int
    line: int
    value: str | int | float


@dataclass(frozen=True, slots=True)
class Value:
    """`of`: origins, with `?` before those that only decided; `spots`: the literals in it."""

    of: frozenset[str] = frozenset()
    spots: frozenset[tuple[How, Spot]] = frozenset()

    def __or__(self, other: Value) -> Value:
        if other is self or not (other.of or other.spots):
            return self
        return Value(self.of | other.of, self.spots | other.spots)

    def as_(self, how: How) -> Value:
        """The value when its literals have come into it in this way."""
        if not self.spots:
            return self
        return Value(
            self.of, frozenset((how if was in _LATER[how] else was, spot) for was, spot in self.spots)
        )

    def without_spots(self) -> Value:
        """The value when its literals were used to find or compare, and are not in what came of it."""
        return Value(self.of) if self.spots else self

    def plus(self, *origins: str) -> Value:
        """The value with these origins too."""
        return Value(self.of.union(origins), self.spots)

    def minus(self, *prefixes: str) -> Value:
        """The value without the origins that begin so."""
        return Value(frozenset(one for one in self.of if not one.startswith(prefixes)), self.spots)

    def has(self, *prefixes: str) -> bool:
        """Whether it was computed from one of these."""
        return any(one.startswith(prefixes) for one in self.of)

    @property
    def weak(self) -> Value:
        """What a value passes on to those it only decides about."""
        return Value(
            frozenset(
                one if one[0] == "?" else f"?{one}" for one in self.of if one.lstrip("?").startswith(SOURCES)
            )
        )


NOTHING = Value()


def joined(values: Iterable[Value]) -> Value:
    """All of these together."""
    found = NOTHING
    for value in values:
        found = found | value
    return found


def picking(index: Value) -> Value:
    """What an index leaves in the value that it picked: that it decided, and of its literals those that name files."""
    turns = (one for one in index.of if one.startswith("each:"))
    return Value(
        index.weak.of.union(turns),
        frozenset((how, spot) for how, spot in index.spots if names_a_file(spot.value)),
    )


def naming(keys: Value) -> Value:
    """What keys of a dict leave in it: their origins, and of their literals those that are no names of fields."""
    spots = ((how, spot) for how, spot in keys.spots if names_a_file(spot.value) or " " in str(spot.value))
    return Value(keys.of, frozenset(spots))


def names_a_file(value: object) -> bool:
    """Whether a literal looks like the path of a file, and not like the name of a field."""
    if not isinstance(value, str) or any(letter.isspace() for letter in value.strip()):
        return False
    stem, dot, suffix = value.rpartition(".")
    return "/" in value or bool(dot and stem and 1 <= len(suffix) <= 5 and suffix.isalnum())


def is_window(part: ast.Slice) -> bool:
    """Whether a slice in a loop cuts piece after piece (`[i:i + n]`, `[i * n:(i + 1) * n]`), not a place around a hit."""
    lower, upper = part.lower, part.upper
    if isinstance(lower, ast.BinOp) and isinstance(lower.op, ast.Mult):
        return True
    if not isinstance(lower, ast.Name) or upper is None:
        return False
    return isinstance(upper, ast.Name) or (
        isinstance(upper, ast.BinOp | ast.Call)
        and lower.id in {n.id for n in ast.walk(upper) if isinstance(n, ast.Name)}
    )


class Watcher:
    """Is told what an abstract run comes across; this one does not care."""

    def sub_call(self, name: str, given: Value, in_loop: bool) -> None:
        """A sub-call, with all it is given; `in_loop`: it is made for each of many."""

    def skill_call(self, name: str, given: Value, in_loop: bool) -> None:
        """A skill call."""

    def shown(self, value: Value) -> None:
        """Something is printed."""

    def searched(self, text: Value) -> None:
        """Something is searched for in this."""

    def cut(self, text: Value) -> None:
        """A text is cut into pieces, and they are used one by one."""

    def compared(self, op: ast.cmpop, left: Value, right: Value) -> None:
        """Two values are compared."""

    def tested(self, test: ast.expr, value: Value) -> None:
        """It depends on this what is done next."""

    def asserted(self, value: Value) -> None:
        """The run ends unless this holds."""

    def called(self, name: str) -> None:
        """A function that was not defined in a cell is called."""
