"""Inputs guided by coverage, for one target: `python -m fuzz TARGET FOLDER --seconds N`, started by benchmarks/fuzz.py.

FOLDER has `corpus/`, which grows; what is found is put into `found/`, once for each kind and place. libFuzzer's own words go to
stderr; how many inputs ran is among them.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # of a group of its own: see pyproject.toml

INSTRUMENTED_IMPORTS = partial(
    atheris.instrument_imports, include=["orchestrator", "markdown_it"], enable_loader_override=False
)
with INSTRUMENTED_IMPORTS():
    from fuzz import limits
    from fuzz.mutate import mutated
    from fuzz.seeds import MAX_BYTES
    from fuzz.targets import TARGETS, opened

INSTRUMENTED = 4
"""How many times as long an input may take here; whether it is slow is said without instruments."""

BY_SHAPE = 0.5
"""Share of the inputs that are changed in their shape and not anywhere."""


def main() -> None:
    """Fuzz one target until the time is up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    found = given.folder / "found"
    found.mkdir(parents=True, exist_ok=True)
    limits.limit_memory()
    seen: set[tuple[str, str]] = set()
    with opened(given.target, Path(tempfile.mkdtemp())) as target:

        def try_one(data: bytes) -> None:
            flaw = limits.tried(target, data, INSTRUMENTED * limits.LIMIT_S)
            if flaw is None or (flaw.kind, flaw.place) in seen:
                return
            seen.add((flaw.kind, flaw.place))
            (found / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
            sys.stderr.write(f"FOUND {flaw}\n")

        def mutate(data: bytes, max_bytes: int, seed: int) -> bytes:
            chance = random.Random(seed)
            if (
                chance.random() < BY_SHAPE
                and (changed := mutated(data, chance))
                and len(changed) <= max_bytes
            ):
                return changed
            return bytes(atheris.Mutate(data, max_bytes))

        options = [
            f"-max_total_time={given.seconds}",
            f"-max_len={MAX_BYTES}",
            "-timeout=0",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], *options, str(given.folder / "corpus")], try_one, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    with INSTRUMENTED_IMPORTS():  # what readers import when they first need it too
        main()
