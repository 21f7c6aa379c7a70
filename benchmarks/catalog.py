"""What it costs to find and read 3,000 skills: cold, and with the index on disk."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from report import report, summarised, users_environment

N_SKILLS = 3_000
N_COLD = 3
N_WARM = 9

BODY = "Read the file, then say what stands in it. Quote, and name the line.\n\n" * 60
MANIFEST = """schema: orchestrate.skill/1
functions:
  count:
    description: Count words in a file.
    entry: {python: "skill.py:count"}
    input: {type: object, required: [path], properties: {path: {type: string}, unit: {enum: [words, lines]}}}
    output: {type: object, required: [total], properties: {total: {type: integer}}}
    effects: read
default: count
"""
FUNCTION = "def count(path: str, unit: str = 'words') -> dict:\n    return {'total': 0}\n"
SCRIPT = '''"""Count words in files."""
import argparse
from pathlib import Path

UNITS = ("words", "lines", "bytes")


def build():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, help="Files to read")
    parser.add_argument("-u", "--unit", choices=UNITS, default="words")
    parser.add_argument("--at-most", type=int, default=10, help="Stop after so many")
    parser.add_argument("--json", action="store_true")
    return parser


def main():
    args = build().parse_args()
    for path in args.paths:
        print(path, len(path.read_text().split()))


if __name__ == "__main__":
    main()
'''
# Timed in a process of its own, so that imports count as they do for a user.
LOAD = """
import sys, time
from pathlib import Path
began = time.perf_counter()
from orchestrator.catalog.discover import discover
from orchestrator.workspace import Workspace
root = Path(sys.argv[1])
n = len(discover(Workspace(root), home=None, bundled=root / "none").skills)
print(n, time.perf_counter() - began)
"""


def main() -> None:
    """Make the skills, load them in new processes and print one table."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        n_files = sum(
            _write_skill(root / "skills" / f"group-{n % 30}" / f"skill-{n}", n) for n in range(N_SKILLS)
        )
        index = root / "memory/cache/skills-index.json"
        cold = []
        for _ in range(N_COLD):
            index.unlink(missing_ok=True)
            cold.append(_load(root))
        # What was written within two seconds of being read is read once more; the loads above took longer than that.
        warm = [_load(root) for _ in range(N_WARM)]
        size_mb = index.stat().st_size / 1e6
    rows = [("cold: no index", summarised(cold).ms), ("warm: index on disk", summarised(warm).ms)]
    notes = (
        f"{n_files:,} files; the index takes {size_mb:.1f} MB. Times include imports, in a new process each."
    )
    report("Loading the catalog", [f"{N_SKILLS:,} skills", "median (min-max) ms"], rows, notes)


def _write_skill(folder: Path, n: int) -> int:
    """One skill of three kinds: prose alone, with a script, with a manifest. Gives the number of its files."""
    files = {
        "SKILL.md": f"---\nname: skill-{n}\ndescription: Does thing {n}. Use when asked.\n---\n# Skill\n\n{BODY}"
    }
    if n % 3:
        files |= {"scripts/count.py": SCRIPT, "references/more.md": BODY}
    if n % 3 == 2:
        files |= {"manifest.yaml": MANIFEST, "skill.py": FUNCTION}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return len(files)


def _load(root: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(root)],
        env=users_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    n, seconds = done.stdout.split()
    assert int(n) == N_SKILLS
    return float(seconds)


if __name__ == "__main__":
    main()
