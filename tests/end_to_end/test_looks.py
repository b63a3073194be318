"""What was found by looking: dots under other dots, a sentence said twice, and zeros for what nobody told."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.end_to_end.conftest import OpenNotebook

CELL = """
import degentcivil_nb as dc
from degentcivil_nb.simulation import SimulationProbe
probe = SimulationProbe(port=0)
for n in range(3):
    probe.character_update(f"c{n}", x=5, y=5)
    probe.state_change(f"c{n}", "TALK", location="Park")
probe.checkpoint(0)
session = dc.connect(probe.url)
session.dashboard()
"""
CALLS = """
probe.llm_call("c0", prompt="who?", response="me", model="quiet")
probe.llm_call("c0", prompt="who?", response="me", model="clock", latency_s=2.0)
probe.llm_call("c0", prompt="who?", response="me", model="clock")
probe.error(7, "lost")
"""
DOTS = """() => {
    const map = [...document.querySelectorAll(".dc-map canvas")].find((el) => el.offsetParent);
    const { data } = map.getContext("2d").getImageData(0, 0, map.width, map.height);
    const [red, green, blue] = /\\d+, \\d+, \\d+/.exec(getComputedStyle(document.querySelector(
        ".dc-page:not([hidden]) .dc-legend .dc-chip")).backgroundColor)[0].split(", ").map(Number);
    let dots = 0;
    for (let i = 0; i < data.length; i += 4)
        dots += data[i] === red && data[i + 1] === green && data[i + 2] === blue;
    return dots / devicePixelRatio ** 2;
}"""
DOT_PX = 49
"""The most pixels of one dot, a square; its edge may be blended, and names lie over it."""


def test_nothing_is_hidden_said_twice_or_made_up(notebook: OpenNotebook) -> None:
    book = notebook(CELL, CALLS, width=1_500)
    page = book.page
    book.run(0)
    page.locator(".dc-legend:visible").get_by_text("TALK 3").wait_for(timeout=60_000)
    page.wait_for_function(f"({DOTS})() > {1.3 * DOT_PX}", timeout=20_000)  # three characters at one point

    for tab, sentence in (("errors", "No errors"), ("LLM calls", "No calls of language models yet")):
        page.get_by_role("tab", name=tab, exact=True).click()
        said = page.locator(".dc-page:visible").get_by_text(sentence)
        expect(said).to_have_count(1, timeout=20_000)
        page.wait_for_timeout(1_500)  # a figure may be drawn later
        expect(said.locator("visible=true")).to_have_count(1)

    book.run(1)
    lines = page.locator(".dc-totals:visible > div")
    quiet, clock = lines.filter(has_text="quiet:"), lines.filter(has_text="clock:")
    expect(quiet).to_contain_text("tokens unknown, latency unknown, cost unknown", timeout=20_000)
    expect(clock).to_contain_text("tokens unknown, 2 s each (told by 1), cost unknown")
    row = page.locator(".dc-grid:visible .dc-body .dc-row:not([hidden])").last
    assert "0" not in [text.strip() for text in row.locator(".dc-cell").all_inner_texts()]
    row.click()
    page.locator(".dc-acts:visible").get_by_role("button", name="details", exact=True).click()
    facts = page.locator(".dc-call:visible .dc-facts")
    for name in ("prompt tokens", "completion tokens", "cost"):
        expect(facts).to_contain_text(f"{name} unknown", timeout=20_000)
    page.get_by_role("tab", name="errors", exact=True).click()
    page.locator(".dc-live:visible").first.click()
    expect(page.locator(".dc-page:visible .dc-figure .xtick").first).to_be_visible(timeout=60_000)

    page.locator(".dc-search").fill("tick > 100")
    page.locator(".dc-search").press("Enter")
    page.get_by_role("tab", name="events", exact=True).click()
    empty = page.locator(".dc-page:visible .dc-empty:visible")
    expect(empty).to_have_text("Nothing here is found by the search above.", timeout=20_000)

    page.get_by_role("tab", name="console", exact=True).click()
    line = page.get_by_label("Command", exact=True)
    page.locator("datalist option[value='step']").first.wait_for(state="attached", timeout=20_000)
    line.fill("st")
    line.press("Tab")
    expect(line).to_have_value("step ")
    for keys, value in (("ti", "step ticks="), ("", "step ticks=")):
        line.press_sequentially(keys)
        line.press("Tab")
        expect(line).to_have_value(value)
    expect(line).not_to_be_focused()  # there is nothing more to complete: Tab goes on
    assert book.problems == []
