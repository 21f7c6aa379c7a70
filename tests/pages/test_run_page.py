"""The page of a run, in a real browser."""

from __future__ import annotations

import contextlib
import json

import pytest
from made_runs import made_run
from playwright.sync_api import expect

from orchestrator.runs.journal import Journal

HOSTILE = (
    "</script></title><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "<a href=\"javascript:document.title='owned'\">x</a>{{ 7*7 }}{% raw %}<!-- \u2028 \u202e \x1b]0;owned\x07 </pre></style>"
    "<svg onload=\"document.title='owned'\"><iframe src='http://127.0.0.1:9/'></iframe>&lt;b&gt;\\u003c"
)


def selected(page):
    return page.locator("[role=treeitem][aria-selected=true] .name").inner_text()


def made_hostile(folder):
    """A run all of whose texts are hostile, but for those that make it a tree."""
    built = {"event", "at", "run", "call", "parent", "kind", "status"}

    def hostile(value):
        if isinstance(value, dict):
            return {name: value[name] if name in built else hostile(value[name]) for name in value}
        if isinstance(value, list):
            return [hostile(one) for one in value]
        return HOSTILE if isinstance(value, str) else value

    run = made_run(folder, 4, HOSTILE)
    journal = run / "journal.jsonl"
    events = [hostile(json.loads(line)) for line in journal.read_text().split("\n")[:-1]]
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))
    return run


@pytest.mark.parametrize("make", [lambda folder: made_run(folder, 4, HOSTILE), made_hostile])
def test_text_of_models_and_skills_stays_text(page_of, tmp_path, make):
    found = page_of(make(tmp_path))
    page = found.page
    for key in ("ArrowDown", "ArrowDown", "End", "Home", "c", "f", "t", "?", "Escape", "/"):
        page.keyboard.press(key)
    page.keyboard.type("<img src=x onerror=")
    expect(page.locator("#found")).to_have_text("4 calls")
    page.keyboard.press("Enter")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.title().startswith("</script></title><script>")
    assert page.locator("img, iframe, svg, a[href^='javascript']").count() == 0
    assert page.locator("script:not([type])").count() == 3
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
    expect(page.locator("#tree")).to_be_focused()
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
    assert page.locator("#sums").inner_text().split("\n")[-4:] == ["calls", "10,000", "calls failed", "1"]
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


def cut(folder, n_lines):
    """The run as far as its first lines tell."""
    path = folder / "journal.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:n_lines]))
    return folder


def test_long_values_are_folded_until_they_are_searched_for(page_of, tmp_path):
    page = page_of(made_run(tmp_path, 3, "\n".join(f"line {number}" for number in range(60)))).page
    page.keyboard.press("End")
    value = page.locator("#detail details").last
    assert value.locator("summary").inner_text() == "60 lines, 480 characters"
    assert not value.locator("pre").is_visible()
    value.locator("summary").click()
    assert value.locator("pre").inner_text().endswith("line 59, said of 1")
    page.keyboard.press("Home")
    page.keyboard.press("/")
    page.keyboard.type("line 59, said")
    expect(page.locator("#found")).to_have_text("1 call")
    assert page.locator("#detail mark").last.inner_text() == "line 59, said"
    assert page.locator("#detail mark").last.is_visible()


def test_arguments_of_many_lines_are_read_as_lines(page_of, tmp_path):
    page = page_of(made_run(tmp_path, 3, "first\n  second")).page
    page.keyboard.press("End")
    assert page.locator("#detail pre").first.inner_text() == "prompt:\n    first\n      second 1"


def test_cost_is_told_by_what_was_called(page_of, tmp_path):
    page = page_of(made_run(tmp_path, 205, "note")).page
    rows = [[text.strip() for text in row.split("\t")] for row in page.locator(".went tr").all_inner_texts()]
    assert rows == [
        ["llm_query", "", "201 calls", "", "$0.0603", "4.0 s"],
        ["note", "", "1 call", "1 failed", "$0.0100", "1.2 s"],
        ["rlm_query", "", "3 calls", "", "", "300 ms"],
    ]
    page.locator(".went button", has_text="rlm_query").click()
    assert page.locator("#search").input_value() == "rlm_query"
    assert page.locator("#found").inner_text() == "3 calls"
    page.keyboard.press("Escape")
    page.locator("#tree").focus()
    page.keyboard.press("c")
    assert page.locator("#detail .path").inner_text().endswith("call 0.1")


