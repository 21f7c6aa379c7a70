"""Whether any bytes bring more than a clear error out of the readers: inputs guided by coverage.

    python benchmarks/fuzz.py [--seconds N] [--work FOLDER] [TARGET ...]

Needs atheris: `pip install --group fuzz`, on Linux with a Python that it has a wheel for (3.11 to 3.13 when this was written).
Two targets run at once. With `--work` the corpora are kept there, and the next time goes on from them; what is found is
kept in any case, and named on stderr. An input is a flaw when it brings out an error that is none of ours, when it takes
more than a second of the processor at up to 64 KiB, or more memory than 2 GiB: tried again without instruments.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import util
from pathlib import Path

from report import ROOT, report

sys.path.insert(0, str(ROOT / "tools"))

from fuzz.seeds import keep, seeds
from fuzz.targets import TARGETS

N_AT_ONCE = 2
LATE_S = 120
COLUMNS = ["target", "seconds", "seeds", "executions", "edges", "features", "inputs kept", "flaws"]
NOTES = "executions: inputs that were tried. edges, features: of our code that they reached, as libFuzzer counts them (features tell how often an edge was taken too). inputs kept: those that reached something new. flaws: kinds and places of errors that are none of ours, of hangs and of memory; 0 is the aim."
_DONE = re.compile(r"^#(\d+)\s+DONE\s+cov: (\d+) ft: (\d+) corp: (\d+)/", re.MULTILINE)


def main() -> None:
    """Fuzz and print one table; exit 1 where something was found."""
    parser = argparse.ArgumentParser(description="Try inputs that coverage guides.")
    parser.add_argument("--seconds", type=int, default=30, help="for each target (30)")
    parser.add_argument("--work", type=Path, help="a folder for the corpora and what is found")
    parser.add_argument("target", nargs="*", help=f"of {', '.join(TARGETS)} (all)")
    given = parser.parse_args()
    if unknown := set(given.target) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    if util.find_spec("atheris") is None:
        print("skipped: atheris is not installed\nhint: pip install --group fuzz", file=sys.stderr)
        return
    work = given.work or Path(tempfile.mkdtemp(prefix="fuzz-"))
    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        rows = list(pool.map(partial(fuzzed, work=work, seconds=given.seconds), given.target or TARGETS))
    report("Fuzzing", COLUMNS, rows, NOTES)
    if any(row[-1] != 0 for row in rows):
        sys.exit(1)


def fuzzed(name: str, work: Path, seconds: int) -> list[object]:
    """The row of one target."""
    folder = work / name
    inputs = seeds(name)
    keep(folder / "corpus", inputs)
    with (folder / "log").open("wb") as log:
        argv = [sys.executable, "-m", "fuzz", name, str(folder), "--seconds", str(seconds)]
        # What hangs where no timer is noticed is found by the time that all of it takes.
        ended = subprocess.run(
            ["timeout", "-k", "5", str(seconds + LATE_S), *argv], cwd=ROOT / "tools", stdout=log, stderr=log
        )
    told = (folder / "log").read_text("utf-8", "replace")
    done = _DONE.search(told)
    flaws = retried(name, sorted((folder / "found").glob("*")))
    if done is None or ended.returncode:
        flaws.append(f"{name} ended with code {ended.returncode}: {told[-500:]}")
    for flaw in flaws:
        print(flaw, file=sys.stderr)
    figures = [int(number) for number in done.groups()] if done else ["?"] * 4
    return [name, seconds, len(inputs), *map(_shown, figures), len(flaws)]


def retried(name: str, paths: list[Path]) -> list[str]:
    """Which of the inputs that were found are flaws without instruments too."""
    if not paths:
        return []
    argv = [sys.executable, "-m", "fuzz.retry", name, *map(str, paths)]
    done = subprocess.run(argv, cwd=ROOT / "tools", capture_output=True, text=True, env=os.environ)
    return done.stdout.splitlines() or ([done.stderr[-500:]] if done.returncode else [])


def _shown(figure: object) -> str:
    return f"{figure:,}" if isinstance(figure, int) else str(figure)


if __name__ == "__main__":
    main()
