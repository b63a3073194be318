"""Cuts and restarts while the dashboard of a real town is open: it says so, comes back, and shows what is missing."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.end_to_end.conftest import OpenNotebook

pytestmark = pytest.mark.browser

TOWN = """
import degentcivil_nb as dc
server = dc.start_local_server(seed=3)
session = dc.connect(server)
session.dashboard()
"""
ONCE = """
events = session.events()
unique = events.groupby("epoch", observed=True)["seq"].apply(lambda seq: seq.dropna().is_unique).all()
print(unique, len(session.gaps()))
"""


def test_the_dashboard_comes_back_from_a_cut_and_names_what_a_restart_lost(notebook: OpenNotebook) -> None:
    book = notebook(
        TOWN,
        "server.inject_fault('disconnect')",
        ONCE,
        "server.inject_fault('restart')",
        ONCE,
        "server.stop()",
        width=1900,
        height=2200,
    )  # so wide that the town's panels stand side by side, and so tall that all fits: one out of sight is told nothing
    page = book.page
    book.run(0)
    head = page.locator(".dc-headline")
    link, tick, gaps = (head.locator(f".dc-{name} .dc-value") for name in ("link", "tick", "gaps"))
    expect(link).to_have_text("live", timeout=20_000)
    book.run(1)
    expect(link).to_have_text("live, 1 × reconnected", timeout=20_000)
    seen = tick.inner_text()
    expect(tick).not_to_have_text(seen)
    book.run(2)
    assert book.text(2).split() == ["True", "0"], "a cut loses nothing and repeats nothing"
    expect(gaps).to_have_text("0")

    book.run(3)
    expect(head).to_be_in_viewport()
    expect(gaps).not_to_have_text("0", timeout=20_000)
    expect(link).to_have_text("live, 2 × reconnected", timeout=20_000)
    book.run(4)
    unique, count = book.text(4).split()
    assert unique == "True"
    assert int(count) >= 1

    page.get_by_role("tab", name="events").click()
    page.locator("input.dc-filter:visible").fill("restart")
    book.picture("faults_events")
    row = page.locator(".dc-grid:visible .dc-body .dc-row", has_text="restart")  # one of the last thousand
    expect(row.first).to_be_visible(timeout=20_000)

    page.get_by_role("tab", name="charts").click()
    page.wait_for_function(
        "[...document.querySelectorAll('.js-plotly-plot')].some(f => (f.layout?.shapes ?? []).length > 0)",
        timeout=20_000,
    )
    filled = "f => f.clientWidth > 0.9 * f.closest('.jp-OutputArea-output').clientWidth"
    page.wait_for_function(
        f"[...document.querySelectorAll('.js-plotly-plot')].filter(f => f.clientWidth).every({filled})"
    )
    page.wait_for_timeout(1500)  # the picture is for people: let the plot settle
    book.picture("faults_rates")
    book.run(5)
    expect(link).to_contain_text("reconnecting", timeout=20_000)
    assert book.problems == []


DROP_SHOWS = """
window.dropShows = 0;
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  const text = typeof data === "string" ? data : new TextDecoder().decode(data);
  if (window.dropShows > 0 && /"kind": ?"show"/.test(text)) {
    window.dropShows -= 1;
    return;
  }
  send.call(this, data);
};
"""


def test_a_tab_whose_first_word_to_the_kernel_is_lost_asks_again_while_other_panels_live(
    notebook: OpenNotebook,
) -> None:
    book = notebook(TOWN, script=DROP_SHOWS)
    page = book.page
    book.run(0)
    tick = page.locator(".dc-headline .dc-tick .dc-value")
    expect(page.locator(".dc-headline .dc-link .dc-value")).to_have_text("live", timeout=20_000)
    page.evaluate("window.dropShows = 1")
    page.get_by_role("tab", name="events", exact=True).click()
    page.wait_for_function("window.dropShows === 0", timeout=20_000)
    seen = tick.inner_text()
    expect(page.locator(".dc-grid:visible .dc-body .dc-row").first).to_be_visible(timeout=30_000)
    expect(tick).not_to_have_text(seen, timeout=20_000)
    assert book.problems == []
