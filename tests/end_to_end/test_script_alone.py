"""What the page says of a search, by its script alone: no notebook and no kernel, and an update made by hand."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from degentcivil_nb.widgets.page_widget import code

DRAW = """([name, body]) => {
    const at = document.querySelector("#here");
    const tools = { send() {}, go() {}, standing: () => null, signal: new AbortController().signal,
        cursor: () => ({ moment: null, character: null, row: null }) };
    const state = {}, panel = PANELS.get(name);
    at.replaceChildren();
    const view = panel.render(state, at, tools);
    panel.receive(state, body, [new DataView(new ArrayBuffer(0))]);
    view.draw(body);
}"""


def search(**status: Any) -> dict[str, Any]:
    asked = {"text": "tick > 5", "problem": "", "hits": 0, "busy": False, "judged": 9, "held": 9, "asks": 1}
    return {**asked, **status}


@pytest.fixture
def page(browser: Browser) -> Any:
    with browser.new_page(viewport={"width": 600, "height": 700}) as page:
        page.set_content("<div class='dc-widget'><div class='dc-panel dc-dashboard'><div id=here class=dc-panel></div>")
        source = gzip.decompress(code()[1]).decode()
        page.add_script_tag(content=f"{source}\nObject.assign(window, {{ PANELS, STYLE }});", type="module")
        page.wait_for_function("window.STYLE")
        page.add_style_tag(content=page.evaluate("STYLE"))
        yield page


@pytest.mark.parametrize(
    ("busy", "count", "empty"),
    [
        (True, "0 found so far", "Nothing here is found by the search above so far; the search goes on."),
        (False, "0 found", "Nothing here is found by the search above."),
    ],
)
def test_an_empty_table_says_whether_the_search_goes_on(page: Page, busy: bool, count: str, empty: str) -> None:
    window = {"all": 0, "earlier": 0, "later": 0, "searched": search(busy=busy), "tail": True, "words": None}
    columns = [{"name": "tick", "label": "", "kind": "number"}]
    page.evaluate(DRAW, ["table", {"columns": columns, "empty": "No events.", "window": {**window, "sorted": None}}])
    assert page.locator(".dc-empty").inner_text() == empty
    assert count in page.locator("#here .dc-bar").first.inner_text().split("\n")


def test_a_long_name_in_the_hint_of_a_search_is_not_cut(page: Page) -> None:
    hint = f"no column or key of a payload {'n' * 78!r} was seen so far"
    body = {"search": search(), "said": "", "hint": hint, "held": 9, "live": True, "first": None}
    page.evaluate(DRAW, ["timebar", body])
    assert hint in page.locator(".dc-found").inner_text()
    right = page.evaluate("document.querySelector('.dc-found').getBoundingClientRect().right")
    assert right <= page.evaluate("document.querySelector('#here').getBoundingClientRect().right")
