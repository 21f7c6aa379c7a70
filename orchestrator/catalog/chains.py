"""What skills can do together that none of them can alone: one reads, one that it calls sends.

A skill is held to its own manifest, and so are those that it uses. What one of them reads can still leave by another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.catalog.trust import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.documents.types import Skill


@dataclass(frozen=True, slots=True)
class Chain:
    """A skill, what is read by it or below it, and the hosts that another one below it may reach."""

    skill: str
    reader: str
    reads: tuple[str, ...]
    sender: str
    hosts: tuple[str, ...]

    def __str__(self) -> str:
        reads, hosts = (
            ", ".join(f"`{one}`" for one in self.reads[:3]),
            ", ".join(f"`{one}`" for one in self.hosts[:3]),
        )
        return f"`{self.reader}` may read {reads}, and `{self.sender}` may reach {hosts}: what one reads the other can send"


def chains(skills: Iterable[Skill], known: Mapping[str, Skill]) -> Iterator[Chain]:
    """A chain for each skill below which files or variables are read by one skill and hosts are reached by another."""
    for skill in skills:
        together = named([skill], known)
        readers = [one for one in together if one.permissions.read or one.permissions.env]
        senders = [one for one in together if one.permissions.network]
        pair = next(
            ((reader, sender) for reader in readers for sender in senders if reader is not sender), None
        )
        if pair is not None and len(together) > 1:
            reader, sender = pair
            reads = (*reader.permissions.read, *reader.permissions.env)
            yield Chain(skill.name, reader.name, reads, sender.name, sender.permissions.network)
