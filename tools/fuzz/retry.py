"""Inputs tried once more, without instruments: `python -m fuzz.retry TARGET FILE...` prints one line for each that is a flaw."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from fuzz.limits import limit_memory, tried
from fuzz.targets import opened


def main() -> None:
    """Try each file; the exit code is 1 where one of them is a flaw."""
    name, *paths = sys.argv[1:]
    limit_memory()
    n_flaws = 0
    with tempfile.TemporaryDirectory() as folder, opened(name, Path(folder)) as target:
        for path in paths:
            flaw = tried(target, Path(path).read_bytes())
            if flaw is not None:
                n_flaws += 1
                print(f"{path}: {flaw}", flush=True)
    sys.exit(n_flaws > 0)


if __name__ == "__main__":
    main()
