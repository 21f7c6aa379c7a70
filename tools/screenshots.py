"""Makes the pictures in docs/pictures/: pages of examples, in headless Chromium.

    python tools/screenshots.py [FOLDER]

The examples are run from their recordings, so the pictures change only when pages do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: which page, of which size and colours, after which keys."""

    name: str
    width: int
    height: int
    scheme: str
    keys: tuple[str, ...] = ()
    page: str = "run"


PICTURES = (
    Picture("run.png", 1200, 720, "light", ("j",)),
    Picture("run-dark.png", 1200, 720, "dark"),
    Picture("run-phone.png", 390, 780, "light"),
    Picture("learning.png", 1200, 720, "light", page="learning"),
)


def chromium() -> str | None:
    """Where Chromium is on PATH."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def main() -> None:
    """Make all pictures anew."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures"
    path = chromium()
    if path is None:
        sys.exit("no Chromium on PATH; Debian's package is `chromium`")
    with tempfile.TemporaryDirectory() as work, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        make(browser, Path(work), folder)
        browser.close()


def make(browser: Browser, work: Path, folder: Path) -> None:
    """Run the example in `work` and write the pictures into `folder`."""
    pages = {"run": run_example(work), "learning": learn_example(work)}
    folder.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        size = {"width": picture.width, "height": picture.height}
        page = browser.new_page(viewport=size, color_scheme=picture.scheme)  # type: ignore[arg-type]  # a literal
        page.goto(pages[picture.page].as_uri())
        for key in picture.keys:
            page.keyboard.press(key)
        page.screenshot(path=str(folder / picture.name))
        page.close()


def run_example(work: Path) -> Path:
    """The page of a run of examples/research, run in a copy of it."""
    _run(work, "research", 1)
    return _view(work, "research")


def learn_example(work: Path) -> Path:
    """The page of what examples/many-notes learns in three runs of a copy of it."""
    _run(work, "many-notes", 3)
    return _view(work, "many-notes", "--learning")


def _run(work: Path, example: str, times: int) -> None:
    shutil.copytree(ROOT / "examples" / example, work / example)
    for _ in range(times):
        _orchestrate(work, example, "workflow.md", "--model", "recorded:recorded.yaml", "--yes")


def _view(work: Path, example: str, *options: str) -> Path:
    out = work / example / "view.html"
    _orchestrate(work, example, "view", *options, "--out", str(out))
    return out


def _orchestrate(work: Path, example: str, *words: str) -> None:
    env = {**os.environ, "HOME": str(work), "XDG_DATA_HOME": str(work / "data"), "COLUMNS": "80"}
    command = [sys.executable, "-m", "orchestrator", *words, "--workspace", "."]
    subprocess.run(command, cwd=work / example, env=env, check=True, capture_output=True)


if __name__ == "__main__":
    main()
