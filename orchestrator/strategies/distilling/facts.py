"""What a statement or a function does to the names of the cells."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Facts:
    """What one statement, or the body of one function, does to the names of the cells."""

    reads: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)  # objects behind these names are altered in place
    inside: set[str] = field(default_factory=set)  # those of `changes` of which a part may be altered
    calls: set[str] = field(default_factory=set)  # dotted names
    reaches_out: bool = False  # more than values is changed: files, the world
    gates: bool = False  # it may raise on purpose
    dynamic: bool = False  # it may read any name
    changes_parameters: bool = False  # of a function: it alters what it is given

    def add(self, other: Facts) -> None:
        """Do also what `other` does."""
        self.reads |= other.reads
        self.binds |= other.binds
        self.changes |= other.changes
        self.inside |= other.inside
        self.calls |= other.calls
        self.reaches_out |= other.reaches_out
        self.gates |= other.gates
        self.dynamic |= other.dynamic
