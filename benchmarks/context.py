"""What 100 MB of text cost a run: time, memory of its worker, growth of the journal."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import report, summarised, users_environment

N_BYTES = 100_000_000
N_RUNS = 5

CELL = """```repl
import resource
FINAL({"n": len(text), "hits": text.count("needle"), "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024})
```
"""
AS_CONTEXT = (
    "---\nname: as-context\ncontext: [big.txt]\n---\n```repl\ntext = context['big.txt']\n```\n\n" + CELL
)
AS_INPUT = "---\nname: as-input\ninputs: {text: string}\n---\n```repl\ntext = inputs['text']\n```\n\n" + CELL
SMALL = "---\nname: small\n---\n```repl\ntext = 'needle'\n```\n\n" + CELL


def main() -> None:
    """Measure in a workspace of its own and print one table."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        big = workspace / "big.txt"
        big.write_text("some needle in a line of hay, and more hay\n" * (N_BYTES // 43))
        (workspace / "big.json").write_text(json.dumps({"text": big.read_text()}))
        for name, text in (("as-context", AS_CONTEXT), ("as-input", AS_INPUT), ("small", SMALL)):
            (workspace / f"{name}.md").write_text(text)
        reading = summarised([_seconds(big.read_text) for _ in range(N_RUNS)])
        parsing = summarised(
            [_seconds(lambda: json.loads((workspace / "big.json").read_text())) for _ in range(N_RUNS)]
        )
        base = [_run(workspace, "small") for _ in range(N_RUNS)]
        rows = [("reading the file", reading.ms, "", "", "")]
        rows += [("reading and parsing the JSON", parsing.ms, "", "", "")]
        rows += [_row("a run without it", base, base, 0.0)]
        rows += [
            _row(
                "`context: [big.txt]`",
                [_run(workspace, "as-context") for _ in range(N_RUNS)],
                base,
                reading.median_s,
            )
        ]
        options = ["--input-json", "big.json"]
        rows += [
            _row(
                "`--input-json`",
                [_run(workspace, "as-input", *options) for _ in range(N_RUNS)],
                base,
                parsing.median_s,
            )
        ]
    columns = [
        "100 MB of text",
        "median (min-max) ms",
        "beyond run and reading, s",
        "worker's memory / size",
        "journal, bytes",
    ]
    report("A large context", columns, rows)


def _row(name: str, runs: list[dict], base: list[dict], reading_s: float) -> tuple[str, str, str, str, str]:
    seconds = summarised([run["seconds"] for run in runs])
    small = summarised([run["seconds"] for run in base])
    n_bytes = runs[0]["n"]
    share = "" if n_bytes < 1000 else f"{(max(run['rss'] for run in runs) - base[0]['rss']) / n_bytes:.2f}"
    beyond = "" if n_bytes < 1000 else f"{seconds.median_s - small.median_s - reading_s:.2f}"
    return name, seconds.ms, beyond, share, f"{max(run['journal'] for run in runs):,}"


def _run(workspace: Path, name: str, *options: str) -> dict:
    orchestrate = str(Path(sys.executable).with_name("orchestrate"))
    began = time.perf_counter()
    done = subprocess.run(
        [orchestrate, f"{name}.md", *options, "--json"],
        cwd=workspace,
        env=users_environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    result = json.loads(done.stdout)
    journal = workspace / "memory" / "runs" / result["run"] / "journal.jsonl"
    return result["answer"] | {"seconds": seconds, "journal": journal.stat().st_size}


def _seconds(action) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
