"""The skills that were found, and how they are asked for by name or pattern."""

from __future__ import annotations

import difflib
import unicodedata
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from orchestrator.documents.types import Skill
    from orchestrator.values import Problem


@dataclass(frozen=True, slots=True)
class Catalog:
    """The skills that can be called: one for each name, nearer ones first. `keys` holds their paths below their roots.

    `diagnostics` are of the search (shadowed skills, refused links, ...); each skill carries those of its own files.
    """

    skills: tuple[Skill, ...]
    diagnostics: tuple[Problem, ...]
    keys: Mapping[Path, str]

    def get(self, name: str) -> Skill | None:
        """The skill with exactly this name."""
        return next((skill for skill in self.skills if skill.name == name), None)

    def named(self, name: str) -> Skill:
        """The skill with exactly this name. Raises UsageError, with the closest one."""
        skill = self.get(name)
        if skill is None:
            raise self.unknown(name)
        return skill

    def unknown(self, name: str) -> UsageError:
        """What to tell of a name, or a pattern, that fits no skill."""
        last = name.rstrip("/").rpartition("/")[2]  # a path ends in its name
        close = self.closest(last) or self.closest(name)
        return UsageError(
            f"no skill named `{name}` ({len(self.skills)} known)",
            hint=f"did you mean `{close}`? " * bool(close) + "`orchestrate skills` lists them",
        )

    def select(self, patterns: Iterable[str] | None) -> tuple[tuple[Skill, ...], list[str]]:
        """The skills that some pattern names, in the catalog's order, and the patterns that name none.

        A pattern is a name, or a glob of names or of paths below the root, as `team/*`; None selects everything.
        """
        if patterns is None:
            return self.skills, []
        chosen: set[Path] = set()
        unknown: list[str] = []
        for pattern in patterns:
            found = {skill.folder for skill in self.skills if self._matches(skill, pattern)}
            chosen |= found
            if not found:
                unknown.append(pattern)
        return tuple(skill for skill in self.skills if skill.folder in chosen), unknown

    def closest(self, name: str) -> str | None:
        """The known name that `name` may have been meant for."""
        by_fold = {fold(skill.name): skill.name for skill in reversed(self.skills)}
        near = difflib.get_close_matches(fold(name), by_fold, n=1)
        return by_fold[near[0]] if near else None

    def _matches(self, skill: Skill, pattern: str) -> bool:
        return skill.name == pattern or any(
            fnmatchcase(text, pattern) for text in (skill.name, self.keys.get(skill.folder, skill.name))
        )


def fold(name: str) -> str:
    """What names have in common that people and file systems may mistake for each other."""
    return unicodedata.normalize("NFKC", name).casefold().replace("-", "_")
