"""Print what a benchmark measured: one Markdown table, with all that is needed to judge and repeat it.

A benchmark is a script that measures first and then prints once:

    from report import report, timed

    report("Cost of a usage record", ["history", "median (min-max) ms"], [["100", timed(record, n=50).ms]])
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations of one thing done several times."""

    median_s: float
    min_s: float
    max_s: float
    n: int

    @property
    def ms(self) -> str:
        """Median with minimum and maximum, in milliseconds, as a table shows it."""
        return self._scaled(1e3)

    @property
    def us(self) -> str:
        """The same in microseconds."""
        return self._scaled(1e6)

    def _scaled(self, factor: float) -> str:
        median, low, high = (_number(value * factor) for value in (self.median_s, self.min_s, self.max_s))
        return f"{median} ({low}-{high})"


def timed(action: Callable[[], object], n: int = 20, *, warm_up: int = 1) -> Timing:
    """How long `action` takes: run `warm_up` times unmeasured, then `n` times with garbage collection off."""
    for _ in range(warm_up):
        action()
    durations_s = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(n):
            began = time.perf_counter()
            action()
            durations_s.append(time.perf_counter() - began)
    finally:
        gc.enable()
    return summarised(durations_s)


def summarised(durations_s: Iterable[float]) -> Timing:
    """Durations that were measured elsewhere, as in another process."""
    values = sorted(durations_s)
    return Timing(statistics.median(values), values[0], values[-1], len(values))


def report(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], notes: str = "") -> None:
    """Print the table. The first column is aligned left, the others right; numbers are shortened."""
    print(f"## {title}\n")
    print(f"`{_command()}` · {datetime.now(UTC):%Y-%m-%d} · commit {_commit()} · {machine()}\n")
    print(_line(columns))
    print("|" + "|".join("---" if n == 0 else "---:" for n, _ in enumerate(columns)) + "|")
    for row in rows:
        print(_line([_number(cell) if isinstance(cell, float) else str(cell) for cell in row]))
    print(f"\n{notes}\n" if notes else "", flush=True)


def users_environment() -> dict[str, str]:
    """Our variables without those of Python: where compiled files may not be kept, a start measures the compiler."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def machine() -> str:
    """Processor, cores, kernel and Python, in one line."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    cores = f"{os.cpu_count()} cores"
    return f"{_processor()}, {cores}, {platform.system()} {platform.release()}, {python}"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _number(value: float) -> str:
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _command() -> str:
    script = Path(sys.argv[0]).resolve()
    shown = script.relative_to(ROOT) if script.is_relative_to(ROOT) else script.name
    return " ".join(["python", str(shown), *sys.argv[1:]])


def _commit() -> str:
    try:
        head = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "orchestrator")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head} with local changes" if changed else head


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


if __name__ == "__main__":  # `make bench` runs every script of this folder; this one only serves them
    print(machine())
