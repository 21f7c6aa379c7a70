"""A real browser for pages: Chromium, headless, that nothing but the page's own file is open to."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from screenshots import FLAGS, chromium

from orchestrator.interfaces.pages.run_page import run_page
from orchestrator.runs.history import read_tree, run_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Request


@dataclass
class Opened:
    """A page in the browser, with what it complained of and asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; where there is none, the test is skipped.

    While it is there, this thread has a running event loop: tests that need one of their own can't be beside it, so it
    goes with its module.
    """
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Opens an address or a file in a window of its own, 1200 x 800 unless told."""
    with contextlib.ExitStack() as windows:

        def open_page(address: str | Path, **options: Any) -> Opened:
            context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
            windows.callback(context.close)
            found = Opened(context.new_page())
            found.page.on("console", lambda message: found.complaints.append(message.text))
            found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
            found.page.on("request", lambda request: found.requests.append(request))
            found.page.goto(address if isinstance(address, str) else address.as_uri())
            return found

        yield open_page


@pytest.fixture
def page_of(opened: Callable[..., Opened]) -> Callable[..., Opened]:
    """Writes the page of a run's folder and opens it."""

    def open_run(folder: Path, **options: Any) -> Opened:
        path = folder / "view.html"
        path.write_text(run_page(read_tree(folder), run_info(folder), folder), "utf-8")
        return opened(path, **options)

    return open_run
