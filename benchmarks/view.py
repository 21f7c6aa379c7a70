"""How long the page of a run takes: written by the command, and drawn and searched in headless Chromium."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from report import ROOT, Timing, report, timed, users_environment

sys.path.insert(0, str(ROOT / "tools"))

from made_runs import made_run
from playwright.sync_api import expect, sync_playwright
from screenshots import FLAGS, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

N = 7
TEXT = "Take decisions, open points (who, by when) and risks out of this note. Only what it says."
PAINTED = """() => new Promise((done) => new PerformanceObserver((list) => {
    for (const entry of list.getEntriesByName('first-contentful-paint')) done(entry.startTime);
}).observe({ type: 'paint', buffered: true }))"""
DRAWN = "performance.getEntriesByName('drawn')[0].startTime"
SEARCH = """() => {
    const box = document.getElementById('search'), began = performance.now();
    box.value = 'said of 99';
    box.dispatchEvent(new Event('input'));
    return new Promise((done) => new MutationObserver(() => done(performance.now() - began))
        .observe(document.getElementById('found'), { childList: true }));
}"""


def main() -> None:
    """Measure runs of two sizes, then print one table."""
    path = chromium()
    if path is None:
        sys.exit("no Chromium on PATH")
    rows = []
    with tempfile.TemporaryDirectory() as work, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        for n_calls in (100, 10_000):
            rows += measured(browser, Path(work) / str(n_calls), n_calls)
        browser.close()
    notes = (
        "Medians, with minimum and maximum in brackets. Written: the whole command, with the start of Python. "
        "First paint: since the browser began to load the file; so are calls drawn. Search: from the last key to the count of what was found."
    )
    report("The page of a run", ["calls", "what", "measured", "aim"], rows, notes)


def measured(browser: Browser, work: Path, n_calls: int) -> list[list[object]]:
    """The rows of a run with so many calls."""
    made_run(work / "memory" / "runs", n_calls, TEXT)
    out = work / "view.html"
    command = [sys.executable, "-m", "orchestrator", "view", "--workspace", str(work), "--out", str(out)]
    env = {**os.environ, **users_environment()}
    worked: list[float] = []

    def write() -> None:
        before = _children_s()
        subprocess.run(command, env=env, check=True, capture_output=True)
        worked.append(_children_s() - before)

    written = timed(write, n=N)
    paints, drawn, searches = [], [], []
    for _ in range(N):
        page = browser.new_page()
        page.goto(out.as_uri())
        expect(page.locator("[role=treeitem]").first).to_be_visible()
        paints.append(page.evaluate(PAINTED) / 1000)
        drawn.append(page.evaluate(DRAWN) / 1000)
        searches.append(page.evaluate(SEARCH) / 1000)
        page.close()
    is_large = n_calls == 10_000
    return [
        [f"{n_calls:,}", "written", written.ms + " ms", "2,000 ms" if is_large else ""],
        [f"{n_calls:,}", "of that, processor time", _timing(worked).ms + " ms", ""],
        [f"{n_calls:,}", "size", f"{out.stat().st_size / 1e6:.2f} MB", "10 MB" if is_large else ""],
        [f"{n_calls:,}", "first paint", _timing(paints).ms + " ms", "1,000 ms" if is_large else ""],
        [f"{n_calls:,}", "calls drawn", _timing(drawn).ms + " ms", ""],
        [f"{n_calls:,}", "a search", _timing(searches).ms + " ms", "200 ms" if is_large else ""],
    ]


def _children_s() -> float:
    """Processor time of the processes that were waited for, in seconds."""
    times = os.times()
    return times.children_user + times.children_system


def _timing(seconds: list[float]) -> Timing:
    ordered = sorted(seconds)
    return Timing(ordered[len(ordered) // 2], ordered[0], ordered[-1], len(ordered))


if __name__ == "__main__":
    main()