def test_calls_that_went_on_at_once_stand_above_each_other(page_of, tmp_path):
    """One call a millisecond, each of which takes longer than all that begin after it."""
    run = made_run(tmp_path, 12, "note")
    journal = run / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    for number, event in enumerate(events):
        event["at"] = f"2026-11-26T12:00:00.{number:03}000Z"
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))
    page = page_of(run).page
    lanes = page.locator("#lanes")
    assert lanes.get_attribute("aria-label") == "Calls over time, at most 12 at once"
    pixels = """(() => { const c = document.getElementById('lanes');
        return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].join(); })()"""
    before = page.evaluate(pixels)
    page.keyboard.press("t")
    assert page.evaluate(pixels) != before
    box = lanes.bounding_box()
    assert box is not None
    lanes.click(position={"x": 25, "y": box["height"] - 2})
    assert page.evaluate("location.hash") == "#0.1.10"


@pytest.mark.parametrize("n_lines", [0, 1, 2, 4, 7])
def test_a_run_that_was_cut_off_says_so(page_of, tmp_path, n_lines):
    found = page_of(cut(made_run(tmp_path, 5, "note"), n_lines))
    page = found.page
    assert page.locator("#status").inner_text() == "crashed"
    assert "orchestrate resume 20261126-120000-000005" in page.locator(".problems").inner_text()
    for key in "jkfcn?":
        page.keyboard.press(key)
    assert page.locator("#detail").is_visible() == (n_lines > 1)
    assert found.complaints == []


def test_a_run_that_goes_on_says_so(page_of, tmp_path):
    folder = cut(made_run(tmp_path, 5, "note"), 7)
    with Journal(folder, folder.name):
        page = page_of(folder).page
    assert page.locator("#status").inner_text() == "running"
    assert page.locator(".going").inner_text() == (
        "… The run goes on. This is how far it was when the page was written."
    )
    assert page.locator("#detail .figures").inner_text().startswith("running")


def test_a_run_that_waits_says_for_what(page_of, tmp_path):
    folder = cut(made_run(tmp_path, 5, "note"), 7)
    needs = [{"kind": "approval", "call": "0", "id": "0", "prompt": "send <b>it</b>"}]
    with contextlib.closing(Journal(folder, folder.name)) as journal:
        usage = {"calls": 1, "tokens": 2, "usd": 0.0, "seconds": 1.0}
        journal.append("suspended", "0", needs=needs, usage=usage)
    page = page_of(folder).page
    assert page.locator("#status").inner_text() == "suspended"
    assert page.locator(".going").inner_text().split("\n") == [
        "It waits for: send <b>it</b>",
        "Once that is there, “orchestrate resume 20261126-120000-000005” goes on.",
    ]


def test_an_address_leads_to_a_call_and_a_broken_one_to_the_first(page_of, opened, tmp_path):
    page_of(made_run(tmp_path, 5, "note"))
    address = next(tmp_path.glob("*/view.html")).as_uri()
    assert opened(f"{address}#0.1.2").page.locator("#detail .path").inner_text().endswith("call 0.1.2")
    broken = opened(f"{address}#%E0%A4%A")
    assert broken.page.locator("#detail .path").inner_text() == "call 0"
    assert broken.complaints == []


def test_a_chosen_call_is_read_from_its_beginning(page_of, tmp_path):
    page = page_of(made_run(tmp_path, 30, "a long text\n" * 10)).page
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator("#tree").focus()
    page.keyboard.press("j")
    assert page.locator("#detail h2").evaluate("(one) => one.getBoundingClientRect().top") >= 0
