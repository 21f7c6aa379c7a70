"""The page of what a workspace has learned, in a real browser."""

from __future__ import annotations

import re

import pytest
from made_record import made_record
from playwright.sync_api import expect

from orchestrator.interfaces.pages.learning import learning_page
from orchestrator.memory.usage import UsageStore
from orchestrator.workspace import Workspace

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"></svg></td></table>"
    "<a href=\"javascript:document.title='owned'\">x</a>{{ 7*7 }}{% raw %}<!-- \u2028 \u202e \x1b]0;owned\x07 </style>"
    "<svg onload=\"document.title='owned'\"><iframe src='http://127.0.0.1:9/'></iframe>\" onclick=\"document.title='owned'"
)


@pytest.fixture
def learned(opened, tmp_path):
    """Writes the page of the workspace and opens it."""

    def open_page(**options):
        path = tmp_path / "learning.html"
        path.write_text(learning_page(Workspace(tmp_path / "here")), "utf-8")
        return opened(path, **options)

    return open_page


def test_a_workspace_without_a_record_says_so(learned):
    found = learned()
    assert found.page.locator("svg").count() == 0
    assert found.page.locator(".facts").inner_text() == "nothing is on record yet"
    assert found.page.locator(".empty").all_inner_texts() == [
        "No workflow was run here yet. The first run of one puts it on record, and this page shows it.",
        "No skill was called yet.",
    ]
    assert found.complaints == []


def test_one_run_is_a_point_and_no_trend(learned, tmp_path):
    UsageStore(tmp_path / "here").record(
        run="r", call="0", workflow="note", strategy="written", outcome="ok", verdict="expr", duration_s=2.0
    )
    page = learned().page
    assert page.locator(".lead").all_inner_texts() == [
        "1 run. Of 1 with a verdict, 1 passed: the true share lies, 19 times in 20, between 21 and 100 %.",
        "It took 2.0 s.",
    ]
    assert page.locator("svg.chart").count() == 0
    assert page.locator(".part .empty").all_inner_texts() == [
        "How success went over time is drawn from 16 runs with a verdict on; 1 has one. With fewer, chance alone moves it "
        "more than anything else.",
        "No skill was called yet.",
    ]


def test_two_runs_are_two_points(learned, tmp_path):
    for run in ("a", "b"):
        UsageStore(tmp_path / "here").record(
            run=run, call="0", workflow="note", strategy="written", outcome="unverified", duration_s=2.0
        )
    page = learned().page
    assert page.locator(".lead").all_inner_texts() == [
        "2 runs. None has a verdict: nothing checked what came out.",
        "The first took 2.0 s, the latest 2.0 s.",
    ]
    assert page.locator("figcaption").all_inner_texts() == ["Time of each run"]
    assert page.locator("svg.chart circle").count() == 2
    assert page.locator(".keys").inner_text() == "answered, nothing checked it (2)"


def test_many_runs_are_drawn_and_every_figure_stands_in_a_table(learned, tmp_path):
    made_record(tmp_path / "here", 60)
    found = learned()
    page = found.page
    assert page.locator("figcaption").all_inner_texts() == [
        "Cost of each run", "Passed, of those with a verdict", "Which strategy is tried first", "Calls of each skill",
    ]  # fmt: skip
    cost = page.locator("svg.chart").first
    n_failed = page.locator("figure").first.locator("td:text-is('failed')").count()
    assert (cost.locator("circle").count(), cost.locator(".cross").count()) == (60 - n_failed, n_failed)
    first = page.locator("figure").first
    expect(first.locator("table")).to_be_hidden()
    first.locator("summary").click()
    expect(first.locator("table")).to_be_visible()
    assert first.locator("tbody tr").count() == 60
    assert re.fullmatch(
        r"60\t2026-10-\d\d \d\d:\d\d\tlearned:62be3ca1\t.*", first.locator("tbody tr").first.inner_text()
    )
    programs = page.locator("h3:has-text('Programs') ~ .wide").first
    assert programs.locator("tbody tr").inner_text().startswith("learned:62be3ca1\t1\tasks none\t")
    assert found.complaints == []
    assert len(found.requests) == 1


def test_names_of_workflows_and_skills_stay_text(learned, tmp_path):
    made_record(tmp_path / "here", 20, HOSTILE, HOSTILE)
    found = learned()
    page = found.page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.title() == "Learned · here"
    assert page.locator("h2").count() == 2
    assert page.locator("img, iframe, a, [onload], [onclick], [onerror]").count() == 0
    assert page.locator("script").count() == 1
    assert "<img src=x onerror=" in page.locator("h2").first.inner_text()
    assert "{{ 7*7 }}" in page.locator("h2").first.inner_text()
    assert "\x1b" not in page.content()
    assert "\u202e" not in page.content()
    assert found.complaints == []
    assert len(found.requests) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_in_one_direction_and_reads_the_charts(learned, tmp_path, scheme):
    made_record(tmp_path / "here", 30)
    found = learned(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = found.page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    heights = page.evaluate(
        "[...document.querySelectorAll('svg.chart text')].map((one) => one.getBoundingClientRect().height)"
    )
    assert min(heights) > 9
    before = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != before
    assert found.complaints == []
