"""Live figures in a real page: drawn, followed, zoomed, shaded, in both themes, and never fooled by a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.end_to_end.conftest import Notebook, OpenNotebook
from tests.end_to_end.lab import blocked_until

pytestmark = pytest.mark.browser

TOWN = """
import time, threading
import ipywidgets
import degentcivil_nb as dc
from degentcivil_nb.widgets.figure_panels import ErrorsPanel, LlmPanel, RatesPanel
from degentcivil_nb.widgets.refresh import Refresher
server = dc.start_local_server(characters=12, seed=1)
session = dc.connect(server)
refresher = Refresher()
panels = [panel(session._store, refresher) for panel in (RatesPanel, ErrorsPanel, LlmPanel)]
ipywidgets.VBox(panels)
"""
HOSTILE = """
BAD = ["<img src=x onerror=window.pwned=1>", "<a href='javascript:window.pwned=1'>x</a>", "$x$ $y$"]
BAD += ["a\\u202eb", "%{x}"]
for n in range(40):
    for i, name in enumerate(BAD):
        server.inject_event(name, {"n": n}, character_id=name)
        server.inject_state_change(name, BAD[(i + n) % 5], location=name)
        server.inject_llm_call(name, prompt_type=name, prompt="p", response="r", model=name, latency_s=0.5)
    server.inject_error(1004, BAD[0], character_id=BAD[0])
    time.sleep(0.05)  # so that bars have a width
"""


def points(book: Notebook, which: int = 0) -> int:
    """Count the points of a figure's first trace."""
    count: int = book.page.evaluate("i => document.querySelectorAll('.dc-figure')[i].data?.[0]?.x?.length ?? 0", which)
    return count


def test_figures_follow_the_run_and_keep_the_zoom(notebook: OpenNotebook, tmp_path: Path) -> None:
    let = tmp_path / "let"
    book = notebook(TOWN, HOSTILE, "server.inject_fault('restart')", blocked_until(let), height=1900)
    book.run(0)
    book.page.wait_for_function("document.querySelectorAll('.dc-figure.js-plotly-plot').length === 3", timeout=30_000)
    before = points(book)
    book.page.wait_for_function("n => document.querySelectorAll('.dc-figure')[0].data[0].x.length > n + 2", arg=before)
    book.run(1)
    book.page.wait_for_timeout(1500)  # for the picture
    book.picture("figures_light")
    assert book.page.evaluate("window.pwned") is None
    assert book.page.evaluate("document.querySelectorAll('.dc-figure a, .dc-figure image').length") == 0

    ground = book.page.locator(".dc-figure .nsewdrag").first
    ground.scroll_into_view_if_needed()  # the cell that ran has taken the page with it
    box = ground.bounding_box()
    assert box is not None
    book.page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2)
    book.page.mouse.down()
    book.page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] / 2, steps=5)
    book.page.mouse.up()
    book.page.wait_for_function("document.querySelectorAll('.dc-figure')[0].layout.xaxis.autorange === false")
    ranged = "[...document.querySelectorAll('.dc-figure')[0].layout.xaxis.range]"
    zoomed, count = book.page.evaluate(ranged), points(book)
    book.start(3)
    book.page.wait_for_function("n => document.querySelectorAll('.dc-figure')[0].data[0].x.length > n + 1", arg=count)
    assert book.page.evaluate(ranged) == zoomed
    let.touch()

    book.run(2)
    book.page.wait_for_function(
        "(document.querySelectorAll('.dc-figure')[0].layout.shapes ?? []).length > 0", timeout=20_000
    )
    book.page.wait_for_timeout(2000)  # for the picture
    book.theme("JupyterLab Dark")
    book.page.wait_for_timeout(2500)  # for the picture
    book.picture("figures_dark")
    assert not book.problems


