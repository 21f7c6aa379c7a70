"""The page of a run, in a real browser."""

from __future__ import annotations

import pytest
from made_runs import made_run
from playwright.sync_api import expect

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "<a href=\"javascript:document.title='owned'\">x</a>{{ 7*7 }}{% raw %}<!-- \u2028 \u202e \x1b]0;owned\x07 </pre></style>"
    "<svg onload=\"document.title='owned'\"><iframe src='http://127.0.0.1:9/'></iframe>&lt;b&gt;\\u003c"
)


def selected(page):
    return page.locator("[role=treeitem][aria-selected=true] .name").inner_text()


def test_text_of_models_and_skills_stays_text(page_of, tmp_path):
    found = page_of(made_run(tmp_path, 4, HOSTILE))
    page = found.page
    for key in ("ArrowDown", "ArrowDown", "Home", "f", "?", "Escape"):
        page.keyboard.press(key)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.title().startswith("</script><script>")
    assert page.locator("img, iframe, svg, a[href^='javascript']").count() == 0
    assert page.locator("script:not([type])").count() == 2
    assert "<img src=x onerror=" in page.locator("#detail").inner_text()
    assert "\x1b" not in page.content()
    assert "\u202e" not in page.content()
    assert found.complaints == []
    assert len(found.requests) == 1


def test_what_is_not_ours_is_not_run(page_of, tmp_path):
    """Where a text became markup all the same, the page's policy is in its way."""
    found = page_of(made_run(tmp_path, 2))
    found.page.evaluate(
        'document.body.insertAdjacentHTML(\'beforeend\', \'<img src="http://127.0.0.1:9/" onerror="document.title=1">'
        '<button onclick="document.title=1" id=bad>x</button>\')'
    )
    found.page.click("#bad")
    assert found.page.title() != "1"
    found.page.wait_for_timeout(0)
    assert [request.failure for request in found.requests] == [None, "csp"]
    assert any("Content Security Policy" in text for text in found.complaints)


def test_keys_lead_through_the_calls(page_of, tmp_path):
    page = page_of(made_run(tmp_path, 205, "note")).page
    assert selected(page) == "note"
    page.keyboard.press("j")
    assert page.locator("#detail h2").inner_text() == "✓ rlm_query"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert page.locator("#detail .path").inner_text().endswith("0.2")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert selected(page) == 'llm_query("note 1")'
    page.keyboard.press("End")
    assert page.evaluate("location.hash") == "#0.3.3"
    page.keyboard.press("f")
    assert selected(page) == "note"
    page.keyboard.press("?")
    assert page.locator("dialog#keys").is_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog#keys")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_focused()


def test_search_finds_what_calls_said_and_marks_it(page_of, tmp_path):
    page = page_of(made_run(tmp_path, 205, "note")).page
    page.keyboard.press("/")
    page.keyboard.type("said of 77")
    expect(page.locator("#found")).to_have_text("2 calls")
    assert page.locator("#detail mark").first.inner_text() == "said of 77"
    first = page.evaluate("location.hash")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") != first
    page.keyboard.press("Escape")
    assert page.locator("#found").inner_text() == ""


def test_failures_stand_first_and_lead_to_their_call(page_of, tmp_path):
    page = page_of(made_run(tmp_path, 3, "note")).page
    assert page.locator("#status").inner_text() == "failed"
    page.keyboard.press("End")
    page.locator(".problems button").first.click()
    assert selected(page) == "note"
    assert page.locator("#detail .check").first.inner_text() == "✗\nnote: note"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_in_one_direction_and_colours_follow_the_system(page_of, tmp_path, scheme):
    found = page_of(
        made_run(tmp_path, 12, "a long text " * 30),
        viewport={"width": 360, "height": 740},
        color_scheme=scheme,
    )
    page = found.page
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    before = page.evaluate(paper)
    assert before == {"light": "rgb(253, 253, 252)", "dark": "rgb(23, 24, 27)"}[scheme]
    page.click("#theme")
    assert page.evaluate(paper) != before
    page.locator("[role=treeitem]").nth(1).click()
    assert page.locator("#detail h2").is_visible()
    assert found.complaints == []


def test_ten_thousand_calls_are_drawn_by_those_in_view(page_of, tmp_path):
    page = page_of(made_run(tmp_path, 10_000, "note")).page
    assert page.locator("#facts").inner_text().startswith("1.2 s · 10,000 calls")
    assert page.locator("[role=treeitem]").count() < 100
    page.keyboard.press("/")
    page.keyboard.type("said of 99")
    expect(page.locator("#found")).to_have_text("99 calls")
    assert page.locator("[role=treeitem]").count() < 100
    assert (next(tmp_path.glob("*/view.html"))).stat().st_size < 10_000_000


def test_a_text_that_was_cut_leads_to_the_blob_that_has_it(page_of, tmp_path):
    page = page_of(made_run(tmp_path, 2, "0123456789" * 10_000)).page
    link = page.locator("#detail a").first
    blob = next(tmp_path.glob("*/blobs/*"))
    assert link.get_attribute("href").startswith("blobs/")
    assert (blob.parent / link.get_attribute("href").removeprefix("blobs/")).exists()
