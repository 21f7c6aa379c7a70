"""The problems of one file, gathered while it is read, so that all are reported at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.values import Problem

if TYPE_CHECKING:
    from orchestrator.values import Severity


class Findings:
    """Grows while one file is read. Strict makes each warning an error."""

    def __init__(self, path: str, *, strict: bool = False) -> None:
        self.path = path
        self.strict = strict
        self._problems: list[Problem] = []

    def error(self, line: int, message: str, hint: str = "") -> None:
        """Note what makes the file unusable."""
        self._add(line, message, hint, "error")

    def warning(self, line: int, message: str, hint: str = "") -> None:
        """Note what is odd and goes on."""
        self._add(line, message, hint, "error" if self.strict else "warning")

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything found, in the order of lines."""
        return tuple(sorted(self._problems, key=lambda problem: problem.line))

    @property
    def has_errors(self) -> bool:
        """Whether the file is unusable."""
        return any(problem.severity == "error" for problem in self._problems)

    def _add(self, line: int, message: str, hint: str, severity: Severity) -> None:
        self._problems.append(Problem(self.path, line, message, hint, severity))
