"""How long it takes until an open page shows what happened in a run, and until a long record is a page of what was learned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from report import ROOT, report, timed, users_environment

sys.path.insert(0, str(ROOT / "tools"))

from made_runs import made_run
from playwright.sync_api import sync_playwright
from screenshots import FLAGS, chromium

from orchestrator.memory.record import FIELDS
from orchestrator.runs.journal import FILE_NAME, Journal

if TYPE_CHECKING:
    from playwright.sync_api import Browser

N = 7
N_RECORDS = 1_000_000
IS_SHOWN = "(name) => [...document.querySelectorAll('[role=treeitem] .name')].some((one) => one.textContent.startsWith(name))"
COMMAND = (sys.executable, "-m", "orchestrator", "view")


def main() -> None:
    """Measure, then print one table."""
    path = chromium()
    if path is None:
        sys.exit("no Chromium on PATH")
    rows = []
    with tempfile.TemporaryDirectory() as work, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        rows += [_followed(browser, Path(work) / str(n_calls), n_calls) for n_calls in (100, 10_000)]
        browser.close()
        rows += _learned(Path(work) / "long")
    notes = (
        "Medians, with minimum and maximum in brackets. Shown: from an event's append to the journal until the open page "
        "of the run has its call; the journal is looked at every 0.2 s, and a page that takes longer than 20 ms rests ten "
        "times as long. A page of what was learned: the whole command, with the start of Python; a twentieth of the "
        "records are attempts, of 30 workflows. First: nothing is in the cache."
    )
    report("Pages that follow, and what was learned", ["what", "measured"], rows, notes)


def _followed(browser: Browser, work: Path, n_calls: int) -> list[object]:
    """How long a call takes from the journal to the page, in a run of so many calls."""
    folder = made_run(work / "memory" / "runs", n_calls)
    lines = (folder / FILE_NAME).read_bytes().splitlines(keepends=True)
    (folder / FILE_NAME).write_bytes(b"".join(lines[:-4]))  # it goes on in its cell
    env = {**os.environ, **users_environment()}
    command = [*COMMAND, folder.name, "--serve", "--workspace", str(work)]
    with (
        Journal(folder, folder.name) as journal,
        subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server,
    ):
        page = browser.new_page()
        assert server.stdout is not None
        page.goto(server.stdout.readline().strip())
        page.wait_for_selector("#state.good")
        numbers = count(1)

        def once() -> None:
            name = f"shown-{next(numbers)}-"
            call = f"0.9{name.split('-')[1]:0>4}"
            journal.append("call_started", call, parent="0", kind="skill", name=name, arguments={}, depth=1)
            page.wait_for_function(IS_SHOWN, arg=name, polling=10)

        page.evaluate("document.getElementById('tree').scrollTop = 1e9")
        found = timed(once, n=N)
        server.terminate()
    return [f"a call shown, in a run of {n_calls:,} calls", found.ms + " ms"]


def _learned(work: Path) -> list[list[object]]:
    _write_record(work / "memory" / "usage.jsonl")
    env = {**os.environ, **users_environment()}
    out = work / "page.html"
    command = [*COMMAND, "--learning", "--workspace", str(work), "--out", str(out)]
    began = time.perf_counter()
    subprocess.run(command, env=env, check=True, capture_output=True)
    first = time.perf_counter() - began
    again = timed(lambda: subprocess.run(command, env=env, check=True, capture_output=True), n=3)
    return [
        [f"what {N_RECORDS:,} records taught, first", f"{first * 1000:,.0f} ms"],
        [f"what {N_RECORDS:,} records taught, again", again.ms + " ms"],
        ["the same, size", f"{out.stat().st_size / 1e6:.2f} MB"],
    ]


def _write_record(path: Path) -> None:
    path.parent.mkdir(parents=True)
    line = dict.fromkeys(FIELDS) | {
        "at": "2026-01-31T12:00:00Z",
        "depth": 1,
        "outcome": "ok",
        "duration_s": 0.1,
        "usd": 0.0,
    }
    with path.open("w") as file:
        for number in range(N_RECORDS):
            n_run = number // 20
            workflow = {"run": f"r{n_run}", "call": f"0.{number % 20}", "workflow": f"w{n_run % 30}"}
            if number % 20:
                fields = {**workflow, "skill": f"s{number % 40}"}
            else:
                strategy, situation = ("rlm", "learned:1", "grep")[n_run % 3], {"workflow": f"w{n_run % 30}"}
                fields = {**workflow, "strategy": strategy, "situation": situation, "usd": 0.01 * (n_run % 7)}
            file.write(json.dumps({**line, **fields}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