def test_the_tooltip_at_the_end_of_a_line_of_rates_says_that_it_is_the_last_second(notebook: OpenNotebook) -> None:
    book = notebook(TOWN.replace("(RatesPanel, ErrorsPanel, LlmPanel)", "(RatesPanel,)"), "session.pause()", height=900)
    book.run(0)
    page = book.page
    line = "document.querySelector('.dc-figure')?.data?.[0]"
    page.wait_for_function(f"{line}?.x.length > 4 && {line}.customdata?.length === {line}.x.length", timeout=30_000)
    ground = page.locator(".dc-figure .nsewdrag")
    box = ground.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] - 2, box["y"] + box["height"] / 2
    texts = page.locator(".dc-figure .hoverlayer text")
    page.mouse.move(x - 30, y)
    page.mouse.move(x, y)
    expect(texts.filter(has_text="in the last second until now").first).to_be_visible(timeout=20_000)
    assert not [text for text in texts.all_text_contents() if any(bad in text for bad in ("NaN", "undefined", "%{"))]
    page.mouse.move(box["x"] + 1, y)
    expect(texts.filter(has_text="/s").first).to_be_visible(timeout=20_000)
    expect(texts.filter(has_text="in the last second")).to_have_count(0)

    book.run(1)  # once it rests, all of the line are buckets
    page.wait_for_function(f"!{line}.customdata && {line}.y.at(-1) > 0", timeout=20_000)
    assert not book.problems


def test_figures_take_the_room_there_is_and_charts_are_stacked_up_to_the_cursor(notebook: OpenNotebook) -> None:
    at = "moment = session.at(row=len(session) // 2)\nprint(moment['tick'])"
    book = notebook(TOWN.rpartition("panels =")[0] + "session.dashboard()", at, height=1000, width=1600)
    book.run(0)
    page = book.page
    page.get_by_role("tab", name="charts").click()
    figure = page.locator(".dc-figure.js-plotly-plot:visible")
    figure.wait_for(timeout=30_000)
    fits = """floor => {
        const figure = [...document.querySelectorAll('.dc-figure')].find(figure => figure.clientWidth > 0);
        const drawn = figure?.querySelector('.main-svg')?.getBoundingClientRect().width;
        return Math.abs(drawn - figure?.clientWidth) < 2 && figure.clientWidth > floor; }"""
    page.wait_for_function(fits, arg=1000, timeout=20_000)
    page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")  # the window stays as it is
    page.wait_for_function(fits, arg=1300, timeout=20_000)
    page.set_viewport_size({"width": 1000, "height": 1000})
    page.wait_for_function("document.querySelector('.dc-headline').clientWidth < 900")
    page.wait_for_function(fits, arg=600, timeout=20_000)

    for name in ("errors", "calls"):
        page.get_by_role("checkbox", name=name, exact=True).check()
    stacked = "() => [...document.querySelectorAll('.dc-figure')].find((each) => each.clientWidth)?.layout"
    page.wait_for_function(f"({stacked})().yaxis3 !== undefined", timeout=20_000)
    grounds = page.locator(".dc-figure:visible .nsewdrag")
    expect(grounds).to_have_count(3)
    said = []
    for place in range(3):
        box = grounds.nth(place).bounding_box()
        assert box is not None
        for share in (0.3, 0.5, 0.7, 0.9):
            page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
            page.wait_for_timeout(150)  # plotly shows what is under the hand after a moment
            said += page.locator(".dc-figure:visible .hoverlayer text").all_text_contents()
    assert said and not [text for text in said if "NaN" in text or "undefined" in text], said
    book.run(1)
    expect(page.locator(".dc-page:visible .dc-past")).to_contain_text(
        f"as of tick {int(book.text(1)):,}", timeout=20_000
    )
    last = "[...document.querySelectorAll('.dc-figure')].find((each) => each.clientWidth)"
    page.wait_for_function(
        f"{last}.layout.shapes.at(-1)?.label?.text === 'the moment shown' && {last}.data.every((trace) =>"
        f" trace.x.length === 0 || +new Date(trace.x.at(-1)) <= +new Date({last}.layout.shapes.at(-1).x0) + 2600)",
        timeout=20_000,
    )
    book.picture("charts")
    assert not book.problems
